"""The gallery of everybody's photos: for whoever treats, by any facet, with questions that are kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fhir.clinic import Clinic, consent_of
from tests.publish.pages import application
from tests.publish.scene import scene, shoot
from tests.workspace.client import Client

_BASE = "/chart/photos"


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    made = scene(tmp_path)
    shoot(made, "t1", "2026-03-03", "toxin1")
    shoot(made, "t2", "2026-04-03", "toxin2")
    shoot(made, "h1", "2026-03-04", "his", patient="ben")
    yield made
    made.close()


def _signed_in(clinic: Clinic, name: str) -> Client:
    client = Client(application(clinic))
    form = {"csrf": _token(client, "/login"), "name": name, "password": f"{name}-demo", "next": "/"}
    assert client.post("/login", data=form).status_code == 303
    return client


def _token(client: Client, path: str) -> str:
    return str(re.findall(r'name="csrf" value="([^"]+)"', client.get(path).text)[0])


def _keys(page: str) -> list[str]:
    return re.findall(r'<a href="/chart/compare\?left=([^"]+)">', page)


def test_everybodys_photos_by_any_facet_the_newest_first(clinic: Clinic) -> None:
    client = _signed_in(clinic, "clinician")
    page = client.get(_BASE).text
    assert _keys(page) == ["b1", "f2", "f1", "t2", "h1", "t1"]
    assert "Anna Ānderson" in page
    assert "Ben Berg" in page
    assert _keys(client.get(f"{_BASE}?treatment=toxin&clinician=e").text) == ["h1"]
    assert _keys(client.get(f"{_BASE}?taken=2026-03-04..2026-04").text) == ["t2", "h1"]
    assert client.get(f"{_BASE}?from=2026-03-04&to=").headers["location"] == f"{_BASE}?taken=2026-03-04.."


def test_counts_tell_nothing_of_a_photo_that_is_refused(clinic: Clinic) -> None:
    client = _signed_in(clinic, "clinician")
    photo = {"data": [{"meaning": "instance", "reference": {"reference": "DocumentReference/h1"}}]}
    body = consent_of("no", "deny", "TREAT", "ben", provision={"type": "deny"} | photo)
    assert clinic.ask("clinician", "PUT", "/Consent/no", json=body).status_code == 201
    page = client.get(_BASE).text
    assert "h1" not in _keys(page)
    counts = dict(re.findall(r'treatment=[^"]*">([^<]+) <span>([0-9]+)</span>', page))
    assert counts == {"Toxin": "2"}
    assert "Practitioner/e" not in page.replace("%2F", "/"), "a clinician of refused photos alone is not named"


@pytest.mark.parametrize(("name", "status"), [("marketing", 404), ("anna", 404), ("compliance", 404), ("doctor", 200)])
def test_it_opens_for_whoever_treats(clinic: Clinic, name: str, status: int) -> None:
    client = _signed_in(clinic, name)
    assert client.get(_BASE).status_code == status
    if status == 404:
        assert 'href="/chart/photos"' not in client.get("/").text


def test_a_question_is_kept_and_removed(clinic: Clinic) -> None:
    client = _signed_in(clinic, "clinician")
    page = f"{_BASE}?treatment=toxin"
    form = {"csrf": _token(client, page), "name": "Toxin <i>", "treatment": "toxin"}
    assert client.post(f"{_BASE}/saved", data=form).headers["location"] == f"{_BASE}?treatment=toxin"
    text = client.get(page).text
    assert "Toxin &lt;i&gt;" in text
    again = client.post(f"{_BASE}/saved", data=form)
    assert (again.status_code, "another question is called so" in again.text) == (400, True)
    assert "Toxin" in _signed_in(clinic, "doctor").get(_BASE).text
    identity = re.findall(r"/chart/photos/saved/([^/]+)/remove", text)[0]
    assert client.post(f"{_BASE}/saved/{identity}/remove", data={"csrf": "x"}).status_code == 404
    assert client.post(f"{_BASE}/saved/{identity}/remove", data={"csrf": form["csrf"]}).status_code == 303
    assert "Toxin &lt;i&gt;" not in client.get(_BASE).text
