"""One photo over the other, and aligned, in a real Chromium: by pointer and by keyboard."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.workspace.axe import faults
from tests.workspace.conftest import Visit
from tests.workspace.pair import CANNOT_ALIGN, open_pair, places

pytestmark = [pytest.mark.browser]

_SEEN = """() => {
  const style = getComputedStyle(document.getElementById('right'));
  const [left, right] = ['left', 'right'].map(side => document.getElementById(side).getBoundingClientRect().toJSON());
  return {clip: style.clipPath, opacity: style.opacity, same: JSON.stringify(left) === JSON.stringify(right)};
}"""
_SEEN_WHOLE = """() => ['left', 'right'].every(side => {
  const view = window.OpenSeadragon.getViewer(document.getElementById(side)).viewport;
  return view.getContainerSize().x === document.getElementById('panes').clientWidth - 4
    && Math.abs(view.getZoom(true) / view.getHomeZoom() - 1) < 0.001;
})"""
_LAID = """() => {
  const item = window.OpenSeadragon.getViewer(document.getElementById('right')).world.getItemAt(0);
  const bounds = item.getBoundsNoRotate();
  return [bounds.x, bounds.y, bounds.width, item.getRotation()];
}"""


def test_the_slider_shows_so_much_of_each_by_keyboard_and_by_its_line(visit: Visit) -> None:
    visit.sign_in("clinician")
    open_pair(visit)
    page = visit.page
    assert page.evaluate(_SEEN)["same"] is False
    page.get_by_role("button", name="Slider").click()
    page.wait_for_timeout(300)
    seen = page.evaluate(_SEEN)
    assert seen["same"] is True
    assert "50%" in seen["clip"]
    page.locator("#panes").focus()
    page.keyboard.press(".")
    assert "55%" in page.evaluate(_SEEN)["clip"]
    frame = page.locator("#panes").bounding_box()
    assert frame is not None
    page.mouse.move(frame["x"] + frame["width"] * 0.55, frame["y"] + 40)
    page.mouse.down()
    page.mouse.move(frame["x"] + frame["width"] * 0.25, frame["y"] + 40, steps=4)
    page.mouse.up()
    assert page.locator("#mix").input_value() == "25"
    left, right = places(visit)
    assert left == pytest.approx(right, abs=0.01)
    page.keyboard.press("1")
    page.wait_for_timeout(300)
    seen = page.evaluate(_SEEN)
    assert (seen["same"], seen["clip"]) == (False, "none")


def test_the_photos_zoom_together_over_each_other_even_where_they_were_unlinked(visit: Visit) -> None:
    visit.sign_in("clinician")
    open_pair(visit)
    page = visit.page
    page.keyboard.press("l")
    page.keyboard.press("+")
    page.keyboard.press("3")
    page.wait_for_function(_SEEN_WHOLE)
    page.keyboard.press("+")
    left, right = places(visit)
    assert left[2] == pytest.approx(1.25, abs=0.02)
    assert left == pytest.approx(right, abs=0.01)
    assert page.evaluate(_SEEN)["opacity"] == "0.5"


def test_photos_that_take_turns_are_stopped_and_turned_by_hand(visit: Visit) -> None:
    visit.sign_in("clinician")
    open_pair(visit)
    page = visit.page
    page.keyboard.press("4")
    seen = set()
    for _ in range(30):
        seen.add(page.evaluate(_SEEN)["opacity"])
        page.wait_for_timeout(100)
    assert seen == {"0", "1"}
    page.get_by_role("button", name="Pause").click()
    held = page.evaluate(_SEEN)["opacity"]
    page.wait_for_timeout(1500)
    assert page.evaluate(_SEEN)["opacity"] == held
    page.locator("#panes").focus()
    page.keyboard.press(" ")
    assert page.evaluate(_SEEN)["opacity"] != held


def test_nothing_moves_by_itself_where_less_motion_is_asked_for(visit: Visit) -> None:
    visit.sign_in("clinician")
    visit.page.emulate_media(reduced_motion="reduce")
    open_pair(visit)
    visit.page.keyboard.press("4")
    held = visit.page.evaluate(_SEEN)["opacity"]
    visit.page.wait_for_timeout(1500)
    assert visit.page.evaluate(_SEEN)["opacity"] == held


def test_the_right_photo_is_laid_on_the_left_one_and_back(visit: Visit) -> None:
    visit.sign_in("clinician")
    open_pair(visit)
    page = visit.page
    before = page.evaluate(_LAID)
    page.keyboard.press("a")
    expect(page.locator("#aligned")).to_have_text(re.compile(r"Aligned to within 0\.\d %"), timeout=20_000)
    laid = page.evaluate(_LAID)
    assert laid != before
    assert laid == pytest.approx(before, abs=0.05)  # drawn by one camera at one place
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(700)
    both = page.evaluate("""() => ['left', 'right'].map(side => {
      const view = window.OpenSeadragon.getViewer(document.getElementById(side)).viewport;
      const centre = view.getCenter(true);
      return [centre.x, centre.y, view.getZoom(true)];
    })""")
    assert both[0] == pytest.approx(both[1], abs=1e-3)
    page.keyboard.press("a")
    expect(page.locator("#aligned")).to_be_hidden()
    assert page.evaluate(_LAID) == before


def test_the_pairs_that_follow_open_as_the_last_one_was_left(visit: Visit) -> None:
    visit.sign_in("clinician")
    open_pair(visit)
    page = visit.page
    page.keyboard.press("a")
    expect(page.locator("#aligned")).to_have_text(re.compile(r"Aligned to within"), timeout=20_000)
    open_pair(visit, "/chart/compare?left=maria-p2&right=maria-p9")
    expect(page.locator("#aligned")).to_have_text(re.compile(r"Aligned to within"), timeout=20_000)
    page.keyboard.press("a")
    expect(page.locator("#aligned")).to_be_hidden()
    open_pair(visit)
    page.wait_for_timeout(500)
    expect(page.locator("#align")).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#aligned")).to_be_hidden()


def test_a_pair_that_cannot_be_aligned_does_not_end_it_for_the_next(visit: Visit) -> None:
    visit.sign_in("clinician")
    open_pair(visit)
    page = visit.page
    page.keyboard.press("a")
    expect(page.locator("#aligned")).to_have_text(re.compile(r"Aligned to within"), timeout=20_000)
    page.route("**/compare/alignment?*", lambda route: route.fulfill(json=CANNOT_ALIGN))
    page.keyboard.press("]")
    expect(page.locator("#aligned")).to_have_text(re.compile("Cannot be aligned"), timeout=20_000)
    page.unroute("**/compare/alignment?*")
    page.keyboard.press("[")
    expect(page.locator("#aligned")).to_have_text(re.compile(r"Aligned to within"), timeout=20_000)


def test_what_cannot_be_aligned_says_so_and_stays_as_it_was(visit: Visit) -> None:
    visit.sign_in("clinician")
    open_pair(visit)
    page = visit.page
    page.route("**/compare/alignment?*", lambda route: route.fulfill(json=CANNOT_ALIGN))
    before = page.evaluate(_LAID)
    page.keyboard.press("a")
    expect(page.locator("#aligned")).to_have_text(re.compile("Cannot be aligned"), timeout=20_000)
    expect(page.locator("#align")).to_have_attribute("aria-pressed", "false")
    assert page.evaluate(_LAID) == before


@pytest.mark.parametrize("way", ["2", "3", "4"])
def test_each_way_of_looking_is_accessible(visit: Visit, way: str) -> None:
    visit.sign_in("clinician")
    visit.page.emulate_media(reduced_motion="reduce")
    open_pair(visit)

    def look() -> None:
        expect(visit.page.locator(".pane.live")).to_have_count(2)
        visit.page.keyboard.press(way)
        visit.page.wait_for_timeout(200)

    assert faults(visit, look) == []
