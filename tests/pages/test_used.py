"""What a page can do is done in the demo clinic, once each, by those who may: nothing stands for something else.

It changes the clinic, and so comes after the other files of this folder.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

import pytest
from playwright.sync_api import Browser, Page, Response, expect
from starlette.routing import Match, Route

from orthanc_plugin.assembly.serve import build
from tests.pages.conftest import Standing
from tests.pages.places import NOT_PAGES, sign_in

pytestmark = [pytest.mark.orthanc, pytest.mark.browser]
_ANNA = "/chart/patient/demo-anna"
_MARIA = "/chart/patient/demo-maria"
_DIMITRA = "/chart/patient/demo-dimitra"
_INTEGRATOR = {
    "Authorization": "Basic " + base64.b64encode(b"integrator:integrator-demo").decode(),
    "Content-Type": "application/fhir+json",
}
_GIVEN = {
    "resourceType": "MedicationAdministration",
    "status": "completed",
    "contained": [
        {
            "resourceType": "Medication",
            "id": "vial",
            "code": {"text": "Botulinum toxin type A, 100 U"},
            "batch": {"lotNumber": "PS-2407A"},
        }
    ],
    "medicationReference": {"reference": "#vial"},
    "subject": {"reference": "Patient/demo-katerina"},
    "effectiveDateTime": "2026-03-02",
}
_NOTICE = "Urgent: lot PS-2407A of the filler is recalled. Do not use it."


class Desk:
    """Browsers of people at one clinic, and which routes took what they sent."""

    def __init__(self, browser: Browser, address: str) -> None:
        self._browser, self.address = browser, address
        self.answered: dict[str, set[str]] = {"GET": set(), "POST": set()}
        """By method, the paths that were asked for and answered without a refusal."""

    def of(self, account: str) -> Page:
        """Somebody who has signed in."""
        page = self._browser.new_context().new_page()
        page.on("response", self._answered)
        sign_in(page, self.address, account)
        return page

    def _answered(self, response: Response) -> None:
        if response.status < 400:
            path = response.url.removeprefix(self.address).partition("?")[0]
            self.answered[response.request.method].add(path)

    def leave(self) -> None:
        """Everybody closes the browser."""
        for context in self._browser.contexts:
            context.close()


@pytest.fixture(scope="module")
def clinic_desk(standing: Standing, browser: Browser) -> Desk:
    return Desk(browser, standing.address)


@pytest.fixture
def desk(clinic_desk: Desk) -> Iterator[Desk]:
    yield clinic_desk
    clinic_desk.leave()


_OF_OTHERS = ("/fhir", "/dicom-web", "/ohif", "/healthz")


def _go(page: Page, path: str, desk: Desk) -> None:
    page.goto(f"{desk.address}{path}")
    page.wait_for_load_state("networkidle")


def _fetch(desk: Desk, page: Page, link: str) -> None:
    """A file, as a link of the page leads to it."""
    address = urljoin(page.url, page.locator(link).first.get_attribute("href") or "")
    answer = page.request.get(address)
    assert answer.status == 200
    assert len(answer.body()) > 400
    desk.answered["GET"].add(urlsplit(address).path)


def _align(page: Page, pair: str = "a.pair") -> None:
    page.wait_for_load_state("networkidle")
    page.locator(pair).first.click()
    expect(page.locator(".pane.live")).to_have_count(2)
    page.get_by_role("button", name="Align", exact=True).click()
    expect(page.locator("#aligned")).to_have_text(re.compile("Aligned to within"), timeout=30_000)


def test_a_comparison_and_an_alignment_are_kept_and_stand_on_her_page(desk: Desk) -> None:
    page = desk.of("clinician")
    _go(page, _ANNA, desk)
    _align(page)
    pair = page.url
    tools = page.locator(".tools").bounding_box()
    assert tools is not None
    assert tools["height"] < 48, "the tools take more than one line"
    page.get_by_role("button", name="Keep alignment").click()
    expect(page.get_by_role("button", name="Take back")).to_be_visible(timeout=15_000)
    for kind in ("PDF", "JPEG", "PNG"):
        page.keyboard.press("e")
        page.get_by_label(kind, exact=True).check()
        with page.expect_download() as told:
            page.locator("#export button").click()
        assert told.value.path().stat().st_size > 10_000
        page.keyboard.press("Escape")
    page.get_by_role("button", name="Keep this comparison").click()
    expect(page.locator("#told")).to_contain_text("Kept.", timeout=15_000)
    _go(page, _ANNA, desk)
    kept = page.get_by_role("region", name="Kept comparisons").get_by_role("link")
    expect(kept).to_have_count(2)  # with the one that the clinic has
    kept.first.click()
    expect(page.locator("#aligned")).to_contain_text("Kept", timeout=30_000)
    doctor = desk.of("doctor")
    doctor.goto(pair)
    doctor.get_by_role("button", name="Take back").click(timeout=30_000)
    expect(doctor.get_by_role("button", name="Keep alignment")).to_be_visible(timeout=15_000)


def test_a_session_is_saved_and_its_photographs_are_closed(desk: Desk) -> None:
    page = desk.of("clinician")
    _go(page, f"{_ANNA}/next", desk)
    scan = page.locator("[name=scan-0]")
    scan.fill("(01)09504000059118(17)281231(10)LC-2044")
    scan.press("Enter")
    expect(page.locator("[name=lot-0]")).to_have_value("LC-2044")
    page.get_by_role("button", name=re.compile("Save session")).click()
    expect(page.get_by_text(re.compile("Session [0-9]+ is saved"))).to_be_visible()
    _go(page, "/chart/session/demo-maria-p1", desk)
    for each in page.locator("select[name^=why-]").all():
        each.select_option(index=1)
    page.get_by_role("button", name="Close the photographs").click()
    expect(page.get_by_text("Closed", exact=True)).to_be_visible()


def test_a_protocol_is_printed_as_a_card(desk: Desk) -> None:
    page = desk.of("clinician")
    _go(page, "/protocols", desk)
    page.locator(".protocols a").first.click()
    page.wait_for_load_state("networkidle")
    _fetch(desk, page, "a[href$='/card.pdf']")


def test_a_question_is_saved_and_removed(desk: Desk) -> None:
    page = desk.of("clinician")
    _go(page, "/chart/photos?area=face", desk)
    page.get_by_text("Save this question").click()
    page.get_by_label("Name").fill("Faces")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("button", name="Remove “Faces”").click()
    page.wait_for_load_state("networkidle")
    expect(page.get_by_role("link", name="Faces", exact=True)).to_have_count(0)


def test_a_photo_that_waits_gets_a_visit_and_is_linked(desk: Desk) -> None:
    page = desk.of("clinician")
    _go(page, "/waiting", desk)
    page.get_by_role("link", name="Somebody else").click()
    page.get_by_role("searchbox").fill("Nikos")
    page.get_by_role("button", name="Find").click()
    page.locator("a.suggestion").first.click()
    page.get_by_role("button", name="Make one, known by this photo alone").click()
    page.get_by_label("Region").select_option(label="Cheek")
    page.get_by_role("button", name="Look at it so").click()
    page.get_by_role("button", name="Link it").click()
    page.wait_for_url("**/waiting?done=1")
    _go(page, "/waiting", desk)
    expect(page.locator(".wait")).to_have_count(0)


def _sign(page: Page, desk: Desk, chart: str, name: str, *, one_photo: bool = False) -> None:
    _go(page, f"{chart}/consent", desk)
    page.get_by_role("button", name="Hand over to sign").click()
    page.get_by_role("group", name="Website").locator(".for-yes").click()
    if one_photo:
        page.get_by_role("radio", name="One by one").check()
        page.locator(".of-photos label").first.click()
        page.wait_for_load_state("networkidle")
    page.get_by_role("button", name="See what changes").last.click()
    page.get_by_role("button", name="Change the answers").click()
    expect(page.get_by_role("group", name="Website").locator(".for-yes input")).to_be_checked()
    page.get_by_role("button", name="See what changes").last.click()
    page.get_by_text("I cannot draw a signature").click()
    page.get_by_label("Your name").fill(name)
    page.get_by_label("Who is here as a witness").fill("Demo Doctor")
    page.get_by_label("Who is here as a witness").press("Enter")
    page.wait_for_url("**/sign/thanks")
    _go(page, "/unlock?password", desk)
    page.get_by_label("Password of ").fill("clinician-demo")
    page.get_by_role("button", name="Take the screen back").click()
    page.wait_for_url("**/chart/**")


def test_what_anna_signed_she_reads_at_home(desk: Desk) -> None:
    _sign(desk.of("clinician"), desk, _ANNA, "Anna Demou", one_photo=True)
    anna = desk.of("anna")
    _go(anna, "/me/patient/demo-anna/consent", desk)
    _fetch(desk, anna, "a[href*='/paper']")


def test_a_patient_signs_and_stops_uses_by_each_of_the_ways(desk: Desk) -> None:
    page = desk.of("clinician")
    _sign(page, desk, _MARIA, "Maria Demou")
    _go(page, f"{_MARIA}/consent", desk)
    _fetch(desk, page, "a[href*='/paper']")
    page.get_by_role("button", name=re.compile("^Stop ")).first.click()
    page.wait_for_load_state("networkidle")
    _go(page, f"{_MARIA}/consent", desk)
    page.get_by_role("button", name="Hand over to sign").click()
    page.get_by_role("button", name=re.compile("^Stop ")).first.click()
    page.wait_for_url("**/sign/thanks?withdrawn")


def test_the_screen_is_turned_and_taken_back_by_a_pin(desk: Desk) -> None:
    page = desk.of("clinician")
    _go(page, "/pin", desk)
    page.get_by_label("Your password").fill("clinician-demo")
    page.get_by_label("PIN", exact=True).fill("2580")
    page.get_by_label("The same once more").fill("2580")
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_text("Your PIN is kept.")).to_be_visible()
    _go(page, _ANNA, desk)
    page.get_by_role("button", name="Show to patient").click()
    page.wait_for_url("**/shown**")
    _align(page, "a[href*='/shown/compare']")
    page.get_by_role("button", name=re.compile("^DE")).click()
    page.get_by_role("button", name=re.compile("^EN")).click()
    page.locator("a[href='/unlock']").first.click()
    for digit in "2580":
        page.get_by_role("button", name=digit, exact=True).click()
    page.get_by_role("button", name="Take the screen back").first.click()
    page.wait_for_url("**/chart**")


def test_an_emergency_is_opened_and_ended(desk: Desk) -> None:
    page = desk.of("clinician")
    _go(page, f"{_DIMITRA}/emergency", desk)
    page.locator("#reason").fill("Swelling after a treatment elsewhere")
    page.get_by_role("button", name=re.compile("^Open for")).click()
    page.wait_for_url("**/emergency/patient/**")
    opened = page.url
    _align(page)
    page.goto(opened)
    page.get_by_role("button", name="End it now").click()
    page.wait_for_url("**/chart**")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/login**")


def test_an_advisory_is_read_from_its_notice_worked_through_closed_and_opened_again(desk: Desk) -> None:
    page = desk.of("compliance")
    _go(page, "/advisory", desk)
    page.get_by_label("Its text").fill(_NOTICE)
    page.get_by_role("button", name="Read it").click()
    expect(page.get_by_role("checkbox", name=re.compile("PS-2407A"))).to_be_checked()
    page.get_by_role("button", name="Confirm, and open an advisory").click()
    page.wait_for_url(re.compile("/advisory/advisory-"))
    cases = page.locator("article.case").count()
    assert cases > 1
    for step in ("Contacted", "Reviewed", "Attested"):
        for number in range(cases):
            case = page.locator("article.case").nth(number)
            case.get_by_role("textbox").fill("by telephone")
            case.get_by_role("button", name=step, exact=True).click()
            page.wait_for_load_state("networkidle")
    expect(page.locator("article.case.settled")).to_have_count(cases)
    page.get_by_role("button", name="Close", exact=True).click()
    expect(page.get_by_text("closed", exact=True)).to_be_visible()
    for form in ("pdf", "csv", "json"):
        _fetch(desk, page, f"a[href$='/report.{form}']")
    given = page.request.post(f"{desk.address}/fhir/MedicationAdministration", headers=_INTEGRATOR, data=_GIVEN)
    assert given.status == 201, given.text()
    page.reload()
    page.get_by_role("button", name="Open it again with that").click()
    expect(page.locator("article.case")).to_have_count(cases + 1)
    expect(page.get_by_text("closed", exact=True)).to_have_count(0)


def test_a_portfolio_is_saved_tells_what_fell_out_and_is_exported_and_removed(desk: Desk) -> None:
    page, anna = desk.of("marketing"), desk.of("anna")
    _go(page, "/portfolio/PORTFOLIO", desk)
    page.get_by_text("Save as a portfolio").click()
    page.get_by_label("Name").fill("This spring")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/saved/*")
    pairs = page.locator("a.outcome").count()
    _go(anna, "/me", desk)
    _align(anna)
    _go(anna, "/me/patient/demo-anna/consent", desk)
    anna.get_by_role("button", name="Stop everything but my treatment").click()
    anna.wait_for_load_state("networkidle")
    page.reload()
    expect(page.get_by_role("heading", name=re.compile("^Since"))).to_be_visible()
    left = page.locator("a.outcome").count()
    assert 0 < left < pairs
    page.get_by_role("button", name="I have seen it").click()
    expect(page.get_by_role("heading", name=re.compile("^Since"))).to_have_count(0)
    with page.expect_download() as told:
        page.get_by_role("button", name="Export").click()
    assert told.value.path().stat().st_size > 10_000
    page.get_by_role("button", name="Remove from the list").click()
    page.wait_for_load_state("networkidle")
    expect(page.get_by_role("link", name="This spring")).to_have_count(0)
    page.get_by_role("button", name="Show to a visitor").click()
    page.wait_for_url("**/prospect")
    page.locator(".results a").first.click()
    page.wait_for_load_state("networkidle")


def test_every_route_that_is_no_page_was_asked_and_answered(standing: Standing, desk: Desk) -> None:
    """Holds after the others of this file alone."""
    served = build(standing.settings)
    try:
        routes = [each for each in served.app.routes if isinstance(each, Route)]
    finally:
        served.close()
    ours = [each for each in routes if not each.path.startswith(_OF_OTHERS)]
    for method, paths in desk.answered.items():
        wanted = {each.path for each in ours if method in (each.methods or ())}
        if method == "GET":
            wanted &= {path for path, what in NOT_PAGES.items() if not what.startswith("leads")}
        assert len(wanted) > 15
        scope = {"type": "http", "method": method}
        asked = {each.path for path in paths for each in ours if each.matches({**scope, "path": path})[0] is Match.FULL}
        assert wanted - asked == set(), method
