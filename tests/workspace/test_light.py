"""Equal light in a real Chromium: one function for both photos, told, kept in the address, and off until it is asked
for."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from tests.workspace.axe import faults
from tests.workspace.conftest import Visit
from tests.workspace.pair import PAIR, open_pair

pytestmark = [pytest.mark.browser]

_FILTERS = """() => ['left', 'right'].map(side =>
  getComputedStyle(document.querySelector(`#${side} canvas`)).filter)"""
_SLOPES = "() => [...document.querySelectorAll('#equal-light [slope]')].map(each => Number(each.getAttribute('slope')))"
_RECIPE = """async ([left, right]) => {
  const light = await import('/static/light.js');
  return light.recipe(Float64Array.from(left), Float64Array.from(right));
}"""


def test_both_photos_get_the_one_function_and_it_is_told(visit: Visit) -> None:
    visit.sign_in("clinician")
    open_pair(visit)
    page = visit.page
    assert page.evaluate(_FILTERS) == ["none", "none"]
    page.keyboard.press("b")
    expect(page.locator("#lit")).to_have_text(re.compile("Light, the same for both: .*colours as taken"))
    assert page.evaluate(_FILTERS) == ['url("#equal-light")'] * 2
    kept = json.loads(page.locator("#compare").get_attribute("data-light") or "")
    assert page.evaluate(_SLOPES) == pytest.approx([2 ** kept["stops"]] * 3)
    assert f"light={kept['stops']:.2f}" in page.url
    page.get_by_role("button", name="Equal light").click()
    expect(page.locator("#lit")).to_be_hidden()
    assert page.evaluate(_FILTERS) == ["none", "none"]
    assert "light" not in page.url
    assert not page.locator("#compare").get_attribute("data-light")
    assert visit.complaints == []


def test_a_recipe_in_the_address_is_used_as_it_was_kept(visit: Visit) -> None:
    visit.sign_in("clinician")
    open_pair(visit, f"{PAIR}&light=0.75")
    page = visit.page
    expect(page.locator("#lit")).to_have_text(re.compile(r"0\.8 stops brighter"))
    assert page.evaluate(_SLOPES) == pytest.approx([2**0.75] * 3)
    for nonsense in ("9", "NaN", "", "<script>"):
        visit.go(f"{PAIR}&light={nonsense}")
        expect(page.locator(".pane.live")).to_have_count(2)
        assert page.evaluate(_FILTERS) == ["none", "none"]


def test_the_gain_is_of_both_together_and_the_difference_stays(visit: Visit) -> None:
    visit.sign_in("clinician")
    open_pair(visit)
    dark, bright = [0.1] * 100, [0.2] * 100
    both = visit.page.evaluate(_RECIPE, [dark, bright])
    assert both == visit.page.evaluate(_RECIPE, [bright, dark]) | {"apart": both["apart"]}
    assert both["apart"] == pytest.approx(1)
    assert both["stops"] == 1.5  # the most that is given
    assert visit.page.evaluate(_RECIPE, [[0.85] * 100, [0.4] * 100])["stops"] == pytest.approx(0, abs=0.01)


def test_what_is_drawn_is_brighter_by_the_gain(visit: Visit) -> None:
    """The browser's own pixels, of a screenshot, against the recipe."""
    import io

    import numpy as np
    from PIL import Image

    visit.sign_in("clinician")
    open_pair(visit)

    def seen(side: str) -> float:
        with Image.open(io.BytesIO(visit.page.locator(f"#{side} canvas").first.screenshot())) as image:
            part = np.asarray(image.convert("RGB").resize((64, 64)), dtype=np.float64)[24:40, 24:40] / 255
        linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
        return float(linear.mean())

    before = [seen("left"), seen("right")]
    visit.go(f"{PAIR}&light=-1.00")
    expect(visit.page.locator("#lit")).to_be_visible()
    expect(visit.page.locator(".pane.live")).to_have_count(2)
    visit.page.wait_for_timeout(500)
    for side, was in zip(("left", "right"), before, strict=True):
        assert seen(side) == pytest.approx(was / 2, rel=0.06)


def test_equal_light_is_accessible(visit: Visit) -> None:
    visit.sign_in("clinician")
    open_pair(visit, f"{PAIR}&light=0.30")
    found = faults(visit, lambda: expect(visit.page.locator("#lit")).to_be_visible())
    assert found == [], found
