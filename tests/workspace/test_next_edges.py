"""The next session of patients who are not like the others: many sessions, none, merged, refused, two plans."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from consent import decided
from consent.store.engine import reading
from fhir_mapping.course import upcoming as upcoming_module
from fhir_mapping.course.plan import care_plan
from fhir_mapping.treatment import surroundings as surroundings_module
from tests.fhir.clinic import FACE, Clinic, consent_of, context, region
from tests.fhir.test_course import PLAN
from tests.workspace.client import Client
from tests.workspace.planned import PAGE, fields_of, people, planned, send, signed_in, today_visit

ARABIC = "فاطمة الزهراء عبد الرحمن"
LONG = "Wolfeschlegelsteinhausenbergerdorff" * 3


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    """Anna with a plan and a session."""
    made = planned(tmp_path)
    yield made
    made.close()


@pytest.fixture
def client(clinic: Clinic) -> Client:
    """A browser that is signed in as the clinician."""
    return signed_in(clinic, people(), "clinician")


def _sessions(clinic: Clinic, count: int, *, plan: str | None = "CarePlan/plan", first: int = 2) -> None:
    for number in range(first, first + count):
        day = f"2026-{1 + number // 28:02d}-{1 + number % 28:02d}" if plan is None else f"2026-06-{1 + number % 13:02d}"
        clinic.put(
            {
                "resourceType": "Procedure",
                "id": f"q{number}",
                "status": "completed",
                "code": {
                    "coding": [{"system": "urn:photospine:treatment", "code": "toxin"}],
                    "text": "Toxin, forehead",
                },
                "subject": {"reference": "Patient/anna"},
                "performedDateTime": f"{day}T08:00:{number:02d}+03:00",
                **({"basedOn": [{"reference": plan}]} if plan else {}),
            }
        )
        clinic.put(
            {
                "resourceType": "MedicationAdministration",
                "id": f"g{number}",
                "status": "completed",
                "subject": {"reference": "Patient/anna"},
                "medicationReference": {"reference": "Medication/lot7"},
                "effectiveDateTime": f"{day}T08:00:00+03:00",
                "partOf": [{"reference": f"Procedure/q{number}"}],
                "dosage": {"dose": {"value": number, "unit": "U"}},
            }
        )
        clinic.photo(f"h{number}", "anna", "v1", extension=[region(FACE)],
                     context=context("v1", f"{day}T07:50:{number:02d}+03:00", f"Procedure/q{number}"))  # fmt: skip


def _statements(clinic: Clinic, client: Client, page: str = PAGE) -> int:
    asked: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    client.get(page)
    event.listen(clinic.engine, "before_cursor_execute", note)
    assert client.get(page).status_code == 200
    event.remove(clinic.engine, "before_cursor_execute", note)
    return len(asked)


@pytest.mark.parametrize(
    ("page", "most"),
    [
        (PAGE, 45),
        ("/chart/patient/anna", 45),
        ("/chart/session/p1", 45),
        ("/chart/basis/CarePlan/plan", 45),
    ],
)
def test_forty_sessions_take_no_more_statements_than_a_few(
    clinic: Clinic, client: Client, page: str, most: int
) -> None:
    _sessions(clinic, 2)
    decided.settle(clinic.engine, "anna")  # as the worker does; until then each of her photos is decided live
    few = _statements(clinic, client, page)
    _sessions(clinic, 38, first=4)
    decided.settle(clinic.engine, "anna")
    assert _statements(clinic, client, page) == few
    assert few <= most


def test_after_forty_sessions_the_last_one_and_the_first_photos_are_shown(clinic: Clinic, client: Client) -> None:
    _sessions(clinic, 40)
    page = client.get(PAGE).text
    assert ">session 42 of 3<" in re.sub(r"\s+", " ", page)
    assert fields_of(page)["dose-0"] == "38"  # of 13 June, the last day
    assert "/chart/photo/f1?" in page
    assert page.count("/chart/photo/") < 30
    (record,) = [each for each in clinic.records() if each.get("route") == "/chart/patient/next"]
    assert record["released"] == 2


def test_a_patient_without_anything_begins_with_an_empty_form(clinic: Clinic, client: Client) -> None:
    clinic.put({"resourceType": "Patient", "id": "new", "name": [{"text": "New Patient"}]})
    page = "/chart/patient/new/next"
    text = client.get(page).text
    for words in ("First session", "No photos of this course yet", "None is recorded yet", "None is noted",
                  "Points are marked on a photo", "first session on record"):  # fmt: skip
        assert words in text, words
    fields = fields_of(text) | {"title": "Peel", "area": "http://snomed.info/sct|73897004"}
    nothing = send(client, fields | {"title": ""}, page)
    assert nothing.status_code == 422
    assert "Say what is done today" in nothing.text
    answer = send(client, fields, page)
    assert answer.status_code == 303, answer.text
    assert "Peel" in client.get("/chart/patient/new").text


def test_the_sessions_of_a_merged_record_count(clinic: Clinic, client: Client) -> None:
    clinic.put({"resourceType": "Patient", "id": "older", "name": [{"text": "Anna Older"}],
                "link": [{"type": "replaced-by", "other": {"reference": "Patient/anna"}}]})  # fmt: skip
    clinic.put(
        {
            "resourceType": "Procedure",
            "id": "po",
            "status": "completed",
            "code": {"text": "Toxin, forehead"},
            "subject": {"reference": "Patient/older"},
            "basedOn": [{"reference": "CarePlan/plan"}],
            "performedDateTime": "2026-05-20T11:00:00+03:00",
            "extension": [{"url": "urn:photospine:session", "valuePositiveInt": 2}],
        }
    )
    for page in (PAGE, "/chart/patient/older/next"):
        text = client.get(page).text
        assert "20 May 2026" in text
        assert "/chart/photo/f1?" in text
    fields = {name: value for name, value in fields_of(text).items() if not name.startswith("given-")}
    answer = send(client, fields, page)
    assert answer.status_code == 303, answer.text


def test_of_refused_photos_there_is_no_trace(clinic: Clinic, client: Client) -> None:
    today_visit(clinic, "n1")
    for name, document in (("c1", "t1"), ("c2", "n1")):
        provision = {"data": [{"meaning": "instance", "reference": {"reference": f"DocumentReference/{document}"}}]}
        clinic.put(consent_of(name, "deny", "TREAT", provision=provision))
    observed = {
        "resourceType": "Observation",
        "status": "final",
        "subject": {"reference": "Patient/anna"},
        "derivedFrom": [{"reference": "DocumentReference/t1"}],
    }
    clinic.put(
        observed
        | {
            "id": "map",
            "code": {"coding": [{"system": "urn:photospine:injection", "code": "injection-points"}]},
            "partOf": [{"reference": "MedicationAdministration/ma1"}],
            "component": [
                {
                    "extension": [
                        {
                            "url": "urn:photospine:injection-point",
                            "extension": [{"url": "x", "valueDecimal": 0.5}, {"url": "y", "valueDecimal": 0.25}],
                        }
                    ],
                    "code": {"coding": [{"system": "urn:photospine:injection", "code": "injection-point"}]},
                }
            ],
        }
    )
    clinic.put(
        observed
        | {
            "id": "out",
            "code": {"coding": [{"system": "urn:photospine:outcome", "code": "scar"}]},
            "partOf": [{"reference": "Procedure/p1"}],
            "valueCodeableConcept": {"coding": [{"system": "urn:photospine:outcome", "code": "improved"}]},
        }
    )
    for page in (PAGE, "/chart/session/p1", "/chart/basis/Procedure/p1", "/chart/basis/CarePlan/plan",
                 "/chart/patient/anna"):  # fmt: skip
        text = client.get(page).text
        for name in ("t1", "n1"):
            assert f"photo/{name}" not in text, page
            assert f"left={name}" not in text, page
            assert f">{name}<" not in text, page
        assert 'class="marks"' not in text.partition('id="today"')[0], page
    refused = [each["refused"] for each in clinic.records() if each.get("route") == "/chart/patient/next"]
    assert refused == [2]
    state = fields_of(client.get(PAGE).text)
    assert all("t1" not in value and "n1" not in value for name, value in state.items() if name != "state")


def test_a_plan_without_photos_shows_the_first_session(clinic: Clinic, client: Client) -> None:
    clinic.put(care_plan(replace(PLAN, photos=())) | {"id": "plan", "meta": {"source": "urn:photospine"}})
    text = client.get(PAGE).text
    assert "First session" in text
    assert "Decided on<" not in text
    assert "/chart/photo/t1?" in text


def test_of_two_plans_either_can_be_chosen_and_the_form_stays_with_it(clinic: Clinic, client: Client) -> None:
    other = replace(PLAN, title="Hands", treatment=replace(PLAN.treatment, text="Laser", code=None), photos=(),
                    products=(), start="2026-05-20")  # fmt: skip
    clinic.put(care_plan(other) | {"id": "hands", "meta": {"source": "urn:photospine"}})
    newest = client.get(PAGE).text
    assert 'aria-current="true">Hands' in newest
    text = client.get(f"{PAGE}?plan=plan").text
    assert 'aria-current="true">Forehead lines' in text
    assert f'action="{PAGE}?plan=plan"' in text
    answer = send(client, fields_of(text) | {"checked-0": "on"}, f"{PAGE}?plan=plan")
    saved = answer.headers["location"].partition("saved=")[2]
    assert answer.status_code == 303
    with reading(clinic.engine) as connection:
        body = clinic.record.read(connection, "Procedure", saved).json()
    assert body["basedOn"] == [{"reference": "CarePlan/plan"}]
    assert "is saved" in client.get(answer.headers["location"]).text


def test_names_of_every_length_and_direction_stand_apart(clinic: Clinic, client: Client) -> None:
    clinic.put({"resourceType": "Patient", "id": "anna", "name": [{"text": ARABIC}]})
    text = client.get(PAGE).text
    assert f"<bdi>{ARABIC}</bdi>" in text
    clinic.put({"resourceType": "Patient", "id": "anna", "name": [{"text": LONG}]})
    assert f"<bdi>{LONG}</bdi>" in client.get(PAGE).text


def test_what_is_left_out_is_said(clinic: Clinic, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    _sessions(clinic, 3)
    assert "more on record" not in client.get(PAGE).text
    monkeypatch.setattr(upcoming_module, "SESSIONS", 2)
    clinic.put(care_plan(PLAN) | {"id": "plan", "status": "revoked", "meta": {"source": "urn:photospine"}})
    assert "more on record around this course" in client.get(PAGE).text
    for name in ("pa", "pb"):
        clinic.put(care_plan(PLAN) | {"id": name, "meta": {"source": "urn:photospine"}})
    assert "more plans than are listed" in client.get(PAGE).text


def test_references_that_are_not_followed_are_told(
    clinic: Clinic, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fhir_mapping.course.basis.POINTING", 0)
    assert "There is more than is told here" in client.get("/chart/basis/CarePlan/plan").text
    told = clinic.get("clinician", "/CarePlan/plan/$basis").json()
    assert {"name": "more", "valueBoolean": True} in told["parameter"]
    monkeypatch.setattr(surroundings_module.Surroundings.__init__, "__kwdefaults__", {"most": 1})
    bundle = clinic.get("clinician", "/CarePlan/plan/$treatment").json()
    (told,) = [each["resource"] for each in bundle["entry"] if each["resource"]["resourceType"] == "OperationOutcome"]
    assert told["issue"][0]["code"] == "incomplete"
    assert "There is more around this session" in client.get("/chart/session/p1").text


def test_a_visit_that_was_never_closed_is_not_today(clinic: Clinic, client: Client) -> None:
    forgotten = {
        "resourceType": "Encounter",
        "id": "v7",
        "status": "in-progress",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": "Patient/anna"},
        "period": {"start": "2025-01-10T09:00:00+02:00"},
    }
    clinic.put(forgotten)
    answer = send(client, fields_of(client.get(PAGE).text) | {"checked-0": "on"})
    saved = answer.headers["location"].partition("saved=")[2]
    with reading(clinic.engine) as connection:
        assert "encounter" not in clinic.record.read(connection, "Procedure", saved).json()
    clinic.put(forgotten | {"period": {"start": "2026-06-12T09:00:00+03:00"}})
    answer = send(client, fields_of(client.get(PAGE).text) | {"checked-0": "on"})
    saved = answer.headers["location"].partition("saved=")[2]
    with reading(clinic.engine) as connection:
        body = clinic.record.read(connection, "Procedure", saved).json()
    assert body["encounter"] == {"reference": "Encounter/v7"}


def test_todays_visit_is_found_among_many_that_were_written_since(clinic: Clinic, client: Client) -> None:
    today_visit(clinic, "n1")
    for number in range(70):
        clinic.put(
            {
                "resourceType": "Encounter",
                "id": f"old{number}",
                "status": "finished",
                "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
                "subject": {"reference": "Patient/anna"},
                "period": {"start": "2024-03-01"},
            }
        )
    assert "/chart/photo/n1?" in client.get(PAGE).text
