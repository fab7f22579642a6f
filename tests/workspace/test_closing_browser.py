"""Closing a session's photographs in a real Chromium, on a desktop and on a tablet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.fhir.clinic import Clinic
from tests.ports import free_port
from tests.protocols.closable import FROWN, opened, shot
from tests.workspace.axe import faults
from tests.workspace.conftest import Running, Visit, assets, watched
from tests.workspace.planned import application, people

pytestmark = [pytest.mark.browser]
PAGE = "/chart/session/tox"
_PICTURES = os.environ.get("PHOTOSPINE_TEST_PICTURES")


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    made = opened(tmp_path)
    shot(made, "n1", "rest")
    yield made
    made.close()


@pytest.fixture(params=[(1440, 900), (820, 1180)], ids=["desktop", "tablet"])
def visit(request: pytest.FixtureRequest, browser: Browser, clinic: Clinic) -> Iterator[Visit]:
    """The clinician's browser."""
    width, height = request.param
    with Running(application(clinic, people(), packages=assets()), free_port()) as running:
        context = browser.new_context(viewport={"width": width, "height": height})
        context.set_default_timeout(20_000)
        made = watched(context, running.address)
        made.sign_in("clinician")
        yield made
        context.close()


def _kept(visit: Visit, name: str) -> None:
    if _PICTURES:
        width = visit.page.viewport_size["width"] if visit.page.viewport_size else 0
        visit.page.screenshot(path=f"{_PICTURES}/{name}-{width}.png", full_page=True)


def test_the_photographs_are_closed_and_nothing_is_cut_off(visit: Visit) -> None:
    page = visit.page
    visit.go(PAGE)
    _kept(visit, "open")
    card = page.locator("#photographs")
    expect(card.get_by_text("1 of 2 taken")).to_be_visible()
    page.get_by_role("button", name="Close the photographs").click()
    expect(page.get_by_role("alert")).to_contain_text("say why")
    page.locator(f"[name='why-{FROWN}']").select_option("patient-declined")
    page.get_by_role("button", name="Close the photographs").click()
    expect(card.get_by_text("Closed", exact=True)).to_be_visible()
    expect(card.get_by_text("Missing: The patient declined")).to_be_visible()
    _kept(visit, "closed")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert len(visit.complaints) <= 1
    assert all("status of 422" in each for each in visit.complaints), "nothing but the refusal itself"


@pytest.mark.parametrize("path", [PAGE, "/chart/patient/anna/next", "/protocols", "/protocols/rhinoplasty"])
def test_axe_finds_nothing(visit: Visit, path: str) -> None:
    visit.go(path)
    _kept(visit, path.replace("/", "-"))
    assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert faults(visit) == []
