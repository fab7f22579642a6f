"""What a plan, a session, an outcome or a photo rests on, what rests on it, and all that was done, in one step."""

from __future__ import annotations

from typing import Any

import pytest

from consent.identity.scopes import read as read_scopes
from fhir_mapping.api.scopes import require_scope
from fhir_mapping.course.looked_at import Shown
from fhir_mapping.course.plan import care_plan
from fhir_mapping.errors import Forbidden
from fhir_mapping.outcome.outcome import Outcome, observation
from fhir_mapping.treatment.session import Session
from tests.fhir.clinic import Clinic, consent_of, context, uid_of
from tests.fhir.test_course import GIVEN, PLAN, TOXIN, _save

pytestmark = pytest.mark.fast


@pytest.fixture
def session(clinic: Clinic) -> str:
    """A session that was decided looking at f1 and f2, within a plan decided on f1; a photo of it; a copy of that."""
    clinic.put(care_plan(PLAN) | {"id": "plan", "meta": {"source": "urn:photospine"}})
    done = _save(
        clinic,
        Session("anna", TOXIN, "2026-05-03T12:00:00+03:00", encounter="Encounter/v1", plans=("CarePlan/plan",),
                given=(GIVEN,)),
        (Shown("f1", 1), Shown("f2", 1)),
    )  # fmt: skip
    clinic.photo("s1", "anna", "v1", context=context("v1", "2026-05-03T12:30:00+03:00", done))
    copy = [{"code": "transforms", "target": {"reference": "DocumentReference/s1"}}]
    clinic.photo("copy", "anna", "v1", relatesTo=copy, context={"encounter": [{"reference": "Encounter/v1"}]})
    judged = Outcome("anna", "scar", 1, before="DocumentReference/f1", after="DocumentReference/s1", sessions=(done,))
    clinic.put(observation(judged) | {"id": "o1"})
    return done


def _basis(clinic: Clinic, about: str, account: str = "clinician", purpose: str | None = None) -> dict[str, set[Any]]:
    answer = clinic.get(account, f"/{about}/$basis", purpose)
    assert answer.status_code == 200, answer.text
    found: dict[str, set[Any]] = {"rests-on": set(), "carries": set()}
    for parameter in answer.json()["parameter"][1:]:
        part = {each["name"]: each for each in parameter["part"]}
        found[parameter["name"]].add(
            (
                part["how"]["valueCode"],
                part["of"]["valueReference"]["reference"],
                part["on"]["valueReference"]["reference"],
            )
        )
    return found


def test_a_session_rests_on_its_plan_and_on_what_was_shown(clinic: Clinic, session: str) -> None:
    found = _basis(clinic, session)
    assert found["rests-on"] == {
        ("shown", session, "DocumentReference/f1/_history/1"),
        ("shown", session, "DocumentReference/f2/_history/1"),
        ("plan", session, "CarePlan/plan"),
        ("planned-on", "CarePlan/plan", "DocumentReference/f1"),
        ("shown", "CarePlan/plan", "DocumentReference/f1/_history/1"),
        ("shown", "CarePlan/plan", "DocumentReference/f2/_history/1"),
    }
    assert found["carries"] == {
        ("taken-for", "DocumentReference/s1", session),
        ("session", "Observation/o1", session),
    }


def test_a_photo_tells_what_was_decided_and_judged_on_it(clinic: Clinic, session: str) -> None:
    found = _basis(clinic, "DocumentReference/f1")
    assert found["carries"] == {
        ("shown", session, "DocumentReference/f1/_history/1"),
        ("shown", "CarePlan/plan", "DocumentReference/f1/_history/1"),
        ("planned-on", "CarePlan/plan", "DocumentReference/f1"),
        ("judged-on", "Observation/o1", "DocumentReference/f1"),
    }


def test_what_was_made_of_a_photo_leads_to_its_session_and_plan(clinic: Clinic, session: str) -> None:
    assert ("made-from", "DocumentReference/copy", "DocumentReference/s1") in _basis(clinic, "DocumentReference/s1")[
        "carries"
    ]
    found = _basis(clinic, "DocumentReference/copy")["rests-on"]
    assert ("made-from", "DocumentReference/copy", "DocumentReference/s1") in found
    assert ("taken-for", "DocumentReference/s1", session) in found
    assert ("plan", session, "CarePlan/plan") in found
    assert _basis(clinic, "CarePlan/plan")["carries"] == {("plan", session, "CarePlan/plan")}
    assert ("judged-on", "Observation/o1", "DocumentReference/s1") in _basis(clinic, "Observation/o1")["rests-on"]


def test_a_refused_photo_is_as_if_absent_in_both_directions(clinic: Clinic, session: str) -> None:
    provision = {"data": [{"meaning": "instance", "reference": {"reference": "DocumentReference/f1"}}]}
    clinic.put(consent_of("c", "deny", "TREAT", provision=provision))
    for operation in ("basis", "treatment"):
        refused = clinic.get("clinician", f"/DocumentReference/f1/${operation}")
        absent = clinic.get("clinician", f"/DocumentReference/none/${operation}")
        assert (refused.status_code, refused.content) == (absent.status_code, absent.content) == (404, absent.content)
    for about in (session, "CarePlan/plan", "Observation/o1", "DocumentReference/s1"):
        assert "DocumentReference/f1" not in clinic.get("clinician", f"/{about}/$basis").text
    whole = clinic.get("clinician", f"/{session}/$treatment").text
    assert "DocumentReference/f1" not in whole
    (record,) = [each for each in clinic.records() if each.get("details", {}).get("subject") == "Observation/o1"]
    assert (record["released"], record["refused"]) == (2, 1)  # s1, and f2 that was shown with it


def test_any_of_it_leads_to_all_of_it_in_one_step(clinic: Clinic, session: str) -> None:
    found = clinic.get("clinician", f"/{session}/$treatment").json()
    names = {each["fullUrl"].rpartition("/fhir/")[2] for each in found["entry"]}
    assert {name.partition("/")[0] for name in names} == {
        "Procedure",
        "MedicationAdministration",
        "Medication",
        "CarePlan",
        "DocumentReference",
        "Observation",
    }
    for name in sorted(names):
        if name != "DocumentReference/f1" and name.partition("/")[0] in (
            "MedicationAdministration",
            "Medication",
            "DocumentReference",
            "CarePlan",
        ):
            answer = clinic.get("clinician", f"/{name}/$treatment")
            assert answer.status_code == 200
            again = {each["fullUrl"].rpartition("/fhir/")[2] for each in answer.json()["entry"]}
            assert session in again, name
    number = clinic.get("clinician", f"/DocumentReference?identifier=urn:dicom:uid|urn:oid:{uid_of('s1')}").json()
    assert number["entry"][0]["resource"]["id"] == "s1"


@pytest.mark.parametrize("operation", ["basis", "treatment"])
def test_who_may_not_read_the_record_is_answered_nothing(clinic: Clinic, session: str, operation: str) -> None:
    assert clinic.get("marketing", f"/{session}/${operation}").status_code == 403
    assert clinic.get("marketing", f"/DocumentReference/f1/${operation}").status_code == 403
    assert clinic.get("importer", f"/DocumentReference/f1/${operation}").status_code == 403
    assert clinic.get("clinician", f"/{session}/${operation}?x=1").status_code == 400
    assert clinic.get("clinician", f"/Procedure/none/${operation}").status_code == 404
    assert clinic.get("anna", "/Procedure/p2/$basis").status_code == 404  # Ben's
    mine = clinic.get("anna", f"/{session}/${operation}")
    assert mine.status_code == 200
    assert "ben" not in mine.text


@pytest.mark.parametrize("operation", ["basis", "treatment"])
def test_a_token_for_one_type_does_not_reach_what_is_around_it(operation: str) -> None:
    route = f"/fhir/Procedure/{{id}}/${operation}"
    narrow, wide = read_scopes(["user/Procedure.rs"]), read_scopes(["user/*.rs"])
    assert narrow is not None
    assert wide is not None
    require_scope(wide, "GET", route)
    require_scope(narrow, "GET", "/fhir/Procedure/{id}")
    with pytest.raises(Forbidden):
        require_scope(narrow, "GET", route)
