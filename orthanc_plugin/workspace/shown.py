"""The screen turned to the patient: her own photos, and two of them beside each other. Nothing else opens meanwhile.

The care team shows them to her, so the purpose is TREAT and the requester is whoever turned the screen, narrowed to
her. A photo that shows somebody else, too, is left out: that person is not asked here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from consent.identity.shown import Mode, Shown
from consent.types import Request
from fhir_mapping.question.question import Question
from orthanc_plugin.workspace import alignment_page, timeline
from orthanc_plugin.workspace.alignment_page import Alignable, alignable
from orthanc_plugin.workspace.chart import picture
from orthanc_plugin.workspace.lock import Lock
from orthanc_plugin.workspace.pages import Pages, refused_picture
from orthanc_plugin.workspace.record import Course, Person, Photo, view_name
from orthanc_plugin.workspace.rooms import ROOMS
from orthanc_plugin.workspace.visitor import Visitor, read_form, same_origin, same_token

_HOME = ROOMS[Mode.PATIENT].home
_PURPOSE = "TREAT"
_PAIRS = 6


@dataclass(frozen=True, slots=True)
class Turned:
    """A request while the screen is turned to a patient."""

    visitor: Visitor
    question: Request
    patient: str


@dataclass(frozen=True, slots=True)
class Taken:
    """The photos of one day, with what was done then."""

    date: date | None
    titles: tuple[str, ...]
    photos: tuple[Photo, ...]


@dataclass(frozen=True, slots=True)
class Side:
    """One photo of the comparison, and the photos that may take its place: photo and address."""

    photo: Photo
    title: str
    strip: tuple[tuple[Photo, str], ...]


class PatientScreen:
    """``/shown``."""

    def __init__(self, pages: Pages, lock: Lock) -> None:
        self._pages, self._lock = pages, lock

    def routes(self) -> list[BaseRoute]:
        """Its routes."""
        return [
            Route("/chart/patient/{patient}/show", self._turn, methods=["POST"]),
            Route(_HOME, self._home, methods=["GET"]),
            Route(f"{_HOME}/compare", self._compare, methods=["GET"]),
            Route(f"{_HOME}/compare/alignment", self._align, methods=["GET"]),
            Route(f"{_HOME}/photo/{{key}}", self._photo, methods=["GET"]),
        ]

    async def _turn(self, http: HttpRequest) -> Response:
        form = await read_form(http)
        return await run_in_threadpool(self._turn_to, http, dict(form or {}))

    def _turn_to(self, http: HttpRequest, form: dict[str, str]) -> Response:
        visitor = self._pages.visitor(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        person = self._pages.parts.record.person(http.path_params["patient"])
        proved = same_origin(http) and same_token(form.get("csrf"), visitor.csrf)
        if not proved or visitor.asks(_PURPOSE) is None or person is None or not _may_show(visitor, person.id):
            return self._pages.refuse(http, visitor)
        return self._lock.turn(http, visitor, Shown(Mode.PATIENT, person.id))

    def _turned(self, http: HttpRequest) -> Turned | None:
        """The request, where the visitor's screen is turned to a patient."""
        visitor = self._pages.visitor(http)
        if visitor is None or visitor.shown is None or visitor.shown.mode is not Mode.PATIENT:
            return None
        question = visitor.asks(_PURPOSE)
        patient = visitor.shown.patient
        return None if question is None or patient is None else Turned(visitor, question, patient)

    def _hers(
        self, turned: Turned, route: str, keys: Sequence[str] = (), *, thumbnails: bool = False
    ) -> tuple[Person, Course] | None:
        """Her course, of the photos that show her alone."""
        record = self._pages.parts.record
        person = record.person(turned.patient)
        if person is None:
            return None
        course = record.course(turned.question, turned.patient, Question(), route, keys, thumbnails=thumbnails)
        shown = (*course.photos, *course.kept)
        alone = record.alone(turned.patient, [photo.key for photo in shown])
        return person, Course(course.treatments, tuple(photo for photo in shown if photo.key in alone))

    def _home(self, http: HttpRequest) -> Response:
        turned = self._turned(http)
        found = self._hers(turned, _HOME, thumbnails=True) if turned is not None else None
        if turned is None or found is None:
            return self._away(http)
        person, course = found
        return self._pages.show(
            http,
            "shown.html",
            turned.visitor,
            section="",
            base=_HOME,
            person=person,
            pairs=timeline.pairs(course.photos, self._pages.parts.site.zone)[:_PAIRS],
            days=self._days(course),
        )

    def _days(self, course: Course) -> list[Taken]:
        """Her photos by days, the newest first."""
        zone = self._pages.parts.site.zone

        def day(photo: Photo) -> date | None:
            return photo.at.astimezone(zone).date() if photo.at is not None else None

        made = []
        for taken, each in groupby(sorted(course.photos, key=lambda photo: day(photo) or date.min), key=day):
            photos = tuple(each)
            treatments = (course.treatment(photo) for photo in photos)
            titles = dict.fromkeys(entry.title for entry in treatments if entry is not None)
            made.append(Taken(taken, tuple(titles), photos))
        return made[::-1]

    def _compare(self, http: HttpRequest) -> Response:
        turned = self._turned(http)
        keys = [key for side in ("left", "right") if (key := http.query_params.get(side))]
        found = self._hers(turned, f"{_HOME}/compare", keys) if turned is not None else None
        known = {photo.key: photo for photo in found[1].photos} if found is not None else {}
        if turned is None or found is None or not keys or any(key not in known for key in keys):
            return self._away(http)
        course = found[1]
        left, right = _ends(course.photos, known[keys[0]], known[keys[1]] if len(keys) > 1 else None)
        return self._pages.show(
            http,
            "shown_compare.html",
            turned.visitor,
            section="",
            base=_HOME,
            left=_side(course, left, lambda photo: (photo, right)),
            right=_side(course, right, lambda photo: (left, photo)),
            name=view_name(left),
            two=right is not left,
            swapped=_pair(right, left) if right is not left else "",
            alignment=self._alignable(turned.question, left, right),
        )

    def _alignable(self, question: Request, left: Photo, right: Photo) -> Alignable | None:
        """The screen is the patient's: nothing is kept from it."""
        found = alignable(self._pages, question, _HOME, left.key, right.key) if right is not left else None
        return None if found is None else replace(found, keeps=False)

    def _align(self, http: HttpRequest) -> Response:
        turned = self._turned(http)
        keys = {side: http.query_params.get(side, "") for side in ("left", "right")}
        if turned is None or len(self._alone(turned, list(keys.values()))) != len(set(keys.values())):
            return refused_picture()
        return alignment_page.asked(self._pages, turned.question, keys, f"{_HOME}/compare/alignment")

    def _photo(self, http: HttpRequest) -> Response:
        turned, key = self._turned(http), http.path_params["key"]
        if turned is None or not self._alone(turned, [key]):
            return refused_picture()
        sop_uid = self._pages.parts.record.sop_uid(key=key)
        return picture(self._pages, turned.question, sop_uid, http, f"{_HOME}/photo")

    def _alone(self, turned: Turned, keys: Sequence[str]) -> frozenset[str]:
        return self._pages.parts.record.alone(turned.patient, keys)

    def _away(self, http: HttpRequest) -> Response:
        visitor = self._pages.visitor(http)
        return self._pages.sign_in_first(http) if visitor is None else self._pages.refuse(http, visitor)


def _may_show(visitor: Visitor, patient: str) -> bool:
    """An account that is confined to a patient turns its screen to nobody else."""
    confined = visitor.requester.confined_to
    return confined is None or patient in confined


def _side(course: Course, photo: Photo, ends: Callable[[Photo], tuple[Photo, Photo]]) -> Side:
    treatment = course.treatment(photo)
    strip = tuple((entry, _pair(*ends(entry))) for entry in course.photos if entry.series == photo.series)
    return Side(photo, treatment.title if treatment is not None else "", strip)


def _pair(left: Photo, right: Photo, below: str = "") -> str:
    return f"{_HOME}/compare{below}?{urlencode({'left': left.key, 'right': right.key})}"


def _ends(photos: Sequence[Photo], one: Photo, other: Photo | None) -> tuple[Photo, Photo]:
    """Left and right: as asked for, or one that was tapped beside the first of its view, the earlier on the left."""
    if other is not None:
        return one, other
    series = [entry for entry in photos if entry.series == one.series]
    return (one, series[-1]) if series[0].number == one.number else (series[0], one)
