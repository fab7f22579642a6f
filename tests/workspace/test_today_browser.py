"""The form of today's session in a real Chromium: a press makes a point, a scanner's Enter fills a row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, expect

from consent.store.engine import reading
from fhir_mapping.outcome.outcome import is_outcome
from fhir_mapping.treatment.read import treatments
from fhir_mapping.treatment.surroundings import Surroundings
from tests.fhir.clinic import BASE, Clinic
from tests.ports import free_port
from tests.workspace.axe import faults
from tests.workspace.conftest import Running, Visit, assets, watched
from tests.workspace.planned import PAGE, application, people, planned, today_visit
from tests.workspace.test_next_edges import ARABIC, LONG

pytestmark = [pytest.mark.browser]
SCAN = "(01)09504000059118(17)270831(10)LOT-0099"
_PAGES = (PAGE, "/chart/session/p1", "/chart/basis/CarePlan/plan", "/chart/basis/DocumentReference/f1")


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    """Anna is here today, and her face was photographed."""
    made = planned(tmp_path)
    today_visit(made, "n1")
    yield made
    made.close()


@pytest.fixture
def visit(browser: Browser, clinic: Clinic) -> Iterator[Visit]:
    """The clinician's browser."""
    with Running(application(clinic, people(), packages=assets()), free_port()) as running:
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        context.set_default_timeout(20_000)
        made = watched(context, running.address)
        made.sign_in("clinician")
        yield made
        context.close()


def test_a_press_on_the_photo_makes_a_point_and_saving_keeps_it(visit: Visit, clinic: Clinic) -> None:
    page = visit.page
    visit.go(PAGE)
    page.get_by_label("As on today's pack").first.check()
    page.locator("[name=map-product-0]").select_option(index=1)
    image = page.locator(".map .frame img")
    image.scroll_into_view_if_needed()
    box = image.bounding_box()
    assert box is not None
    for number, (x, y) in enumerate([(0.25, 0.5), (0.75, 0.1), (0.5, 0.9), (0.1, 0.1), (0.2, 0.2), (0.9, 0.95)]):
        image.click(position={"x": box["width"] * x, "y": box["height"] * y})
        expect(page.get_by_label(f"Point {number + 1}, dose")).to_be_focused()
        page.keyboard.type("1")
    expect(page.locator(".map circle")).to_have_count(6)
    assert float(page.get_by_label("Point 1, from the left, percent").input_value()) == pytest.approx(25, abs=0.5)
    page.get_by_label("Point 1, from the left, percent").focus()
    page.keyboard.press("ArrowUp")
    assert float(page.get_by_label("Point 1, from the left, percent").input_value()) == pytest.approx(25.5, abs=0.5)
    page.get_by_role("button", name="Save session 2").click()
    expect(page.get_by_text("Session 2 is saved")).to_be_visible()
    expect(page.locator(".marked circle")).to_have_count(6)
    procedure = page.url.partition("saved=")[2]
    with reading(clinic.engine) as connection:
        around = Surroundings(connection, BASE, [f"Procedure/{procedure}"])
        (found,) = treatments(around, others=is_outcome)
    (points,) = found.session.given[0].maps
    assert (points.photo, len(points.points)) == ("DocumentReference/n1", 6)
    assert float(points.points[1].x) == pytest.approx(0.75, abs=0.005)
    assert float(points.points[1].y) == pytest.approx(0.1, abs=0.005)
    assert visit.complaints == []


def test_a_scanner_fills_the_row_and_its_enter_saves_nothing(visit: Visit) -> None:
    page = visit.page
    visit.go(PAGE)
    scan = page.get_by_label("Scan of the pack").first
    scan.fill(SCAN)
    scan.press("Enter")
    expect(page.locator("[name=lot-0]")).to_have_value("LOT-0099")
    expect(page.locator("[name=expires-0]")).to_have_value("2027-08-31")
    expect(page.locator("[name=dose-0]")).to_be_focused()
    page.locator("[name=lot-0]").fill("LOT-TYPED")
    scan.fill(SCAN + " ")
    scan.press("Enter")
    expect(page.locator("#fault-scan-0")).to_contain_text("The scan says lot LOT-0099")
    page.locator("[name=note]").fill("so far")
    page.locator("[name=dose-0]").press("Enter")
    page.wait_for_timeout(200)
    expect(page.locator("[name=note]")).to_have_value("so far")
    page.get_by_text("A product that was not given last time").click()
    other = page.get_by_label("Scan of the pack").nth(1)
    other.fill("(01)123")
    page.get_by_role("button", name="Read", exact=True).nth(1).click()
    expect(page.locator("#fault-scan-n0")).to_contain_text("cannot be read")
    assert visit.complaints == []


def test_without_a_script_the_table_the_scan_and_the_rows_work_as_well(browser: Browser, clinic: Clinic) -> None:
    with Running(application(clinic, people(), packages=assets()), free_port()) as running:
        context = browser.new_context(java_script_enabled=False)
        visit = Visit(context.new_page(), running.address)
        visit.sign_in("clinician")
        visit.go(PAGE)
        page = visit.page
        page.locator("[name=lot-0]").fill("")
        page.locator("[name=expires-0]").fill("")
        page.locator("[name=scan-0]").fill(SCAN)
        page.locator("[name=scan-0]").press("Enter")
        expect(page.locator("[name=lot-0]")).to_have_value("LOT-0099")
        page.get_by_role("button", name="More points").click()
        page.locator("[name=map-product-0]").select_option("0")
        for name, value in (("x-0-9", "30"), ("y-0-9", "40")):
            page.locator(f"[name={name}]").fill(value)
        page.get_by_role("button", name="Another outcome").click()
        expect(page.locator("[name=x-0-9]")).to_have_value("30")
        expect(page.locator("[name=what-1]")).to_have_count(1)
        page.get_by_role("button", name="Save session 2").click()
        expect(page.get_by_text("Session 2 is saved")).to_be_visible()
        context.close()


@pytest.mark.parametrize("width", [1440, 820, 390])
def test_no_page_is_wider_than_its_window_or_complains(visit: Visit, width: int) -> None:
    visit.page.set_viewport_size({"width": width, "height": 900})
    for path in _PAGES:
        visit.go(path)
        wider = visit.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wider <= 0, (path, width, wider)
    assert visit.complaints == []


def test_a_name_without_a_blank_is_broken_and_one_from_right_to_left_stands_in_its_line(
    visit: Visit, clinic: Clinic
) -> None:
    visit.page.set_viewport_size({"width": 390, "height": 844})
    for name in (LONG, ARABIC):
        clinic.put({"resourceType": "Patient", "id": "anna", "name": [{"text": name}]})
        for path in (PAGE, "/chart/session/p1"):
            visit.go(path)
            expect(visit.page.locator(".crumb bdi")).to_have_text(name)
            assert visit.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(visit: Visit, scheme: Literal["light", "dark"]) -> None:
    visit.page.emulate_media(color_scheme=scheme)
    found = {}
    for path in _PAGES:
        visit.go(path)
        found[path] = faults(visit)
    assert {path: each for path, each in found.items() if each} == {}


def test_the_form_is_walked_by_keyboard_in_the_order_in_which_it_reads(visit: Visit) -> None:
    visit.go(PAGE)
    visit.page.locator("[name=number]").focus()
    seen = []
    for _ in range(8):
        visit.page.keyboard.press("Tab")
        seen.append(visit.page.evaluate("document.activeElement.name ?? document.activeElement.tagName"))
    assert seen == ["given-0", "scan-0", "step", "dose-0", "lot-0", "expires-0", "checked-0", "SUMMARY"]
