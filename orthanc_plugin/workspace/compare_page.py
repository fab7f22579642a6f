"""Two photos of a patient beside each other, or more of them in a row, for one purpose."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request as HttpRequest
from starlette.responses import RedirectResponse, Response

from consent.types import Request
from dicom_bridge.compare.comparability import comparability
from fhir_mapping.question.question import Question
from orthanc_plugin.workspace import alignment_page
from orthanc_plugin.workspace.alignment_page import alignable
from orthanc_plugin.workspace.comparing import (
    MOST,
    ComparableLine,
    KeepForm,
    KeptLine,
    Places,
    chosen_of,
    comparable,
    compared,
    conditions_of,
    in_viewer,
    kept_line,
    step,
)
from orthanc_plugin.workspace.export_page import choices
from orthanc_plugin.workspace.pages import Pages, refused_picture
from orthanc_plugin.workspace.record import Photo
from orthanc_plugin.workspace.visitor import Visitor


class Compared:
    """Comparisons for one purpose; the purpose stands in the route and nowhere else."""

    def __init__(self, pages: Pages, *, base: str, purpose: str, section: str) -> None:
        self._pages = pages
        self._base = base
        self._purpose = purpose
        self._section = section
        self._places = Places(base)

    def _question(self, http: HttpRequest) -> tuple[Visitor | None, Request | None]:
        visitor = self._pages.visitor(http)
        return visitor, visitor.asks(self._purpose) if visitor else None

    def _compare(self, http: HttpRequest) -> Response:
        visitor, question = self._question(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        chosen = http.query_params.getlist("photo")[:MOST]
        left_key = http.query_params.get("left") or next(iter(chosen), "")
        right_key = http.query_params.get("right")
        keys = chosen if len(chosen) > 1 else [left_key, *([right_key] if right_key else [])]
        record = self._pages.parts.record
        patient = self._patient_of(question, keys) if question else None
        person = record.person(patient) if patient else None
        if question is None or patient is None or person is None:
            return self._pages.refuse(http, visitor)
        if len(chosen) > 1:
            return RedirectResponse(self._places.chosen(chosen), status_code=303)
        course = record.course(question, patient, Question(), f"{self._base}/compare", keys)
        known = {photo.key: photo for photo in (*course.photos, *course.kept)}
        left = known.get(left_key)
        right = known.get(right_key) if right_key else None
        if left is None or (right_key and right is None):
            return self._pages.refuse(http, visitor)
        asked = self._asked_kept(http, question, patient, left, right)
        right = right or _partner(left, course.photos)
        zone = self._pages.parts.site.zone
        return self._pages.show(
            http,
            "compare.html",
            visitor,
            section=self._section,
            base=self._base,
            person=person,
            comparison=compared(course, left, right, self._places, zone),
            comparable=self._comparable(question, left, right) if right else None,
            back=f"{self._base}/patient/{patient}",
            basis=self._pages.parts.sessions is not None,
            keep=self._keep_form(visitor, question, left, right),
            kept=asked,
            viewer=in_viewer(left, right) if self._pages.parts.viewer and self._purpose == "TREAT" else "",
            exports=choices(self._pages, visitor) if right is not None and self._purpose == "TREAT" else [],
            alignment=alignable(self._pages, question, self._base, left.key, right.key) if right else None,
        )

    def _asked_kept(
        self, http: HttpRequest, question: Request, patient: str, left: Photo, right: Photo | None
    ) -> KeptLine | None:
        """The kept comparison that is opened again, where it is of these photos."""
        wanted, book = http.query_params.get("kept"), self._pages.parts.kept
        if not wanted or book is None or right is None or self._purpose != "TREAT":
            return None
        known = {left.key: left, right.key: right}
        for each in book.kept(question, patient, f"{self._base}/compare/kept"):
            if each.id == wanted and (each.left.photo, each.right.photo) == (left.key, right.key):
                return kept_line(each, known, self._places)
        return None

    def _keep_form(self, visitor: Visitor, question: Request, left: Photo, right: Photo | None) -> KeepForm | None:
        book = self._pages.parts.kept if self._purpose == "TREAT" and right is not None else None
        if book is None or right is None or not book.may_keep(question):
            return None
        return KeepForm(f"{self._base}/compare/keep", visitor.csrf, left.key, right.key)

    def _series(self, http: HttpRequest) -> Response:
        """Three photos or more, the first of them the one that the others are compared with."""
        visitor, question = self._question(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        keys = list(dict.fromkeys(http.query_params.getlist("photo")))[:MOST]
        whole = http.query_params.get("of", "")
        named = [whole] if whole else keys
        record = self._pages.parts.record
        patient = self._patient_of(question, named) if question and named else None
        person = record.person(patient) if patient else None
        if question is None or patient is None or person is None:
            return self._pages.refuse(http, visitor)
        course = record.course(question, patient, Question(), f"{self._base}/compare/series", named)
        photos = chosen_of(course, keys, whole, self._pages.parts.site.zone)
        if not photos:
            return self._pages.refuse(http, visitor)
        known = conditions_of(record, question, photos)
        return self._pages.show(
            http,
            "series.html",
            visitor,
            section=self._section,
            base=self._base,
            person=person,
            steps=[step(course, photos[0], each, known, self._places) for each in photos],
            back=f"{self._base}/patient/{patient}",
        )

    def _comparable(self, question: Request, left: Photo, right: Photo) -> ComparableLine:
        known = conditions_of(self._pages.parts.record, question, (left, right))
        return comparable(comparability(known[left.number], known[right.number]))

    def _align(self, http: HttpRequest) -> Response:
        """Where the right photo lies on the left one."""
        _, question = self._question(http)
        keys = ends(http)
        if question is None or self._patient_of(question, list(keys.values())) is None:
            return refused_picture()
        return alignment_page.asked(self._pages, question, keys, f"{self._base}/compare/alignment")

    def _patient_of(self, question: Request, keys: Sequence[str]) -> str | None:
        """The patient whose page photos are compared on: one who stands in all of them."""
        records = [self._pages.parts.record.patients_of(key) for key in keys]
        return next(
            (each for each in records[0] if self._is_open(question, each) and all(each in other for other in records)),
            None,
        )

    def _is_open(self, question: Request, patient: str) -> bool:
        """Whether pages about this patient are open to the visitor at all: of her own record, or to the care team."""
        return self._purpose != "PATRQT" or patient in own_patients(question)


def ends(http: HttpRequest) -> dict[str, str]:
    """The documents of both photos, as an address names them."""
    return {side: http.query_params.get(side, "") for side in ("left", "right")}


def _partner(photo: Photo, photos: Sequence[Photo]) -> Photo | None:
    """The photo to show beside one that was chosen alone: the latest of its view, or the first for the latest."""
    series = [entry for entry in photos if entry.series == photo.series and entry.number != photo.number]
    if not series:
        return None
    return series[-1]


def own_patients(question: Request) -> frozenset[str]:
    requester = question.requester
    own = frozenset({requester.own_patient} if requester.own_patient else ())
    return (requester.confined_to or frozenset()) | own
