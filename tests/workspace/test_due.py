"""``/chart/due``, and what is missing on a patient's pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser

from tests.fhir.clinic import Clinic, build, consent_of, open_clinic
from tests.ports import free_port
from tests.workspace.axe import faults
from tests.workspace.client import Client
from tests.workspace.conftest import Running, assets, watched
from tests.workspace.due import application, fill


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    build(tmp_path)
    made = open_clinic(tmp_path)
    fill(made)
    yield made
    made.close()


def _signed_in(clinic: Clinic, name: str) -> Client:
    client = Client(application(clinic))
    token = re.findall(r'name="csrf" value="([^"]+)"', client.get("/login").text)[0]
    answer = client.post("/login", data={"csrf": token, "name": name, "password": f"{name}-demo", "next": "/"})
    assert answer.status_code == 303
    return client


@pytest.mark.fast
def test_the_list_begins_with_who_is_here(clinic: Clinic) -> None:
    text = _signed_in(clinic, "clinician").get("/chart/due").text
    places = [text.index(each) for each in ("Here now", "Anna Ānderson", "Expected today", "Ben Berg")]
    assert places == sorted(places)
    assert "Other patients" not in text
    anna = text[places[1] : places[2]]
    assert "follow-up 2 weeks" in anna
    assert "late, until 5 Apr 2026" in anna
    assert [each.strip() for each in re.findall(r"<li>(Glabella[^<]*)", anna)] == [
        "Glabella, frontal, face at rest",
        "Glabella, frontal, frown",
    ]
    assert "taken with another expression" in text[places[3] :]


@pytest.mark.fast
def test_the_index_is_told_in_words_and_drawn(clinic: Clinic) -> None:
    text = _signed_in(clinic, "clinician").get("/chart/due").text
    assert "June 2025: 0.25" in text
    assert len(re.findall(r'class="reached"', text)) == len(re.findall(r'class="whole"', text)) >= 6
    assert re.search(r'class="index-figure">0\.\d\d<', text)


@pytest.mark.fast
@pytest.mark.parametrize("name", ["portal", "marketing"])
def test_whoever_may_not_ask_about_everybody_finds_no_page(clinic: Clinic, name: str) -> None:
    client = _signed_in(clinic, name)
    absent = client.get("/chart/dues")
    answer = client.get("/chart/due")
    assert (answer.status_code, answer.text) == (404, absent.text)
    assert 'href="/chart/due"' not in answer.text
    assert "/chart/due" not in [each.get("route") for each in clinic.records()]


@pytest.mark.fast
def test_nobody_is_told_without_signing_in(clinic: Clinic) -> None:
    assert Client(application(clinic)).get("/chart/due").status_code == 303


@pytest.mark.fast
def test_a_patient_s_pages_tell_what_is_missing(clinic: Clinic) -> None:
    client = _signed_in(clinic, "clinician")
    for page in ("/chart/patient/anna", "/chart/patient/anna/next"):
        text = client.get(page).text
        assert "follow-up 2 weeks" in text
        assert "late, until 5 Apr 2026" in text
    confined = _signed_in(clinic, "portal")
    assert "follow-up 2 weeks" in confined.get("/chart/patient/anna").text
    assert "follow-up 2 weeks" not in confined.get("/chart/patient/ben").text


@pytest.mark.fast
def test_a_refused_photo_is_not_there(clinic: Clinic) -> None:
    client = _signed_in(clinic, "clinician")
    assert "face at rest" not in client.get("/chart/due").text.split("Ben Berg")[1]
    clinic.put(consent_of("c1", "deny", "TREAT", "ben", provision={"data": [{"meaning": "instance", "reference": {
        "reference": "DocumentReference/bagain"}}]}))  # fmt: skip
    assert "face at rest" in client.get("/chart/due").text.split("Ben Berg")[1]


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_break_no_rule_of_access(clinic: Clinic, browser: Browser, scheme: Literal["light", "dark"]) -> None:
    with Running(application(clinic, packages=assets()), free_port()) as running:
        context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
        visit = watched(context, running.address)
        visit.sign_in("clinician")
        for path in ("/chart/due", "/chart/patient/anna", "/chart/patient/anna/next"):
            visit.go(path)
            assert visit.complaints == []
            assert faults(visit) == []
        context.close()
