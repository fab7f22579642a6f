"""Two photos side by side in a real Chromium: linked and unlinked, by keyboard, in steps, and one that is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.sync_api import Route, expect

from tests.workspace.clinic import Clinic
from tests.workspace.conftest import Running, Visit
from tests.workspace.pair import PAIR, open_pair, places

pytestmark = [pytest.mark.browser]


def test_linked_photos_move_together_and_unlinked_ones_do_not(visit: Visit) -> None:
    visit.sign_in("clinician")
    open_pair(visit)
    box = visit.page.locator("#right").bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    visit.page.mouse.move(*middle)
    visit.page.mouse.wheel(0, -400)
    left, right = places(visit)
    assert right[2] > 1.1
    assert left == pytest.approx(right, abs=0.01)
    visit.page.keyboard.press("l")
    expect(visit.page.get_by_role("button", name="Move both photos together")).to_have_attribute(
        "aria-pressed", "false"
    )
    visit.page.mouse.down()
    visit.page.mouse.move(middle[0] + 90, middle[1] + 30, steps=6)
    visit.page.mouse.up()
    still, moved = places(visit)
    assert still == pytest.approx(left, abs=0.01)
    assert moved[0] < right[0] - 0.02
    # Linked again, the photos keep the place that they were given.
    visit.page.keyboard.press("l")
    visit.page.keyboard.press("+")
    later_left, later_right = places(visit)
    assert later_right[0] - later_left[0] == pytest.approx(moved[0] - still[0], abs=0.02)


def test_unlinked_photos_are_set_against_each_other_by_keyboard_alone(visit: Visit) -> None:
    visit.sign_in("clinician")
    open_pair(visit)
    page = visit.page
    page.keyboard.press("l")
    page.keyboard.press("+")
    left, right = places(visit)
    assert (left[2], right[2]) == pytest.approx((1.25, 1.0), abs=0.02)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "right"
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    still, moved = places(visit)
    assert still == pytest.approx(left, abs=0.01)
    assert moved[2] == pytest.approx(1.25, abs=0.02)
    assert moved[0] > right[0] + 0.02
    # Another photo in its place changes nothing of that.
    page.keyboard.press("{")
    expect(page.locator("#right-legend time")).to_have_text("6 Jan 2026")
    page.keyboard.press("ArrowRight")
    still, moved = places(visit)
    assert still == pytest.approx(left, abs=0.01)
    page.locator("#left").click()
    assert page.evaluate("document.activeElement.id") == "left"
    page.keyboard.press("l")
    assert page.evaluate("document.activeElement.id") == "panes"
    page.keyboard.press("ArrowLeft")
    later_left, later_right = places(visit)
    assert later_right[0] - later_left[0] == pytest.approx(moved[0] - still[0], abs=0.02)
    assert later_right[0] < moved[0] - 0.02


def test_either_photo_is_changed_from_its_strip_and_the_place_is_kept(visit: Visit) -> None:
    visit.sign_in("clinician")
    open_pair(visit)
    visit.page.keyboard.press("+")
    before = places(visit)
    visit.page.keyboard.press("]")
    expect(visit.page.locator("#left-legend time")).to_have_text("14 Oct 2025")
    assert "left=maria-p4&right=maria-p9" in visit.page.url
    assert places(visit) == [pytest.approx(place, abs=0.01) for place in before]
    visit.page.locator("#right-strip a").nth(2).click()
    expect(visit.page.locator("#right-legend time")).to_have_text("25 Nov 2025")
    visit.page.go_back()
    expect(visit.page.locator("#right-legend time")).to_have_text("12 May 2026")


def test_the_keys_go_on_after_a_click_on_what_is_written_below(visit: Visit) -> None:
    visit.sign_in("clinician")
    open_pair(visit)
    visit.page.locator("#left-legend time").click()
    visit.page.keyboard.press("+")
    assert [place[2] for place in places(visit)] == pytest.approx([1.25, 1.25], abs=0.02)


def test_steps_that_are_faster_than_the_server_are_all_taken(visit: Visit) -> None:
    visit.sign_in("clinician")
    open_pair(visit)
    for key in ("]", "]", "{", "s", "]"):
        visit.page.keyboard.press(key)
    visit.page.wait_for_url("**/chart/compare?left=maria-p9&right=maria-p5")
    expect(visit.page.locator("#left-legend time")).to_have_text("12 May 2026")
    expect(visit.page.locator("#right-legend time")).to_have_text("25 Nov 2025")
    assert visit.page.locator("#left").get_attribute("data-address") == "/chart/photo/maria-p9"


def test_a_photo_that_does_not_come_is_told(visit: Visit) -> None:
    visit.sign_in("clinician")
    visit.page.route("**/photo/maria-p9*", lambda route: route.fulfill(status=404))
    visit.go(PAIR)
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
        visit.page.goto(visit.address + PAIR)
        expect(visit.page.get_by_role("heading", name="There is nothing here")).to_be_visible()
    finally:
        clinic.refused = set()


def test_a_session_that_ends_while_photos_are_looked_at_leads_to_the_door_and_back(visit: Visit) -> None:
    visit.sign_in("clinician")

    def expire(route: Route) -> None:
        visit.page.context.clear_cookies()
        route.fulfill(status=404)

    visit.page.route("**/photo/maria-p9*", expire)
    visit.page.goto(visit.address + PAIR)
    visit.page.wait_for_url("**/login?next=*")
    visit.page.unroute_all()
    visit.page.get_by_label("Name").fill("clinician")
    visit.page.get_by_label("Password").fill("clinician-demo")
    visit.page.get_by_role("button", name="Sign in").click()
    visit.page.wait_for_url(f"**{PAIR}")
    expect(visit.page.locator(".pane.live")).to_have_count(2)


def test_a_strip_longer_than_the_screen_shows_its_own_photo(visit: Visit) -> None:
    visit.sign_in("clinician")
    visit.page.set_viewport_size({"width": 390, "height": 844})
    open_pair(visit)
    expect(visit.page.locator("#right-strip [aria-current]")).to_be_in_viewport(ratio=0.99)
    for number in (4, 5, 6, 9):
        visit.page.keyboard.press("]")
        expect(visit.page.locator(f"#left-strip [aria-current][href*='left=maria-p{number}&']")).to_be_in_viewport(
            ratio=0.99
        )


def test_swapping_changes_sides(visit: Visit) -> None:
    visit.sign_in("clinician")
    open_pair(visit)
    visit.page.keyboard.press("s")
    expect(visit.page.locator("#left-legend time")).to_have_text("12 May 2026")
    expect(visit.page.locator("#right-legend time")).to_have_text("2 Sep 2025")
    assert visit.page.locator("#left").get_attribute("data-address") == "/chart/photo/maria-p9"


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
        open_pair(visit)
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
