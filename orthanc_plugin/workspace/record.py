"""What the pages read of the record: people, treatments, and photos that a decision has already let through.

Nothing here is a FHIR or DICOM shape. Dates of treatments and photos are aware datetimes; a page shows them in the
site's time zone. The pages know the record only through :class:`Record`, so that they can be drawn without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from consent.types import Request
from dicom_bridge.compare.conditions import Conditions
from fhir_mapping.course.upcoming import Upcoming
from fhir_mapping.question.facets import Facet
from fhir_mapping.question.question import Question
from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.language import said, spoken


@dataclass(frozen=True, slots=True)
class Person:
    """A patient as a heading shows her."""

    id: str
    name: str
    birth: str | None = None
    """FHIR date: a year, a month or a day."""

    identifiers: tuple[str, ...] = ()
    last_visit: datetime | None = None
    """The newest treatment or visit on record (never read from photos)."""


@dataclass(frozen=True, slots=True)
class Product:
    """A product given: name, amount, and the batch that it came from."""

    name: str
    amount: str = ""
    lot: str = ""
    expires: str = ""
    """FHIR date as received."""

    how: str = ""
    """How it reached her, where it was not simply given: ``Handed to the patient``."""

    where: str = ""
    udi: str = ""
    """As printed; else the device identifier."""

    serial: str = ""
    points: int = 0
    """Injection points on photos."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One device setting, value and unit as written by the record."""

    name: str
    value: str


OTHER = "other"
"""Code of the area of what names no region that is known here; others have a bar in theirs."""


@dataclass(frozen=True, slots=True)
class Area:
    """A region of the body as galleries name it: ``code`` is ``system|code``, or ``other``."""

    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Treatment:
    """One session, with what was given and how the device was set."""

    id: str
    title: str
    at: datetime | None
    visit: str | None = None
    """Encounter id."""

    areas: tuple[Area, ...] = ()
    where: str = ""
    """The areas in words, each with its side."""

    session: int | None = None
    clinician: str = ""
    device: str = ""
    products: tuple[Product, ...] = ()
    settings: tuple[Setting, ...] = ()
    note: str = ""
    procedure: bool = True
    """Whether it is a Procedure, and not a use that belongs to none."""

    stated: str = ""
    """Its year or month, where the record does not state a day; ``at`` is the beginning of that."""


@dataclass(frozen=True, slots=True)
class Photo:
    """One photo that its viewer may see. ``width`` and ``height`` are pixels, 0 where unknown."""

    number: int
    key: str
    """Id of its DocumentReference: the name of the photo in the chart's addresses."""

    patient: str
    at: datetime | None
    area: Area
    side: str = ""
    view: str = ""
    """View and expression in words; photos of one view are those with the same area, side and view."""

    session: int | None = None
    treatment: str | None = None
    """Procedure id."""

    visit: str | None = None
    study: str = ""
    """Study Instance UID, for viewers of the visit."""

    series_uid: str = ""
    """Series Instance UID, likewise."""

    width: int = 0
    height: int = 0
    thumbnail: bytes = field(default=b"", repr=False)
    """A small JPEG, where one is ready and the page may hold it: decided with the question that the photo answers."""

    @property
    def series(self) -> tuple[str, str, str]:
        """What two photos share when they show the same thing in the same way."""
        return (self.area.code, self.side, self.view)


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a facet, with the photos that have it."""

    text: str
    """As a question asks for it."""

    name: str
    """As people call it."""

    count: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question found, over photos that this viewer may see alone."""

    total: int = 0
    """Photos that were asked for."""

    whole: int = 0
    """Photos without any filter."""

    values: Mapping[Facet, tuple[Value, ...]] = field(default_factory=dict)
    """The values of each facet; what is asked for of that facet itself does not narrow them."""


@dataclass(frozen=True, slots=True)
class Course:
    """A patient's treatments and the photos that this viewer may see, both in order of time."""

    treatments: tuple[Treatment, ...] = ()
    photos: tuple[Photo, ...] = ()
    """Those that were asked for; where they are very many, the newest of them."""

    answer: Answer = field(default_factory=lambda: Answer())
    kept: tuple[Photo, ...] = ()
    """Photos that were asked for by name and are not among the others."""

    more: bool = False
    """Whether there are older photos that were asked for."""

    upcoming: Upcoming | None = None
    """Her plan and her last session in brief, where they were asked for."""

    def treatment(self, photo: Photo) -> Treatment | None:
        """The treatment that a photo belongs to."""
        return next((entry for entry in self.treatments if entry.id == photo.treatment), None)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Photos of one patient and one area that may be published, in order of time."""

    photos: tuple[Photo, ...]
    title: str = ""
    """Name of the treatment by its code alone: free text could hold anything."""


@dataclass(frozen=True, slots=True)
class Gallery:
    """One page of outcomes: counts over photos that may be published alone."""

    outcomes: tuple[Outcome, ...] = ()
    answer: Answer = field(default_factory=Answer)
    following: int | None = None
    """The photo behind which the next page begins; None: there is none."""


@dataclass(frozen=True, slots=True)
class People:
    """One page of the patient list."""

    people: tuple[Person, ...] = ()
    more: bool = False


def place_name(photo: Photo) -> str:
    """``Face``, ``Right hand``."""
    return sided(_(photo.area.name), photo.side)


def sided(area: str, side: str | None) -> str:
    """An area's name with its side, where it is of one (``R``, ``L``): ``Right hand``."""
    if side == "R":
        return _("Right %s") % within_sentence(area)
    return _("Left %s") % within_sentence(area) if side == "L" else area


def within_sentence(name: str) -> str:
    """As within a sentence: English writes nouns small there."""
    text = said(name)
    return text.lower() if spoken().code == "en" else text


def view_name(photo: Photo) -> str:
    """``Right hand, dorsal``."""
    return ", ".join(filter(None, [place_name(photo), posed(photo)]))


def posed(photo: Photo) -> str:
    """View and expression: ``frontal, smile``."""
    return ", ".join(_(part) for part in photo.view.split(", ") if part)


class Record(Protocol):
    """The record behind the pages. Whatever returns photos has decided and recorded them for its request.

    Where the database or the audit cannot be reached it raises, and nothing is shown.
    """

    def search(self, text: str, limit: int) -> People:
        """Patients whose names, identifiers or birth date match every word; all, newest visit first, without words."""
        ...

    def person(self, patient: str) -> Person | None:
        """One patient, or None."""
        ...

    def persons(self, patients: Sequence[str]) -> Sequence[Person]:
        """Those of the patients who are on record, in the order asked."""
        ...

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
        """Her treatments, and those of her photos that are asked for, for the purpose of the request.

        Parameters
        ----------
        kept
            Keys of photos of hers that are wanted whatever is asked for.
        at_hand
            Where this is given, what comes next is read too, and recorded under this route.
        thumbnails
            Whether the first photos bring theirs.
        """
        ...

    def patients_of(self, key: str) -> Sequence[str]:
        """The patients in whose records a photo is, its subject first; merged records are one.

        It says nothing to a browser: what follows is decided.
        """
        ...

    def alone(self, patient: str, keys: Sequence[str]) -> frozenset[str]:
        """Those of the photos that show the patient and nobody else; merged records are one person.

        It says nothing to a browser, as :meth:`patients_of`.
        """
        ...

    def gallery(self, request: Request, route: str, question: Question, after: int | None) -> Gallery:
        """Photos that are asked for and may be published for the purpose of the request.

        Parameters
        ----------
        after
            The photo behind which the page begins; None: with the newest outcome.

        Raises
        ------
        fhir_mapping.errors.Forbidden
            A facet is asked for that the purpose does not show.
        """
        ...

    def companions(self, request: Request, route: str, number: int) -> Sequence[Photo]:
        """The photos of its patient and area that may be published, in order of time; empty where it may not."""
        ...

    def conditions(self, request: Request, numbers: Sequence[int]) -> Mapping[int, Conditions]:
        """How photos that the request was permitted were taken, by number; without what was corrected since."""
        ...

    def exported(self, request: Request, numbers: Sequence[int], route: str, told: Mapping[str, str]) -> None:
        """Record that photos leave as one file, durable when this returns.

        Parameters
        ----------
        told
            What is said of the file: its form, its SHA-256.
        """
        ...

    def sop_uid(self, *, key: str | None = None, number: int | None = None) -> str | None:
        """The SOP Instance UID behind a key or a number; None where there is no such photo."""
        ...


@dataclass(frozen=True, slots=True)
class Picture:
    """A photo's pixels as a browser shows them."""

    jpeg: bytes = field(repr=False)
    marked: bool = False
    """Whether a watermark was drawn into them."""


class Pictures(Protocol):
    """Renditions: each call is one decision and one audit record."""

    def picture(self, request: Request, sop_uid: str, *, route: str, width: int, publishing: bool) -> Picture | None:
        """The photo no wider than ``width`` pixels (0: as large as it is); None where refused or absent.

        Parameters
        ----------
        publishing
            Whether the page shows nothing that identifies, so that ``no-identifiers`` is met.
        """
        ...
