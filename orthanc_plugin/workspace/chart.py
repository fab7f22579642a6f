"""The chart: patients, a patient's course, and two of her photos side by side.

The same pages serve ``/chart`` (TREAT, the care team) and ``/me`` (PATRQT, the patient herself). The purpose stands in
the route and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from consent.types import Request
from fhir_mapping.question.facets import Facet
from fhir_mapping.question.question import Question
from orthanc_plugin.workspace import alignment_page, timeline
from orthanc_plugin.workspace.at_hand import AtHand, at_hand
from orthanc_plugin.workspace.compare_page import Compared, ends, own_patients
from orthanc_plugin.workspace.comparing import MOST, KeptLine, kept_line
from orthanc_plugin.workspace.due import Wanted, wanted
from orthanc_plugin.workspace.filters import CHART_FACETS, Asked, asked, dated, filters, period
from orthanc_plugin.workspace.pages import Pages, refused_picture
from orthanc_plugin.workspace.record import Course
from orthanc_plugin.workspace.session_book import SessionBook
from orthanc_plugin.workspace.visitor import Visitor, read_form

_LISTED = 60  # patients on the first page of the list
_PAIRS = 6
_KEPT = 24  # comparisons, on a patient's page
WIDTHS = (240, 320, 640, 1024, 1600, 2400)  # pixels; a wider question gets the photo as large as it is


class Courses(Compared):
    """Pages about one patient for one purpose."""

    def _course_page(
        self, http: HttpRequest, visitor: Visitor, question: Request, patient: str, **more: Any
    ) -> Response:
        record, parts = self._pages.parts.record, self._pages.parts
        person = record.person(patient)
        if person is None:
            return self._pages.refuse(http, visitor)
        query = http.query_params
        narrowed = asked(query.multi_items(), (*CHART_FACETS, Facet.TAKEN), parts.site.zone, parts.names)
        grouped = query.get("group") == "area"
        chosen = list(dict.fromkeys(query.getlist("photo")))[:MOST]
        others = [("group", "area")] * grouped + [("photo", key) for key in chosen]
        if dates := [(query.get(name) or "").strip() for name in ("from", "to") if name in query]:
            return RedirectResponse(dated(http.url.path, narrowed, [*dates, ""][:2], others), status_code=303)
        at_hand = f"{self._base}/patient/at-hand" if self._sessions() is not None else None
        whole = record.course(
            question, patient, narrowed.question, f"{self._base}/patient", chosen, at_hand=at_hand, thumbnails=True
        )
        course = timeline.asked_for(whole, narrowed.question)
        zone = parts.site.zone
        groups = (
            [(place, timeline.days(timeline.narrowed(course, place.code), whole, zone))
             for place in timeline.areas(course)]
            if grouped
            else [(None, timeline.days(course, whole, zone))]
        )  # fmt: skip
        ungrouped = [pair for pair in others if pair[0] != "group"]
        orders = [_address(http.url.path, narrowed, each) for each in (ungrouped, [("group", "area"), *ungrouped])]
        return self._pages.show(
            http,
            "course.html",
            visitor,
            section=self._section,
            base=self._base,
            person=person,
            course=course,
            groups=groups,
            pairs=timeline.pairs(course.photos, zone)[:_PAIRS],
            filters=filters(narrowed, whole.answer, CHART_FACETS, http.url.path, others),
            period=period(narrowed, http.url.path, others),
            fault=narrowed.fault,
            chosen=frozenset(chosen),
            most=MOST,
            grouped=grouped,
            orders=orders,
            unfiltered=_address(http.url.path, Asked(Question()), others),
            asked=narrowed.pairs(),
            viewer=parts.viewer and self._purpose == "TREAT",
            next_session=parts.sessions is not None,
            missing=self._missing(question, patient),
            kept=self._kept(question, patient, whole),
            hand=self._at_hand(whole),
            today=self._pages.today().date(),
            **more,
        )

    def _kept(self, question: Request, patient: str, course: Course) -> list[KeptLine]:
        """Comparisons of hers that were kept, for the care team."""
        book = self._pages.parts.kept if self._purpose == "TREAT" else None
        if book is None:
            return []
        known = {photo.key: photo for photo in (*course.photos, *course.kept)}
        found = book.kept(question, patient, f"{self._base}/patient/kept")
        return [kept_line(each, known, self._places) for each in found[:_KEPT]]

    def _sessions(self) -> SessionBook | None:
        """Plans and sessions, for the care team."""
        return self._pages.parts.sessions if self._purpose == "TREAT" else None

    def _at_hand(self, course: Course) -> AtHand | None:
        book = self._sessions()
        if book is None or course.upcoming is None:
            return None
        return at_hand(course.upcoming, book.protocols(), self._pages.parts.site.zone)

    def _missing(self, question: Request, patient: str) -> tuple[Wanted, ...]:
        """What could still be photographed, for the care team."""
        gaps = self._pages.parts.gaps
        report = gaps.of_patient(question, patient, f"{self._base}/patient/due") if gaps is not None else None
        return wanted(each for hers in report.people for each in hers.open) if report is not None else ()

    def _photo(self, http: HttpRequest) -> Response:
        _, question = self._question(http)
        if question is None:
            return refused_picture()
        sop_uid = self._pages.parts.record.sop_uid(key=http.path_params["key"])
        return picture(self._pages, question, sop_uid, http, f"{self._base}/photo")


class Chart(Courses):
    """``/chart``: the care team's pages."""

    def __init__(self, pages: Pages) -> None:
        super().__init__(pages, base="/chart", purpose="TREAT", section="chart")

    def routes(self) -> list[BaseRoute]:
        """Its routes."""
        return [
            Route("/chart", self._list, methods=["GET"]),
            Route("/chart/patient/{patient}", self._patient, methods=["GET"]),
            Route("/chart/compare", self._compare, methods=["GET"]),
            Route("/chart/compare/series", self._series, methods=["GET"]),
            Route("/chart/compare/alignment", self._align, methods=["GET"]),
            Route("/chart/compare/alignment", self._send, methods=["POST"]),
            Route("/chart/photo/{key}", self._photo, methods=["GET"]),
        ]

    async def _send(self, http: HttpRequest) -> Response:
        fields = await read_form(http)
        return await run_in_threadpool(self._keep, http, fields)

    def _keep(self, http: HttpRequest, fields: Mapping[str, str] | None) -> Response:
        """Keep where the right photo lies on the left one, or take that back."""
        visitor, question = self._question(http)
        keys = ends(http)
        if visitor is None or question is None or self._patient_of(question, list(keys.values())) is None:
            return refused_picture()
        return alignment_page.sent(self._pages, http, visitor, question, self._base, keys, fields)

    def _list(self, http: HttpRequest) -> Response:
        visitor, question = self._question(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        if question is None:
            return self._pages.refuse(http, visitor)
        text = http.query_params.get("q", "").strip()[:200]
        found = self._pages.parts.record.search(text, _LISTED)
        template = "_people.html" if http.headers.get("x-part") == "people" else "people.html"
        return self._pages.show(http, template, visitor, section="chart", text=text, found=found)

    def _patient(self, http: HttpRequest) -> Response:
        visitor, question = self._question(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        if question is None:
            return self._pages.refuse(http, visitor)
        return self._course_page(http, visitor, question, http.path_params["patient"])


class Own(Courses):
    """``/me``: the patient's own record, or that of the patients whom a proxy represents."""

    def __init__(self, pages: Pages) -> None:
        super().__init__(pages, base="/me", purpose="PATRQT", section="me")

    def routes(self) -> list[BaseRoute]:
        """Its routes."""
        return [
            Route("/me", self._mine, methods=["GET"]),
            Route("/me/patient/{patient}", self._patient, methods=["GET"]),
            Route("/me/compare", self._compare, methods=["GET"]),
            Route("/me/compare/series", self._series, methods=["GET"]),
            Route("/me/compare/alignment", self._align, methods=["GET"]),
            Route("/me/photo/{key}", self._photo, methods=["GET"]),
        ]

    def _mine(self, http: HttpRequest) -> Response:
        visitor, question = self._question(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        mine = sorted(own_patients(question)) if question else []
        if not mine:
            return self._pages.refuse(http, visitor)
        return RedirectResponse(f"/me/patient/{mine[0]}", status_code=303)

    def _patient(self, http: HttpRequest) -> Response:
        visitor, question = self._question(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        patient = http.path_params["patient"]
        if question is None or not self._is_open(question, patient):
            return self._pages.refuse(http, visitor)
        return self._course_page(http, visitor, question, patient)


def picture(
    pages: Pages, question: Request, sop_uid: str | None, http: HttpRequest, route: str, *, publishing: bool = False
) -> Response:
    """A photo's pixels, or the one refusal. An unknown photo is asked for all the same, so that both take one path."""
    wanted = _number(http.query_params.get("width"))
    width = next((step for step in WIDTHS if wanted is not None and wanted <= step), 0)
    found = pages.parts.pictures.picture(question, sop_uid or "", route=route, width=width, publishing=publishing)
    if found is None:
        return refused_picture()
    return Response(found.jpeg, media_type="image/jpeg")


def _address(path: str, asked: Asked, others: Sequence[tuple[str, str]]) -> str:
    query = urlencode([*asked.pairs(), *others])
    return f"{path}?{query}" if query else path


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 7 else None
