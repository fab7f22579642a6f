"""Emergency access on a page: a reason, one patient, a short while; recorded, and told to compliance."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from consent.store.engine import reading, transaction
from consent.store.tables import emergency_grant
from tests.fhir.clinic import consent_of
from tests.workspace.client import Client
from tests.workspace.consenting import Consenting, consenting, csrf

pytestmark = pytest.mark.fast

_PAGE = "/chart/patient/anna/emergency"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Consenting]:
    with consenting(tmp_path) as made:
        made.clinic.put(consent_of("no", "deny", "TREAT"))
        yield made


def _opened(place: Consenting) -> Client:
    client = place.signed_in()
    answer = client.post(_PAGE, data={"csrf": csrf(client.get(_PAGE).text), "reason": "Anaphylaxis, nobody to ask"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/emergency/patient/anna")
    return client


def test_it_opens_one_patient_s_photos_and_no_other_s(place: Consenting) -> None:
    client = _opened(place)
    assert "g1" not in client.get("/chart/patient/anna").text
    page = client.get("/emergency/patient/anna").text
    assert "Emergency access</b> until" in page
    assert "/emergency/photo/g1" in page
    assert client.get("/emergency/photo/g1").status_code == 200
    assert client.get("/emergency/compare?left=g1").status_code == 200
    assert client.get("/emergency/compare/series?photo=g1&photo=g2&photo=f1").status_code == 200
    assert client.get("/chart/photo/g1").status_code == 404
    absent = client.get("/there-is-no-such-page").text
    for path in (
        "/emergency/patient/ben",
        "/emergency/compare?left=b1",
        "/emergency/compare/series?photo=b1",
        "/emergency/patient/nobody",
    ):
        answer = client.get(path)
        assert (answer.status_code, answer.text) == (404, absent), path
    assert client.get("/emergency/photo/b1").status_code == 404


def test_what_was_opened_twice_ends_at_once(place: Consenting) -> None:
    client = _opened(place)
    again = client.post(_PAGE, data={"csrf": csrf(client.get(_PAGE).text), "reason": "In another window"})
    assert again.status_code == 303
    page = client.get("/emergency/patient/anna").text
    assert client.post("/emergency/patient/anna/end", data={"csrf": csrf(page)}).status_code == 303
    assert client.get("/emergency/patient/anna").status_code == 404
    assert client.get("/emergency/photo/g1").status_code == 404


def test_it_ends_for_every_record_of_the_patient(place: Consenting) -> None:
    twin = {
        "resourceType": "Patient",
        "id": "twin",
        "link": [{"other": {"reference": "Patient/anna"}, "type": "replaced-by"}],
    }
    place.clinic.put(twin)
    client = _opened(place)
    page = "/chart/patient/twin/emergency"
    client.post(page, data={"csrf": csrf(client.get(_PAGE).text), "reason": "Under her other number"})
    shown = client.get("/emergency/patient/anna").text
    assert client.post("/emergency/patient/anna/end", data={"csrf": csrf(shown)}).status_code == 303
    assert client.get("/emergency/photo/g1").status_code == 404
    assert client.get("/emergency/patient/twin").status_code == 404


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501])
def test_without_a_reason_nothing_opens(place: Consenting, reason: str) -> None:
    client = place.signed_in()
    answer = client.post(_PAGE, data={"csrf": csrf(client.get(_PAGE).text), "reason": reason})
    assert answer.status_code == 422
    assert client.get("/emergency/patient/anna").status_code == 404


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "The reason has 20,000 characters, and at most 500 are kept."),
        ("de", "Der Grund hat 20.000 Zeichen, aufbewahrt werden höchstens 500."),
    ],
)
def test_a_reason_that_is_far_too_long_is_said_to_be_so_and_given_back(
    place: Consenting, language: str, said: str
) -> None:
    client = place.signed_in()
    form = {"csrf": csrf(client.get(_PAGE).text), "reason": "ü" * 20_000}
    answer = client.post(_PAGE, data=form, headers={"accept-language": language})
    assert answer.status_code == 422
    assert said in answer.text
    assert form["reason"] in answer.text


def test_the_offer_is_the_same_for_every_patient_and_for_whoever_holds_it_alone(place: Consenting) -> None:
    client = place.signed_in()
    for patient in ("anna", "ben"):
        assert f"/chart/patient/{patient}/emergency" in client.get(f"/chart/patient/{patient}").text
    nurse = place.signed_in("nurse")
    page = nurse.get("/chart/patient/anna").text
    assert "Emergency" not in page
    absent = nurse.get("/there-is-no-such-page").text
    assert nurse.get(_PAGE).text == absent
    answer = nurse.post(_PAGE, data={"csrf": csrf(page), "reason": "x"})
    assert (answer.status_code, answer.text) == (404, absent)
    assert nurse.get("/emergency/patient/anna").status_code == 404


def test_it_ends_by_itself_or_by_a_press(place: Consenting) -> None:
    client = _opened(place)
    page = client.get("/emergency/patient/anna").text
    assert client.post("/emergency/patient/anna/end", data={"csrf": "guessed"}).status_code == 404
    answer = client.post("/emergency/patient/anna/end", data={"csrf": csrf(page)})
    assert answer.headers["location"] == "/chart/patient/anna"
    assert client.get("/emergency/photo/g1").status_code == 404
    client = _opened(place)
    with transaction(place.clinic.engine) as connection:
        connection.execute(update(emergency_grant).values(until=1))
    assert client.get("/emergency/patient/anna").status_code == 404
    assert client.get("/emergency/photo/g1").status_code == 404


def test_it_is_recorded_and_told_to_compliance(place: Consenting) -> None:
    client = _opened(place)
    client.get("/emergency/photo/g1")
    records = place.clinic.records()
    opened = next(each for each in records if each["kind"] == "intent" and each["route"] == "emergency/open")
    assert (opened["account"], opened["subject"]) == ("doctor", "Patient/anna")
    assert any(each.get("override") and each["emergency_reason"] == "Anaphylaxis, nobody to ask" for each in records)
    with reading(place.clinic.engine) as connection:
        tasks = [each.json() for each in place.clinic.record.search(connection, "Task", {"patient": "Patient/anna"})]
    told = [each for each in tasks if each["code"]["coding"][0]["code"] == "emergency-access"]
    assert [each["reasonCode"]["text"] for each in told] == ["Anaphylaxis, nobody to ask"]


def test_a_form_without_its_token_opens_nothing(place: Consenting) -> None:
    client = place.signed_in()
    for headers in ({}, {"Origin": "https://elsewhere.example"}):
        token = csrf(client.get(_PAGE).text) if headers else "guessed"
        answer = client.post(_PAGE, data={"csrf": token, "reason": "x"}, headers=headers)
        assert answer.status_code == 404
    assert client.get("/emergency/patient/anna").status_code == 404
