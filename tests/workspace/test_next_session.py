"""The page of the next session over a real record: what it shows, and what its form writes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from consent.site import Site
from consent.store.engine import reading
from consent.types import Requester, Right
from fhir_mapping.course.looked_at import shown_in
from fhir_mapping.course.plan import care_plan
from fhir_mapping.course.plan import read as read_plan
from fhir_mapping.treatment.read import treatments
from fhir_mapping.treatment.surroundings import Surroundings
from orthanc_plugin.workspace.app import create_app
from orthanc_plugin.workspace.files import Files
from orthanc_plugin.workspace.pages import Parts
from orthanc_plugin.workspace.sealed_state import seal, unseal
from orthanc_plugin.workspace.stored import StoredRecord
from orthanc_plugin.workspace.stored_sessions import StoredSessions
from orthanc_plugin.workspace.visitor import Door
from tests.fhir.clinic import BASE, FACE, build, consent_of, context, open_clinic, region
from tests.fhir.clinic import Clinic as FhirClinic
from tests.fhir.test_course import NOW, PLAN, TOXIN
from tests.workspace.client import Client
from tests.workspace.clinic import Clinic as PicturesClinic
from tests.workspace.clinic import Sessions
from tests.workspace.page import PUBLISHING, Patient

SITE = Site(time_zone="Europe/Athens")
PAGE = "/chart/patient/anna/next"


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[FhirClinic]:
    """Anna with a plan decided on f1, one session with a product and a machine's settings."""
    build(tmp_path)
    made = open_clinic(tmp_path)
    made.put(care_plan(PLAN) | {"id": "plan", "meta": {"source": "urn:photospine"}})
    made.put(
        {"resourceType": "Device", "id": "yag", "deviceName": [{"name": "Laser one", "type": "user-friendly-name"}]}
    )
    made.put(
        {
            "resourceType": "Procedure",
            "id": "p1",
            "status": "completed",
            "code": {"coding": [{"system": "urn:photospine:treatment", "code": "toxin"}], "text": TOXIN.text},
            "subject": {"reference": "Patient/anna"},
            "encounter": {"reference": "Encounter/v1"},
            "basedOn": [{"reference": "CarePlan/plan"}],
            "performedDateTime": "2026-05-03T11:00:00+03:00",
            "usedReference": [{"reference": "Device/yag"}],
        }
    )
    made.put(
        {
            "resourceType": "Observation",
            "id": "s1",
            "status": "final",
            "code": {"text": "Device settings"},
            "subject": {"reference": "Patient/anna"},
            "partOf": [{"reference": "Procedure/p1"}],
            "device": {"reference": "Device/yag"},
            "component": [
                {
                    "code": {"coding": [{"system": "urn:photospine:setting", "code": "fluence"}], "text": "Fluence"},
                    "valueQuantity": {
                        "value": 2.4,
                        "unit": "J/cm2",
                        "system": "http://unitsofmeasure.org",
                        "code": "J/cm2",
                    },
                }
            ],
        }
    )
    made.photo("t1", "anna", "v1", context=context("v1", "2026-05-03T10:20:00+03:00", "Procedure/p1"),
               extension=[region(FACE, "L")])  # fmt: skip
    yield made
    made.close()


@pytest.fixture
def sessions() -> Sessions:
    """Accounts: the clinician may write, the doctor reads."""
    made = Sessions()
    made.requesters["clinician"] = Requester(
        "clinician", ("TREAT",), frozenset({Right.RECORD}), reference="Practitioner/d"
    )
    return made


@pytest.fixture
def client(clinic: FhirClinic, sessions: Sessions) -> Client:
    """A browser that is signed in as the clinician."""
    return _signed_in(clinic, sessions, "clinician")


def _signed_in(clinic: FhirClinic, sessions: Sessions, account: str) -> Client:
    record = StoredRecord(clinic.engine, clinic.node.decisions, clinic.record)
    door = Door(sessions, secure=False)
    book = StoredSessions(clinic.node, lambda _: NOW)
    parts = Parts(record, PicturesClinic(), door, SITE, Files(Path("absent")), lambda: NOW, PUBLISHING, sessions=book)
    made = Client(create_app(parts, sessions, throttle=Patient(), healthy=lambda: True))
    cookie = sessions.sign_in(account, f"{account}-demo")
    assert cookie is not None
    made.cookies.set(door.cookie, cookie)
    return made


def _fields(page: str) -> dict[str, str]:
    """The fields of the form as a browser would send them."""
    form = page[page.index('<form class="card today"') :]
    found: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", form):
        attributes = {name: unescape(value) for name, value in re.findall(r'([\w-]+)="([^"]*)"', tag)}
        if attributes.get("type") == "checkbox":
            if re.search(r"\bchecked\b", tag.replace(attributes["name"], "")):
                found[attributes["name"]] = "on"
        else:
            found[attributes["name"]] = attributes.get("value", "")
    return found | {"note": ""}


def _send(client: Client, fields: dict[str, str], page: str = PAGE, **headers: str) -> Any:
    return client.post(page, data=fields, headers=headers)


def test_the_page_shows_plan_last_session_views_and_a_prefilled_form(client: Client, clinic: FhirClinic) -> None:
    answer = client.get(PAGE)
    assert answer.status_code == 200
    for words in ("Forehead lines", "Softer lines at rest", "3 sessions, 4 months apart", "Toxin A", "LOT-0071",
                  "Laser one", "2.4 J/cm²", "Still to photograph today: Face; Left face."):  # fmt: skip
        assert words in answer.text, words
    for key in ("f1", "t1"):
        assert f"/chart/photo/{key}?" in answer.text
    assert "/photo/f2?" not in answer.text  # no photo of the plan, nor of the session
    assert _fields(answer.text)["lot-0"] == "LOT-0071"
    assert "<style" not in answer.text
    assert " style=" not in answer.text
    (record,) = [each for each in clinic.records() if each.get("route") == "/chart/patient/next"]
    assert record["released"] == 2
    chart = client.get("/chart/patient/anna")
    assert f'href="{PAGE}"' in chart.text


def test_saving_writes_the_session_and_what_the_page_showed(client: Client, clinic: FhirClinic) -> None:
    fields = _fields(client.get(PAGE).text) | {
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
    answer = _send(client, fields)
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"].startswith(f"{PAGE}?saved=")
    procedure = "Procedure/" + answer.headers["location"].partition("saved=")[2]
    again = _send(client, fields)
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
        ({"checked-0": "on", "given-n1": "on"}, "name-n1", "Name the product"),
        ({"checked-0": "on", "name-n1": "Cream"}, "given-n1", "Tick it"),
        ({"checked-0": "on", "note": "x" * 4001}, "note", "4000"),
    ],
)
def test_a_form_that_cannot_be_saved_says_where_and_keeps_what_was_typed(
    client: Client, clinic: FhirClinic, change: dict[str, str], field: str, words: str
) -> None:
    fields = _fields(client.get(PAGE).text) | {"lot-n0": "kept"} | change
    answer = _send(client, fields)
    assert answer.status_code == 422
    assert f'id="fault-{field}"' in answer.text
    assert words in answer.text
    assert 'value="kept"' in answer.text
    with reading(clinic.engine) as connection:
        assert len(clinic.record.search(connection, "Procedure", {})) == 2


def test_only_our_own_form_of_this_session_and_patient_is_taken(
    client: Client, clinic: FhirClinic, sessions: Sessions
) -> None:
    fields = _fields(client.get(PAGE).text) | {"checked-0": "on"}
    visitor = next(iter(sessions.open.values()))
    state = unseal(visitor.secret, "next session", fields["state"])
    assert state is not None
    forged = [
        (fields | {"csrf": "x"}, {}, 400),
        ({key: value for key, value in fields.items() if key != "csrf"}, {}, 400),
        (fields, {"Sec-Fetch-Site": "cross-site"}, 400),
        (fields, {"Origin": "https://elsewhere.example"}, 400),
        (fields | {"state": fields["state"][:-4] + "AAAA"}, {}, 400),
        (fields | {"state": ""}, {}, 400),
        (fields | {"state": "é"}, {}, 400),
        (fields | {"state": seal(b"another secret", "next session", state)}, {}, 400),
        (fields | {"state": seal(visitor.secret, "another page", state)}, {}, 400),
        (fields | {"state": seal(visitor.secret, "next session", state | {"patient": "ben"})}, {}, 400),
    ]
    for sent, headers, status in forged:
        assert _send(client, sent, **headers).status_code == status
    assert client.post(PAGE, content=b"x" * 300_000, headers={"Content-Type": "application/x-www-form-urlencoded"}
                       ).status_code == 400  # fmt: skip
    with reading(clinic.engine) as connection:
        assert len(clinic.record.search(connection, "Procedure", {})) == 2
    reader = _signed_in(clinic, sessions, "doctor")
    shown = reader.get(PAGE)
    assert "reads the record and does not write" in shown.text
    assert _send(reader, fields).status_code == 404
    for account, status in (("marketing", 404), ("maria", 404)):
        assert _signed_in(clinic, sessions, account).get(PAGE).status_code == status
    assert client.get("/chart/patient/nobody/next").status_code == 404
    anonymous = _signed_in(clinic, sessions, "doctor")
    anonymous.cookies.clear()
    assert anonymous.get(PAGE).status_code == 303


def test_a_plan_that_was_changed_meanwhile_is_told(client: Client, clinic: FhirClinic) -> None:
    fields = _fields(client.get(PAGE).text) | {"checked-0": "on"}
    clinic.put(care_plan(PLAN) | {"id": "plan", "title": "Other lines", "meta": {"source": "urn:photospine"}})
    answer = _send(client, fields)
    assert answer.status_code == 409
    assert "The plan was changed" in answer.text
    again = _fields(answer.text) | {"checked-0": "on"}
    assert _send(client, again).status_code == 303


def test_a_refused_photo_is_not_on_the_page(client: Client, clinic: FhirClinic) -> None:
    provision = {"data": [{"meaning": "instance", "reference": {"reference": "DocumentReference/t1"}}]}
    clinic.put(consent_of("c", "deny", "TREAT", provision=provision))
    answer = client.get(PAGE)
    assert "/photo/t1" not in answer.text
    assert "Left face" not in answer.text


def test_the_page_of_a_photo_tells_what_was_decided_on_it(client: Client, clinic: FhirClinic) -> None:
    fields = _fields(client.get(PAGE).text) | {"checked-0": "on"}
    saved = _send(client, fields).headers["location"].partition("saved=")[2]
    answer = client.get(f"/chart/basis/Procedure/{saved}")
    assert answer.status_code == 200
    for words in ("Toxin, forehead, 2026-06-15", "was decided while this was on the screen", "Forehead lines",
                  "/chart/photo/t1?", "2026-06-15 · clinician · version 1"):  # fmt: skip
        assert words in answer.text, words
    photo = client.get("/chart/basis/DocumentReference/f1").text
    assert f'href="/chart/basis/Procedure/{saved}"' in photo
    assert "was planned on" in photo
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
        assert _signed_in(clinic, sessions, account).get("/chart/basis/CarePlan/plan").status_code == 404
