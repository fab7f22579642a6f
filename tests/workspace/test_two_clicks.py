"""From a patient's page to a comparison in a real Chromium: with the mouse, by touch alone, and by keyboard."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from dicom_bridge.compare.conditions import Conditions
from tests.workspace.axe import faults
from tests.workspace.clinic import NOW, Clinic, _course
from tests.workspace.conftest import Running, Visit
from tests.workspace.pair import PAIR, open_pair

pytestmark = [pytest.mark.browser]
COURSE = "/chart/patient/maria"


def _dates(visit: Visit) -> list[str]:
    visit.page.wait_for_url("**/chart/compare?*")
    return visit.page.locator(".legend time").all_inner_texts()


def test_first_and_latest_and_the_session_before_are_one_click_away(visit: Visit) -> None:
    visit.sign_in("clinician")
    visit.go(COURSE)
    visit.page.get_by_role("link", name="Face, frontal").first.click()
    assert _dates(visit) == ["2 Sep 2025", "12 May 2026"]
    visit.go(COURSE)
    visit.page.get_by_role("link", name="Previous session").click()
    assert _dates(visit) == ["6 Jan 2026", "12 May 2026"]


def test_any_two_photos_are_two_clicks_away(visit: Visit) -> None:
    visit.sign_in("clinician")
    for chosen, other in (("2 Sep 2025", "14 Oct 2025"), ("12 May 2026", "24 Feb 2026")):
        visit.go(COURSE)
        tile = visit.page.locator(".tile", has=visit.page.locator(f'[data-date="{chosen}"]')).first
        tile.locator("input").check(force=True)
        second = visit.page.locator(".tile", has=visit.page.locator(f'[data-date="{other}"]')).first
        second.get_by_role("link", name=f"{other}").click()
        assert set(_dates(visit)) == {chosen, other}


def test_shift_and_a_second_photo_compare_at_once(visit: Visit) -> None:
    visit.sign_in("clinician")
    visit.go(COURSE)
    boxes = visit.page.locator("#choose input[name=photo]")
    boxes.nth(0).click(force=True)
    boxes.nth(1).click(force=True, modifiers=["Shift"])
    assert len(_dates(visit)) == 2


def test_two_photos_are_compared_by_keyboard_alone(visit: Visit) -> None:
    visit.sign_in("clinician")
    visit.go(COURSE)
    visit.page.locator("#choose input[name=photo]").nth(0).focus()
    visit.page.keyboard.press("Space")
    visit.page.locator("#choose input[name=photo]").nth(2).focus()
    visit.page.keyboard.press("Space")
    visit.page.keyboard.press("Enter")
    assert len(_dates(visit)) == 2


def test_on_the_comparison_keys_choose_what_the_right_photo_is_held_against(
    workspace: tuple[Running, Clinic], visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    course = _course("maria", 1)
    old = replace(course.photos[0], number=90, key="maria-p90", at=NOW - timedelta(days=390))
    monkeypatch.setitem(workspace[1].courses, "maria", replace(course, photos=(old, *course.photos)))
    visit.sign_in("clinician")
    open_pair(visit)
    visit.page.keyboard.press("y")
    expect(visit.page.locator("#left-legend time")).to_have_text("21 May 2025")
    visit.page.keyboard.press("p")
    expect(visit.page.locator("#left-legend time")).to_have_text("6 Jan 2026")
    expect(visit.page.locator('[data-before="previous"]')).to_have_attribute("aria-current", "true")
    expect(visit.page.locator("#right-legend time")).to_have_text("12 May 2026")


def test_what_differs_is_seen_at_once_and_its_causes_unfold(visit: Visit) -> None:
    visit.sign_in("clinician")
    open_pair(visit)
    page = visit.page
    expect(page.locator(".warned")).to_contain_text("Flash in one of the photos alone")
    expect(page.locator(".warned")).to_contain_text("Focal length 35 mm and 85 mm")
    page.get_by_text("Comparable 32–89 %").click()
    expect(page.locator(".causes")).to_contain_text("not judged against each other")
    assert faults(visit, lambda: page.get_by_text("Comparable 32–89 %").click()) == []
    page.locator("#panes").focus()
    page.keyboard.press("Escape")
    expect(page.locator(".causes")).to_be_hidden()
    # Another pair brings its own line.
    page.get_by_role("link", name="Previous session").click()
    expect(page.locator(".comparable summary")).not_to_contain_text("32–89")
    expect(page.locator(".warned")).to_have_count(0)


def test_photos_of_which_nothing_is_known_are_not_called_comparable(
    workspace: tuple[Running, Clinic], visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, key in ((1, "maria-p1"), (9, "maria-p9")):
        monkeypatch.setitem(workspace[1].conditions_of, number, Conditions(f"DocumentReference/{key}"))
    visit.sign_in("clinician")
    open_pair(visit, PAIR)
    expect(visit.page.locator(".comparable summary")).to_contain_text("Comparable 0–100 %")
    expect(visit.page.locator(".comparable summary")).to_contain_text("distance, pose, light")


def test_a_series_stands_in_a_row_and_moves_together(visit: Visit) -> None:
    visit.sign_in("clinician")
    visit.go(COURSE)
    visit.page.get_by_role("link", name="All in a row").click()
    page = visit.page
    expect(page.locator(".pane.live")).to_have_count(5)
    assert page.locator(".legend time").all_inner_texts() == [
        "2 Sep 2025", "14 Oct 2025", "25 Nov 2025", "6 Jan 2026", "12 May 2026",
    ]  # fmt: skip
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(700)
    seen = page.evaluate("""() => [...document.querySelectorAll('.pane')].map(pane => {
      const view = window.OpenSeadragon.getViewer(pane).viewport;
      return [view.getCenter(true).x, view.getZoom(true) / view.getHomeZoom()];
    })""")
    assert seen[0][1] == pytest.approx(1.25, abs=0.02)
    assert seen[0][0] > 0.55
    assert all(each == pytest.approx(seen[0], abs=0.01) for each in seen)
    assert faults(visit) == []


def test_three_photos_that_were_chosen_make_a_series_and_a_refused_one_makes_none(
    workspace: tuple[Running, Clinic], visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit.sign_in("clinician")
    visit.go(COURSE)
    for place in (0, 1, 2):
        visit.page.locator("#choose input[name=photo]").nth(place).check(force=True)
    visit.page.get_by_role("button", name="Compare").click()
    visit.page.wait_for_url("**/chart/compare/series?*")
    expect(visit.page.locator(".pane.live")).to_have_count(3)
    monkeypatch.setattr(workspace[1], "refused", {4})
    visit.go("/chart/compare/series?photo=maria-p1&photo=maria-p4&photo=maria-p9")
    expect(visit.page.locator("h1")).to_have_text("There is nothing here")


def test_a_patient_sees_a_series_of_her_own_and_of_nobody_else(visit: Visit) -> None:
    visit.sign_in("maria")
    visit.go("/me/compare/series?of=maria-p9")
    expect(visit.page.locator(".pane.live")).to_have_count(5)
    visit.go("/me/compare/series?of=jonas-p109")
    expect(visit.page.locator("h1")).to_have_text("There is nothing here")
