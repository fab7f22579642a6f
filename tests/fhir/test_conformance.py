"""What this product writes and serves holds before two foreign validators, and fills what must be filled."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib import resources as files
from typing import Any
from zoneinfo import ZoneInfo

from consent.purposes import PATSFTY
from consent.regions import regions
from consent.site import Site
from consent.types import Laterality, Request
from fhir_mapping.advisory.asked import question
from fhir_mapping.advisory.keeping import Advisories
from fhir_mapping.advisory.report import Form, report
from fhir_mapping.api.interactions import TABLE
from fhir_mapping.resources.advisory import WORK
from fhir_mapping.resources.consent import denial
from fhir_mapping.resources.document_reference import Concept, PhotoDocument, document_reference
from fhir_mapping.resources.imaging_study import StudyInstance, with_instances
from fhir_mapping.resources.provenance import provenance
from fhir_mapping.store.kinds import CLINICAL, KEPT
from orthanc_plugin.assembly.demo import around, courses, resources
from orthanc_plugin.assembly.demo.clinic import View
from tests.fhir.clinic import Clinic, context, requesters
from tests.fhir.validators import Medplum, Pyrofile, needs_definitions, needs_profiles

_NOW = datetime(2026, 6, 1, 9, tzinfo=UTC)
_SITE = Site(channels=frozenset({"instagram"}))
#: pyrofile does not see a required choice within a part of a resource, ``Task.input.value[x]``.
_CHOICE = "[x] is required"


def _filled() -> dict[str, list[str]]:
    return tomllib.loads(files.files("fhir_mapping.resources").joinpath("filled.toml").read_text("utf-8"))


def _document(visit: str, view: View) -> str:
    return f"{visit}-{view.region}"


def _made() -> Iterator[dict[str, Any]]:
    """The demo clinic's record, and one of each that the product makes itself."""
    for bundle in (resources.foundation(), *resources.visits(), around.around(), *courses.bundles(_document)):
        for entry in bundle["entry"]:
            yield entry["resource"]
    yield from resources.consents("f")
    yield denial(_SITE, "p", _NOW)
    yield denial(_SITE, "p", _NOW, purposes=["SOCIAL"], channels=["instagram"])
    yield denial(_SITE, "p", _NOW, purposes=["TREAT", "WEB"], documents=["f"])
    region = next(iter(regions()))
    photo = PhotoDocument(
        id="f",
        sop_uid="2.25.7",
        sha256="0" * 64,
        patient="Patient/p",
        encounter="Encounter/e",
        custodian="Organization/clinic",
        url="http://127.0.0.1/photos/f",
        region=region,
        laterality=Laterality.LEFT,
        view=Concept("urn:x", "frontal", "Frontal"),
        procedure="Procedure/p",
        session=2,
        author="Practitioner/d",
        taken="2026-06-01T09:00:00+03:00",
        known_since="2026-05-01",
    )
    yield document_reference(photo, _NOW)
    instance = StudyInstance(
        study_id="s",
        study_uid="2.25.8",
        series_uid="2.25.9",
        sop_uid="2.25.7",
        sop_class="1.2.840.10008.5.1.4.1.1.77.1.4",
        number=1,
        patient="Patient/p",
        encounter="Encounter/e",
        procedure="Procedure/p",
        started="2026-06-01T09:00:00+03:00",
        description="Face, frontal",
        region=region,
        laterality=Laterality.LEFT,
        title="Face",
    )
    yield with_instances(None, [instance])
    yield provenance(
        document="DocumentReference/f",
        study="ImagingStudy/s",
        sha256="0" * 64,
        custodian="Organization/clinic",
        photographer="Practitioner/d",
        author="Practitioner/d",
        occurred="2026-06-01T09:00:00+03:00",
        now=_NOW,
    )


@needs_definitions
def test_what_is_written_holds_before_both_validators(medplum: Medplum, pyrofile: Pyrofile) -> None:
    for resource in _made():
        faults = [*medplum.faults(resource), *pyrofile.faults(resource)]
        assert faults == [], resource


@needs_definitions
@needs_profiles
def test_consents_that_are_written_meet_the_profile_that_they_claim(medplum: Medplum, pyrofile: Pyrofile) -> None:
    consents = [each for each in _made() if each["resourceType"] == "Consent"]
    assert any("/ITI/PCF/" in url for each in consents for url in each.get("meta", {}).get("profile", ()))
    for resource in consents:
        faults = [*medplum.faults(resource), *pyrofile.faults(resource)]
        assert faults == [], resource


@needs_definitions
def test_a_batch_advisory_holds_before_both_validators(medplum: Medplum, pyrofile: Pyrofile, clinic: Clinic) -> None:
    request = Request(requesters()["compliance"], PATSFTY)
    safety, asked = Advisories(clinic.node), question([("LOT-0071", "2027-01")])
    clinic.photo("x1", "ben", "v2", context=context("v2", "2026-05-04T10:00:00+03:00", "Procedure/p1"))
    identity = safety.open(request, asked, "Toxin A, lot LOT-0071\n\u03a0\u03b1\u03c1\u03c4\u03af\u03b4\u03b1").kept.id
    for step in WORK:
        safety.note(request, identity, "anna", step, "with care", "phone")
    more = {"resourceType": "MedicationAdministration", "id": "more", "status": "completed",
            "subject": {"reference": "Patient/anna"}, "medicationReference": {"reference": "Medication/lot7"},
            "effectiveDateTime": "2026-05-05"}  # fmt: skip
    clinic.put(more)
    safety.open(request, asked)
    bundle = json.loads(report(safety.show(request, identity), Form.BUNDLE, ZoneInfo("Europe/Athens")))
    kinds = [each["resource"]["resourceType"] for each in bundle["entry"]]
    assert kinds == ["Parameters", "Communication", "Task", "Task"]
    answers = [
        clinic.get("compliance", "/$batch-advisory?lot=LOT-0071", PATSFTY).json(),
        clinic.get("compliance", f"/$batch-advisory?advisory={identity}", PATSFTY).json(),
    ]
    for resource in (bundle, *(each["resource"] for each in bundle["entry"]), *answers):
        faults = [*medplum.faults(resource), *(each for each in pyrofile.faults(resource) if _CHOICE not in each)]
        assert faults == [], resource["resourceType"]
    task = next(each["resource"] for each in bundle["entry"] if "input" in each["resource"])
    unsaid = task | {"input": [{"type": {"text": "question"}}]}
    assert medplum.faults(unsaid), "what pyrofile's word is not taken for, the other one finds"


def test_each_served_type_has_a_list_of_what_must_be_filled() -> None:
    assert KEPT | {row.type for row in TABLE} <= set(_filled())


def test_the_demo_clinic_has_one_of_each_type_that_others_may_write() -> None:
    bundles = (resources.foundation(), *resources.visits(), around.around(), *courses.bundles(_document))
    made = {entry["resource"]["resourceType"] for bundle in bundles for entry in bundle["entry"]}
    assert set(CLINICAL) - {"Consent"} <= made
    assert {each["resourceType"] for each in resources.consents("f")} == {"Consent"}


def test_what_is_written_fills_what_must_be_filled() -> None:
    filled = _filled()
    for resource in _made():
        kind = resource["resourceType"]
        missing = [each for each in filled[kind] if not _has(resource, each)]
        assert missing == [], f"{kind}/{resource.get('id')}"


def _has(resource: Mapping[str, Any], element: str) -> bool:
    stem, choice, _ = element.partition("[x]")
    names = [each for each in resource if each.startswith(stem)] if choice else [stem]
    return any(resource.get(name) not in (None, "", [], {}) for name in names)
