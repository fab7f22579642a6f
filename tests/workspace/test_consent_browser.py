"""Consent at hand in a real browser: on a tablet by touch, by keyboard alone, and nothing in anybody's way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from consent.store.engine import reading
from tests.ports import free_port
from tests.workspace.axe import faults
from tests.workspace.conftest import Running, Visit, assets, watched
from tests.workspace.consenting import PASSWORD, PIN, Consenting, consenting
from tests.workspace.looks import LOOKS, Look

_PAGE = "/chart/patient/anna/consent"


@pytest.fixture
def place(browser: Browser, tmp_path: Path) -> Iterator[tuple[Visit, Consenting]]:
    with consenting(tmp_path, assets()) as made, Running(made.app, free_port()) as running:
        context = browser.new_context(viewport={"width": 1024, "height": 768}, has_touch=True)
        context.set_default_timeout(40_000)
        yield watched(context, running.address), made
        context.close()


def _enter(visit: Visit, name: str) -> None:
    visit.page.context.clear_cookies()
    visit.page.goto(f"{visit.address}/login")
    visit.page.get_by_label("Name").fill(name)
    visit.page.get_by_label("Password").fill(PASSWORD)
    visit.page.get_by_role("button", name="Sign in").click()
    visit.page.wait_for_url(lambda at: "/login" not in at)


def _hand_over(visit: Visit) -> None:
    visit.go(_PAGE)
    visit.page.get_by_role("button", name="Hand over to sign").tap()
    visit.page.wait_for_url("**/sign")


def _answer(page: Page, use: str, answer: str) -> None:
    page.get_by_role("group", name=use, exact=True).get_by_label(answer, exact=True).tap()


def _draw(page: Page) -> None:
    field = page.locator("#pen")
    field.scroll_into_view_if_needed()
    box = field.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 60, box["y"] + 60)
    page.mouse.down()
    for step in range(1, 20):
        page.mouse.move(box["x"] + 60 + 20 * step, box["y"] + 60 + (step % 5) * 12)
    page.mouse.up()


def test_she_signs_on_the_tablet_and_gives_it_back(place: tuple[Visit, Consenting]) -> None:
    visit, made = place
    page = visit.page
    _enter(visit, "doctor")
    _hand_over(visit)
    _answer(page, "Website", "Yes")
    _answer(page, "Album in the clinic", "No")
    page.get_by_label("By area", exact=True).tap()
    page.locator(".of-areas").get_by_label("Face").check()
    page.get_by_role("button", name="See what changes").tap()
    expect(page.get_by_text("YES: Website. For photos of me that show nothing but: face")).to_be_visible()
    expect(page.get_by_role("row", name="Website")).to_contain_text("3")
    _draw(page)
    page.get_by_role("button", name="Sign", exact=True).tap()
    expect(page.get_by_role("heading", name="Thank you. It is kept.")).to_be_visible()
    page.get_by_role("link", name="Give back").last.tap()
    page.wait_for_url("**/unlock")
    page.keyboard.type(PIN)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{_PAGE}")
    expect(page.get_by_role("listitem").filter(has_text="Website")).to_contain_text("Yes")
    with reading(made.clinic.engine) as connection:
        kept = made.clinic.record.search(connection, "Consent", {"patient": "Patient/anna"})
    assert len(kept) == 2
    assert visit.complaints == []


def test_by_keyboard_alone_with_a_witness(place: tuple[Visit, Consenting]) -> None:
    visit, _ = place
    page = visit.page
    _enter(visit, "doctor")
    visit.go(_PAGE)
    page.get_by_role("button", name="Hand over to sign").press("Enter")
    page.wait_for_url("**/sign")
    page.get_by_role("group", name="Treatment in this clinic").get_by_label("As it is").press("Enter")
    expect(page.get_by_role("alert")).to_have_text("Please say Yes or No to at least one use.")
    page.get_by_role("group", name="Teaching in the clinic").get_by_label("As it is").focus()
    page.keyboard.press("ArrowRight")
    focused = page.evaluate("document.activeElement.getBoundingClientRect().bottom <= innerHeight - 85")
    assert focused, "what has the focus is not under the bar"
    page.get_by_role("button", name="See what changes").press("Enter")
    page.get_by_text("I cannot draw a signature").press("Enter")
    page.get_by_label("Your name").fill("Anna")
    page.get_by_label("Who is here as a witness").fill("Nurse Ana")
    page.get_by_role("button", name="Sign", exact=True).press("Enter")
    expect(page.get_by_role("heading", name="Thank you. It is kept.")).to_be_visible()


def test_one_tap_takes_back(place: tuple[Visit, Consenting]) -> None:
    visit, _ = place
    page = visit.page
    _enter(visit, "doctor")
    _hand_over(visit)
    page.get_by_role("button", name="Stop now: Treatment in this clinic").tap()
    expect(page.get_by_role("heading", name="It is taken back.")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="Treatment in this clinic")).to_contain_text("None")


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_nothing_stands_in_anybody_s_way(place: tuple[Visit, Consenting], look: Look) -> None:
    visit, _ = place
    page = visit.page
    look.at(page)

    def looked_at(path: str) -> None:
        visit.go(path)
        assert faults(visit) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path

    _enter(visit, "doctor")
    looked_at("/chart/patient/anna/emergency")
    page.get_by_label("Why is it an emergency?").fill("nobody to ask")
    page.get_by_role("button", name="Open for").click()
    page.wait_for_url("**/emergency/patient/anna")
    looked_at("/emergency/patient/anna")
    looked_at(_PAGE)
    page.get_by_role("button", name="Hand over to sign").click()
    page.wait_for_url("**/sign")
    looked_at("/sign")
    small = page.evaluate(
        "[...document.querySelectorAll('.choice label, .go-on button, .go-on a, .use .stop')]"
        ".filter(e => e.getBoundingClientRect().height < 44).map(e => e.textContent)"
    )
    assert small == []
    looked_at("/sign/thanks")
    _enter(visit, "anna")
    looked_at("/me/patient/anna/consent")
    looked_at("/me/patient/anna/seen")
    _enter(visit, "compliance")
    looked_at("/review?photo=g1&account=marketing&purpose=WEB")
    look.judged()
