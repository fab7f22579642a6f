"""Search: what matches, no more and no less; pages that hold still; what is not supported is refused."""

from __future__ import annotations

import random
from typing import Any

import pytest

from consent.store.engine import transaction
from tests.counts import count
from tests.fhir.clinic import Clinic


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("Patient", ["anna", "ben"]),
        ("Patient?_id=anna", ["anna"]),
        ("Patient?_id=anna,ben", ["anna", "ben"]),
        ("Patient?_id=anna&_id=ben", []),
        ("Patient?_id=ANNA", []),
        ("Patient?_id=an/na," + "x" * 100, []),
        ("Patient?identifier=demo-anna", ["anna"]),
        ("Patient?identifier=urn:photospine:demo|demo-anna", ["anna"]),
        ("Patient?identifier=urn:other|demo-anna", []),
        ("Patient?identifier=|demo-anna", []),
        ("Patient?identifier=urn:photospine:demo|", ["anna", "ben"]),
        ("Patient?identifier=demo", []),
        ("Patient?identifier=urn:photospine:demo|none,urn:photospine:demo|demo-anna", ["anna"]),
        ("Patient?_count=2147483647", ["anna", "ben"]),
        ("Patient?name=ander", ["anna"]),
        ("Patient?name=ANDER", ["anna"]),
        ("Patient?name=%25", []),
        ("Patient?name=%CC%81", []),
        ("Encounter?date=lt9999-12-31", ["v1", "v2"]),
        ("Patient?name=_nna", []),
        ("Patient?birthdate=1990-05-05", ["anna"]),
        ("Patient?birthdate=1990", ["anna"]),
        ("Patient?birthdate=lt1990", ["ben"]),
        ("Patient?birthdate=ge1985-01-15", ["anna", "ben"]),
        ("Patient?birthdate=gt1985-01", ["anna"]),
        ("Encounter?patient=anna", ["v1"]),
        ("Encounter?patient=Patient/anna", ["v1"]),
        ("Encounter?patient=http://127.0.0.1:20500/fhir/Patient/anna", ["v1"]),
        ("Encounter?subject=Patient/anna", ["v1"]),
        ("Encounter?patient=Practitioner/anna", []),
        ("Encounter?status=finished", ["v1", "v2"]),
        ("Encounter?status=|finished", ["v1", "v2"]),
        ("Encounter?status=planned,finished&patient=ben", ["v2"]),
        ("Procedure?encounter=v1", ["p1"]),
        ("Procedure?encounter=Encounter/v1&status=completed", ["p1"]),
        ("Procedure?patient.identifier=demo-anna", ["p1"]),
        ("Procedure?subject:Patient.name=berg", ["p2"]),
        ("Procedure?date=2026-05-03", ["p1", "p2"]),
        ("Procedure?date=2026-05-03T08:00:00Z", ["p1", "p2"]),
        ("Procedure?date=sa2026-05-03", []),
        ("Medication?lot-number=LOT-0071", ["lot7"]),
        ("Medication?lot-number=LOT-007", []),
        ("MedicationAdministration?medication.lot-number=LOT-0071", ["ma1"]),
        ("MedicationAdministration?medication=lot7", ["ma1"]),
        ("DocumentReference?encounter=v1", ["f1", "f2"]),
        ("DocumentReference?related=Procedure/p1", ["f1"]),
        ("DocumentReference?status=current&patient=ben", ["b1"]),
        ("DocumentReference?identifier=urn:dicom:uid|urn:oid:2.25.26161", ["f1"]),
        ("ImagingStudy?patient=anna", ["v1"]),
        ("ImagingStudy?encounter=Encounter/v2", ["v2"]),
        ("ImagingStudy?status=available", ["v1", "v2"]),
    ],
)
def test_search_finds(clinic: Clinic, query: str, ids: list[str]) -> None:
    found = clinic.get("clinician", f"/{query}")
    assert found.status_code == 200, found.text
    bundle = found.json()
    assert [each["resource"]["id"] for each in bundle.get("entry", [])] == ids
    assert bundle["total"] == len(ids)
    kind, _, form = query.partition("?")
    posted = clinic.raw(
        "POST",
        f"/{kind}/_search",
        auth=("clinician", "clinician-pw"),
        content=form.encode(),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert posted.json() == bundle


@pytest.mark.parametrize(
    "query",
    [
        "Patient?colour=red",
        "Patient?name:below=x",
        "Patient?_id:not=x",
        "Patient?identifier:in=http://x/ValueSet/y",
        "Patient?gender:missing=maybe",
        "Patient?birthdate=zz2020",
        "Observation?value-quantity=heavy",
        "Observation?value-quantity=5|mg",
        "Observation?code-value-quantity=urn:x|a",
        "Patient?identifier:of-type=MR|1",
        "Patient?_content=x",
        "Patient?_has:Observation:patient=x",
        "Patient?_has:Observation:device:code=x",
        "Patient?_has:Nothing:patient:code=x",
        "Patient?link.link.link.link.link.name=x",
        "Task?based-on.based-on.based-on.based-on._id=x",
        "Patient?_sort=colour",
        "Patient?_include=Patient:colour",
        "Patient?_include=*",
        "Patient?_include=Encounter:patient",
        "Patient?_include:deeply=Patient:organization",
        "Patient?_revinclude=Patient:organization",
        "Patient?_revinclude=Observation:patient:Group",
        "Patient?_elements=name,x.y",
        "Patient?_summary=true&_elements=name",
        "Patient?_sort=name&_sort=birthdate",
        "Patient?_sort=name,,birthdate",
        "Patient?_total=perhaps",
        "Patient?_page=" + "A" * 5000,
        "Patient?_page=W10",
        "ImagingStudy?_sort=modality",
        "DocumentReference?_sort=relation",
        "Patient?_summary=most",
        "Patient?birthdate=yesterday",
        "Patient?_count=many",
        "Patient?_count=-1",
        "Patient?_page=../x",
        "Patient?identifier=",
        "Patient?_id=%ff",
        "Encounter?status=http://hl7.org/fhir/encounter-status|finished",
        "Patient?name=a%00b",
        "Patient?identifier=urn:x|%00",
        "Procedure?patient=a/b/c",
        "Procedure?patient.colour=x",
        "Procedure?status.code=x",
        "DocumentReference?colour=red",
        "ImagingStudy?_has:x=y",
        "Patient?" + "&".join("_id=a" for _ in range(100)),
        "Patient?_id=" + ",".join(["a"] * 500),
        "Patient?name=" + "x" * 20_000,
    ],
)
def test_what_is_not_supported_is_refused_not_ignored(clinic: Clinic, query: str) -> None:
    answer = clinic.get("clinician", f"/{query}")
    assert answer.status_code in (400, 413)
    assert answer.json()["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (r"urn:x|a\|b\,c\\", True),
        (r"a\|b\,c\\", True),
        (r"urn:x|a|b\,c\\", True),
        (r"urn:x|a\|b", False),
        (r"a|b\,c\\", False),
        (r"urn:x\|a\|b\,c\\", False),
        (r"|a\|b\,c\\", False),
        ("urn:x|", True),
    ],
)
def test_marks_behind_a_backslash_are_characters(clinic: Clinic, value: str, found: bool) -> None:
    body = {"resourceType": "Device", "id": "marked", "identifier": [{"system": "urn:x", "value": "a|b,c\\"}]}
    assert clinic.ask("integrator", "PUT", "/Device/marked", json=body).status_code == 201
    bundle = clinic.ask("integrator", "GET", "/Device", params={"identifier": value}).json()
    assert bundle["total"] == int(found)
    if value.startswith("urn:x|a") and found:
        body.pop("id")
        again = clinic.ask("integrator", "POST", "/Device", json=body, headers={"If-None-Exist": f"identifier={value}"})
        assert (again.status_code, again.json()["id"]) == (200, "marked")


def test_a_search_that_is_no_utf_8_is_refused(clinic: Clinic) -> None:
    answer = clinic.raw(
        "POST",
        "/Patient/_search",
        auth=("clinician", "clinician-pw"),
        content=b"name=\xff",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code == 400


def test_a_lenient_search_says_what_it_left_out(clinic: Clinic) -> None:
    answer = clinic.ask("clinician", "GET", "/Patient?colour=red&_id=anna", headers={"Prefer": "handling=lenient"})
    bundle = answer.json()
    assert bundle["total"] == 1
    assert [each["search"]["mode"] for each in bundle["entry"]] == ["match", "outcome"]
    assert "colour" not in bundle["link"][0]["url"]
    for query in ("birthdate=never", "identifier="):
        refused = clinic.ask("clinician", "GET", f"/Patient?{query}", headers={"Prefer": "handling=lenient"})
        assert refused.status_code == 400


def test_pages_hold_still_while_others_are_written(clinic: Clinic) -> None:
    chance = random.Random(7)
    ids = sorted({f"x{chance.randrange(10**9)}" for _ in range(count("pages", small=25, full=400))})
    with transaction(clinic.engine) as connection:
        for identity in ids:
            clinic.record.create(connection, "Device", {"resourceType": "Device"}, source="test", id=identity)
    seen: list[str] = []
    path: str | None = "/Device?_count=7"
    total = len(ids) + 1
    while path is not None:
        bundle: dict[str, Any] = clinic.get("clinician", path).json()
        assert bundle["total"] == total
        assert len(bundle["entry"]) <= 7
        seen += [each["resource"]["id"] for each in bundle["entry"]]
        links = {each["relation"]: each["url"] for each in bundle["link"]}
        path = links["next"].partition("/fhir")[2] if "next" in links else None
        with transaction(clinic.engine) as connection:
            clinic.record.create(connection, "Device", {"resourceType": "Device"}, source="test", id=f"a{len(seen)}")
        total += 1
    assert seen == sorted(seen)
    assert set(ids) <= set(seen)
    assert len(set(seen)) == len(seen)


def test_a_count_of_nought_tells_the_total_alone(clinic: Clinic) -> None:
    bundle = clinic.get("clinician", "/DocumentReference?_count=0").json()
    assert (bundle["total"], bundle.get("entry"), [each["relation"] for each in bundle["link"]]) == (3, None, ["self"])
    assert "total" not in clinic.get("clinician", "/Patient?_total=none").json()
