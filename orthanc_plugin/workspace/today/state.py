"""What the form's page knew: whom it is about, what it showed, and what its rows were made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from consent.types import Laterality
from fhir_mapping.course.looked_at import Shown
from fhir_mapping.treatment.session import Amount, Lot, Named, Place
from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.language import noted


class Kind(StrEnum):
    """How a product reaches the patient, and so which resource says it."""

    GIVEN = "given"
    HANDED = "handed-over"
    HOME = "at-home"
    IMPLANT = "implant"


KINDS: Mapping[Kind, str] = {
    Kind.GIVEN: noted("Given in the clinic"),
    Kind.HANDED: noted("Handed to the patient"),
    Kind.HOME: noted("Used at home"),
    Kind.IMPLANT: noted("Filler or implant"),
}


@dataclass(frozen=True, slots=True)
class KnownProduct:
    """A product that the form's page listed."""

    name: Named
    kind: Kind
    unit: tuple[str, str] | None
    """As people read it, and in UCUM; None: to be chosen."""

    place: Place | None
    di: str = ""
    note: str = ""
    """Why its lot is empty."""


@dataclass(frozen=True, slots=True)
class KnownSetting:
    """A setting that the page listed; without a unit its value is a text."""

    name: Named
    unit: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class KnownMachine:
    """A machine of last time."""

    name: str
    reference: str | None
    settings: tuple[KnownSetting, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """A photo that the page showed."""

    document: str
    """Id."""

    version: int
    name: str
    """View and day."""

    at: str
    """FHIR dateTime; empty: unknown."""

    place: Place | None
    view: str
    """What photos of one view share."""


@dataclass(frozen=True, slots=True)
class State:
    """All of it."""

    key: str
    """What makes a form that is sent twice one session."""

    patient: str
    plan: str | None
    plan_version: int | None
    visit: str | None
    last: str | None
    """``Procedure/…``: the session that an outcome judges."""

    known: int
    """Treatments of hers that were on record when the page was made."""

    record: str
    title: Named
    places: tuple[Place, ...]
    products: tuple[KnownProduct, ...]
    machines: tuple[KnownMachine, ...]
    frames: tuple[Frame, ...]
    house: tuple[tuple[str, str], ...]
    """Machines of the house: reference and name."""

    @property
    def shown(self) -> tuple[Shown, ...]:
        """The photos that were shown."""
        return tuple(Shown(each.document, each.version) for each in self.frames)

    def frame(self, document: str) -> Frame | None:
        """A photo by its id."""
        return next((each for each in self.frames if each.document == document), None)

    def shown_anew(self, now: State) -> State:
        """The rows of this form over what a page shows now: what was typed stays where it was typed."""
        return replace(
            now,
            key=self.key,
            title=self.title,
            places=self.places,
            products=self.products,
            machines=self.machines,
        )


def pack(state: State) -> dict[str, Any]:
    """As JSON."""
    return {
        "key": state.key,
        "patient": state.patient,
        "plan": state.plan,
        "version": state.plan_version,
        "visit": state.visit,
        "last": state.last,
        "known": state.known,
        "record": state.record,
        "title": _named(state.title),
        "places": [_place(each) for each in state.places],
        "products": [
            [_named(each.name), each.kind.value, each.unit, _place(each.place), each.di, each.note]
            for each in state.products
        ],
        "machines": [
            [each.name, each.reference, [[_named(one.name), one.unit] for one in each.settings]]
            for each in state.machines
        ],
        "frames": [
            [each.document, each.version, each.name, each.at, _place(each.place), each.view] for each in state.frames
        ],
        "house": [list(each) for each in state.house],
    }


def unpack(stored: Mapping[str, Any]) -> State:
    """From what :func:`pack` made; nobody else's comes so far (:mod:`orthanc_plugin.workspace.sealed_state`)."""
    return State(
        key=stored["key"],
        patient=stored["patient"],
        plan=stored["plan"],
        plan_version=stored["version"],
        visit=stored["visit"],
        last=stored["last"],
        known=stored["known"],
        record=stored["record"],
        title=Named(*stored["title"]),
        places=tuple(where for each in stored["places"] if (where := _place_of(each)) is not None),
        products=tuple(
            KnownProduct(Named(*name), Kind(kind), _pair(unit), _place_of(where), di, note)
            for name, kind, unit, where, di, note in stored["products"]
        ),
        machines=tuple(
            KnownMachine(name, reference, tuple(KnownSetting(Named(*said), _pair(unit)) for said, unit in settings))
            for name, reference, settings in stored["machines"]
        ),
        frames=tuple(
            Frame(document, version, name, at, _place_of(where), view)
            for document, version, name, at, where, view in stored["frames"]
        ),
        house=tuple((reference, name) for reference, name in stored["house"]),
    )


def unit_of(amount: Amount | str | None) -> tuple[str, str] | None:
    """The unit of an amount."""
    return (amount.unit, amount.code) if isinstance(amount, Amount) and (amount.unit or amount.code) else None


def expired_note(name: Named, gone: Sequence[Lot]) -> str:
    """Why a row of last time has no lot."""
    lot = next((each.lot for each in gone if each.name == name), "")
    return _("Lot %(lot)s of last time has expired") % {"lot": lot} if lot else ""


def _named(name: Named) -> list[str | None]:
    return [name.text, name.code]


def _place(place: Place | None) -> list[Any] | None:
    if place is None:
        return None
    return [_named(place.region), place.side.value if place.side is not None else None]


def _place_of(stored: Sequence[Any] | None) -> Place | None:
    if stored is None:
        return None
    return Place(Named(*stored[0]), None if stored[1] is None else Laterality(stored[1]))


def _pair(stored: Sequence[str] | None) -> tuple[str, str] | None:
    return None if stored is None else (stored[0], stored[1])
