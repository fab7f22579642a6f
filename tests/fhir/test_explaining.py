"""``DocumentReference/{id}/$explain``: compliance asks about anybody, a patient about herself, others in vain."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from consent.identity.accounts import create
from consent.store.engine import transaction
from consent.store.photos import by_sop, save_photo
from tests.fhir.clinic import Clinic, consent_of, context, uid_of

pytestmark = pytest.mark.fast

PATH = "/DocumentReference/f1/$explain"


@pytest.fixture
def asked(clinic: Clinic) -> Clinic:
    """Anna permits teaching; the accounts that are asked about are kept."""
    clinic.put(consent_of("c1", "permit", "TEACH"))
    with transaction(clinic.engine) as connection:
        for name, purposes in {"marketing": ["TEACH", "WEB"], "doctor": ["TREAT"]}.items():
            create(connection, name, password=None, purposes=purposes, reference=f"Practitioner/{name}")
    return clinic


def _values(parameters: dict[str, Any], name: str) -> list[Any]:
    """The values of a parameter, wherever it stands."""
    found = []
    for each in parameters.get("parameter", parameters.get("part", [])):
        if each["name"] == name:
            found += [value for key, value in each.items() if key.startswith("value")]
        found += _values(each, name)
    return found


def test_compliance_is_told_steps_and_provision(asked: Clinic) -> None:
    import fhirkit

    answer = asked.get("compliance", f"{PATH}?account=marketing&purpose=TEACH", "HCOMPL")
    assert answer.status_code == 200
    told = answer.json()
    assert (_values(told, "effect")[0], _values(told, "answered-by-step")) == ("permit", [9])
    assert len(_values(told, "step")) == 10
    assert _values(told, "consent") == [{"reference": "Consent/c1/_history/1"}]
    assert "permits TEACH" in _values(told, "sentence")[0]
    assert _values(told, "obligation") == ["no-identifiers"]
    assert list(fhirkit.validate(answer.text)) == []
    record = asked.records()[-1]
    assert (record["kind"], record["subject"]) == ("read", "explanation of DocumentReference/f1")
    assert record["details"] == {"account": "marketing", "purpose": "TEACH", "found": 1}


def test_a_post_asks_the_same(asked: Clinic) -> None:
    sent = [{"name": "account", "valueString": "marketing"}, {"name": "purpose", "valueCode": "WEB"}]
    body = {"resourceType": "Parameters", "parameter": sent}
    answer = asked.ask("compliance", "POST", PATH, json=body, headers={"X-Purpose-Of-Use": "HCOMPL"})
    assert (answer.status_code, _values(answer.json(), "reason")[0]) == (200, "default-deny")
    wrong = {"resourceType": "Parameters", "parameter": [{"name": "purpose", "valueInteger": 3}]}
    assert asked.ask("compliance", "POST", PATH, json=wrong).status_code == 422
    assert asked.ask("compliance", "POST", PATH, json={"resourceType": "Patient"}).status_code == 422


def test_another_time_is_another_answer(asked: Clinic) -> None:
    words = f"{PATH}?account=marketing&purpose=TEACH&at="
    assert _values(asked.get("compliance", words + "2026-05-01T00:00:00Z", "HCOMPL").json(), "reason")[0] != (
        "patient-permitted"
    )
    ahead = asked.get("compliance", words + "2090-01-01T00:00:00Z", "HCOMPL").json()
    assert _values(ahead, "reason")[0] == "patient-permitted"
    assert any("today's" in each for each in _values(ahead, "rests-on"))


def test_a_patient_is_told_her_own_part(asked: Clinic) -> None:
    told = asked.get("anna", f"{PATH}?purpose=TEACH").json()
    assert (_values(told, "effect")[0], _values(told, "patient")) == ("permit", [{"reference": "Patient/anna"}])
    told = asked.get("anna", f"{PATH}?purpose=PATRQT").json()
    assert _values(told, "reason")[0] == "default-deny"


def test_a_patient_learns_nothing_of_another_ones_answer(asked: Clinic) -> None:
    asked.photo("both", "anna", "v1", context=context("v1", "2026-05-03T10:09:00+03:00"))
    with transaction(asked.engine) as connection:
        stored = by_sop(connection, uid_of("both"))
        assert stored is not None
        save_photo(
            connection,
            replace(stored.facts, patients=("anna", "ben")),
            series_uid=stored.series_uid,
            study_uid=stored.study_uid,
            orthanc_id=stored.orthanc_id,
            state="linked",
            area=None,
            view=None,
            procedure=None,
        )
    asked.put(consent_of("c9", "deny", "TEACH", patient="ben"))
    path = "/DocumentReference/both/$explain?purpose=TEACH"
    hers = asked.get("anna", path)
    assert "ben" not in hers.text
    assert "c9" not in hers.text
    assert _values(hers.json(), "effect")[0] == "permit"
    whole = asked.get("compliance", f"{path}&account=marketing", "HCOMPL").json()
    assert _values(whole, "effect")[0] == "deny"


@pytest.mark.parametrize("account", ["marketing", "doctor", "clinician", "integrator", "importer", "admin", "anna"])
def test_everybody_else_is_answered_as_if_there_were_nothing(asked: Clinic, account: str) -> None:
    absent = asked.get(account, "/DocumentReference/none/$explain?purpose=TEACH")
    bens = asked.get(account, "/DocumentReference/b1/$explain?purpose=TEACH")
    assert (bens.status_code, bens.content) == (404, absent.content)
    assert dict(bens.headers) == dict(absent.headers)
    hers = asked.get(account, f"{PATH}?purpose=TEACH&account=marketing")
    assert (hers.status_code, hers.content) == (404, absent.content)
    assert asked.records()[-1]["details"]["found"] == 0


@pytest.mark.parametrize(
    "query", ["", "?purpose=", "?purpose=WEB&purpose=WEB", "?purpose=WEB&x=1", "?purpose=WEB&at=now"]
)
def test_a_question_that_cannot_be_read_is_refused_whatever_it_is_about(asked: Clinic, query: str) -> None:
    for identity in ("f1", "none"):
        assert asked.get("compliance", f"/DocumentReference/{identity}/$explain{query}", "HCOMPL").status_code == 400


@pytest.mark.parametrize(
    "at", ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00", "1899-12-31T00:00:00Z", "2026-01-01T00:00:00"]
)
@pytest.mark.parametrize(("account", "words"), [("compliance", "account=marketing&"), ("anna", "")])
def test_a_time_that_no_clock_shows_is_refused(asked: Clinic, account: str, words: str, at: str) -> None:
    purpose = "HCOMPL" if account == "compliance" else None
    assert asked.get(account, f"{PATH}?{words}purpose=TEACH&at={at}", purpose).status_code == 400


@pytest.mark.parametrize(
    "parameter", ["x", 5, {"name": "purpose", "valueCode": "TEACH"}, ["x"], [None], [["name"]], [{"name": 1}]]
)
@pytest.mark.parametrize("account", ["compliance", "clinician"])
def test_a_body_that_is_no_list_of_parameters_is_refused(asked: Clinic, account: str, parameter: Any) -> None:
    body = {"resourceType": "Parameters", "parameter": parameter}
    assert asked.ask(account, "POST", PATH, json=body).status_code == 422


@pytest.mark.parametrize("account", ["compliance", "anna", "clinician"])
def test_a_control_character_is_refused_also_in_a_body(asked: Clinic, account: str) -> None:
    sent = [{"name": "purpose", "valueCode": "TEACH"}, {"name": "account", "valueString": "a\0b"}]
    body = {"resourceType": "Parameters", "parameter": sent}
    purpose = {"X-Purpose-Of-Use": "HCOMPL"} if account == "compliance" else {}
    assert asked.ask(account, "POST", PATH, json=body, headers=purpose).status_code in (400, 422)


def test_the_statement_names_it(asked: Clinic) -> None:
    offered = {
        each["type"]: each.get("operation") for each in asked.raw("GET", "/metadata").json()["rest"][0]["resource"]
    }
    assert [each["name"] for each in offered["DocumentReference"] or []] == [
        "basis",
        "treatment",
        "explain",
        "photos",
    ]
    assert offered["Patient"] is None
