"""AuditEvent: the audit as FHIR, shaped as IHE BALP wants it, for compliance, and for a patient what is hers."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Engine

from consent.audit.back import WINDOW, newest_first
from consent.audit.chain import open_chain
from consent.audit.read import Archive
from consent.audit.record import AuditRecord, Kind, pack
from fhir_mapping.pruning import SUBSETTED
from tests.fhir.clinic import BASE, SITE, Clinic, consent_of
from tests.fhir.validators import Medplum, Pyrofile, needs_definitions

_DENIAL = {"data": [{"meaning": "instance", "reference": {"reference": "DocumentReference/f1"}}]}


def _events(clinic: Clinic, query: str = "", account: str = "compliance") -> list[dict[str, Any]]:
    """Every event that a search finds, page after page."""
    found: list[dict[str, Any]] = []
    path = f"/AuditEvent?{query}"
    while path:
        answer = clinic.get(account, path)
        assert answer.status_code == 200, answer.text
        bundle = answer.json()
        found += [each["resource"] for each in bundle.get("entry", [])]
        path = next((each["url"].removeprefix(BASE) for each in bundle["link"] if each["relation"] == "next"), "")
    return found


def _some_work(clinic: Clinic) -> None:
    device = {"resourceType": "Device", "id": "d1"}
    clinic.ask("clinician", "PUT", "/Consent/no", json=consent_of("no", "deny", "TREAT", provision=_DENIAL))
    clinic.ask("integrator", "PUT", "/Device/d1", json=device)
    clinic.ask("integrator", "PUT", "/Device/d1", json=device, headers={"If-Match": 'W/"9"'})
    clinic.ask("integrator", "DELETE", "/Device/d1")
    clinic.ask("integrator", "POST", "/Observation", json=_observation())
    clinic.get("clinician", "/Patient/anna")
    clinic.get("clinician", "/Patient/anna/_history/1")
    clinic.get("clinician", "/Patient/nobody")
    clinic.get("clinician", "/Medication/lot7")
    clinic.get("clinician", "/Patient?name=Berg")
    clinic.get("clinician", "/DocumentReference/f1")
    clinic.get("clinician", "/DocumentReference/f2")
    clinic.get("clinician", "/DocumentReference/b1")
    clinic.get("clinician", "/DocumentReference?patient=anna")
    clinic.get("clinician", "/DocumentReference")
    clinic.get("marketing", "/DocumentReference/f1", "WEB")
    clinic.get("marketing", "/DocumentReference/none", "WEB")


def _observation() -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": "Patient/anna"},
    }


@needs_definitions
def test_each_event_holds_before_both_validators_and_the_profile_it_claims(
    clinic: Clinic, medplum: Medplum, pyrofile: Pyrofile
) -> None:
    _some_work(clinic)
    with_others = [
        AuditRecord(Kind.SIGN_IN, "serve", account="clinician", outcome="done"),
        AuditRecord(Kind.TASK, "worker", "examine", subject="photo"),
    ]
    clinic.chain.append(with_others)
    events = _events(clinic)
    for event in events:
        assert medplum.faults(event) == [], event
        assert pyrofile.faults(event) == [], event
    claimed = {url.rpartition(".")[2] for each in events for url in each["meta"].get("profile", ())}
    assert claimed == {
        "AuthZconsent", "Create", "Delete", "PatientCreate", "PatientQuery", "PatientRead", "PatientUpdate", "Query",
        "Read", "Update",
    } - {"Create"}  # fmt: skip
    refused = [each for each in events if each["outcome"] != "0"]
    assert {each["type"]["code"] for each in refused} == {"110113", "rest"}


def test_an_event_can_be_found_by_each_of_its_elements(clinic: Clinic) -> None:
    _some_work(clinic)
    everything = _events(clinic)
    assert [each["recorded"] for each in everything] == sorted((each["recorded"] for each in everything), reverse=True)
    assert len({each["id"] for each in everything}) == len(everything)

    def number(query: str) -> int:
        return len(_events(clinic, query))

    days = {f"{datetime.fromisoformat(each['recorded']).astimezone(SITE.zone):%Y-%m-%d}" for each in everything}
    day = max(days)
    assert sum(number(f"date={each}") for each in days) >= len(everything), "a day of the site's zone, not of UTC"
    assert number("date=lt2020-01-01") == number(f"date=ge{int(day[:4]) + 1}") == 0
    assert number("action=D") == number("subtype=delete") == 1
    assert number("type=http://dicom.nema.org/resources/ontology/DCM|110113") == number("outcome=8") == 3
    assert number("agent-name=integr") == number("agent:identifier=urn:photospine:account|integrator") == 4
    assert number("entity=Device/d1") == 3
    assert number("entity=Consent/no") == 2
    assert number("entity:identifier=urn:dicom:uid|urn:oid:2.25.26162") == 1
    assert number(f"_id={everything[3]['id']}") == 1
    assert number("patient=Patient/ghost") == 0
    ben, anna = _events(clinic, "patient=Patient/ben"), _events(clinic, "patient=anna")
    assert len(ben) == 2
    assert len(anna) >= 8
    for event in ben:
        named = [each["what"].get("reference") for each in event["entity"] if "what" in each]
        assert "Patient/ben" in named
        assert "Patient/anna" not in named
    one = clinic.get("compliance", f"/AuditEvent/{everything[-1]['id']}")
    assert one.json() == everything[-1]


@pytest.mark.parametrize("count", [1, 3, 200])
def test_pages_of_events_give_each_once(clinic: Clinic, count: int) -> None:
    _some_work(clinic)
    until = clinic.get("compliance", "/AuditEvent?_count=1").json()["entry"][0]["resource"]["id"]
    found = [each["id"] for each in _events(clinic, f"_count={count}")]
    assert len(found) == len(set(found))
    assert found[found.index(until) :] == [each["id"] for each in _events(clinic)][-(len(found) - found.index(until)) :]


def test_who_may_not_review_reads_no_event(clinic: Clinic) -> None:
    for account in ("clinician", "doctor", "marketing", "integrator", "admin"):
        assert clinic.get(account, "/AuditEvent").status_code == 403
    assert clinic.get("compliance", "/AuditEvent", "PATSFTY").status_code == 403
    assert clinic.ask("integrator", "POST", "/AuditEvent", json={"resourceType": "AuditEvent"}).status_code == 405
    assert clinic.ask("compliance", "DELETE", "/AuditEvent/x").status_code == 405


def test_a_patient_reads_what_was_shown_of_hers_and_nothing_of_others(clinic: Clinic) -> None:
    _some_work(clinic)
    hers = _events(clinic, account="anna")
    assert hers
    assert all(each["outcome"] == "0" for each in hers)
    text = str(hers)
    assert "Patient/ben" not in text
    assert "urn:oid:2.25.25137" not in text  # b1
    shown = {each["entity"][0]["what"].get("reference") for each in hers if "what" in each["entity"][0]}
    assert {"Patient/anna", "Consent/no"} <= shown
    assert "DocumentReference/f2" not in text  # her portal is closed: a photo of hers was shown, and not which
    unnamed = [each for each in hers if {"display": "a photo"} in [one.get("what") for one in each["entity"]]]
    assert unnamed
    assert all(each["meta"]["tag"] == [SUBSETTED] for each in unnamed)
    assert _events(clinic, "patient=ben", account="anna") == []
    everything = _events(clinic)
    others = [each["id"] for each in everything if each["id"] not in {one["id"] for one in hers}]
    absent = clinic.get("anna", f"/AuditEvent/{'0' * 24}.1")
    for identity in others:
        answer = clinic.get("anna", f"/AuditEvent/{identity}")
        assert answer.status_code in (200, 404)  # 200: what compliance itself read of hers meanwhile
        if answer.status_code == 404:
            assert answer.content == absent.content
    assert clinic.get("anna", f"/AuditEvent/{hers[0]['id']}").json() == hers[0]


@pytest.mark.parametrize(
    "query",
    ["source=x", "date=yesterday", "date=ap2026", "patient=Device/d1", "agent=a/b", "_page=1", "_count=x", "type=",
     "_sort=date"],
)  # fmt: skip
def test_what_the_audit_cannot_be_asked_is_refused(clinic: Clinic, query: str) -> None:
    assert clinic.get("compliance", f"/AuditEvent?{query}").status_code == 400


@pytest.mark.parametrize("identity", ["x", "0" * 24 + ".1", "1.1", "0" * 24 + "." + "9" * 18])
def test_an_event_that_is_none_is_not_found(clinic: Clinic, identity: str) -> None:
    clinic.get("clinician", "/Patient/anna")
    assert clinic.get("compliance", f"/AuditEvent/{identity}").status_code == 404


def test_reading_the_audit_is_recorded(clinic: Clinic) -> None:
    clinic.get("clinician", "/Patient/anna")
    clinic.get("compliance", "/AuditEvent?patient=anna")
    assert clinic.records()[-1]["subject"] == "AuditEvent"
    assert clinic.records()[-1]["details"] == {"by": ["patient"], "found": 1}


def test_a_page_of_a_long_chain_costs_what_it_shows(clinic: Clinic) -> None:
    packed, digest = pack(range(1, 40_000))
    whole = AuditRecord(
        Kind.SET, "serve", "fhir", account="clinician", purpose="TREAT", released=39_999, photos=packed,
        photos_digest=digest,
    )  # fmt: skip
    for _ in range(60):
        clinic.chain.append([AuditRecord(Kind.READ, "serve", "x", account="doctor", subject="Patient/p1")] * 990)
        clinic.chain.append([whole] * 10)
    for query in ("patient=anna", "_count=1", "agent:identifier=nobody", "entity=Device/none"):
        started = time.monotonic()
        first = clinic.get("compliance", f"/AuditEvent?{query}")
        assert first.status_code == 200
        assert time.monotonic() - started < 8
    found = _events(clinic, "entity=Device/none&patient=anna")
    assert found == []


def test_the_chains_are_read_backwards_on_either_database(engine: Engine, url: str, tmp_path: Any) -> None:
    clocks = iter(range(1, 10**6))
    wanted: list[str] = []
    for role, size in (("serve", 2 * WINDOW + 7), ("wall", 3)):
        chain = open_chain(url, tmp_path / "audit", "n", role, clock=lambda: next(clocks))
        for start in range(0, size, 500):
            few = [AuditRecord(Kind.READ, role, account=f"a{n % 2}") for n in range(start, min(start + 500, size))]
            wanted += chain.append(few)
        chain.close()
    archive = Archive(engine, tmp_path / "audit")
    back = [each for each in newest_first(archive) if each.row is not None]
    assert [f"{each.chain}#{each.place.sequence}" for each in back] == wanted[::-1]
    for cut in (0, 1, 2, 5, WINDOW, len(back) - 1):
        rest = [each.place for each in newest_first(archive, before=back[cut].place) if each.row is not None]
        assert rest == [each.place for each in back[cut + 1 :]]
    some = [each for each in newest_first(archive, word=b'"account":"a1"', since=10, until=100) if each.row is not None]
    assert [each.place.recorded for each in some] == [each for each in range(99, 9, -1) if each % 2 == 0]


def test_a_patient_is_told_which_photo_was_shown_where_she_may_see_it(clinic: Clinic) -> None:
    clinic.get("clinician", "/DocumentReference/f2")
    assert _events(clinic, "entity=DocumentReference/f2", account="anna") == []
    clinic.put(consent_of("portal", "permit", "PATRQT"))
    (told,) = _events(clinic, "entity=DocumentReference/f2", account="anna")
    assert "tag" not in told["meta"]
