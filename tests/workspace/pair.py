"""The comparison as tests open it, and where its two photos stand."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.workspace.conftest import Visit

CANNOT_ALIGN = {"aligned": False, "why": "different", "text": "Cannot be aligned: too little is found."}
"""An answer of the page's."""

PAIR = "/chart/compare?left=maria-p1&right=maria-p9"
PLACES = """() => ['left', 'right'].map(side => {
  const view = window.OpenSeadragon.getViewer(document.getElementById(side));
  const centre = view.viewport.getCenter(true);
  return [centre.x, centre.y, view.viewport.getZoom(true) / view.viewport.getHomeZoom()];
})"""


def places(visit: Visit) -> list[list[float]]:
    """Of each photo its centre and its zoom against the fitted one, when the move has ended."""
    visit.page.wait_for_timeout(700)
    found: list[list[float]] = visit.page.evaluate(PLACES)
    return found


def open_aligned_and_lit(visit: Visit) -> None:
    """Open a comparison, aligned and in equal light."""
    open_pair(visit)
    visit.page.keyboard.press("a")
    expect(visit.page.locator("#aligned")).to_have_text(re.compile("Aligned to within"), timeout=30_000)
    visit.page.keyboard.press("b")
    expect(visit.page.locator("#lit")).to_contain_text("the same for both")


def open_pair(visit: Visit, path: str = PAIR) -> None:
    """Open a comparison and wait until both photos are drawn."""
    visit.go(path)
    expect(visit.page.locator(".pane.live")).to_have_count(2)
