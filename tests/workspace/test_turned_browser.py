"""The screen turned to a patient, in a real browser: one tap, no way back but by PIN, nothing else of the clinic."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Response, expect

from consent.identity import pins
from consent.store.engine import transaction
from tests.database import fresh
from tests.ports import free_port
from tests.workspace.axe import faults
from tests.workspace.clinic import Clinic
from tests.workspace.conftest import Running, Visit, assets, watched
from tests.workspace.looks import LOOKS, Look
from tests.workspace.turned import DOCTOR, PASSWORD, Turnable, turnable

_PIN = "9041"


@pytest.fixture
def turned(browser: Browser, tmp_path: Path) -> Iterator[tuple[Visit, Turnable]]:
    engine = fresh(f"sqlite:///{tmp_path / 'turned.db'}")
    place = turnable(engine, Clinic(), packages=assets())
    with transaction(engine) as connection:
        pins.save(connection, DOCTOR, _PIN)
    with Running(place.app, free_port()) as running:
        context = browser.new_context(viewport={"width": 1024, "height": 768}, has_touch=True)
        context.set_default_timeout(40_000)
        visit = watched(context, running.address)
        visit.page.goto(f"{visit.address}/login")
        visit.page.get_by_label("Name").fill(DOCTOR)
        visit.page.get_by_label("Password").fill(PASSWORD)
        visit.page.get_by_role("button", name="Sign in").click()
        visit.page.wait_for_url(lambda at: "/login" not in at)
        visit.go("/chart?q=jonas")
        visit.go("/chart/patient/maria")
        yield visit, place
        context.close()
    engine.dispose()


def _turn(page: Page) -> None:
    page.get_by_role("button", name="Show to patient").tap()
    page.wait_for_url("**/shown")


def test_one_tap_turns_the_screen_and_back_does_not_leave(turned: tuple[Visit, Turnable]) -> None:
    visit, _ = turned
    page, bodies = visit.page, list[str]()

    def keep(response: Response) -> None:
        if "text/html" in response.headers.get("content-type", ""):
            bodies.append(response.text())

    _turn(page)
    page.on("response", keep)
    expect(page.get_by_role("heading", name="Maria Papadaki")).to_be_visible()
    for _ in range(4):
        page.go_back()
        page.wait_for_load_state("networkidle")
        text = page.inner_text("body")
        assert "Jonas" not in text
        assert "Patients" not in text
    page.go_forward()
    for path in ("/", "/chart", "/chart/patient/jonas", "/login", "/pin", "/portfolio/PORTFOLIO"):
        answer = page.goto(visit.address + path)
        assert answer is not None
        assert answer.status == 404
        assert "Jonas" not in page.content()
    page.get_by_role("link", name="Back to the photos").tap()
    page.wait_for_url("**/shown")
    assert not any("Jonas" in body for body in bodies)
    assert [each for each in visit.complaints if "404" not in each] == []


def test_she_sees_then_and_now_and_another_tab_is_turned_too(turned: tuple[Visit, Turnable]) -> None:
    visit, _ = turned
    other = visit.page.context.new_page()
    other.goto(f"{visit.address}/chart/patient/jonas")
    _turn(visit.page)
    visit.page.locator(".then-now a").first.tap()
    expect(visit.page.get_by_role("heading", name=re.compile("12 May 2026"))).to_be_visible()
    expect(visit.page.locator(".pane.live")).to_have_count(2)
    visit.page.get_by_role("button", name="Slider").tap()
    expect(visit.page.get_by_role("button", name="Slider")).to_have_attribute("aria-pressed", "true")
    other.reload()
    assert "Jonas" not in other.content()
    assert visit.complaints == []


def test_the_pin_gives_it_back(turned: tuple[Visit, Turnable]) -> None:
    visit, _ = turned
    page = visit.page
    _turn(page)
    page.get_by_role("link", name="Give back").tap()
    for digit in "9042":
        page.get_by_role("button", name=digit, exact=True).tap()
    page.get_by_role("button", name="Take the screen back").tap()
    expect(page.get_by_role("alert")).to_have_text("That is not right. Please try again.")
    for digit in "90418":
        page.get_by_role("button", name=digit, exact=True).tap()
    page.get_by_role("button", name="Delete the last digit").tap()
    page.get_by_role("button", name="Take the screen back").tap()
    page.wait_for_url("**/chart/patient/maria")
    assert [each for each in visit.complaints if "401" not in each] == []


def test_by_keyboard_alone(turned: tuple[Visit, Turnable]) -> None:
    visit, _ = turned
    page = visit.page
    page.get_by_role("button", name="Show to patient").press("Enter")
    page.wait_for_url("**/shown")
    page.get_by_role("link", name="Give back").press("Enter")
    expect(page.get_by_label("PIN of Dr. Markou")).to_be_focused()
    page.keyboard.type(_PIN)
    page.keyboard.press("Enter")
    page.wait_for_url("**/chart/patient/maria")


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_nothing_stands_in_anybody_s_way(turned: tuple[Visit, Turnable], look: Look) -> None:
    visit, _ = turned
    page = visit.page
    look.at(page)
    for path in ("/pin", "/chart/patient/maria"):
        visit.go(path)
        assert faults(visit) == [], path
    _turn(page)
    for path in ("/shown", "/shown/compare?left=maria-p1", "/chart", "/unlock", "/unlock?password"):
        visit.go(path)
        assert faults(visit) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        small = page.evaluate(
            "[...document.querySelectorAll('.give-back, .pad button, .ways a, .ways button, .then-now a, .shots a')]"
            ".filter(e => e.offsetParent && e.getBoundingClientRect().height < 44).map(e => e.textContent)"
        )
        assert small == [], path
    look.judged()
