"""The workspace in a real Chromium: choosing and comparing by mouse and by keyboard, the policy, accessibility."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Route, expect

from tests.workspace.clinic import Clinic
from tests.workspace.conftest import Running, Visit, assets

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("workspace")]

_PAIR = "/chart/compare?left=maria-p1&right=maria-p9"
_PAGES = (
    "/chart",
    "/chart/patient/maria",
    "/chart/patient/maria?group=area",
    _PAIR,
    "/portfolio/PORTFOLIO",
    "/portfolio/SOCIAL",
    "/nothing",
)
_PLACES = """() => ['left', 'right'].map(side => {
  const view = window.OpenSeadragon.getViewer(document.getElementById(side));
  const centre = view.viewport.getCenter(true);
  return [centre.x, centre.y, view.viewport.getZoom(true) / view.viewport.getHomeZoom()];
})"""


def _places(visit: Visit) -> list[list[float]]:
    visit.page.wait_for_timeout(700)  # the move ends
    found: list[list[float]] = visit.page.evaluate(_PLACES)
    return found


def _open_pair(visit: Visit, path: str = _PAIR) -> None:
    visit.go(path)
    expect(visit.page.locator(".pane.live")).to_have_count(2)


@pytest.mark.parametrize("path", ["/chart", "/chart/patient/maria", _PAIR, "/portfolio/PORTFOLIO", "/nothing"])
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
    tiles.nth(2).click()
    expect(visit.page.locator("input[name=photo]:checked")).to_have_count(2)


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
    start = _places(visit)
    page.keyboard.press("+")
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    left, right = _places(visit)
    assert left[2] == pytest.approx(1.5625, abs=0.02)
    assert left[0] > start[0][0]
    assert right == pytest.approx(left, abs=0.01)


def test_linked_photos_move_together_and_unlinked_ones_do_not(visit: Visit) -> None:
    visit.sign_in("clinician")
    _open_pair(visit)
    box = visit.page.locator("#right").bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    visit.page.mouse.move(*middle)
    visit.page.mouse.wheel(0, -400)
    left, right = _places(visit)
    assert right[2] > 1.1
    assert left == pytest.approx(right, abs=0.01)
    visit.page.keyboard.press("l")
    expect(visit.page.get_by_role("button", name="Move both photos together")).to_have_attribute(
        "aria-pressed", "false"
    )
    visit.page.mouse.down()
    visit.page.mouse.move(middle[0] + 90, middle[1] + 30, steps=6)
    visit.page.mouse.up()
    still, moved = _places(visit)
    assert still == pytest.approx(left, abs=0.01)
    assert moved[0] < right[0] - 0.02
    # Linked again, the photos keep the place that they were given.
    visit.page.keyboard.press("l")
    visit.page.keyboard.press("+")
    later_left, later_right = _places(visit)
    assert later_right[0] - later_left[0] == pytest.approx(moved[0] - still[0], abs=0.02)


def test_unlinked_photos_are_set_against_each_other_by_keyboard_alone(visit: Visit) -> None:
    visit.sign_in("clinician")
    _open_pair(visit)
    page = visit.page
    page.keyboard.press("l")
    page.keyboard.press("+")
    left, right = _places(visit)
    assert (left[2], right[2]) == pytest.approx((1.25, 1.0), abs=0.02)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "right"
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    still, moved = _places(visit)
    assert still == pytest.approx(left, abs=0.01)
    assert moved[2] == pytest.approx(1.25, abs=0.02)
    assert moved[0] > right[0] + 0.02
    # Another photo in its place changes nothing of that.
    page.keyboard.press("{")
    expect(page.locator("#right-legend time")).to_have_text("6 Jan 2026")
    page.keyboard.press("ArrowRight")
    still, moved = _places(visit)
    assert still == pytest.approx(left, abs=0.01)
    page.locator("#left").click()
    assert page.evaluate("document.activeElement.id") == "left"
    page.keyboard.press("l")
    assert page.evaluate("document.activeElement.id") == "panes"
    page.keyboard.press("ArrowLeft")
    later_left, later_right = _places(visit)
    assert later_right[0] - later_left[0] == pytest.approx(moved[0] - still[0], abs=0.02)
    assert later_right[0] < moved[0] - 0.02


def test_either_photo_is_changed_from_its_strip_and_the_place_is_kept(visit: Visit) -> None:
    visit.sign_in("clinician")
    _open_pair(visit)
    visit.page.keyboard.press("+")
    before = _places(visit)
    visit.page.keyboard.press("]")
    expect(visit.page.locator("#left-legend time")).to_have_text("14 Oct 2025")
    assert "left=maria-p4&right=maria-p9" in visit.page.url
    assert _places(visit) == [pytest.approx(place, abs=0.01) for place in before]
    visit.page.locator("#right-strip a").nth(2).click()
    expect(visit.page.locator("#right-legend time")).to_have_text("25 Nov 2025")
    visit.page.go_back()
    expect(visit.page.locator("#right-legend time")).to_have_text("12 May 2026")


def test_the_keys_go_on_after_a_click_on_what_is_written_below(visit: Visit) -> None:
    visit.sign_in("clinician")
    _open_pair(visit)
    visit.page.locator("#left-legend time").click()
    visit.page.keyboard.press("+")
    assert [place[2] for place in _places(visit)] == pytest.approx([1.25, 1.25], abs=0.02)


def test_steps_that_are_faster_than_the_server_are_all_taken(visit: Visit) -> None:
    visit.sign_in("clinician")
    _open_pair(visit)
    for key in ("]", "]", "{", "s", "]"):
        visit.page.keyboard.press(key)
    visit.page.wait_for_url("**/chart/compare?left=maria-p9&right=maria-p5")
    expect(visit.page.locator("#left-legend time")).to_have_text("12 May 2026")
    expect(visit.page.locator("#right-legend time")).to_have_text("25 Nov 2025")
    assert visit.page.locator("#left").get_attribute("data-address") == "/chart/photo/maria-p9"


def test_a_photo_that_does_not_come_is_told(visit: Visit) -> None:
    visit.sign_in("clinician")
    visit.page.route("**/photo/maria-p9*", lambda route: route.fulfill(status=404))
    visit.go(_PAIR)
    expect(visit.page.locator("#right .missing")).to_be_visible()
    expect(visit.page.locator("#left .missing")).to_be_hidden()
    visit.page.keyboard.press("{")
    expect(visit.page.locator("#right-legend time")).to_have_text("6 Jan 2026")
    expect(visit.page.locator("#right .missing")).to_be_hidden()


def test_a_photo_that_is_withdrawn_while_its_page_is_open_leaves_it(
    visit: Visit, workspace: tuple[Running, Clinic]
) -> None:
    clinic = workspace[1]
    visit.sign_in("clinician")

    def withdraw(route: Route) -> None:
        clinic.refused = {9}
        route.continue_()

    visit.page.route("**/photo/maria-p9*", withdraw)
    try:
        visit.page.goto(visit.address + _PAIR)
        expect(visit.page.get_by_role("heading", name="There is nothing here")).to_be_visible()
    finally:
        clinic.refused = set()


def test_a_session_that_ends_while_photos_are_looked_at_leads_to_the_door_and_back(visit: Visit) -> None:
    visit.sign_in("clinician")

    def expire(route: Route) -> None:
        visit.page.context.clear_cookies()
        route.fulfill(status=404)

    visit.page.route("**/photo/maria-p9*", expire)
    visit.page.goto(visit.address + _PAIR)
    visit.page.wait_for_url("**/login?next=*")
    visit.page.unroute_all()
    visit.page.get_by_label("Name").fill("clinician")
    visit.page.get_by_label("Password").fill("clinician-demo")
    visit.page.get_by_role("button", name="Sign in").click()
    visit.page.wait_for_url(f"**{_PAIR}")
    expect(visit.page.locator(".pane.live")).to_have_count(2)


def test_a_strip_longer_than_the_screen_shows_its_own_photo(visit: Visit) -> None:
    visit.sign_in("clinician")
    visit.page.set_viewport_size({"width": 390, "height": 844})
    _open_pair(visit)
    expect(visit.page.locator("#right-strip [aria-current]")).to_be_in_viewport(ratio=0.99)
    for number in (4, 5, 6, 9):
        visit.page.keyboard.press("]")
        expect(visit.page.locator(f"#left-strip [aria-current][href*='left=maria-p{number}&']")).to_be_in_viewport(
            ratio=0.99
        )


@pytest.mark.parametrize("path", ["/chart/patient/maria?group=area", _PAIR])
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


def test_swapping_changes_sides(visit: Visit) -> None:
    visit.sign_in("clinician")
    _open_pair(visit)
    visit.page.keyboard.press("s")
    expect(visit.page.locator("#left-legend time")).to_have_text("12 May 2026")
    expect(visit.page.locator("#right-legend time")).to_have_text("2 Sep 2025")
    assert visit.page.locator("#left").get_attribute("data-address") == "/chart/photo/maria-p9"


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


@pytest.mark.parametrize(("width", "height"), [(390, 844), (640, 400), (820, 1180), (1100, 700), (1280, 800)])
def test_the_comparison_has_room_for_its_parts_at_every_size(
    visit: Visit, workspace: tuple[Running, Clinic], width: int, height: int
) -> None:
    clinic = workspace[1]
    maria = clinic.people[0]
    clinic.people[0] = replace(maria, name="Maria-Alexandra " + "Papadaki" * 5)
    try:
        visit.sign_in("clinician")
        visit.page.set_viewport_size({"width": width, "height": height})
        _open_pair(visit)
        boxes = [visit.page.locator(f".over {part}").bounding_box() for part in (".crumb", ".chips", ".tools")]
        for index, one in enumerate(boxes):
            for other in boxes[index + 1 :]:
                assert one is not None
                assert other is not None
                beside = min(one["x"] + one["width"], other["x"] + other["width"]) <= max(one["x"], other["x"])
                below = min(one["y"] + one["height"], other["y"] + other["height"]) <= max(one["y"], other["y"])
                assert beside or below
        pane = visit.page.locator("#left").bounding_box()
        assert pane is not None
        assert pane["height"] >= 240
        assert visit.page.evaluate("document.documentElement.scrollWidth") == width
    finally:
        clinic.people[0] = maria


def _axe(visit: Visit, script: Path) -> list[dict[str, Any]]:
    visit.page.context.new_cdp_session(visit.page).send("Page.setBypassCSP", {"enabled": True})
    visit.page.reload()
    visit.page.wait_for_load_state("networkidle")
    visit.page.add_script_tag(path=str(script))
    found: dict[str, Any] = visit.page.evaluate("axe.run({resultTypes: ['violations']})")
    return [
        {"rule": each["id"], "where": [node["target"] for node in each["nodes"]][:4]} for each in found["violations"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page(visit: Visit, scheme: Literal["light", "dark"]) -> None:
    script = assets() / "node_modules" / "axe-core" / "axe.min.js"
    visit.page.emulate_media(color_scheme=scheme)
    visit.go("/login")
    found = {"/login": _axe(visit, script)}
    visit.sign_in("doctor")
    for path in _PAGES:
        visit.go(path)
        found[path] = _axe(visit, script)
    assert {path: each for path, each in found.items() if each} == {}


def test_axe_finds_a_fault_that_is_there(visit: Visit) -> None:
    visit.go("/login")
    visit.page.context.new_cdp_session(visit.page).send("Page.setBypassCSP", {"enabled": True})
    visit.page.reload()
    visit.page.evaluate("document.querySelector('label').remove()")
    visit.page.add_script_tag(path=str(assets() / "node_modules" / "axe-core" / "axe.min.js"))
    found = visit.page.evaluate("axe.run({resultTypes: ['violations']})")
    assert [each["id"] for each in found["violations"]] == ["label"]
