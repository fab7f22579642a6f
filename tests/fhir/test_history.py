"""Histories: every version, newest first, in pages that never repeat or drop one; photos' after the decision."""

from __future__ import annotations

from typing import Any

import pytest

from consent.store.engine import transaction
from fhir_mapping.text import MAX_RESOURCE_BYTES
from tests.fhir.clinic import BASE, Clinic, consent_of, document_of, uid_of


def _write(clinic: Clinic, name: str, count: int, kind: str = "Patient", **more: Any) -> None:
    for number in range(count):
        body = {"resourceType": kind, "id": name, "language": f"x-{number + 1}"} | more
        assert clinic.ask("integrator", "PUT", f"/{kind}/{name}", json=body).status_code in (200, 201)


def _pages(clinic: Clinic, account: str, path: str) -> list[dict[str, Any]]:
    """Every entry of a history, page after page."""
    found: list[dict[str, Any]] = []
    while path:
        page = clinic.get(account, path)
        assert page.status_code == 200, page.text
        bundle = page.json()
        assert bundle["type"] == "history"
        found += bundle.get("entry", [])
        path = next((each["url"].removeprefix(BASE) for each in bundle["link"] if each["relation"] == "next"), "")
    return found


def _versions(entries: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(each["request"]["url"], each["response"]["etag"]) for each in entries]


def test_the_history_of_a_resource_is_every_version_newest_first(clinic: Clinic) -> None:
    _write(clinic, "new", 3)
    bundle = clinic.get("clinician", "/Patient/new/_history").json()
    assert bundle["total"] == 3
    assert [each["resource"]["language"] for each in bundle["entry"]] == ["x-3", "x-2", "x-1"]
    assert [each["response"]["status"] for each in bundle["entry"]] == ["200 OK", "200 OK", "201 Created"]
    for entry in bundle["entry"]:
        version = entry["resource"]["meta"]["versionId"]
        assert entry["response"]["etag"] == f'W/"{version}"'
        assert entry["response"]["lastModified"] == entry["resource"]["meta"]["lastUpdated"]
        assert entry["fullUrl"] == f"{BASE}/Patient/new"
        assert clinic.get("clinician", f"/Patient/new/_history/{version}").json() == entry["resource"]


@pytest.mark.parametrize("count", [1, 2, 3, 100])
def test_pages_give_every_version_once(clinic: Clinic, count: int) -> None:
    _write(clinic, "new", 4)
    one = _versions(_pages(clinic, "clinician", f"/Patient/new/_history?_count={count}"))
    assert one == [("Patient/new", f'W/"{each}"') for each in (4, 3, 2, 1)]
    everything = _versions(_pages(clinic, "clinician", f"/Patient/_history?_count={count}"))
    assert everything[:4] == one
    assert sorted(everything) == sorted({*one, ("Patient/anna", 'W/"1"'), ("Patient/ben", 'W/"1"')})


def test_what_is_written_meanwhile_moves_no_page(clinic: Clinic) -> None:
    _write(clinic, "new", 3)
    first = clinic.get("clinician", "/Patient/_history?_count=2").json()
    _write(clinic, "other", 2)
    following = next(each["url"] for each in first["link"] if each["relation"] == "next").removeprefix(BASE)
    rest = _versions(_pages(clinic, "clinician", following))
    assert len(rest) == len(set(rest)) == 3
    assert {each for each, _ in rest} == {"Patient/new", "Patient/anna", "Patient/ben"}


def test_versions_of_one_transaction_have_one_time_and_are_told_apart(clinic: Clinic) -> None:
    entries = [
        {
            "resource": {"resourceType": "Device", "id": f"d{number}"},
            "request": {"method": "PUT", "url": f"Device/d{number}"},
        }
        for number in range(7)
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    assert clinic.ask("integrator", "POST", "", json=bundle).status_code == 200
    found = _versions(_pages(clinic, "clinician", "/Device/_history?_count=2"))
    assert len(found) == len(set(found)) == 8


def test_since_leaves_out_what_is_older(clinic: Clinic) -> None:
    _write(clinic, "new", 1)
    made = clinic.get("clinician", "/Patient/new").json()["meta"]["lastUpdated"]
    _write(clinic, "new", 1)
    since = _pages(clinic, "clinician", f"/Patient/_history?_since={made}&_count=1")
    assert _versions(since) == [("Patient/new", 'W/"2"'), ("Patient/new", 'W/"1"')]
    assert _pages(clinic, "clinician", "/Patient/new/_history?_since=2999-01-01T00:00:00Z") == []
    assert clinic.get("clinician", "/Patient/none/_history?_since=2999-01-01T00:00:00Z").status_code == 404


@pytest.mark.parametrize("query", ["_since=yesterday", "_count=x", "_page=7", "_at=2026", "_list=1", "_page=1_1_a/b"])
def test_what_a_history_cannot_be_asked_is_refused(clinic: Clinic, query: str) -> None:
    for path in ("/Patient/_history", "/Patient/anna/_history"):
        assert clinic.get("clinician", f"{path}?{query}").status_code == 400


def test_what_is_not_known_is_left_out_where_that_is_asked_for(clinic: Clinic) -> None:
    answer = clinic.ask("clinician", "GET", "/Patient/anna/_history?_at=2026", headers={"Prefer": "handling=lenient"})
    assert answer.status_code == 200
    assert "_at" in answer.json()["entry"][0]["response"]["outcome"]["issue"][0]["diagnostics"]


def test_a_history_is_read_by_those_who_read_the_resource(clinic: Clinic) -> None:
    assert clinic.get("marketing", "/Patient/anna/_history").status_code == 403
    assert clinic.get("marketing", "/Patient/_history").status_code == 403
    absent = clinic.get("anna", "/Patient/none/_history")
    refused = clinic.get("anna", "/Patient/ben/_history")
    assert (refused.status_code, refused.content) == (404, absent.content)
    assert {each for each, _ in _versions(_pages(clinic, "anna", "/Patient/_history"))} == {"Patient/anna"}
    assert {each for each, _ in _versions(_pages(clinic, "anna", "/Medication/_history"))} == {"Medication/lot7"}


def test_a_patient_reads_no_version_that_was_of_another(clinic: Clinic) -> None:
    observation = {"status": "final", "code": {"text": "x"}}
    _write(clinic, "o1", 1, "Observation", subject={"reference": "Patient/ben"}, **observation)
    _write(clinic, "o1", 1, "Observation", subject={"reference": "Patient/anna"}, **observation)
    assert _versions(_pages(clinic, "anna", "/Observation/o1/_history")) == [("Observation/o1", 'W/"2"')]
    assert _versions(_pages(clinic, "anna", "/Observation/_history")) == [("Observation/o1", 'W/"2"')]
    assert clinic.get("anna", "/Observation/o1/_history/1").status_code == 404
    assert len(_pages(clinic, "clinician", "/Observation/o1/_history")) == 2


def _without(patient: str) -> dict[str, Any]:
    data = [{"meaning": "instance", "reference": {"reference": "DocumentReference/f1"}}]
    return consent_of("no", "deny", "TREAT", patient, provision={"data": data})


def test_the_history_of_a_refused_photo_is_that_of_an_absent_one(clinic: Clinic) -> None:
    assert _versions(_pages(clinic, "clinician", "/DocumentReference/f1/_history")) == [
        ("DocumentReference/f1", 'W/"1"')
    ]
    assert clinic.get("clinician", "/DocumentReference/f1/_history/1").status_code == 200
    clinic.put(_without("anna"))
    for path in ("_history", "_history/1", "_history/7"):
        refused = clinic.get("clinician", f"/DocumentReference/f1/{path}")
        absent = clinic.get("clinician", f"/DocumentReference/f9/{path}")
        assert (refused.status_code, refused.content) == (404, absent.content)
        assert set(refused.headers) == set(absent.headers)
    listed = clinic.get("clinician", "/DocumentReference/_history")
    assert "f1" not in {each["resource"]["id"] for each in listed.json()["entry"]}
    assert len(_pages(clinic, "clinician", "/DocumentReference/_history?_count=1")) == 2
    assert clinic.get("marketing", "/DocumentReference/_history", "PORTFOLIO").json().get("entry") is None


def test_a_photo_s_versions_under_another_patient_stay_closed(clinic: Clinic) -> None:
    with transaction(clinic.engine) as connection:
        body = document_of("f1", "ben", "v2")
        clinic.record.update(connection, "DocumentReference", "f1", body, source="test")
        clinic.record.update(connection, "DocumentReference", "f1", body | {"description": "again"}, source="test")
    assert [each for _, each in _versions(_pages(clinic, "clinician", "/DocumentReference/f1/_history"))] == [
        'W/"3"',
        'W/"2"',
    ]
    assert clinic.get("clinician", "/DocumentReference/f1/_history/1").status_code == 404
    assert clinic.get("clinician", "/DocumentReference/f1/_history/2").status_code == 200
    listed = clinic.get("clinician", "/DocumentReference/_history").text
    assert listed.count('"reference":"Patient/anna"') == 1  # f2


def test_a_former_version_does_not_name_the_source_that_is_refused(clinic: Clinic) -> None:
    relates = [{"code": "appends", "target": {"reference": "DocumentReference/f1"}}]
    clinic.photo("f4", "anna", "v1", relatesTo=relates)
    with transaction(clinic.engine) as connection:
        clinic.record.update(connection, "DocumentReference", "f4", document_of("f4", "anna", "v1"), source="test")
    assert "DocumentReference/f1" in clinic.get("clinician", "/DocumentReference/f4/_history/1").text
    clinic.put(_without("anna"))
    for path in ("/f4/_history/1", "/f4/_history", "/_history"):
        answer = clinic.get("clinician", f"/DocumentReference{path}")
        assert answer.status_code == 200
        assert "DocumentReference/f1" not in answer.text


def test_a_study_has_the_version_that_it_is_answered_in(clinic: Clinic) -> None:
    version = clinic.get("clinician", "/ImagingStudy/v1").json()["meta"]["versionId"]
    assert clinic.get("clinician", f"/ImagingStudy/v1/_history/{version}").status_code == 200
    clinic.put(_without("anna"))
    assert clinic.get("clinician", f"/ImagingStudy/v1/_history/{version}").status_code == 404
    assert uid_of("f1") not in clinic.get("clinician", "/ImagingStudy/v1").text
    assert clinic.get("clinician", "/ImagingStudy/v1/_history").status_code == 404


def test_each_history_is_one_record(clinic: Clinic) -> None:
    clinic.get("clinician", "/Patient/_history")
    clinic.get("clinician", "/Patient/anna/_history")
    clinic.get("clinician", "/DocumentReference/_history")
    clinic.get("clinician", "/DocumentReference/f1/_history")
    records = clinic.records()
    assert [each["kind"] for each in records] == ["read", "read", "set", "decision"]
    assert records[2]["released"] == 3


def test_a_large_version_comes_back_whole(clinic: Clinic) -> None:
    narrative = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"></div>'}
    narrative["div"] = narrative["div"].replace("><", f">{'x' * (MAX_RESOURCE_BYTES - 400)}<")
    _write(clinic, "large", 2, text=narrative)
    entries = _pages(clinic, "clinician", "/Patient/large/_history")
    assert [each["resource"]["text"] == narrative for each in entries] == [True, True]
