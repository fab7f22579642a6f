"""Lengths and areas measured on the photos of a comparison, in a real Chromium, by pointer and by keyboard."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.workspace.axe import faults
from tests.workspace.conftest import Visit
from tests.workspace.pair import open_pair

pytestmark = [pytest.mark.browser]

_MEASURES = "() => [...document.querySelectorAll('#measures li')].map(each => ({...each.dataset}))"
_DRAWS = """async ([clicks, known, readings]) => {
  const lengths = await import('/static/lengths.js');
  let state = 7;
  const uniform = () => (state = (state * 16807) % 2147483647) / 2147483647;
  const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  const near = ([x, y]) => ({x: x + clicks * normal(), y: y + clicks * normal(), s: clicks});
  const covered = {length: 0, area: 0};
  for (let at = 0; at < 2000; at += 1) {
    const scale = lengths.scaleOf(near([0, 0]), near([0, 400]), known + readings * normal(), readings);
    const long = lengths.length(near([10, 20]), near([310, 420]), scale);
    covered.length += Math.abs(long.value - 500 * known / 400) <= long.within;
    const within = [[0, 0], [200, 0], [240, 130], [90, 220], [-20, 120]];
    const wide = lengths.area(within.map(near), scale);
    const truth = lengths.area(within.map(([x, y]) => ({x, y, s: 0})), {mm: known / 400, relative: 0}).value;
    covered.area += Math.abs(wide.value - truth) <= wide.within;
  }
  return covered;
}"""

_IN_ONE_GO = """keys => {
  const how = {bubbles: true, cancelable: true};
  for (const key of keys) document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key, ...how}));
}"""


def _measures(visit: Visit, many: int) -> list[dict[str, Any]]:
    """What was measured, as soon as it is so many: a key acts once the photos are drawn for the size of their panes."""
    expect(visit.page.locator("#measures li")).to_have_count(many)
    found: list[dict[str, Any]] = visit.page.evaluate(_MEASURES)
    return found


def _click(visit: Visit, side: str, x: float, y: float) -> None:
    frame = visit.page.locator(f"#{side}").bounding_box()
    assert frame is not None
    visit.page.mouse.click(frame["x"] + x * frame["width"], frame["y"] + y * frame["height"])
    visit.page.wait_for_timeout(350)  # a second one sooner would be a double click


def test_a_length_by_a_ruler_is_in_millimetres_with_its_uncertainty(visit: Visit) -> None:
    visit.sign_in("clinician")
    open_pair(visit)
    page = visit.page
    page.keyboard.press("m")
    expect(page.locator("#measuring")).to_be_visible()
    page.wait_for_timeout(500)
    page.get_by_label("Length on the ruler").fill("50")
    _click(visit, "left", 0.5, 0.3)
    _click(visit, "left", 0.5, 0.5)
    _click(visit, "left", 0.4, 0.6)
    _click(visit, "left", 0.4, 0.7)
    ruler, length = _measures(visit, 2)
    assert (ruler["kind"], length["kind"], length["side"]) == ("ruler", "length", "left")
    assert float(length["value"]) == pytest.approx(25, rel=0.02)
    assert 0.3 < float(length["within"]) < 7
    expect(page.locator("#measures")).to_contain_text(re.compile(r"Length, left: 2\d\.\d ± \d\.\d mm"))
    (start, end) = json.loads(length["points"])
    assert start[0] == pytest.approx(end[0], abs=1)  # pixels of the photo, whatever the zoom
    page.keyboard.press("+")
    page.wait_for_timeout(500)
    assert _measures(visit, 2)[1]["value"] == length["value"]
    assert page.locator("#left .marks .length").count() > 0
    assert visit.complaints == []


def test_by_keyboard_alone(visit: Visit) -> None:
    visit.sign_in("clinician")
    open_pair(visit)
    page = visit.page

    def press(*keys: str) -> None:
        for key in keys:
            page.keyboard.press(key)

    press("m", "ArrowLeft", "Enter", *["ArrowDown"] * 10, "Enter")  # 100 pixels of the screen are 10 mm
    press(*["ArrowRight"] * 5, "Enter", *["ArrowRight"] * 5, "Enter")
    _, length = _measures(visit, 2)
    assert float(length["value"]) == pytest.approx(5, rel=0.02)
    page.get_by_role("button", name="Area", exact=True).focus()
    press("Enter", "Enter", *["ArrowUp"] * 5, "Enter", *["ArrowLeft"] * 5, "Enter", "c")
    area = _measures(visit, 3)[-1]
    assert (area["kind"], area["unit"]) == ("area", "mm²")
    assert float(area["value"]) == pytest.approx(12.5, rel=0.03)
    press("Backspace")
    _measures(visit, 2)
    page.get_by_role("button", name="Length", exact=True).focus()
    press("Enter", "x", "Enter", "ArrowUp", "Enter")
    assert _measures(visit, 3)[-1]["side"] == "right"
    press("Escape")
    expect(page.locator("#measuring")).to_be_hidden()


def test_keys_that_come_before_the_photos_have_moved_set_points_where_the_cross_is(visit: Visit) -> None:
    """The bar takes room from the panes as it opens; all keys come in one go, before the next frame."""
    visit.sign_in("clinician")
    open_pair(visit)
    visit.page.evaluate(_IN_ONE_GO, ["m", "ArrowLeft", "Enter", *["ArrowDown"] * 10])
    visit.page.wait_for_timeout(500)
    visit.page.evaluate(_IN_ONE_GO, ["Enter", *["ArrowRight"] * 5, "Enter", *["ArrowRight"] * 5, "Enter"])
    visit.page.wait_for_timeout(500)
    _, length = _measures(visit, 2)
    assert float(length["value"]) == pytest.approx(5, rel=0.02)


def test_a_photo_has_its_own_scale_unless_it_lies_on_the_other(visit: Visit) -> None:
    visit.sign_in("clinician")
    open_pair(visit)
    page = visit.page
    page.keyboard.press("m")
    page.wait_for_timeout(500)
    _click(visit, "left", 0.5, 0.3)
    _click(visit, "left", 0.5, 0.5)
    page.get_by_role("button", name="Length", exact=True).click()
    _click(visit, "right", 0.5, 0.4)
    _click(visit, "right", 0.5, 0.5)
    assert "value" not in _measures(visit, 2)[-1]
    expect(page.locator("#measure-hint")).to_contain_text("The right photo has no scale yet")
    page.locator("#panes").focus()
    page.keyboard.press("a")
    expect(page.locator("#aligned")).to_have_text(re.compile("Aligned to within"), timeout=30_000)
    taken = _measures(visit, 2)[-1]
    assert float(taken["value"]) == pytest.approx(5, rel=0.05)
    page.keyboard.press("a")
    expect(page.locator("#aligned")).to_be_hidden()
    assert "value" not in _measures(visit, 2)[-1]


def test_pupils_give_a_scale_that_says_how_people_differ(visit: Visit) -> None:
    visit.sign_in("clinician")
    open_pair(visit)
    page = visit.page
    page.keyboard.press("m")
    page.wait_for_timeout(500)
    page.get_by_role("button", name="Pupils", exact=True).click()
    for x in (0.4, 0.6, 0.4, 0.6):
        _click(visit, "left", x, 0.4)
    _, length = _measures(visit, 2)
    expect(page.locator("#measures")).to_contain_text("63.4 ± 7.4 mm, as adults have on average")
    assert float(length["value"]) == pytest.approx(63.4, rel=0.01)
    assert 7.4 < float(length["within"]) < 10  # of which 7.4 is how people differ
    page.get_by_role("button", name="Pupils", exact=True).click()
    page.get_by_label("Her own, if known").fill("60")
    for x in (0.4, 0.6):
        _click(visit, "left", x, 0.4)
    found = _measures(visit, 2)
    assert [each["kind"] for each in found] == ["length", "pupils"]  # one scale for a photo: the later one
    # The bar grows as it fills, and the panes shrink: two points that were set one after the other need not be level.
    long, apart = (math.dist(*json.loads(each["points"])) for each in found)
    assert float(found[0]["value"]) == pytest.approx(60 * long / apart, rel=0.01)
    assert float(found[0]["within"]) < 6


def test_the_stated_uncertainty_covers_the_truth(visit: Visit) -> None:
    """2,000 measurements with clicks and readings that are off as is stated."""
    visit.sign_in("clinician")
    open_pair(visit)
    for clicks, readings in ((2.0, 0.25), (6.0, 0.1), (1.0, 3.8)):
        covered = visit.page.evaluate(_DRAWS, [clicks, 63.4, readings])
        assert 0.93 <= covered["length"] / 2000 <= 0.97
        assert 0.93 <= covered["area"] / 2000 <= 0.97


def test_measuring_is_accessible(visit: Visit) -> None:
    visit.sign_in("clinician")
    open_pair(visit)

    def look() -> None:
        expect(visit.page.locator(".pane.live")).to_have_count(2)
        visit.page.keyboard.press("m")
        visit.page.keyboard.press("Enter")
        visit.page.wait_for_timeout(300)

    found = faults(visit, look)
    assert found == [], found
