"""An alignment that is kept is what the page opens with, in a real Chromium."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.workspace.conftest import Visit
from tests.workspace.pair import PAIR, open_pair

pytestmark = [pytest.mark.browser]

_SWAPPED = "/chart/compare?left=maria-p9&right=maria-p1"
_LAID = """() => {
  const item = window.OpenSeadragon.getViewer(document.getElementById('right')).world.getItemAt(0);
  const bounds = item.getBoundsNoRotate();
  return [bounds.x, bounds.y, bounds.width, item.getRotation()];
}"""


def test_what_is_kept_is_used_again_and_can_be_taken_back(visit: Visit) -> None:
    visit.sign_in("clinician")
    open_pair(visit)
    page, word = visit.page, visit.page.locator("#aligned")
    expect(page.locator("#keeping")).to_be_hidden()
    page.keyboard.press("a")
    page.get_by_role("button", name="Keep alignment").press("Enter", timeout=30_000)
    expect(word).to_have_text(re.compile(r"Aligned to within 0\.\d %.*Kept by .*, 4 May 2026\."))
    expect(page.get_by_role("button", name="Take back")).to_be_focused()  # the keys go on acting
    laid = page.evaluate(_LAID)
    try:
        open_pair(visit, PAIR)
        expect(word).to_have_text(re.compile("Kept by"), timeout=30_000)
        assert page.evaluate(_LAID) == pytest.approx(laid)
        open_pair(visit, _SWAPPED)
        expect(word).to_have_text(re.compile("Kept by"), timeout=30_000)
        assert page.evaluate(_LAID)[2] == pytest.approx(1 / laid[2], rel=0.01)
        open_pair(visit, PAIR)
        page.get_by_role("button", name="Take back").click(timeout=30_000)
        expect(page.get_by_role("button", name="Keep alignment")).to_be_visible()
    finally:
        page.goto("about:blank")
    open_pair(visit, PAIR)  # aligned, as the pair before in this window, and kept by nobody
    expect(word).to_have_text(re.compile(r"^Aligned to within 0\.\d % of the photo\.$"), timeout=30_000)
    assert page.locator("#align[data-kept]").count() == 0
    page.keyboard.press("a")
    expect(word).to_be_hidden()
    open_pair(visit, PAIR)
    expect(word).to_be_hidden()
    assert visit.complaints == []


def test_a_form_without_its_token_keeps_nothing(visit: Visit) -> None:
    visit.sign_in("clinician")
    open_pair(visit)
    at = visit.page.locator("#align").get_attribute("data-address") or ""
    answer = visit.page.request.post(visit.address + at, form={"csrf": "guessed", "keep": "yes"})
    assert answer.status == 400
    open_pair(visit)
    assert visit.page.locator("#align[data-kept]").count() == 0


def test_the_patient_herself_keeps_nothing(visit: Visit) -> None:
    visit.sign_in("maria")
    open_pair(visit, PAIR.replace("/chart", "/me"))
    assert visit.page.locator("#keeping").count() == 0
    at = visit.page.locator("#align").get_attribute("data-address") or ""
    assert visit.page.request.post(visit.address + at, form={"keep": "yes"}).status == 405
