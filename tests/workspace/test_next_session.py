"""The page of the next session over a real record: what it shows, and what its form writes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from html import unescape
from pathlib import Path

import pytest

from consent.store.engine import reading
from fhir_mapping.course.looked_at import shown_in
from fhir_mapping.course.plan import care_plan
from fhir_mapping.course.plan import read as read_plan
from fhir_mapping.treatment.read import treatments
from fhir_mapping.treatment.surroundings import Surroundings
from orthanc_plugin.workspace.sealed_state import seal, unseal
from tests.fhir.clinic import BASE, SITE, consent_of
from tests.fhir.clinic import Clinic as FhirClinic
from tests.fhir.test_course import PLAN, TOXIN
from tests.workspace.client import Client
from tests.workspace.clinic import Sessions
from tests.workspace.planned import PAGE, fields_of, people, planned, send, signed_in


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[FhirClinic]:
    """Anna with a plan decided on f1, one session with a product and a machine's settings."""
    made = planned(tmp_path)
    yield made
    made.close()


@pytest.fixture
def sessions() -> Sessions:
    """Accounts: the clinician may write, the doctor reads."""
    return people()


@pytest.fixture
def client(clinic: FhirClinic, sessions: Sessions) -> Client:
    """A browser that is signed in as the clinician."""
    return signed_in(clinic, sessions, "clinician")


def test_the_page_shows_plan_last_session_views_and_a_prefilled_form(client: Client, clinic: FhirClinic) -> None:
    answer = client.get(PAGE)
    assert answer.status_code == 200
    for words in ("Forehead lines", "Softer lines at rest", "3 sessions, 4 months apart", "Toxin A", "LOT-0071",
                  "Laser one", "2.4 J/cm²", "Still to photograph today: Face; Left face."):  # fmt: skip
        assert words in answer.text, words
    for key in ("f1", "t1"):
        assert f"/chart/photo/{key}?" in answer.text
    assert "/photo/f2?" not in answer.text  # no photo of the plan, nor of the session
    assert fields_of(answer.text)["lot-0"] == "LOT-0071"
    assert "<style" not in answer.text
    assert " style=" not in answer.text
    (record,) = [each for each in clinic.records() if each.get("route") == "/chart/patient/next"]
    assert record["released"] == 2
    chart = client.get("/chart/patient/anna")
    assert f'href="{PAGE}"' in chart.text


def test_saving_writes_the_session_and_what_the_page_showed(client: Client, clinic: FhirClinic) -> None:
    fields = fields_of(client.get(PAGE).text) | {
        "lot-0": "LOT-0072",
        "expires-0": "2027-03",
        "dose-0": "18,5",
        "checked-0": "on",
        "given-n0": "on",
        "name-n0": "Numbing cream",
        "lot-n0": "NC-1",
        "dose-n0": "2",
        "unit-n0": "g",
        "checked-n0": "on",
        "setting-0-0": "2.6",
        "note": "Tolerated\r\nwell",
    }
    answer = send(client, fields)
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"].startswith(f"{PAGE}?plan=plan&saved=")
    procedure = "Procedure/" + answer.headers["location"].partition("saved=")[2]
    again = send(client, fields)
    assert again.headers["location"] == answer.headers["location"]
    with reading(clinic.engine) as connection:
        (found,) = treatments(Surroundings(connection, BASE, [procedure]))
        plan = clinic.record.read(connection, "CarePlan", "plan").json()
        (provenance,) = clinic.record.search(connection, "Provenance", {})
    session = found.session
    assert (session.number, session.title, session.note) == (2, TOXIN, "Tolerated\nwell")
    assert session.start == "2026-06-15T12:00:00+03:00"
    assert session.performers[0].reference == "Practitioner/d"
    given = [
        (each.product.name.text, each.product.lot, each.product.expires, each.dose.shown if each.dose else "")
        for each in session.given
    ]
    assert sorted(given) == [("Numbing cream", "NC-1", "", "2 g"), ("Toxin A", "LOT-0072", "2027-03", "18.5 U")]
    assert [(each.reference, [s.shown for s in each.settings]) for each in session.machines] == [
        ("Device/yag", ["2.6 J/cm²"])
    ]
    assert read_plan(plan, BASE).done == (procedure,)
    assert sorted(each for each, _ in shown_in(provenance.json(), BASE)) == [
        "DocumentReference/f1",
        "DocumentReference/t1",
    ]
    shown = client.get(answer.headers["location"]).text
    assert "Session 2 is saved" in shown
    assert "card today" not in shown
    intents = [each for each in clinic.records() if each.get("subject") == "Patient/anna" and each["kind"] == "intent"]
    assert len(intents) == 2


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({}, "checked-0", "is it this lot"),
        ({"checked-0": "on", "lot-0": " "}, "lot-0", "write &#39;unknown&#39;"),
        ({"checked-0": "on", "expires-0": "soon"}, "expires-0", "2027-01"),
        ({"checked-0": "on", "dose-0": "1e99999"}, "dose-0", "is a number"),
        ({"checked-0": "on", "dose-0": "-4"}, "dose-0", "is a number"),
        ({"checked-0": "on", "number": "0"}, "number", "from 1 to 999"),
        ({"checked-0": "on", "number": "²"}, "number", "from 1 to 999"),
        ({"checked-0": "on", "setting-0-0": "much"}, "setting-0-0", "is a number"),
        ({"checked-0": "on", "given-n0": "on"}, "name-n0", "Name the product"),
        ({"checked-0": "on", "name-n0": "Cream"}, "given-n0", "Tick it"),
        ({"checked-0": "on", "expires-0": "2026-02-31"}, "expires-0", "2027-01"),
        ({"checked-0": "on", "expires-0": "2026-05"}, "expired-0", "has expired"),
        (
            {"checked-0": "on", "given-n0": "on", "name-n0": "C", "lot-n0": "1", "checked-n0": "on", "dose-n0": "2"},
            "unit-n0",
            "Choose the unit",
        ),
        ({"checked-0": "on", "how-n0": "thrown", "given-n0": "on", "name-n0": "C"}, "how-n0", "Choose how"),
        ({"checked-0": "on", "area-n0": "urn:x|y", "given-n0": "on", "name-n0": "C"}, "area-n0", "an area of the list"),
        ({"checked-0": "on", "note": "x" * 4001}, "note", "4000"),
    ],
)
def test_a_form_that_cannot_be_saved_says_where_and_keeps_what_was_typed(
    client: Client, clinic: FhirClinic, change: dict[str, str], field: str, words: str
) -> None:
    fields = fields_of(client.get(PAGE).text) | {"serial-n0": "kept"} | change
    answer = send(client, fields)
    assert answer.status_code == 422
    assert f'id="fault-{field}"' in answer.text
    assert words in answer.text
    assert 'value="kept"' in answer.text
    with reading(clinic.engine) as connection:
        assert len(clinic.record.search(connection, "Procedure", {})) == 2


def test_only_our_own_form_of_this_session_and_patient_is_taken(
    client: Client, clinic: FhirClinic, sessions: Sessions
) -> None:
    fields = fields_of(client.get(PAGE).text) | {"checked-0": "on"}
    visitor = next(iter(sessions.open.values()))
    state = unseal(visitor.secret, "today's session", fields["state"])
    assert state is not None
    forged = [
        (fields | {"csrf": "x"}, {}, 400),
        ({key: value for key, value in fields.items() if key != "csrf"}, {}, 400),
        (fields, {"Sec-Fetch-Site": "cross-site"}, 400),
        (fields, {"Origin": "https://elsewhere.example"}, 400),
        (fields | {"state": fields["state"][:-4] + "AAAA"}, {}, 400),
        (fields | {"state": ""}, {}, 400),
        (fields | {"state": "é"}, {}, 400),
        (fields | {"state": seal(b"another secret", "today's session", state)}, {}, 400),
        (fields | {"state": seal(visitor.secret, "another page", state)}, {}, 400),
        (fields | {"state": seal(visitor.secret, "today's session", state | {"patient": "ben"})}, {}, 400),
    ]
    for sent, headers, status in forged:
        assert send(client, sent, **headers).status_code == status
    assert client.post(PAGE, content=b"x" * 400_000, headers={"Content-Type": "application/x-www-form-urlencoded"}
                       ).status_code == 400  # fmt: skip
    with reading(clinic.engine) as connection:
        assert len(clinic.record.search(connection, "Procedure", {})) == 2
    reader = signed_in(clinic, sessions, "doctor")
    shown = reader.get(PAGE)
    assert "reads the record and does not write" in shown.text
    assert send(reader, fields).status_code == 404
    for account, status in (("marketing", 404), ("maria", 404)):
        assert signed_in(clinic, sessions, account).get(PAGE).status_code == status
    assert client.get("/chart/patient/nobody/next").status_code == 404
    anonymous = signed_in(clinic, sessions, "doctor")
    anonymous.cookies.clear()
    assert anonymous.get(PAGE).status_code == 303


def test_a_plan_that_was_changed_meanwhile_is_told(client: Client, clinic: FhirClinic) -> None:
    fields = fields_of(client.get(PAGE).text) | {"checked-0": "on"}
    clinic.put(care_plan(PLAN) | {"id": "plan", "title": "Other lines", "meta": {"source": "urn:photospine"}})
    answer = send(client, fields)
    assert answer.status_code == 409
    assert "The plan was changed" in answer.text
    again = fields_of(answer.text) | {"checked-0": "on"}
    assert send(client, again).status_code == 303


def _procedures(clinic: FhirClinic) -> int:
    with reading(clinic.engine) as connection:
        return len(clinic.record.search(connection, "Procedure", {}))


def test_a_session_that_was_saved_in_another_tab_is_told_before_one_more_is_saved(
    client: Client, clinic: FhirClinic
) -> None:
    clinic.put(care_plan(PLAN) | {"id": "plan", "status": "completed"})  # no version of a plan tells of it
    one, other = (fields_of(client.get(PAGE).text) | {"checked-0": "on"} for _ in range(2))
    before = _procedures(clinic)
    assert send(client, one).status_code == 303
    step = send(client, other | {"step": "product"})  # a row is added: that tells nobody
    answer = send(client, fields_of(step.text) | {"checked-0": "on"})
    assert answer.status_code == 409
    assert "Another treatment of hers was put on record" in answer.text
    assert _procedures(clinic) == before + 1
    assert send(client, fields_of(answer.text) | {"checked-0": "on"}).status_code == 303
    assert _procedures(clinic) == before + 2


def test_a_refused_photo_is_not_on_the_page(client: Client, clinic: FhirClinic) -> None:
    provision = {"data": [{"meaning": "instance", "reference": {"reference": "DocumentReference/t1"}}]}
    clinic.put(consent_of("c", "deny", "TREAT", provision=provision))
    answer = client.get(PAGE)
    assert "/photo/t1" not in answer.text
    assert "Left face" not in answer.text


def test_the_page_of_a_photo_tells_what_was_decided_on_it(client: Client, clinic: FhirClinic) -> None:
    fields = fields_of(client.get(PAGE).text) | {"checked-0": "on"}
    saved = send(client, fields).headers["location"].partition("saved=")[2]
    answer = client.get(f"/chart/basis/Procedure/{saved}")
    assert answer.status_code == 200
    for words in ("Toxin, forehead, 15 Jun 2026", "On the screen when it was decided", "Forehead lines",
                  "/chart/photo/t1?", "15 Jun 2026 · by clinician", "version 1"):  # fmt: skip
        assert words in answer.text, words
    photo = client.get("/chart/basis/DocumentReference/f1").text
    assert f'href="/chart/basis/Procedure/{saved}"' in photo
    assert "Plans that were decided on it" in photo
    provision = {"data": [{"meaning": "instance", "reference": {"reference": "DocumentReference/f1"}}]}
    clinic.put(consent_of("c", "deny", "TREAT", provision=provision))
    assert "/photo/f1" not in client.get("/chart/basis/CarePlan/plan").text
    for path in (
        "DocumentReference/f1",
        "DocumentReference/none",
        "Patient/anna",
        "Procedure/none",
        "CarePlan/" + "x" * 70,
    ):
        assert client.get(f"/chart/basis/{path}").status_code == 404


def test_the_page_of_a_basis_is_the_care_teams(clinic: FhirClinic, sessions: Sessions) -> None:
    for account in ("marketing", "maria"):
        assert signed_in(clinic, sessions, account).get("/chart/basis/CarePlan/plan").status_code == 404


def test_the_basis_names_each_photo_and_takes_no_setting_for_an_outcome(client: Client, clinic: FhirClinic) -> None:
    saved = send(client, fields_of(client.get(PAGE).text) | {"checked-0": "on"}).headers["location"]
    text = client.get(f"/chart/basis/Procedure/{saved.partition('saved=')[2]}").text
    assert "Area not stated" not in text
    assert "Left face, 3 May 2026" in text
    assert "Outcomes that judge it" not in text
    assert text.count("/chart/photo/t1?width=240") == 2  # src and srcset of one picture
    photo = client.get("/chart/basis/DocumentReference/f1").text
    assert "On the screen when Forehead lines" not in photo


def test_a_portfolio_item_leads_whoever_treats_to_what_it_is_based_on(clinic: FhirClinic, sessions: Sessions) -> None:
    today = f"{datetime.now(SITE.zone):%Y-%m-%d}"
    for name in ("f1", "f2"):
        provision = {"data": [{"meaning": "instance", "reference": {"reference": f"DocumentReference/{name}"}}]}
        clinic.put(consent_of(name, "permit", "PORTFOLIO", signed=today, provision=provision))
    doctor, marketing = (signed_in(clinic, sessions, account) for account in ("doctor", "marketing"))
    gallery = doctor.get("/portfolio/PORTFOLIO").text
    compare = unescape(re.findall(r'href="(/portfolio/PORTFOLIO/compare[^"]*)"', gallery)[0])
    (left, _) = re.findall(r'href="(/portfolio/PORTFOLIO/basis/[^"]*)"', doctor.get(compare).text)
    answer = doctor.get(left)
    assert (answer.status_code, answer.headers["location"]) == (303, "/chart/basis/DocumentReference/f1")
    assert "Plans that were decided on it" in doctor.get(answer.headers["location"]).text
    theirs = unescape(
        re.findall(r'href="(/portfolio/PORTFOLIO/compare[^"]*)"', marketing.get("/portfolio/PORTFOLIO").text)[0]
    )
    shown = marketing.get(theirs).text
    assert "basis" not in shown
    name = re.findall(r"left=([^&]+)", theirs)[0]
    assert marketing.get(f"/portfolio/PORTFOLIO/basis/{name}").status_code == 404
    provision = {"data": [{"meaning": "instance", "reference": {"reference": "DocumentReference/f1"}}]}
    clinic.put(consent_of("f1", "deny", "PORTFOLIO", signed=today, provision=provision))
    assert doctor.get(left).status_code == 404
