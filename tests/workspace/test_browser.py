"""The workspace in a real Chromium: choosing and comparing by mouse and by keyboard, the policy, accessibility."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal

import pytest
from playwright.sync_api import expect

from tests.workspace.axe import faults
from tests.workspace.clinic import Clinic
from tests.workspace.conftest import Running, Visit, assets
from tests.workspace.pair import PAIR, places

pytestmark = [pytest.mark.browser]

_PAGES = (
    "/chart",
    "/chart/patient/maria",
    "/chart/patient/maria?group=area",
    "/chart/patient/maria?lot=TR-2217&photo=maria-p9",
    PAIR,
    "/portfolio/PORTFOLIO",
    "/portfolio/PORTFOLIO?view=frontal",
    "/portfolio/SOCIAL",
    "/nothing",
)


@pytest.mark.parametrize("path", ["/chart", "/chart/patient/maria", PAIR, "/portfolio/PORTFOLIO", "/nothing"])
def test_no_page_breaks_its_own_policy(visit: Visit, path: str) -> None:
    visit.sign_in("doctor")
    visit.go(path)
    visit.page.wait_for_timeout(400)
    complaints = [each for each in visit.complaints if path != "/nothing" or "404" not in each]
    assert complaints == []


def test_the_watch_sees_a_broken_policy(visit: Visit) -> None:
    visit.sign_in("doctor")
    visit.page.evaluate("document.body.setAttribute('style', 'color: red')")
    visit.page.wait_for_timeout(200)
    assert any("policy: style-src" in each for each in visit.complaints)


def test_the_list_follows_the_typing_and_enter_opens_the_patient(visit: Visit) -> None:
    visit.sign_in("clinician")
    visit.page.keyboard.type("papad")
    expect(visit.page.locator(".people li")).to_have_count(1)
    visit.page.keyboard.press("ArrowDown")
    visit.page.keyboard.press("Enter")
    expect(visit.page.get_by_role("heading", name="Maria Papadaki")).to_be_visible()


def test_two_photos_are_chosen_and_compared_by_mouse(visit: Visit) -> None:
    visit.sign_in("clinician")
    visit.go("/chart/patient/maria")
    tiles = visit.page.locator(".tile label")
    tiles.nth(1).click()
    tiles.nth(4).click()
    visit.page.get_by_role("button", name="Compare").click()
    expect(visit.page.locator(".pane.live")).to_have_count(2)
    assert re.search(r"left=maria-p\d+&right=maria-p\d+", visit.page.url)


def test_the_back_button_comes_back_to_the_photos_that_were_chosen(visit: Visit) -> None:
    visit.sign_in("clinician")
    visit.go("/chart/patient/maria")
    tiles = visit.page.locator(".tile label")
    tiles.nth(1).click()
    tiles.nth(4).click()
    visit.page.get_by_role("button", name="Compare").click()
    expect(visit.page.locator(".pane.live")).to_have_count(2)
    visit.page.go_back()
    expect(visit.page.locator("#slots .slot img")).to_have_count(2)
    expect(visit.page.get_by_role("button", name="Compare")).to_be_enabled()
    tiles.nth(2).click()  # a third joins them: more than two make a series
    expect(visit.page.locator("input[name=photo]:checked")).to_have_count(3)
    expect(visit.page.locator("#slots .slot img")).to_have_count(3)
    tiles.nth(2).click()
    expect(visit.page.locator("input[name=photo]:checked")).to_have_count(2)
    visit.page.get_by_role("button", name="Compare").click()
    expect(visit.page.locator(".pane.live")).to_have_count(2)


def test_what_is_chosen_is_kept_through_filters_and_reloading(visit: Visit) -> None:
    visit.sign_in("clinician")
    visit.go("/chart/patient/maria")
    page = visit.page
    page.locator("input[value=maria-p1]").check(force=True)
    expect(page.locator("#slots .slot img")).to_have_count(1)
    page.reload()
    expect(page.locator("#slots .slot img")).to_have_count(1)
    page.get_by_role("link", name="Hand 2", exact=True).click()
    page.wait_for_url("**area=hand**")
    expect(page.locator("#slots .slot img")).to_have_count(1)
    expect(page.locator("#kept")).to_be_hidden()
    page.locator(".tile input:not([value=maria-p1])").first.check(force=True)
    expect(page.locator("#slots .slot img")).to_have_count(2)
    page.get_by_text("More filters").click()
    page.locator(".facets").get_by_role("link", name="Intense pulsed light").click()
    page.wait_for_url("**treatment=**")
    expect(page.locator("#slots .slot img")).to_have_count(2)
    page.get_by_role("button", name="Compare").click()
    expect(page.locator(".pane.live")).to_have_count(2)
    assert "left=maria-p1&" in page.url
    page.go_back()
    expect(page.locator("#slots .slot img")).to_have_count(2)
    page.get_by_role("button", name="Clear").click()
    assert "photo=" not in page.url
    assert visit.complaints == []


def test_a_pair_is_found_chosen_and_compared_by_keyboard_alone(visit: Visit) -> None:
    visit.sign_in("clinician")
    page = visit.page
    page.keyboard.type("papad")
    expect(page.locator(".people li")).to_have_count(1)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/chart/patient/maria*")
    chosen = 0
    for _ in range(80):
        page.keyboard.press("Tab")
        focused = page.evaluate("[document.activeElement.name, document.activeElement.checked]")
        if focused == ["photo", False]:
            page.keyboard.press("Space")
            chosen += 1
        if chosen == 2:
            break
    assert page.evaluate("document.activeElement.id") == "go"
    page.keyboard.press("Enter")
    expect(page.locator(".pane.live")).to_have_count(2)
    start = places(visit)
    page.keyboard.press("+")
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    left, right = places(visit)
    assert left[2] == pytest.approx(1.5625, abs=0.02)
    assert left[0] > start[0][0]
    assert right == pytest.approx(left, abs=0.01)


@pytest.mark.parametrize("path", ["/chart/patient/maria?group=area", PAIR])
def test_what_is_chosen_is_seen_in_the_colours_of_the_system(visit: Visit, path: str) -> None:
    visit.sign_in("clinician")
    visit.page.emulate_media(forced_colors="active")
    visit.go(path)
    widths = visit.page.evaluate(
        "[...document.querySelectorAll('.chips a')].map(e => [e.hasAttribute('aria-current'),"
        " getComputedStyle(e).borderTopWidth])"
    )
    assert {current for current, width in widths if width == "2px"} == {True}
    assert {current for current, width in widths if width == "1px"} == {False}


def test_a_pair_of_the_portfolio_opens_and_tells_nothing(visit: Visit) -> None:
    addresses: list[str] = []
    visit.page.on("request", lambda request: addresses.append(request.url))
    visit.sign_in("marketing")
    visit.page.locator("a.outcome").first.click()
    expect(visit.page.locator(".pane.live")).to_have_count(2)
    assert visit.complaints == []
    for text in [*addresses, visit.page.content()]:
        assert not re.search(r"maria|Papadaki|204-881|1981|2\.25\.", text)


def test_a_refused_photo_never_reaches_the_browser(visit: Visit, workspace: tuple[Running, Clinic]) -> None:
    clinic = workspace[1]
    clinic.refused = {1, 4}
    answers: list[str] = []
    visit.page.on("response", lambda answer: answers.append(answer.url))
    try:
        visit.sign_in("clinician")
        visit.go("/chart/patient/maria")
        visit.go("/chart/compare?left=maria-p9")
        assert not [url for url in answers if re.search(r"maria-p[14]\b", url)]
        assert "maria-p1&" not in visit.page.content()
    finally:
        clinic.refused = set()


@pytest.mark.parametrize("width", [390, 1280])
def test_a_name_without_end_and_no_photo_leave_the_page_whole(
    visit: Visit, workspace: tuple[Running, Clinic], width: int
) -> None:
    clinic = workspace[1]
    aiko = clinic.people[2]
    clinic.people[2] = replace(aiko, name="Wolfeschlegelsteinhausen" * 8, identifiers=("9" * 180,))
    try:
        visit.sign_in("clinician")
        visit.page.set_viewport_size({"width": width, "height": 800})
        for path in ("/chart", "/chart/patient/aiko"):
            visit.go(path)
            assert visit.page.evaluate("document.documentElement.scrollWidth") == width
        assert visit.complaints == []
    finally:
        clinic.people[2] = aiko


def test_a_printed_course_holds_what_is_recorded_and_no_controls(visit: Visit) -> None:
    visit.sign_in("clinician")
    visit.go("/chart/patient/maria")
    visit.page.emulate_media(media="print")
    for control in (".bar", "#tray", ".filters", ".tile .open"):
        expect(visit.page.locator(control).first).to_be_hidden()
    expect(visit.page.locator(".tile img").first).to_be_visible()
    expect(visit.page.get_by_role("heading", name="Maria Papadaki")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page(visit: Visit, scheme: Literal["light", "dark"]) -> None:
    visit.page.emulate_media(color_scheme=scheme)
    visit.go("/login")
    found = {"/login": faults(visit)}
    visit.sign_in("doctor")
    for path in _PAGES:
        visit.go(path)
        found[path] = faults(visit)
    assert {path: each for path, each in found.items() if each} == {}


def test_axe_finds_a_fault_that_is_there(visit: Visit) -> None:
    visit.go("/login")
    visit.page.context.new_cdp_session(visit.page).send("Page.setBypassCSP", {"enabled": True})
    visit.page.reload()
    visit.page.evaluate("document.querySelector('label').remove()")
    visit.page.add_script_tag(path=str(assets() / "node_modules" / "axe-core" / "axe.min.js"))
    found = visit.page.evaluate("axe.run({resultTypes: ['violations']})")
    assert [each["id"] for each in found["violations"]] == ["label"]
