"""Every page judged in a real Chromium: axe, nothing wider than its window, each action by keyboard alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page

from orthanc_plugin.workspace.language import COOKIE
from tests import counts
from tests.pages.conftest import Standing
from tests.pages.english import english_on
from tests.pages.places import PLACES, WIDTHS, Place, open_place, sign_in
from tests.workspace.conftest import assets

pytestmark = [pytest.mark.orthanc, pytest.mark.browser]

_NAME = "pages without a fault that axe finds, by width and theme"
_LOOKS: tuple[tuple[str, Literal["light", "dark"]], ...] = (
    ("phone", "light"),
    ("desktop", "dark"),
    ("tablet", "light"),
    ("phone", "dark"),
    ("desktop", "light"),
    ("tablet", "dark"),
)

_MARK = """() => {
  const seen = e => e.checkVisibility({visibilityProperty: true, contentVisibilityAuto: true});
  const all = [...document.querySelectorAll(
    'a[href], button, input, select, textarea, summary, [tabindex="0"]')];
  const radios = new Set();
  const stops = all.filter(e => seen(e) && !e.disabled && e.type !== 'hidden' && e.tabIndex >= 0).filter(e => {
    if (e.type !== 'radio') return true;
    const group = [...document.getElementsByName(e.name)];
    return group.some(r => r.checked) ? e.checked : group.indexOf(e) === 0;
  });
  stops.forEach((e, n) => e.dataset.stop = n);
  const first = document.createElement('span');  // the keyboard begins at the top, also where a field has the focus
  first.tabIndex = -1;
  document.body.prepend(first);
  first.focus();
  first.remove();
  return stops.map(e => e.outerHTML.slice(0, 120));
}"""
_AT = """() => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  const near = [e, ...(e.labels ?? []), e.parentElement, e.nextElementSibling, e.closest('label')].filter(Boolean);
  const outlined = near.some(n => {
    const style = getComputedStyle(n);
    const over = getComputedStyle(n, '::after');
    return (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0)
      || (n.matches(':focus-visible') && over.content !== 'none' && over.boxShadow !== 'none');
  });
  const box = e.getBoundingClientRect();
  return {stop: e.dataset.stop ?? null, outlined, text: e.outerHTML.slice(0, 120),
          within: box.bottom > 0 && box.top < innerHeight};
}"""


_OUT_OF_PLACE = """() => [...document.querySelectorAll('main :is(p, li, dt, dd, h1, h2, h3, td)')].filter(e =>
  e.textContent.trim() && e.checkVisibility({visibilityProperty: true}) && !e.closest('.hidden, .panes, .tray')
  && ['absolute', 'fixed'].includes(getComputedStyle(e).position)).map(e => e.outerHTML.slice(0, 120))"""
"""What is read stands in its place; on photos alone does text lie over something."""


def _open(browser: Browser, standing: Standing, place: Place, width: str = "desktop") -> Page:
    size = WIDTHS[width]
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, bypass_csp=True, reduced_motion="reduce"
    )
    context.set_default_timeout(40_000)
    page = context.new_page()
    if place.account is not None:
        sign_in(page, standing.address, place.account)
    open_place(page, standing.address, place)
    return page


@pytest.fixture(scope="module")
def opened(browser: Browser, standing: Standing, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A place, once for all that is judged there."""
    page = _open(browser, standing, request.param)
    yield page
    page.context.close()


_EVERYWHERE = pytest.mark.parametrize("opened", PLACES, indirect=True, ids=lambda place: place.name)


@_EVERYWHERE
def test_axe_finds_nothing_and_nothing_is_wider_than_its_window(opened: Page) -> None:
    started, faults, page = time.monotonic(), {}, opened
    asked = counts.count(_NAME, small=2, full=len(_LOOKS))
    assert page.evaluate(_OUT_OF_PLACE) == []
    page.add_script_tag(path=str(assets() / "node_modules" / "axe-core" / "axe.min.js"))
    for width, scheme in _LOOKS[:asked]:
        page.set_viewport_size({"width": WIDTHS[width][0], "height": WIDTHS[width][1]})
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(150)
        found: dict[str, Any] = page.evaluate("axe.run({resultTypes: ['violations']})")
        wrong = [(each["id"], [node["target"] for node in each["nodes"]][:4]) for each in found["violations"]]
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wrong or wide > WIDTHS[width][0]:
            faults[f"{width}, {scheme}"] = (wrong, wide)
    for width in ("phone", "desktop"):  # and as a language reads that is written from the right
        page.set_viewport_size({"width": WIDTHS[width][0], "height": WIDTHS[width][1]})
        wide = page.evaluate("document.documentElement.dir = 'rtl', document.documentElement.scrollWidth")
        if wide > WIDTHS[width][0]:
            faults[f"{width}, from the right"] = ([], wide)
    counts.report(_NAME, asked=asked, run=asked, failures=len(faults), started=started)
    assert faults == {}


@_EVERYWHERE
def test_every_action_is_reached_by_the_keyboard_in_order_and_seen(opened: Page) -> None:
    page = opened
    page.evaluate("document.documentElement.dir = 'ltr'")
    page.set_viewport_size({"width": WIDTHS["desktop"][0], "height": WIDTHS["desktop"][1]})
    stops = page.evaluate(_MARK)
    reached, wrong = [], []
    for _ in range(len(stops) + 12):  # what scrolls is a stop of its own for a Chromium
        page.keyboard.press("Tab")
        at = page.evaluate(_AT)
        if at is None:
            break
        if not at["outlined"] or not at["within"]:
            wrong.append(at)
        if at["stop"] is not None:
            reached.append(int(at["stop"]))
    assert [stops[each] for each in range(len(stops)) if each not in reached] == []
    assert reached == sorted(reached), "the keyboard goes another way than the page reads"
    assert wrong == []
    assert "skip" in stops[0]


@_EVERYWHERE
def test_in_german_it_says_nothing_in_english_and_is_no_wider_than_its_window(opened: Page, standing: Standing) -> None:
    page = opened
    page.context.add_cookies([{"name": COOKIE, "value": "de", "url": standing.address}])
    page.reload()
    page.wait_for_load_state("networkidle")
    assert page.get_attribute("html", "lang") == "de"
    assert english_on(page) == {}
    wide = {}
    for width, _ in WIDTHS.values():
        page.set_viewport_size({"width": width, "height": WIDTHS["desktop"][1]})
        wide[width] = page.evaluate("document.documentElement.scrollWidth")
    assert all(wide[width] <= width for width in wide), wide


def test_the_first_stop_leads_past_the_bar(browser: Browser, standing: Standing) -> None:
    page = _open(browser, standing, PLACES[1])
    page.evaluate(_MARK)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.context.close()


@pytest.mark.parametrize("kind", ["desktop", "tablet"])
def test_a_patient_of_the_list_stands_on_one_line(browser: Browser, standing: Standing, kind: str) -> None:
    page = _open(browser, standing, next(each for each in PLACES if each.name == "patients"), kind)
    middles = page.evaluate("""() => [...document.querySelector('.people a').children].map(e => {
      const box = e.getBoundingClientRect();
      return (box.top + box.bottom) / 2;
    })""")
    page.context.close()
    assert max(middles) - min(middles) < 12


def test_the_figures_of_a_protocol_are_drawn(browser: Browser, standing: Standing) -> None:
    page = _open(browser, standing, next(each for each in PLACES if each.name == "protocol"))
    shown = page.evaluate("[...document.querySelectorAll('.pose path')].map(e => getComputedStyle(e).display)")
    page.context.close()
    assert len(shown) > 10
    assert set(shown) == {"inline"}


def test_plan_last_session_and_what_is_wanted_stand_on_a_patients_page(browser: Browser, standing: Standing) -> None:
    page = _open(browser, standing, next(each for each in PLACES if each.name == "patient"))
    said = page.locator(".at-hand").inner_text()
    page.context.close()
    for words in ("Laser of facial pigment", "6 of 8 sessions", "1 Sep 2025", "28 Jul 2025", "LC-1181",
                  "Wavelength 532 nm", "To photograph next", "Even tone on both cheeks"):  # fmt: skip
        assert words in said


def test_how_many_photos_a_use_may_show_is_read_whole(browser: Browser, standing: Standing) -> None:
    page = _open(browser, standing, next(each for each in PLACES if each.name == "consent"))
    cut = page.evaluate(
        "[...document.querySelectorAll('.meter')].filter(e => e.scrollHeight > e.clientHeight + 1).length"
    )
    seen = page.locator(".meter").count()
    page.context.close()
    assert (seen > 4, cut) == (True, 0)
