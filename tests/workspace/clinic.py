"""A clinic in memory behind the pages: two patients, their courses, and drawn photos. No database, no Orthanc."""

from __future__ import annotations

import io
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from PIL import Image

from consent.identity.code_flow import Proved
from consent.regions import regions
from consent.types import Request, Requester
from dicom_bridge.archive import ArchiveUnavailable
from dicom_bridge.compare.conditions import Conditions, Focal, View
from dicom_bridge.compare.held import Held
from dicom_bridge.compare.keeping import Half
from dicom_bridge.compare.kept import KeptComparison, KeptHalf
from fhir_mapping.question import text
from fhir_mapping.question.facets import Facet
from fhir_mapping.question.question import Question
from orthanc_plugin.assembly.demo import pictures
from orthanc_plugin.workspace.filters import CHART_FACETS, GALLERY_FACETS
from orthanc_plugin.workspace.record import (
    OTHER,
    Answer,
    Area,
    Course,
    Gallery,
    Outcome,
    People,
    Person,
    Photo,
    Picture,
    Product,
    Setting,
    Treatment,
    Value,
)
from orthanc_plugin.workspace.treatments import area_of
from orthanc_plugin.workspace.visitor import Visitor

NOW = datetime(2026, 6, 15, 9, 0, tzinfo=UTC)
FACE = Area("http://snomed.info/sct|73897004", "Face")
SCALP = Area("http://snomed.info/sct|43067004", "Scalp")
HAND = Area("http://snomed.info/sct|33712006", "Hand")

NAME = "Maria Papadaki"
IDENTIFIER = "MRN 204-881"
BIRTH = "1981-03-14"


def _course(patient: str, first_number: int) -> Course:
    treatments, photos = [], []
    number = first_number
    for session in range(1, 5):
        at = datetime(2025, 9, 2, 8, 30, tzinfo=UTC) + timedelta(weeks=6 * (session - 1))
        procedure = f"{patient}-laser-{session}"
        treatments.append(
            Treatment(
                id=procedure,
                title="Fractional CO₂ laser resurfacing",
                at=at,
                visit=f"{patient}-visit-{session}",
                areas=(FACE,),
                session=session,
                clinician="Dr. Eleni Markou",
                device="Lumera Fractional 30W",
                products=(Product("Tretinoin 0.05 % cream", "1 g", f"TR-22{session}7", "2027-03"),),
                settings=(Setting("Energy", f"{18 + session} mJ"), Setting("Density", "15 %"), Setting("Passes", "2")),
            )
        )
        for view in ("frontal", "left oblique", "right oblique")[: 3 if session in (1, 4) else 1]:
            photos.append(
                Photo(number, f"{patient}-p{number}", patient, at + timedelta(minutes=number), FACE, "", view, session,
                      procedure, f"{patient}-visit-{session}", f"2.25.{number}", f"2.25.5{number}", 1500, 2000)
            )  # fmt: skip
            number += 1
    at = datetime(2026, 5, 12, 10, 0, tzinfo=UTC)
    photos.append(
        Photo(number, f"{patient}-p{number}", patient, at, FACE, "", "frontal", None, f"{patient}-laser-4", None,
              f"2.25.{number}", f"2.25.5{number}", 1500, 2000)
    )  # fmt: skip
    number += 1
    for session, weeks in ((1, 0), (2, 16)):
        at = datetime(2025, 11, 4, 8, 0, tzinfo=UTC) + timedelta(weeks=weeks)
        procedure = f"{patient}-ipl-{session}"
        treatments.append(
            Treatment(procedure, "Intense pulsed light", at, None, (HAND,), "Hand", session, "Dr. Eleni Markou",
                      "Solis IPL", (), (Setting("Fluence", "16 J/cm²"), Setting("Filter", "560 nm")))
        )  # fmt: skip
        photos.append(
            Photo(number, f"{patient}-p{number}", patient, at, HAND, "R", "dorsal", session, procedure, None,
                  f"2.25.{number}", f"2.25.5{number}", 1500, 2000)
        )  # fmt: skip
        number += 1
    photos.sort(key=lambda photo: photo.at or NOW)
    treatments.sort(key=lambda entry: entry.at or NOW)
    return Course(tuple(treatments), tuple(photos))


@dataclass(slots=True)
class Clinic:
    """A Record and Pictures over plain lists. ``publishable`` are the numbers that patients agreed to publish."""

    publishable: set[int] = field(default_factory=lambda: {1, 8, 9, 4})
    refused: set[int] = field(default_factory=set)
    portrait: Path | None = None
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """(route, purpose, SOP UID) of each picture asked for."""

    exports: list[tuple[str, tuple[int, ...], dict[str, str]]] = field(default_factory=list)
    """Purpose, photos and file of each export."""

    kept: list[KeptComparison] = field(default_factory=list)
    conditions_of: dict[int, Conditions] = field(default_factory=dict)
    """How photos were taken, by number, where it is not as usual."""

    also: dict[str, str] = field(default_factory=dict)
    """Further patient whom a photo shows, by the photo's key."""

    people: list[Person] = field(
        default_factory=lambda: [
            Person("maria", NAME, BIRTH, (IDENTIFIER,), datetime(2026, 5, 12, tzinfo=UTC)),
            Person("jonas", "Jonas Weber", "1990-11", ("MRN 118-027",), datetime(2026, 4, 2, tzinfo=UTC)),
            Person("aiko", "Aiko Tanaka-Lindqvist", "1974-07-30", ("MRN 300-412", "HIS 7712"), None),
        ]
    )
    courses: dict[str, Course] = field(
        default_factory=lambda: {"maria": _course("maria", 1), "jonas": _course("jonas", 101)}
    )

    def search(self, text: str, limit: int) -> People:
        found = [
            person
            for person in self.people
            if all(
                word in f"{person.name} {person.birth} {' '.join(person.identifiers)}".lower()
                for word in text.lower().split()
            )
        ]
        return People(tuple(found[:limit]), len(found) > limit)

    def person(self, patient: str) -> Person | None:
        return next((entry for entry in self.people if entry.id == patient), None)

    def persons(self, patients: Sequence[str]) -> Sequence[Person]:
        return [each for one in patients if (each := self.person(one)) is not None]

    def course(
        self,
        request: Request,
        patient: str,
        question: Question,
        route: str,
        kept: Sequence[str] = (),
        *,
        at_hand: str | None = None,
        thumbnails: bool = False,
    ) -> Course:
        course = self.courses.get(patient, Course())
        mine = [*course.photos, *(p for p in self._photos() if self.also.get(p.key) == patient)]
        photos = [p for p in mine if self._may(request, p.number)]
        shown = tuple(p for p in photos if _meets(course, p, question))
        also = tuple(p for p in photos if p.key in kept and p not in shown)
        return Course(course.treatments, shown, _answer(course, photos, question), also)

    def _may(self, request: Request, number: int) -> bool:
        if number in self.refused:
            return False
        return request.purpose in ("TREAT", "PATRQT") or number in self.publishable

    def _photos(self) -> list[Photo]:
        return [photo for course in self.courses.values() for photo in course.photos]

    def patients_of(self, key: str) -> Sequence[str]:
        subject = [photo.patient for photo in self._photos() if photo.key == key]
        return [*subject, *([self.also[key]] if key in self.also else [])]

    def alone(self, patient: str, keys: Sequence[str]) -> frozenset[str]:
        return frozenset(photo.key for photo in self._photos() if photo.key in keys and photo.patient == patient) - (
            self.also.keys()
        )

    def gallery(self, request: Request, route: str, question: Question, after: int | None) -> Gallery:
        outcomes: list[Outcome] = []
        everything = Course(tuple(entry for course in self.courses.values() for entry in course.treatments))
        photos = [photo for photo in self._photos() if self._may(request, photo.number)]
        for course in self.courses.values():
            for place in (FACE, HAND):
                shown = tuple(
                    p for p in course.photos
                    if p.area == place and self._may(request, p.number) and _meets(course, p, question)
                )  # fmt: skip
                if shown:
                    outcomes.append(Outcome(shown, "Laser resurfacing" if place == FACE else ""))
        answer = _answer(everything, photos, question)
        values = {facet: each for facet, each in answer.values.items() if facet in GALLERY_FACETS}
        return Gallery(tuple(outcomes), replace(answer, values=values))

    def companions(self, request: Request, route: str, number: int) -> Sequence[Photo]:
        found = next((photo for photo in self._photos() if photo.number == number), None)
        if found is None or not self._may(request, number):
            return []
        course = self.courses[found.patient]
        return [p for p in course.photos if p.area == found.area and self._may(request, p.number)]

    def conditions(self, request: Request, numbers: Sequence[int]) -> Mapping[int, Conditions]:
        return {each.number: self._taken(each) for each in self._photos() if each.number in numbers}

    def _taken(self, photo: Photo) -> Conditions:
        """As its camera said it; the first photo of a patient was taken with a flash and another lens."""
        first = photo.number % 100 == 1
        return self.conditions_of.get(photo.number) or Conditions(
            f"DocumentReference/{photo.key}", photo.at, View(photo.area.code, photo.side, photo.view), None,
            Focal(None, 35 if first else 85), first, "Canon EOS R6",
        )  # fmt: skip

    def exported(self, request: Request, numbers: Sequence[int], route: str, told: Mapping[str, str]) -> None:
        self.exports.append((request.purpose, tuple(numbers), dict(told)))

    def sop_uid(self, *, key: str | None = None, number: int | None = None) -> str | None:
        return next((f"1.2.{p.number}" for p in self._photos() if key == p.key or number == p.number), None)

    def picture(self, request: Request, sop_uid: str, *, route: str, width: int, publishing: bool) -> Picture | None:
        self.asked.append((route, request.purpose, sop_uid))
        photo = next((p for p in self._photos() if f"1.2.{p.number}" == sop_uid), None)
        if photo is None or not self._may(request, photo.number):
            return None
        return Picture(_drawn(self.portrait, photo.number, photo.area.name, photo.session or 6, width or 1500))


def _values(course: Course, photo: Photo, facet: Facet) -> list[tuple[str, str]]:
    """What a photo has of a facet: the text of a question, and the name."""
    treatment = course.treatment(photo)
    if facet is Facet.AREA and photo.area.code == OTHER:
        return [("|none", "Other")]
    if facet is Facet.AREA:
        return [
            (each.code, area_of(each.code).name) for each in regions() if regions().includes(each.code, photo.area.code)
        ]
    if facet is Facet.SESSION:
        return [] if photo.session is None else [(str(photo.session), str(photo.session))]
    if facet is Facet.VIEW:
        return [(f"|{photo.view}", photo.view.capitalize())]
    if facet is Facet.TREATMENT:
        return [] if treatment is None else [(f"|{treatment.title}", treatment.title)]
    if facet is Facet.LOT:
        return [] if treatment is None else [(product.lot, product.lot) for product in treatment.products]
    return []


def _meets(course: Course, photo: Photo, question: Question, but: Facet | None = None) -> bool:
    """Whether a photo is asked for by the facets that this clinic knows."""
    wanted = text.pairs(question)
    for facet in {Facet(name) for name, _ in wanted} - {but}:
        asked = {_canonical(facet, value) for name, value in wanted if name == facet}
        if not asked & {_canonical(facet, value) for value, _ in _values(course, photo, facet)}:
            return False
    return True


def _canonical(facet: Facet, value: str) -> str:
    found = regions().by_name(value) if facet is Facet.AREA else None
    return found.code if found else value.removeprefix("|")


def _answer(course: Course, photos: Sequence[Photo], question: Question) -> Answer:
    values: dict[Facet, tuple[Value, ...]] = {}
    for facet in CHART_FACETS:
        counted = Counter(
            each for photo in photos if _meets(course, photo, question, facet) for each in _values(course, photo, facet)
        )
        values[facet] = tuple(Value(code, name, number) for (code, name), number in counted.items())
    return Answer(sum(_meets(course, photo, question) for photo in photos), len(photos), values)


@lru_cache(maxsize=400)
def _drawn(portrait: Path | None, number: int, area: str, session: int, width: int) -> bytes:
    picture = _picture(portrait if area == "Face" else None, number // 100, session)
    size = (width, width * picture.height // picture.width)
    out = io.BytesIO()
    picture.resize(size, Image.Resampling.BICUBIC).save(out, "JPEG", quality=88)
    return out.getvalue()


@lru_cache(maxsize=50)
def _picture(portrait: Path | None, seed: int, session: int) -> Image.Image:
    severity = max(0.05, 1.1 - 0.2 * session)
    if portrait is not None:
        return pictures.face(portrait, severity=severity, seed=seed, light=1 + 0.02 * (session % 3))
    return pictures.skin(tone=(214, 170, 144), marks="spots", severity=severity, seed=seed)


@dataclass(slots=True)
class KeptBook:
    """Comparisons that are kept in a list; one account alone may keep some."""

    clinic: Clinic
    comparisons: list[KeptComparison] = field(default_factory=list)
    away: bool = False
    """Whether the archive does not answer."""

    def may_keep(self, request: Request) -> bool:
        return request.requester.account == "clinician"

    def keep(self, request: Request, halves: Sequence[Half], held: Held, route: str) -> str:
        if self.away:
            raise ArchiveUnavailable("Orthanc does not answer")
        keys = {f"1.2.{photo.number}": photo.key for photo in self.clinic._photos()}
        left, right = (KeptHalf(keys[half.sop_uid], half.area) for half in halves)
        self.comparisons.insert(0, KeptComparison(f"kept{len(self.comparisons)}", left, right, held, "20260615120000"))
        return self.comparisons[0].id

    def kept(self, request: Request, patient: str, route: str) -> Sequence[KeptComparison]:
        hers = {photo.key for photo in self.clinic._photos() if photo.patient == patient}
        return [
            each
            for each in self.comparisons
            if {each.left.photo, each.right.photo} <= hers
            and all(self.clinic._may(request, p.number) for p in self.clinic._photos()
                    if p.key in (each.left.photo, each.right.photo))
        ]  # fmt: skip


@dataclass(slots=True)
class Sessions:
    """Accounts in memory; each password is NAME-demo."""

    requesters: dict[str, Requester] = field(
        default_factory=lambda: {
            "clinician": Requester("clinician", ("TREAT", "BTG"), reference="Practitioner/d"),
            "doctor": Requester("doctor", ("TREAT", "PORTFOLIO", "WEB", "SOCIAL"), reference="Practitioner/e"),
            "marketing": Requester("marketing", ("PORTFOLIO", "WEB", "SOCIAL")),
            "maria": Requester("maria", ("PATRQT",), confined_to=frozenset({"maria"})),
            "admin": Requester("admin"),
        }
    )
    open: dict[str, Visitor] = field(default_factory=dict)

    def sign_in(self, name: str, password: str) -> str | None:
        return self._begin(name) if password == f"{name}-demo" else None

    def sign_in_as(self, proved: Proved) -> str | None:
        return self._begin(proved.account)

    def _begin(self, account: str) -> str | None:
        requester = self.requesters.get(account)
        if requester is None:
            return None
        cookie = secrets.token_urlsafe(24)
        self.open[cookie] = Visitor(
            requester, account.capitalize(), secrets.token_urlsafe(16), secrets.token_hex(8), secrets.token_bytes(32)
        )
        return cookie

    def visitor(self, cookie: str) -> Visitor | None:
        return self.open.get(cookie)

    def sign_out(self, cookie: str) -> None:
        self.open.pop(cookie, None)
