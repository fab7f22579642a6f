"""Our extensions are defined: for a validator, for whoever asks, and for each that this code writes or reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_mapping.definitions.extensions import extensions
from fhir_mapping.definitions.structure import structure
from tests.fhir.clinic import Clinic
from tests.fhir.validators import Medplum, Pyrofile, needs_definitions

_ROOT = Path(__file__).parents[2]
_WRITTEN = re.compile(r'(?:_EXTENSION|ALSO_SHOWS) = "urn:photospine:([a-z-]+)"')
_PHOTO = {
    "resourceType": "DocumentReference",
    "id": "f",
    "status": "current",
    "content": [{"attachment": {"contentType": "image/jpeg", "url": "urn:oid:2.25.1"}}],
}


def _named_in_the_code() -> Iterator[str]:
    for package in ("consent", "fhir_mapping", "dicom_bridge", "orthanc_plugin"):
        for file in (_ROOT / package).rglob("*.py"):
            yield from _WRITTEN.findall(file.read_text("utf-8"))


@pytest.mark.fast
def test_each_that_the_code_names_is_defined_and_no_other() -> None:
    assert {each.name for each in extensions()} == set(_named_in_the_code())


@pytest.mark.fast
def test_each_has_a_value_or_parts() -> None:
    for each in extensions():
        assert bool(each.value) != bool(each.parts), each.name
        assert each.on, each.name
        assert each.what.endswith("."), each.name


@needs_definitions
def test_the_definitions_hold_before_both_validators(medplum: Medplum, pyrofile: Pyrofile) -> None:
    for each in extensions():
        made = structure(each, "1.0")
        assert [*medplum.faults(made), *pyrofile.faults(made)] == [], each.name


def _extended(*extension: dict[str, Any]) -> dict[str, Any]:
    return _PHOTO | {"extension": list(extension)}


_CHEEK = {"url": "code", "valueCodeableConcept": {"text": "cheek"}}
_REGION = {"url": "urn:photospine:photo-region", "extension": [_CHEEK, {"url": "laterality", "valueCode": "L"}]}


@needs_definitions
@pytest.mark.parametrize(
    ("resource", "right"),
    [
        (_extended({"url": "urn:photospine:session", "valuePositiveInt": 3}, _REGION, _REGION), True),
        (_extended({"url": "urn:photospine:photo-region", "extension": [_CHEEK]}), True),
        (_extended({"url": "urn:photospine:also-shows", "valueReference": {"reference": "Patient/b"}}), True),
        (_extended({"url": "urn:photospine:session", "valueString": "3"}), False),
        (_extended({"url": "urn:photospine:seance", "valuePositiveInt": 3}), False),
        (_extended({"url": "urn:photospine:photo-region", "valueCode": "L"}), False),
        ({"resourceType": "Patient", "extension": [{"url": "urn:photospine:view", "valueCode": "x"}]}, False),
    ],
)
def test_by_them_a_validator_tells_right_from_wrong(pyrofile: Pyrofile, resource: dict[str, Any], right: bool) -> None:
    assert (pyrofile.faults(resource) == []) == right, pyrofile.faults(resource)


def test_they_are_answered_without_an_account(clinic: Clinic) -> None:
    statement = clinic.raw("GET", "/metadata").json()["rest"][0]["resource"]
    assert "StructureDefinition" in {each["type"] for each in statement}
    every = clinic.raw("GET", "/StructureDefinition").json()
    assert every["total"] == len(every["entry"]) == len(extensions())
    for entry in every["entry"]:
        own = entry["resource"]
        assert clinic.raw("GET", f"/StructureDefinition/{own['id']}").json() == own
        assert entry["fullUrl"].endswith(f"/StructureDefinition/{own['id']}")
        found = clinic.raw("GET", "/StructureDefinition", params={"url": own["url"]}).json()
        assert [each["resource"] for each in found["entry"]] == [own]
    versioned = {"url": f"urn:photospine:view|{own['version']}", "_count": "5", "_pretty": "true"}
    assert clinic.raw("GET", "/StructureDefinition", params=versioned).json()["total"] == 1
    assert "snapshot" not in clinic.raw("GET", "/StructureDefinition/view?_elements=url").json()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    posted = clinic.raw("POST", "/StructureDefinition/_search", content="_id=view,area&_format=json", headers=form)
    assert {each["resource"]["id"] for each in posted.json()["entry"]} == {"view", "area"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/StructureDefinition/nobody", 404),
        ("GET", "/StructureDefinition?name=view", 400),
        ("GET", "/StructureDefinition/view?nonsense=1", 400),
        ("GET", "/StructureDefinition?url=urn:x", 200),
        ("POST", "/StructureDefinition", 405),
        ("PUT", "/StructureDefinition/view", 405),
        ("DELETE", "/StructureDefinition/view", 405),
        ("GET", "/StructureDefinition/view/_history", 404),
    ],
)
def test_what_is_not_offered_is_refused(clinic: Clinic, method: str, path: str, status: int) -> None:
    assert clinic.raw(method, path).status_code == status


def test_a_batch_brings_them_too(clinic: Clinic) -> None:
    entry = {"request": {"method": "GET", "url": "StructureDefinition/view"}}
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
    answer = clinic.ask("clinician", "POST", "", json=bundle, headers={"Prefer": "return=representation"}).json()
    assert answer["entry"][0]["resource"]["id"] == "view"
