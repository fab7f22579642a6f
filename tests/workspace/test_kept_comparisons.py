"""A comparison is kept and opened again in a real Chromium: its way of looking, its zoom and its place."""

from __future__ import annotations

import json
import re
import time

import pytest
from playwright.sync_api import Route, expect

from dicom_bridge.compare.held import Held, Mode
from tests.workspace.axe import faults
from tests.workspace.clinic import Clinic
from tests.workspace.conftest import Running, Visit
from tests.workspace.pair import CANNOT_ALIGN, PAIR, open_aligned_and_lit, open_pair, places

pytestmark = [pytest.mark.browser]


def test_a_comparison_is_kept_and_opened_again_as_it_was(
    workspace: tuple[Running, Clinic], visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = workspace[1].kept
    kept.clear()
    visit.sign_in("clinician")
    open_pair(visit)
    page = visit.page
    for _ in range(4):
        page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("l")
    page.keyboard.press("ArrowDown")
    before = places(visit)
    page.keyboard.press("k")
    expect(page.locator("#told")).to_contain_text("Kept.")
    assert [each.held for each in kept] == [Held(Mode.SIDE)]
    assert kept[0].left.area != kept[0].right.area
    visit.go("/chart/patient/maria")
    page.get_by_role("region", name="Kept comparisons").get_by_role("link").click()
    expect(page.locator(".pane.live")).to_have_count(2)
    after = places(visit)
    for one, other in zip(before, after, strict=True):
        assert other == pytest.approx(one, abs=0.02)
    kept.clear()


def test_one_over_the_other_is_opened_one_over_the_other(workspace: tuple[Running, Clinic], visit: Visit) -> None:
    kept = workspace[1].kept
    kept.clear()
    visit.sign_in("clinician")
    open_pair(visit)
    page = visit.page
    page.keyboard.press("2")
    page.keyboard.press("+")
    page.keyboard.press("+")
    before = places(visit)
    page.get_by_role("button", name="Keep this comparison").click()
    expect(page.locator("#told")).to_contain_text("Kept.")
    visit.go("/chart/patient/maria")
    expect(page.get_by_role("region", name="Kept comparisons")).to_contain_text("slider · kept 15 Jun 2026")
    assert faults(visit) == []
    page.get_by_role("region", name="Kept comparisons").get_by_role("link").click()
    expect(page.locator("#compare")).to_have_attribute("data-mode", "slider")
    assert places(visit)[0] == pytest.approx(before[0], abs=0.02)
    # What is kept of a photo that may not be seen any more is not there.
    workspace[1].refused.add(9)
    visit.go("/chart/patient/maria")
    expect(page.get_by_role("region", name="Kept comparisons")).to_have_count(0)
    workspace[1].refused.discard(9)
    kept.clear()


def test_aligned_and_in_equal_light_it_is_opened_so(workspace: tuple[Running, Clinic], visit: Visit) -> None:
    kept = workspace[1].kept
    kept.clear()
    visit.sign_in("clinician")
    open_aligned_and_lit(visit)
    page = visit.page
    for _ in range(3):
        page.keyboard.press("+")
    before, light = places(visit), page.locator("#compare").get_attribute("data-light")
    page.keyboard.press("k")
    expect(page.locator("#told")).to_contain_text("Kept.")
    (held,) = [each.held for each in kept]
    assert (held.mode, held.aligned, held.stops is not None) == (Mode.SIDE, True, True)
    page.keyboard.press("a")  # what the window remembers says nothing of what was kept
    visit.go("/chart/patient/maria")
    region = page.get_by_role("region", name="Kept comparisons")
    expect(region).to_contain_text("side by side, aligned, equal light · kept")
    region.get_by_role("link").click()
    expect(page.locator(".pane.live")).to_have_count(2)
    expect(page.locator("#aligned")).to_have_text(re.compile("Aligned to within"), timeout=30_000)
    expect(page.locator("#compare")).to_have_attribute("data-light", str(light))
    for one, other in zip(before, places(visit), strict=True):
        assert other == pytest.approx(one, abs=0.02)
    # Where it cannot be aligned any more, both stay where they were.
    page.route("**/compare/alignment?*", lambda route: route.fulfill(json=CANNOT_ALIGN))
    page.reload()
    expect(page.locator("#aligned")).to_have_text(re.compile("Cannot be aligned"), timeout=30_000)
    assert places(visit)[0] == pytest.approx(before[0], abs=0.02)
    kept.clear()


def test_what_is_kept_is_what_is_shown_then(workspace: tuple[Running, Clinic], visit: Visit) -> None:
    kept = workspace[1].kept
    kept.clear()
    visit.sign_in("clinician")
    open_aligned_and_lit(visit)
    page = visit.page

    def later(route: Route) -> None:
        time.sleep(1.5)
        route.continue_()

    page.route("**/compare/alignment?*", later)
    page.keyboard.press("]")
    page.wait_for_url(lambda address: "maria-p1&" not in address)
    page.keyboard.press("k")  # while the next pair is being aligned
    expect(page.locator("#told")).to_contain_text("Kept.", timeout=30_000)
    light = json.loads(page.locator("#compare").get_attribute("data-light") or "{}")
    (held,) = [each.held for each in kept]
    assert held == Held(Mode.SIDE, aligned=True, stops=light["stops"])
    kept.clear()


def test_kept_as_taken_it_is_opened_as_taken(workspace: tuple[Running, Clinic], visit: Visit) -> None:
    kept = workspace[1].kept
    kept.clear()
    visit.sign_in("clinician")
    open_pair(visit)
    page = visit.page
    page.keyboard.press("k")
    expect(page.locator("#told")).to_contain_text("Kept.")
    page.keyboard.press("a")
    expect(page.locator("#aligned")).to_have_text(re.compile("Aligned to within"), timeout=30_000)
    visit.go("/chart/patient/maria")
    page.get_by_role("region", name="Kept comparisons").get_by_role("link").click()
    expect(page.locator(".pane.live")).to_have_count(2)
    page.wait_for_timeout(500)
    expect(page.locator("#align")).to_have_attribute("aria-pressed", "false")
    kept.clear()


def test_who_may_not_write_sees_no_button_and_keeps_nothing(workspace: tuple[Running, Clinic], visit: Visit) -> None:
    visit.sign_in("doctor")
    open_pair(visit)
    expect(visit.page.get_by_role("button", name="Keep this comparison")).to_have_count(0)
    answer = visit.page.request.post(
        f"{visit.address}/chart/compare/keep",
        form={"left": "maria-p1", "right": "maria-p9", "mode": "side", "left-area": "1,1,9,9", "right-area": "1,1,9,9"},
    )
    assert answer.status == 404
    assert workspace[1].kept == []


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"csrf": "another"}, 400),
        ({"mode": "upside down"}, 404),
        ({"left": "nobody"}, 404),
        ({"left-area": "1,1,9"}, 404),
        ({"right-area": "1,1,9,9999999"}, 404),
        ({"light": "1.51"}, 404),
        ({"light": "nan"}, 404),
        ({"light": "0.5"}, 404),
        ({"light": "-0.50", "aligned": "yes"}, 200),
        ({}, 200),
    ],
)
def test_what_is_not_a_comparison_is_not_kept(
    workspace: tuple[Running, Clinic], visit: Visit, changed: dict[str, str], status: int
) -> None:
    visit.sign_in("clinician")
    visit.go(PAIR)
    token = visit.page.locator("#keep").get_attribute("data-csrf") or ""
    sent: dict[str, str | float | bool] = {
        "csrf": token, "left": "maria-p1", "right": "maria-p9", "mode": "side", "left-area": "1,1,9,9",
        "right-area": "-4,1,90,9",
    }  # fmt: skip
    answer = visit.page.request.post(
        f"{visit.address}/chart/compare/keep", form={**sent, **changed}, headers={"Origin": visit.address}
    )
    assert answer.status == status
    assert len(workspace[1].kept) == (1 if status == 200 else 0)
    workspace[1].kept.clear()
