"""A comparison is exported for what it is meant for: decided so, recorded, and without a word too much."""

from __future__ import annotations

import hashlib

import pytest
from playwright.sync_api import expect

from dicom_bridge.compare.sheet import Form, Sheet, written
from orthanc_plugin.workspace import export_page
from orthanc_plugin.workspace.export_page import ROUTE
from tests.workspace.axe import faults
from tests.workspace.client import Client
from tests.workspace.clinic import NAME, Clinic, Sessions
from tests.workspace.conftest import Visit
from tests.workspace.page import application
from tests.workspace.pair import open_pair

BOTH = {"left": "maria-p1", "right": "maria-p9"}


def _signed_in(clinic: Clinic, name: str) -> Client:
    client = Client(application(clinic, Sessions()))
    page = client.get("/login")
    token = page.text.partition('name="csrf" value="')[2].partition('"')[0]
    client.post("/login", data={"csrf": token, "name": name, "password": f"{name}-demo"})
    return client


@pytest.mark.parametrize(("form", "kind"), [("pdf", "application/pdf"), ("jpg", "image/jpeg"), ("png", "image/png")])
def test_a_file_is_recorded_as_the_export_that_it_is(form: str, kind: str) -> None:
    clinic = Clinic()
    answer = _signed_in(clinic, "doctor").get(ROUTE, params=BOTH | {"purpose": "TREAT", "as": form})
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
    assert answer.headers["content-disposition"] == f'attachment; filename="comparison.{form}"'
    said = {"export": form, "sha256": hashlib.sha256(answer.content).hexdigest()}
    assert clinic.exports == [("TREAT", (1, 9), said)]
    assert {(route, purpose) for route, purpose, _ in clinic.asked} == {(ROUTE, "TREAT")}


def test_what_is_published_is_decided_so_and_says_no_day_and_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    sheets: list[Sheet] = []

    def noted(sheet: Sheet, form: Form) -> bytes:
        sheets.append(sheet)
        return written(sheet, form)

    monkeypatch.setattr(export_page, "written", noted)
    clinic = Clinic()
    client = _signed_in(clinic, "doctor")
    asked = BOTH | {"purpose": "WEB", "as": "jpg"}
    assert client.get(ROUTE, params=asked).status_code == 200
    assert {purpose for _, purpose, _ in clinic.asked} == {"WEB"}
    assert [panel.lines for panel in sheets[0].panels] == [("Before",), ("After 8 months",)]
    assert (sheets[0].title, sheets[0].foot) == ("Face", "For: website")
    assert client.get(ROUTE, params=asked | {"purpose": "TREAT", "camera": "1"}).status_code == 200
    assert [panel.lines[-1] for panel in sheets[1].panels] == [
        "Canon EOS R6, 35 mm, flash", "Canon EOS R6, 85 mm, no flash",
    ]  # fmt: skip
    assert sheets[1].panels[0].lines[0] == "2 Sep 2025 · Session 1"
    assert not any(NAME in line for sheet in sheets for panel in sheet.panels for line in panel.lines)
    clinic.publishable.discard(9)
    refused = client.get(ROUTE, params=asked)
    absent = client.get(ROUTE, params=asked | {"right": "nobody"})
    assert (refused.status_code, absent.status_code) == (404, 404)
    assert "cannot be used for: website" in refused.text
    assert absent.text == refused.text
    assert [purpose for purpose, _, _ in clinic.exports] == ["WEB", "TREAT"]


@pytest.mark.parametrize(
    ("account", "changed"),
    [
        ("clinician", {"purpose": "WEB"}),
        ("marketing", {"purpose": "WEB"}),
        ("maria", {"purpose": "PATRQT"}),
        ("doctor", {"purpose": "SOCIAL"}),
        ("doctor", {"as": "exe"}),
        ("doctor", {"right": "jonas-p101"}),
        ("doctor", {"left": ""}),
    ],
)
def test_nothing_else_is_exported(account: str, changed: dict[str, str]) -> None:
    clinic = Clinic()
    asked = BOTH | {"purpose": "TREAT", "as": "png"} | changed
    assert _signed_in(clinic, account).get(ROUTE, params=asked).status_code == 404
    assert clinic.exports == []


@pytest.mark.browser
def test_the_page_exports_by_keyboard(visit: Visit) -> None:
    visit.sign_in("doctor")
    open_pair(visit)
    assert faults(visit, lambda: visit.page.get_by_role("button", name="Export").first.click()) == []
    visit.go("/chart/compare?left=maria-p1&right=maria-p9")
    expect(visit.page.locator(".pane.live")).to_have_count(2)
    visit.page.keyboard.press("e")
    visit.page.keyboard.press("ArrowDown")
    with visit.page.expect_download() as downloading:
        visit.page.keyboard.press("Enter")
    assert downloading.value.suggested_filename == "comparison.pdf"
    assert "purpose=PORTFOLIO" in downloading.value.url
    visit.page.keyboard.press("Escape")
    expect(visit.page.locator("#export")).to_be_hidden()
