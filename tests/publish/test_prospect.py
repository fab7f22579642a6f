"""The screen turned to a visitor: results by treatment and area, and nothing of who the patients are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from tests.fhir.clinic import Clinic
from tests.publish.pages import turnable
from tests.publish.scene import agree, scene, shoot, withdraw
from tests.workspace.client import Client

_WHO = re.compile(r"anna|anderson|nderson|ben\b|berg|1990|2026|2025|patient/|t1|t2|chart|/portfolio", re.IGNORECASE)
_SEALED = re.compile(r"\b[a-z2-7]{32}\b")  # a name of a photo, drawn as by chance


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    made = scene(tmp_path)
    shoot(made, "l1", "2024-12-10")
    shoot(made, "l2", "2025-01-10", "laser1")
    shoot(made, "t1", "2026-03-03", "toxin1")
    shoot(made, "t2", "2026-04-03", "toxin2")
    shoot(made, "h1", "2026-03-03", "his", patient="ben")
    shoot(made, "h2", "2026-04-03", "his", patient="ben")
    yield made
    made.close()


def _signed_in(clinic: Clinic, name: str = "marketing") -> Client:
    client = Client(turnable(clinic))
    form = {"csrf": _token(client, "/login"), "name": name, "password": f"{name}-demo", "next": "/"}
    assert client.post("/login", data=form).status_code == 303
    return client


def _token(client: Client, path: str) -> str:
    return str(re.findall(r'name="csrf" value="([^"]+)"', client.get(path).text)[0])


def _turned(clinic: Clinic) -> Client:
    client = _signed_in(clinic)
    form = {"csrf": _token(client, "/portfolio/PORTFOLIO")}
    answer = client.post("/portfolio/PORTFOLIO/show", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/prospect")
    return client


def test_results_are_shown_by_treatment_and_area_and_nothing_tells_whose(clinic: Clinic) -> None:
    client = _turned(clinic)
    page = client.get("/prospect").text
    told = _SEALED.sub("", page.replace("/unlock", ""))
    assert not _WHO.search(told), _WHO.findall(told)
    assert page.count('class="results"') == 1
    assert page.count("<b>Toxin</b>") == 1
    assert "After 4 weeks" in page
    links = dict(re.findall(r'<a href="(/prospect\?treatment=[^"]+)">([^<]+)</a>', page))
    laser = unescape(next(path for path, name in links.items() if name.strip() == "Laser"))
    narrowed = client.get(laser).text
    assert "<b>Laser</b>" in narrowed
    assert "<b>Toxin</b>" not in narrowed
    pair = unescape(re.findall(r'href="(/prospect/pair[^"]+)"', narrowed)[0])
    shown = client.get(pair)
    assert shown.status_code == 200, "an older result, of what was asked for"
    assert not _WHO.search(_SEALED.sub("", shown.text))
    for name in re.findall(r'src="(/prospect/photo/[^"?]+)', shown.text):
        assert client.get(name).headers["content-type"] == "image/jpeg"


def test_each_view_is_decided(clinic: Clinic) -> None:
    client = _turned(clinic)
    page = client.get("/prospect").text
    pair = unescape(re.findall(r'href="(/prospect/pair[^"]+)"', page)[0])
    photo = re.findall(r'src="(/prospect/photo/[^"?]+)', page)[0]
    assert client.get(photo).status_code == 200
    withdraw(clinic)
    assert client.get(photo).status_code == 404
    assert client.get(pair).status_code == 404
    assert "No results are shown yet." in client.get("/prospect").text
    agree(clinic, "again")
    assert client.get(pair).status_code == 200


def test_nothing_else_opens_and_the_password_gives_it_back(clinic: Clinic) -> None:
    client = _turned(clinic)
    for path in ("/", "/portfolio/PORTFOLIO", "/portfolio/WEB", "/chart", "/fhir/Patient", "/shown", "/prospect/none"):
        assert client.get(path).status_code == 404, path
    assert client.get("/prospect/photo/aaaa").status_code == 404
    assert client.post("/unlock", data={"csrf": _token(client, "/unlock"), "secret": "wrong"}).status_code == 401
    form = {"csrf": _token(client, "/unlock"), "secret": "marketing-demo"}
    assert client.post("/unlock", data=form).status_code == 303
    assert client.get("/portfolio/PORTFOLIO").status_code == 200
    assert client.get("/prospect").status_code == 404, "the screen is not turned"


@pytest.mark.parametrize("name", ["clinician", "web"])
def test_who_does_not_hold_the_purpose_turns_no_screen(clinic: Clinic, name: str) -> None:
    client = _signed_in(clinic, name)
    page = {"clinician": "/chart", "web": "/portfolio/WEB"}[name]
    assert "Show to a visitor" not in client.get(page).text
    answer = client.post("/portfolio/PORTFOLIO/show", data={"csrf": _token(client, page)})
    assert answer.status_code == 404


def test_a_stranger_is_sent_to_sign_in(clinic: Clinic) -> None:
    assert Client(turnable(clinic)).get("/prospect").status_code == 303


def test_a_form_of_another_origin_turns_nothing(clinic: Clinic) -> None:
    client = _signed_in(clinic)
    form = {"csrf": _token(client, "/portfolio/PORTFOLIO")}
    headers = {"Origin": "http://elsewhere"}
    assert client.post("/portfolio/PORTFOLIO/show", data=form, headers=headers).status_code == 404
    assert client.post("/portfolio/PORTFOLIO/show", data={"csrf": "x"}).status_code == 404
