"""Consent at hand: who may see what, handing over, signing, and taking back, over a record that decides."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from consent.store.engine import reading, transaction
from consent.types import Obligation, Request, Requester
from fhir_mapping.tables import fhir_resource
from orthanc_plugin.workspace.language import COOKIE
from tests.fhir.clinic import Clinic, consent_of, uid_of
from tests.workspace.client import Client
from tests.workspace.consenting import PASSWORD, Consenting, consenting, csrf

pytestmark = pytest.mark.fast

_PAGE = "/chart/patient/anna/consent"
_DRAWN = json.dumps([[100, 200, 400, 100, 700, 300]])


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Consenting]:
    with consenting(tmp_path) as made:
        yield made


def _permitted(clinic: Clinic, purpose: str, *names: str) -> set[str]:
    request, fulfils = Request(Requester("somebody", (purpose,)), purpose), frozenset({Obligation.NO_IDENTIFIERS})
    point = clinic.node.decisions
    return {name for name in names if point.photo(request, uid_of(name), route="test", fulfils=fulfils).permitted}


def _consents(clinic: Clinic) -> list[dict[str, Any]]:
    with reading(clinic.engine) as connection:
        return [each.json() for each in clinic.record.search(connection, "Consent", {"patient": "Patient/anna"})]


def _check(client: Client, **fields: object) -> str:
    sent = {"csrf": csrf(client.get("/sign").text), **{key.replace("__", ":"): value for key, value in fields.items()}}
    answer = client.post("/sign/check", data=sent)
    assert answer.status_code == 200, answer.text
    return str(answer.text)


def _sign(client: Client, page: str, **fields: str) -> int:
    state = re.findall(r'name="state" value="([^"]+)"', page)[0]
    return client.post("/sign/done", data={"csrf": csrf(page), "state": state, **fields}).status_code


def test_the_page_tells_who_may_see_what(place: Consenting) -> None:
    page = place.signed_in().get(_PAGE).text
    assert "Hand over to sign" in page
    assert re.search(r"Treatment in this clinic</th>\s*<td>Dr. Markou, Nurse Ana</td>\s*<td>.*?All 6", page, re.DOTALL)
    assert re.search(r"Website</th>\s*<td>Marketing</td>\s*<td>.*?None", page, re.DOTALL)


def test_who_has_not_the_right_sees_it_and_changes_nothing(place: Consenting) -> None:
    client = place.signed_in("nurse")
    page = client.get(_PAGE).text
    assert "Hand over" not in page
    assert "Stop" not in page
    for path in ("sign", "withdraw"):
        answer = client.post(f"{_PAGE}/{path}", data={"csrf": csrf(page), "use": "TREAT"})
        assert answer.status_code == 404
    assert _consents(place.clinic) == []


@pytest.mark.parametrize("name", ["marketing", "compliance", "anna"])
def test_who_does_not_treat_is_answered_as_if_there_were_none(place: Consenting, name: str) -> None:
    client = place.signed_in(name)
    absent = client.get("/there-is-no-such-page")
    answer = client.get(_PAGE)
    assert (answer.status_code, answer.text) == (404, absent.text)


def test_signing_writes_what_was_shown_and_keeps_the_paper(place: Consenting) -> None:
    client = place.handed_over()
    page = _check(client, use__WEB="yes", scope="areas", area="http://snomed.info/sct|89545001 B", until="2")
    assert "YES: Website. For photos of me that show nothing but: face" in page
    assert _permitted(place.clinic, "WEB", "g1", "g2", "g4") == set(), "nothing is written by looking"
    assert _sign(client, page, drawn=_DRAWN) == 303
    assert _permitted(place.clinic, "WEB", "f1", "g1", "g2", "g3", "g4") == {"f1", "g1"}
    (written,) = _consents(place.clinic)
    source = written["sourceAttachment"]
    assert isinstance(source, dict)
    assert source["contentType"] == "application/pdf"
    assert "It holds everywhere from now on" in client.get("/sign/thanks").text
    staff = place.signed_in()
    paper = staff.get(f"{_PAGE}/{written['id']}/paper")
    assert paper.content.startswith(b"%PDF-")
    assert paper.headers["content-disposition"].startswith("attachment")
    assert staff.get(f"/chart/patient/ben/consent/{written['id']}/paper").status_code == 404
    assert staff.get(f"{_PAGE}/nothing/paper").status_code == 404


def test_who_reads_german_signs_german(place: Consenting) -> None:
    client = place.handed_over()
    for page in ("/sign", "/sign/check"):
        answer = client.post(
            "/language",
            data={"language": "de"},
            headers={"referer": f"http://testserver{page}", "origin": "http://testserver"},
        )
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign")
    assert client.get("/chart").status_code == 404, "the screen is still hers"
    form = client.get("/sign").text
    assert "Eigene Einsicht" in form
    assert "<span>2 Jahre</span>" in form
    assert "<legend>Soziale Medien: instagram</legend>" in client.get("/sign").text
    refused = client.post("/sign/check", data={"csrf": csrf(client.get("/sign").text)})
    assert "Bitte zu mindestens einer Verwendung Ja oder Nein sagen." in refused.text
    page = _check(client, use__WEB="yes", use__CONF="no", scope="areas", area="http://snomed.info/sct|85562004 R")
    assert '<p class="yes">JA: Website. Für Fotos von mir, auf denen nichts anderes zu sehen ist als: Hand' in page
    assert '<p class="no">NEIN: Kongresse und Fachzeitschriften. Für Fotos von mir, auf denen ein Teil' in page
    assert "bis ich widerrufe" in page
    client.cookies.set(COOKIE, "en")
    state = re.findall(r'name="state" value="([^"]+)"', page)[0]
    answer = client.post("/sign/done", data={"csrf": csrf(page), "state": state, "drawn": _DRAWN})
    assert answer.status_code == 422, "what she read was German"
    client.cookies.set(COOKIE, "de")
    assert _sign(client, page, drawn=_DRAWN) == 303
    sources = [each["sourceAttachment"] for each in _consents(place.clinic)]
    assert [(each["language"], each["title"]) for each in sources] == [
        ("de", "Einwilligung in die Verwendung von Fotos")
    ] * 2
    staff = place.signed_in()
    staff.cookies.set(COOKIE, "de")
    text = staff.get(_PAGE).text
    assert "Fotos, auf denen nichts anderes zu sehen ist als: Hand rechts" in text
    assert "Photos that" not in text


def test_a_photo_that_is_gone_meanwhile_is_called_a_photo_in_german(place: Consenting) -> None:
    client = place.handed_over()
    client.cookies.set(COOKIE, "de")
    page = _check(client, **{"use:WEB": "yes", "scope": "photos", "photo": ["g1", "g2"]})
    photo = {"data": [{"meaning": "instance", "reference": {"reference": "DocumentReference/g1"}}]}
    place.clinic.put(consent_of("no", "deny", "TREAT", provision=photo))
    state = re.findall(r'name="state" value="([^"]+)"', page)[0]
    answer = client.post("/sign/done", data={"csrf": csrf(page), "state": state, "drawn": _DRAWN})
    assert "Für diese Fotos von mir: Foto [g1] + " in answer.text


def test_answers_that_are_changed_are_there_still(place: Consenting) -> None:
    client = place.handed_over()
    page = _check(client, use__WEB="yes", use__TEACH="no", scope="photos", photo=["g1", "g3"], until="2")
    answers = re.findall(r'name="answers" value="([^"]+)"', page)[0]
    sent = {"csrf": csrf(page), "change": "yes", "answers": answers}
    again = client.post("/sign/check", data=sent).text
    checked = set(re.findall(r'name="([^"]+)" value="([^"]*)" checked', again))
    assert checked >= {("use:WEB", "yes"), ("use:TEACH", "no"), ("scope", "photos"), ("photo", "g1"), ("photo", "g3"),
                       ("until", "2")}  # fmt: skip
    assert ("photo", "g2") not in checked
    for other in ("", "guessed", answers[:-8]):
        blank = client.post("/sign/check", data={**sent, "answers": other}).text
        assert ("scope", "all") in set(re.findall(r'name="([^"]+)" value="([^"]*)" checked', blank))


def test_a_typed_name_wants_a_witness(place: Consenting) -> None:
    client = place.handed_over()
    page = _check(client, use__TEACH="yes")
    for fields in ({}, {"typed": "Anna"}, {"witness": "Nurse"}, {"drawn": "[[1,1,2,2]]"}):
        assert _sign(client, page, **fields) == 422
    assert _consents(place.clinic) == []
    assert _sign(client, page, typed="Anna Ānderson", witness="Nurse Ana") == 303
    assert _permitted(place.clinic, "TEACH", "g1") == {"g1"}


def test_a_yes_takes_back_what_stands_and_says_what_changes(place: Consenting) -> None:
    place.clinic.put(consent_of("no", "deny", "WEB"))
    client = place.handed_over()
    before = client.get("/sign").text
    assert "Dated" in before
    assert "Signed on" not in before  # nothing is kept of a signature
    page = _check(client, use__WEB="yes", scope="visits", visit="v3")
    assert re.search(r"Website</th><td>0</td><td><b>2</b>", page)
    assert _sign(client, page, drawn=_DRAWN) == 303
    assert _permitted(place.clinic, "WEB", "g1", "g3", "g4") == {"g3", "g4"}


def test_what_the_care_team_would_lose_is_said_before(place: Consenting) -> None:
    page = _check(place.handed_over(), use__TREAT="yes", scope="photos", photo=["g1", "g2"])
    assert "4 no longer" in page
    assert "From now on the people who treat me see only photos" in page


def test_what_changed_meanwhile_is_read_once_more(place: Consenting) -> None:
    client = place.handed_over()
    page = _check(client, use__WEB="yes")
    place.clinic.photo("g9", "anna", "v3")
    state = re.findall(r'name="state" value="([^"]+)"', page)[0]
    answer = client.post("/sign/done", data={"csrf": csrf(page), "state": state, "drawn": _DRAWN})
    assert answer.status_code == 422
    assert "Please read it once more" in answer.text
    assert _consents(place.clinic) == []
    assert _sign(client, answer.text, drawn=_DRAWN) == 303


def test_taking_back_is_one_tap_and_holds_at_once(place: Consenting) -> None:
    client = place.handed_over()
    _sign(client, _check(client, use__WEB="yes", use__PORTFOLIO="yes"), drawn=_DRAWN)
    assert _permitted(place.clinic, "WEB", "g1") == {"g1"}
    answer = client.post("/sign/withdraw", data={"csrf": csrf(client.get("/sign").text), "use": "WEB"})
    assert answer.headers["location"] == "/sign/thanks?withdrawn"
    assert _permitted(place.clinic, "WEB", "g1") == set()
    assert _permitted(place.clinic, "PORTFOLIO", "g1") == {"g1"}
    staff = place.signed_in()
    staff.post(f"{_PAGE}/withdraw", data={"csrf": csrf(staff.get(_PAGE).text), "use": "everything"})
    assert _permitted(place.clinic, "PORTFOLIO", "g1") == set()
    assert _permitted(place.clinic, "TREAT", "g1") == {"g1"}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"use:WEB": "perhaps"},
        {"use:HLEGAL": "no"},
        {"use:WEB": "yes", "scope": "photos"},
        {"use:WEB": "yes", "scope": "photos", "photo": "b1"},
        {"use:WEB": "yes", "scope": "visits", "visit": "v2"},
        {"use:WEB": "yes", "scope": "areas", "area": "elsewhere"},
        {"use:WEB": "yes", "scope": "nothing"},
        {"use:WEB": "yes", "until": "day", "until-day": "1999-01-01"},
        {"use:WEB": "yes", "until": "day"},
    ],
)
def test_what_is_no_signing_is_asked_again(place: Consenting, fields: dict[str, str]) -> None:
    client = place.handed_over()
    answer = client.post("/sign/check", data={"csrf": csrf(client.get("/sign").text), **fields})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text


def test_a_state_of_another_session_or_patient_signs_nothing(place: Consenting) -> None:
    first = place.handed_over()
    page = _check(first, use__WEB="yes")
    other = place.handed_over()
    state = re.findall(r'name="state" value="([^"]+)"', page)[0]
    sent = {"csrf": csrf(other.get("/sign").text), "drawn": _DRAWN}
    for forged in (state, state[:-4] + "AAAA", "", "x" * 200_000):
        assert other.post("/sign/done", data=sent | {"state": forged}).status_code == 404
    assert _consents(place.clinic) == []


def test_while_she_has_it_nothing_else_opens_and_no_form_without_its_token_counts(place: Consenting) -> None:
    client = place.handed_over()
    constant = client.get("/there-is-no-such-page").text
    for path in ("/", "/chart", _PAGE, "/chart/patient/ben", "/shown", "/me", "/fhir/Consent"):
        answer = client.get(path)
        assert (answer.status_code, answer.text) == (404, constant), path
    for path in ("check", "done", "withdraw"):
        assert client.post(f"/sign/{path}", data={"use": "WEB", "use:WEB": "yes"}).status_code == 404
    assert client.get("/sign/photo/g1").headers["content-type"] == "image/jpeg"
    assert client.get("/sign/photo/b1").status_code == 404
    answer = client.post("/unlock", data={"csrf": csrf(client.get("/unlock").text), "secret": PASSWORD})
    assert answer.headers["location"] == _PAGE
    assert client.get("/sign").status_code == 404


def test_a_photo_that_is_refused_for_treatment_is_in_no_count_and_no_choice(place: Consenting) -> None:
    place.clinic.put(
        consent_of(
            "hidden", "deny", "TREAT",
            provision={"data": [{"meaning": "instance", "reference": {"reference": "DocumentReference/g2"}}]},
        )
    )  # fmt: skip
    client = place.handed_over()
    page = client.get("/sign").text
    assert "All 5" in page
    assert "/sign/photo/g2" not in page
    answer = client.post("/sign/check", data={"csrf": csrf(page), "use:WEB": "yes", "scope": "photos", "photo": "g2"})
    assert answer.status_code == 422


def test_reading_and_signing_are_on_record(place: Consenting) -> None:
    client = place.handed_over()
    _sign(client, _check(client, use__WEB="yes"), drawn=_DRAWN)
    told = [(each["kind"], each["route"], each.get("subject")) for each in place.clinic.records()]
    assert ("read", "/chart/consent", "Patient/anna") in told
    assert ("intent", "/sign/done", "Patient/anna") in told
    assert ("done", "/sign/done", "Patient/anna") in told


def test_what_was_named_and_is_gone_is_asked_anew(place: Consenting) -> None:
    """Nothing is written of a photo that was corrected, merged away or deleted while she read."""
    client = place.handed_over()
    page = _check(client, use__WEB="yes", scope="visits", visit="v3")
    with transaction(place.clinic.engine) as connection:
        connection.execute(delete(fhir_resource).where(fhir_resource.c.type == "Encounter", fhir_resource.c.id == "v3"))
    assert _sign(client, page, drawn=_DRAWN) == 422
    assert _consents(place.clinic) == []


def test_after_all_treatment_was_stopped_she_opens_it_again(place: Consenting) -> None:
    client = place.handed_over()
    client.post("/sign/withdraw", data={"csrf": csrf(client.get("/sign").text), "use": "TREAT"})
    assert _permitted(place.clinic, "TREAT", "g1", "g3") == set()
    page = _check(client, use__TREAT="yes")
    assert "No photo can be counted here now." in page
    assert _sign(client, page, drawn=_DRAWN) == 303
    assert _permitted(place.clinic, "TREAT", "g1", "g3") == {"g1", "g3"}
