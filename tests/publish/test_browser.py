"""Portfolio and prospect mode in a real Chromium, as people use them: by keyboard, mouse and finger."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.fhir.clinic import Clinic
from tests.ports import free_port
from tests.publish.pages import application, turnable
from tests.publish.scene import scene, shoot, withdraw
from tests.workspace.axe import faults
from tests.workspace.conftest import Running, assets, watched

pytestmark = pytest.mark.browser

SIZES = {"desktop": (1280, 860), "tablet": (1024, 1366), "phone": (390, 844)}


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    made = scene(tmp_path)
    for place, view in enumerate(("frontal", "left-oblique", "right-oblique")):
        shoot(made, f"x{place}", "2026-03-03", "toxin1", view=view)
        shoot(made, f"y{place}", f"2026-0{4 + place}-03", "toxin2", view=view)
    shoot(made, "l1", "2024-12-10", hand=True, side="R")
    shoot(made, "l2", "2025-01-10", "laser1", hand=True, side="R")
    yield made
    made.close()


def test_a_long_name_is_no_wider_than_a_phone(browser: Browser, clinic: Clinic) -> None:
    with Running(application(clinic, packages=assets()), free_port()) as running:
        context = browser.new_context(viewport={"width": 390, "height": 844})
        visit = watched(context, running.address)
        visit.sign_in("marketing")
        visit.go("/portfolio/PORTFOLIO")
        name = "Behandlungsergebnisse" * 4
        visit.page.get_by_text("Save as a portfolio").click()
        visit.page.get_by_label("Name").fill(name)
        visit.page.get_by_role("button", name="Save", exact=True).press("Enter")
        expect(visit.page.get_by_role("heading", name=name)).to_be_visible()
        for path in (urlsplit(visit.page.url).path, "/portfolio/PORTFOLIO"):
            visit.go(path)
            expect(visit.page.get_by_text(name).first).to_be_visible()
            assert visit.page.evaluate("document.documentElement.scrollWidth") == 390
        context.close()


@pytest.mark.parametrize("size", SIZES)
def test_a_portfolio_is_saved_looked_at_and_exported(browser: Browser, clinic: Clinic, size: str) -> None:
    width, height = SIZES[size]
    with Running(application(clinic, packages=assets()), free_port()) as running:
        context = browser.new_context(viewport={"width": width, "height": height}, accept_downloads=True)
        visit = watched(context, running.address)
        page = visit.page
        visit.sign_in("marketing")
        visit.go("/portfolio/PORTFOLIO")
        assert faults(visit, lambda: page.get_by_text("Save as a portfolio").click()) == []
        page.get_by_label("Name").fill("Best <faces> & hands")
        page.get_by_role("button", name="Save", exact=True).press("Enter")
        expect(page.get_by_role("heading", name="Best <faces> & hands")).to_be_visible()
        expect(page.locator(".outcomes li")).to_have_count(4)
        page.wait_for_load_state("networkidle")
        assert faults(visit) == []
        _photograph(page, f"portfolio-{size}")
        with page.expect_download() as download:
            page.get_by_role("button", name="Export").click()
        saved = Path(download.value.path())
        assert len(zipfile.ZipFile(io.BytesIO(saved.read_bytes())).namelist()) == 3 + 8
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        shoot(clinic, "newest", "2026-07-03", "toxin2")
        page.reload()
        page.wait_for_load_state("networkidle")
        expect(page.get_by_text("1 pair became eligible")).to_be_visible()
        _photograph(page, f"portfolio-since-{size}")
        page.get_by_role("button", name="I have seen it").click()
        expect(page.get_by_text("became eligible")).to_have_count(0)
        assert visit.complaints == []
        context.close()


@pytest.mark.parametrize("size", SIZES)
def test_a_visitor_looks_at_results_with_a_finger(browser: Browser, clinic: Clinic, size: str) -> None:
    width, height = SIZES[size]
    with Running(turnable(clinic, packages=assets()), free_port()) as running:
        context = browser.new_context(viewport={"width": width, "height": height}, has_touch=True)
        visit = watched(context, running.address)
        page = visit.page
        visit.sign_in("marketing")
        visit.go("/portfolio/PORTFOLIO")
        page.get_by_role("button", name="Show to a visitor").tap()
        expect(page.get_by_role("heading", name="Before and after")).to_be_visible()
        page.wait_for_load_state("networkidle")
        assert faults(visit) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        small = (
            "[...document.querySelectorAll('.picks a, .results a, .give-back')].filter(e => e.offsetHeight < 44).length"
        )
        assert page.evaluate(small) == 0, "fingers need room"
        _photograph(page, f"prospect-{size}")
        page.get_by_role("link", name="Laser", exact=True).tap()
        expect(page.locator(".results li")).to_have_count(1)
        page.locator(".results a").tap()
        page.wait_for_load_state("networkidle")
        cut = page.get_by_label("How much of the photo before is seen")
        box = page.locator("#reveal").bounding_box()
        assert box is not None
        page.touchscreen.tap(box["x"] + box["width"] * 0.25, box["y"] + box["height"] / 2)
        assert 15 < float(cut.input_value()) < 35
        cut.press("End")
        assert float(cut.input_value()) == 100
        clip = "getComputedStyle(document.querySelector('.first')).clipPath"
        assert page.evaluate(clip).startswith("inset(0px 0px 0px 0px") or "0%" in page.evaluate(clip)
        cut.fill("50")
        assert faults(visit) == []
        _photograph(page, f"prospect-pair-{size}")
        withdraw(clinic)
        page.reload()
        expect(page.locator("#reveal")).to_have_count(0)
        visit.complaints.clear()  # the page that is refused is a 404, which the console tells
        context.close()


def _photograph(page: Page, name: str) -> None:
    """Where somebody wants to look at it."""
    folder = os.environ.get("PHOTOSPINE_TEST_PICTURES")
    if folder is not None:
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)
