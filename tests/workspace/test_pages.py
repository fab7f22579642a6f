"""The pages, asked without a browser: who sees which, what a refusal says, what no publishing page may say."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from html import unescape
from typing import cast

import pytest
from sqlalchemy.exc import OperationalError

from consent.audit.shelf import AuditUnavailable
from consent.types import Request
from fhir_mapping.errors import Behind
from fhir_mapping.question.question import Question
from orthanc_plugin.workspace.record import OTHER, Area, Course, Gallery, Person, Treatment
from tests.workspace.client import Client
from tests.workspace.clinic import BIRTH, FACE, IDENTIFIER, NAME, NOW, SCALP, Clinic, Sessions
from tests.workspace.page import application

pytestmark = pytest.mark.fast

Enter = Callable[..., Client]
_TOKEN = re.compile(r'name="csrf" value="([^"]+)"')


@pytest.fixture
def clinic() -> Clinic:
    return Clinic()


@pytest.fixture
def enter(clinic: Clinic) -> Enter:
    """Signs somebody in; without a name, nobody."""
    app = application(clinic, Sessions())

    def signed_in(name: str | None = None) -> Client:
        client = Client(app)
        if name is not None:
            token = _token(client.get("/login").text)
            done = client.post("/login", data={"csrf": token, "name": name, "password": f"{name}-demo", "next": "/"})
            assert done.status_code == 303
        return client

    return signed_in


def _token(page: str) -> str:
    found = _TOKEN.search(page)
    assert found is not None
    return found[1]


def test_every_page_sends_a_visitor_without_session_to_sign_in_and_back(enter: Enter) -> None:
    client = enter()
    for path in ("/chart", "/chart/patient/maria?area=x", "/portfolio/PORTFOLIO", "/me", "/chart/compare?left=a"):
        answer = client.get(path)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/login?next=%2F")


def test_a_photo_without_session_is_absent(enter: Enter, clinic: Clinic) -> None:
    answer = enter().get("/chart/photo/maria-p1")
    assert (answer.status_code, answer.content) == (404, b"")
    assert clinic.asked == []


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("clinician", "/chart"),
        ("doctor", "/chart"),
        ("marketing", "/portfolio/PORTFOLIO"),
        ("maria", "/me"),
    ],
)
def test_the_start_page_leads_to_the_first_page_that_the_account_holds(enter: Enter, name: str, start: str) -> None:
    assert enter(name).get("/").headers["location"] == start


def test_an_account_without_a_page_is_told_so(enter: Enter) -> None:
    answer = enter("admin").get("/")
    assert answer.status_code == 200
    assert "opens no page" in answer.text


def test_a_page_of_a_purpose_that_is_not_held_is_the_page_that_does_not_exist(enter: Enter) -> None:
    client = enter("marketing")
    absent = client.get("/no/such/page")
    for path in (
        "/chart",
        "/chart/patient/maria",
        "/chart/compare?left=maria-p1&right=maria-p2",
        "/me",
        "/portfolio/CONF",
        "/portfolio/TREAT",
    ):
        answer = client.get(path)
        assert (answer.status_code, answer.text) == (404, absent.text)


def test_a_refused_photo_is_answered_as_an_absent_one(enter: Enter, clinic: Clinic) -> None:
    clinic.refused = {2}
    client = enter("clinician")
    refused, absent = client.get("/chart/photo/maria-p2?width=320"), client.get("/chart/photo/nobody?width=320")
    assert (refused.status_code, refused.content) == (absent.status_code, absent.content) == (404, b"")
    assert dict(refused.headers) == dict(absent.headers)
    page = client.get("/chart/patient/maria").text
    assert "maria-p2" not in page
    assert "maria-p1" in page
    pairs = ["left=maria-p2&right=maria-p1", "left=maria-p1&right=maria-p2", "left=nobody&right=maria-p1"]
    answers = [client.get(f"/chart/compare?{pair}") for pair in pairs]
    assert {(answer.status_code, answer.text) for answer in answers} == {(404, answers[0].text)}


def test_where_a_refused_photo_lies_is_answered_as_where_an_absent_one_does(enter: Enter, clinic: Clinic) -> None:
    client = enter("clinician")
    address = "/chart/compare/alignment?left=maria-p1&right={}"
    assert client.get(address.format("maria-p4")).json()["aligned"] is True
    clinic.refused = {4}
    answers = [client.get(address.format(key)) for key in ("maria-p4", "nowhere", "jonas-p101", "")]
    assert {(each.status_code, each.content) for each in answers} == {(404, b"")}
    assert enter("marketing").get(address.format("maria-p5")).status_code == 404
    assert enter().get(address.format("maria-p5")).status_code == 404


def test_photos_of_two_patients_are_never_compared(enter: Enter) -> None:
    assert enter("clinician").get("/chart/compare?left=maria-p1&right=jonas-p101").status_code == 404


def test_a_photo_of_two_patients_is_compared_on_the_page_of_either(enter: Enter, clinic: Clinic) -> None:
    clinic.also = {"jonas-p101": "maria"}
    client = enter("clinician")
    page = client.get("/chart/compare?left=maria-p1&right=jonas-p101").text
    assert f"<title>{NAME}" in page
    assert "<title>Jonas" in client.get("/chart/compare?left=jonas-p101&right=jonas-p102").text
    both = client.get("/chart/compare?photo=jonas-p101&photo=maria-p1")
    assert (both.status_code, both.headers["location"]) == (303, "/chart/compare?left=jonas-p101&right=maria-p1")
    assert client.get("/chart/compare?left=maria-p1&right=jonas-p102").status_code == 404
    own = enter("maria")
    assert f"<title>{NAME}" in own.get("/me/compare?left=jonas-p101").text
    assert f"<title>{NAME}" in own.get("/me/compare?left=jonas-p101&right=maria-p1").text
    for path in ("left=jonas-p101&right=jonas-p102", "left=jonas-p102", "photo=jonas-p101&photo=jonas-p102", "left="):
        assert own.get(f"/me/compare?{path}").status_code == 404


def test_no_treatment_is_left_out_when_a_course_is_told_by_area(enter: Enter, clinic: Clinic) -> None:
    course = clinic.courses["jonas"]
    alone = (Treatment("a", "Scalp peeling", NOW, areas=(SCALP,)), Treatment("b", "Counselling", NOW))
    unknown = replace(course.photos[0], number=199, key="jonas-p199", area=Area(OTHER, "Other"), treatment=None)
    clinic.courses["jonas"] = Course((*course.treatments, *alone), (*course.photos, unknown))
    client = enter("clinician")
    by_area = client.get("/chart/patient/jonas?group=area").text
    for text in ("Scalp peeling", "Counselling", "Intense pulsed light", "jonas-p199"):
        assert text in by_area
    headings = re.findall(r'<h2 class="group">([^<]+)</h2>', by_area)
    assert headings == ["Face", "Hand", "Scalp", "Other"]
    chips = by_area.split('aria-label="Body area"')[1].split("</nav>")[0]
    target = re.findall(r'href="([^"]+)">Other', chips)[0].replace("&amp;", "&")
    shown = client.get(target).text
    assert set(re.findall(r"/chart/photo/(jonas-p\d+)", shown)) == {"jonas-p199"}
    assert re.findall(r'aria-current="true">([A-Z]\w+) <span>', shown.split('aria-label="Body area"')[1]) == ["Other"]


def test_a_patient_without_photos_is_not_asked_to_choose_two(enter: Enter, clinic: Clinic) -> None:
    client = enter("clinician")
    clinic.courses["jonas"] = Course((Treatment("a", "Peeling", NOW),))
    page = client.get("/chart/patient/jonas").text
    assert "Peeling" in page
    assert "Compare" not in page
    assert "choose.js" not in page
    assert "Compare" in client.get("/chart/patient/maria").text


def test_a_page_that_fails_bears_the_policy_too_and_says_nothing_of_the_fault(enter: Enter, clinic: Clinic) -> None:
    client = enter("clinician")
    clinic.courses = {}
    clinic.people = [Person("maria", NAME, last_visit=cast(datetime, "Secret"))]
    with pytest.raises(AssertionError):  # the server logs it
        client.get("/chart")
    answer = client.get("/chart", quiet=True)
    assert answer.status_code == 500
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "private, no-store"
    assert "Secret" not in answer.text


@pytest.mark.parametrize("error", [AuditUnavailable("x"), OperationalError("SELECT", {}, Exception("locked"))])
def test_a_page_that_cannot_be_recorded_or_read_says_so_and_shows_nothing(
    enter: Enter, clinic: Clinic, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(*_: object, **__: object) -> object:
        raise error

    client = enter("clinician")
    monkeypatch.setattr(Clinic, "course", broken)
    answer = client.get("/chart/patient/maria")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "try again" in answer.text
    assert NAME not in answer.text


def test_no_answer_sends_a_browser_where_the_host_header_says(enter: Enter) -> None:
    client = enter("clinician")
    for path in ("/chart/", "/login/", "/dicom-web", "/portfolio/PORTFOLIO/"):
        answer = client.get(path, headers={"Host": "elsewhere.example"})
        assert (answer.status_code, answer.headers.get("location")) == (404, None)


def test_the_list_is_searched_by_name_identifier_and_birth_date(enter: Enter) -> None:
    client = enter("clinician")
    for text in ("papad", "204-881", BIRTH, "MARIA papadaki"):
        part = client.get("/chart", params={"q": text}, headers={"X-Part": "people"}).text
        assert NAME in part
        assert "Jonas" not in part
        assert "<html" not in part


def test_a_course_shows_product_lot_and_settings_beside_its_photos(enter: Enter) -> None:
    page = enter("clinician").get("/chart/patient/maria").text
    for text in (NAME, IDENTIFIER, "Lot TR-2217", "Session 1", "19 mJ", "Fractional CO₂ laser resurfacing"):
        assert text in page
    assert "after Fractional CO₂ laser resurfacing, session 4" in page


def test_a_course_is_narrowed_to_an_area_and_a_session(enter: Enter) -> None:
    client = enter("clinician")
    face = client.get("/chart/patient/maria", params={"area": FACE.code}).text
    assert "Intense pulsed light" not in face
    first = client.get("/chart/patient/maria", params={"session": "1"}).text
    assert "maria-p1" in first
    assert "maria-p4" not in first


def test_filters_offer_each_value_with_its_count_and_their_addresses_are_questions(enter: Enter) -> None:
    client = enter("clinician")
    page = client.get("/chart/patient/maria?lot=TR-2217&photo=maria-p9").text
    panel = page.split('<details class="facets"')[1].split("</details>")[0]
    assert panel.startswith(" open")
    links = {
        re.sub(r"\s*<.*", "", text): unescape(address)
        for address, text in re.findall(r'<a data-keeps href="([^"]+)"[^>]*>(.*?)</a>', panel)
    }
    assert links["TR-2217"] == "/chart/patient/maria?photo=maria-p9", "what is chosen is let go by the same link"
    assert links["TR-2237"] == "/chart/patient/maria?lot=TR-2217&lot=TR-2237&photo=maria-p9"
    narrowed = client.get(links["Left oblique"]).text
    assert "<b>1</b> of 11 photos" in narrowed
    assert {"maria-p2", "maria-p9"} == set(re.findall(r'name="photo" value="([^"]+)"', narrowed))
    assert re.search(r'value="maria-p9"[^>]* checked', narrowed), "what was chosen is kept"


def test_a_span_of_days_is_a_value_of_the_question(enter: Enter) -> None:
    client = enter("clinician")
    answer = client.get("/chart/patient/maria?from=2026-01-01&to=&area=face&photo=maria-p1&group=area")
    assert answer.status_code == 303
    assert answer.headers["location"] == ("/chart/patient/maria?area=face&taken=2026-01-01..&group=area&photo=maria-p1")
    page = client.get(answer.headers["location"]).text
    assert 'name="from" value="2026-01-01"' in page
    assert client.get("/chart/patient/maria?from=&to=").headers["location"] == "/chart/patient/maria"


@pytest.mark.parametrize("query", ["area=mars", "side=X", "lot=%00", "taken=yesterday", "view=" + "x" * 300])
def test_filters_that_cannot_be_read_are_told(enter: Enter, query: str) -> None:
    client = enter("doctor")
    page = client.get(f"/chart/patient/maria?{query}").text
    assert 'role="alert"' in page
    assert "maria-p1" in page
    facet = query.partition("=")[0]
    assert ('role="alert"' in client.get(f"/portfolio/PORTFOLIO?{query}").text) == (facet != "lot")


def test_a_page_says_so_where_photos_are_still_being_indexed(
    enter: Enter, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    def behind(*_: object, **__: object) -> Course:
        raise Behind([1])

    monkeypatch.setattr(Clinic, "course", behind)
    answer = enter("clinician").get("/chart/patient/maria")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


def test_two_photos_chosen_without_script_are_compared(enter: Enter) -> None:
    answer = enter("clinician").get("/chart/compare?photo=maria-p1&photo=maria-p8")
    assert answer.headers["location"] == "/chart/compare?left=maria-p1&right=maria-p8"


def test_a_comparison_names_dates_sessions_and_products_and_offers_the_same_view(enter: Enter) -> None:
    page = enter("clinician").get("/chart/compare?left=maria-p1&right=maria-p9").text
    for text in ("2 Sep 2025", "12 May 2026", "8 months later", "Session 1", "lot TR-2217"):
        assert text in page
    strip = page.split('id="left-strip"')[1].split("</nav>")[0]
    assert strip.count("<a ") == 5  # frontal photos of the face alone
    assert "left=maria-p9&amp;right=maria-p1" in page  # swapped


def test_the_portfolio_holds_consented_photos_and_nothing_that_identifies(enter: Enter, clinic: Clinic) -> None:
    client = enter("marketing")
    page = client.get("/portfolio/PORTFOLIO")
    compare = re.findall(r'href="(/portfolio/PORTFOLIO/compare[^"]+)"', page.text)
    assert len(compare) == 1
    pair = client.get(compare[0].replace("&amp;", "&"))
    assert pair.status_code == 200
    pictures = set(re.findall(r'src="(/portfolio/PORTFOLIO/photo/[^"]+)"', page.text + pair.text))
    assert pictures
    for address in pictures:
        assert client.get(address.replace("&amp;", "&")).headers["content-type"] == "image/jpeg"
    assert {sop_uid for _, _, sop_uid in clinic.asked} <= {f"1.2.{number}" for number in clinic.publishable}
    assert {purpose for _, purpose, _ in clinic.asked} == {"PORTFOLIO"}
    for text in (page.text, pair.text):
        for word in (
            "Maria",
            "Papadaki",
            "maria",
            IDENTIFIER,
            BIRTH,
            "1981",
            "2025",
            "2026",
            "1.2.",
            "2.25.",
            "Markou",
        ):
            assert word not in text, word


def test_the_next_page_of_the_portfolio_is_named_by_nothing_that_identifies(
    enter: Enter, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery, begun = Clinic.gallery, []

    def paged(self: Clinic, request: Request, route: str, question: Question, after: int | None) -> Gallery:
        begun.append(after)
        return replace(gallery(self, request, route, question, after), following=None if after else 9)

    monkeypatch.setattr(Clinic, "gallery", paged)
    client = enter("marketing")
    page = client.get("/portfolio/PORTFOLIO?area=face").text
    (later,) = re.findall(r'rel="next" href="([^"]+)"', page)
    assert re.fullmatch(r"/portfolio/PORTFOLIO\?area=face&amp;after=[a-z2-7]{32}", later)
    last = client.get(unescape(later)).text
    assert begun == [None, 9]
    assert 'rel="next"' not in last
    assert 'rel="first" href="/portfolio/PORTFOLIO?area=face"' in last
    other = unescape(later).replace("PORTFOLIO", "WEB")
    for wrong in (f"{later}x", "/portfolio/PORTFOLIO?after=9", "/portfolio/PORTFOLIO?after=%ff", other):
        client.get(unescape(wrong))
        assert begun.pop() is None, wrong


def test_a_name_of_the_portfolio_opens_nothing_elsewhere(enter: Enter, clinic: Clinic) -> None:
    doctor = enter("doctor")
    page = doctor.get("/portfolio/PORTFOLIO").text
    name = re.findall(r"/portfolio/PORTFOLIO/photo/([a-z2-7]+)\?", page)[0]
    clinic.asked.clear()
    assert doctor.get(f"/portfolio/PORTFOLIO/photo/{name}").status_code == 200
    assert doctor.get(f"/portfolio/WEB/photo/{name}").status_code == 404
    assert doctor.get(f"/chart/photo/{name}").status_code == 404
    assert enter("marketing").get(f"/portfolio/PORTFOLIO/photo/{name}").status_code == 404
    assert [uid for _, _, uid in clinic.asked] == ["1.2.1", "", "", ""]


def test_a_photo_leaves_the_portfolio_when_its_consent_does(enter: Enter, clinic: Clinic) -> None:
    client = enter("marketing")
    page = client.get("/portfolio/PORTFOLIO").text
    address = re.findall(r'src="(/portfolio/PORTFOLIO/photo/[^"]+)"', page)[0]
    assert client.get(address).status_code == 200
    clinic.publishable.clear()
    assert client.get(address).status_code == 404
    assert "No photo may be shown" in client.get("/portfolio/PORTFOLIO").text


def test_social_media_asks_for_the_channel_first(enter: Enter, clinic: Clinic) -> None:
    client = enter("marketing")
    choice = client.get("/portfolio/SOCIAL").text
    assert "/portfolio/SOCIAL?channel=instagram" in choice
    assert "/photo/" not in choice
    page = client.get("/portfolio/SOCIAL?channel=instagram").text
    address = re.findall(r'src="(/portfolio/SOCIAL/photo/[^"]+)"', page)[0].replace("&amp;", "&")
    assert "channel=instagram" in address
    assert client.get(address).status_code == 200
    assert client.get(address.replace("instagram", "tiktok")).status_code == 404
    assert client.get("/portfolio/SOCIAL?channel=elsewhere").status_code == 404


def test_a_patient_sees_her_own_course_alone(enter: Enter) -> None:
    client = enter("maria")
    assert client.get("/me").headers["location"] == "/me/patient/maria"
    assert "/me/photo/maria-p1" in client.get("/me/patient/maria").text
    for path in ("/me/patient/jonas", "/me/compare?left=jonas-p101", "/me/compare?photo=jonas-p101&photo=jonas-p102"):
        assert client.get(path).status_code == 404


def test_every_answer_bears_the_policy_and_is_not_cached(enter: Enter) -> None:
    client = enter("clinician")
    for path in ("/login", "/chart", "/chart/patient/maria", "/chart/photo/maria-p1", "/nothing", "/healthz"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["cache-control"] == "private, no-store"
        assert headers["x-content-type-options"] == "nosniff"


def test_text_of_the_record_is_never_markup(enter: Enter, clinic: Clinic) -> None:
    evil = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'
    clinic.people[0] = type(clinic.people[0])("maria", evil, evil, (evil,), None)
    client = enter("clinician")
    for path in ("/chart", "/chart/patient/maria", "/chart/compare?left=maria-p1&right=maria-p8", f"/chart?q={evil}"):
        page = client.get(path).text
        assert "<script>alert" not in page
        assert "<img src=x" not in page


@pytest.mark.parametrize("width", ["", "x", "-1", "99999999", "0"])
def test_any_width_is_answered(enter: Enter, width: str) -> None:
    assert enter("clinician").get(f"/chart/photo/maria-p1?width={width}").status_code == 200
