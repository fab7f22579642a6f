"""What was done in one session, as facts: written by :mod:`fhir_mapping.treatment.build`, read back by ``read``."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from consent.types import Laterality
from consent.wording import Wording
from fhir_mapping.treatment import units


@dataclass(frozen=True, slots=True)
class Named:
    """What something is called, and its code where it has one."""

    text: str = ""
    code: str | None = None
    """``system|code``."""


UNNAMED = Named()


@dataclass(frozen=True, slots=True)
class Place:
    """An area of the body."""

    region: Named
    side: Laterality | None = None


@dataclass(frozen=True, slots=True)
class Amount:
    """A quantity, with the digits that it was written with."""

    value: Decimal
    unit: str = ""
    """As people read it."""

    code: str = ""
    """UCUM."""

    comparator: str = ""

    @property
    def shown(self) -> Wording:
        """``2.4 J/cm²``."""
        return units.amount(Decimal(plain(self.value)), self.unit or self.code, self.comparator)


@dataclass(frozen=True, slots=True)
class Lot:
    """A product in one lot: one Medication."""

    name: Named
    lot: str = ""
    expires: str = ""
    """FHIR date as received."""

    di: str = ""
    """``system|value``: the UDI device identifier on its pack (GTIN, HIBCC LIC with product), where it was scanned."""

    reference: str | None = None
    """``Medication/…`` where it is on record; None: it is contained in what names it, or new."""


class Use(StrEnum):
    """How a product reached the patient."""

    GIVEN = "given"
    """Injected or applied in the clinic: MedicationAdministration."""

    HANDED = "handed-over"
    """Handed to the patient: MedicationDispense."""

    HOME = "at-home"
    """Used at home, by her own account: MedicationStatement."""


@dataclass(frozen=True, slots=True)
class Point:
    """One injection point on a photo's frame.

    Units: fractions of the viewing copy's width and height, from its upper left corner; the viewing copy is upright.
    """

    x: Decimal
    y: Decimal
    dose: Amount | None = None


@dataclass(frozen=True, slots=True)
class PointMap:
    """The injection points of one product on one photo."""

    photo: str
    """``DocumentReference/…``."""

    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """One product in one area."""

    product: Lot
    use: Use = Use.GIVEN
    dose: Amount | None = None
    place: Place | None = None
    maps: tuple[PointMap, ...] = ()


@dataclass(frozen=True, slots=True)
class Implant:
    """A filler, thread or implant: a Device of its own, left in the body."""

    name: Named
    di: str = ""
    """UDI device identifier."""

    udi: str = ""
    """The UDI as printed (Device.udiCarrier.carrierHRF); else as scanned, with its separators (carrierAIDC)."""

    lot: str = ""
    expires: str = ""
    serial: str = ""
    amount: Amount | None = None
    place: Place | None = None
    maps: tuple[PointMap, ...] = ()
    reference: str | None = None
    """``Device/…`` where it is on record."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a machine."""

    name: Named
    value: Amount | str

    @property
    def shown(self) -> str:
        """The value as people read it."""
        return self.value if isinstance(self.value, str) else self.value.shown


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine that was used, and how it was set."""

    name: str = ""
    reference: str | None = None
    """``Device/…``; None where only its kind is on record, or nothing but settings."""

    settings: tuple[Setting, ...] = ()


@dataclass(frozen=True, slots=True)
class Person:
    """Who did it."""

    reference: str | None = None
    """``Practitioner/…``."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """One session of treatment."""

    patient: str
    """Id."""

    title: Named = UNNAMED
    start: str = ""
    """FHIR dateTime."""

    end: str = ""
    """Empty where a moment is stated and no period."""

    encounter: str | None = None
    """``Encounter/…``."""

    number: int | None = None
    plans: tuple[str, ...] = ()
    """``CarePlan/…`` that it was done by."""

    places: tuple[Place, ...] = ()
    performers: tuple[Person, ...] = ()
    given: tuple[Given, ...] = ()
    implants: tuple[Implant, ...] = ()
    machines: tuple[Machine, ...] = ()
    note: str = ""
    key: str = ""
    """What makes a session that is sent twice one session."""

    @property
    def maps(self) -> tuple[PointMap, ...]:
        """The injection points of all its products."""
        return tuple(each for used in self.given for each in used.maps) + tuple(
            each for used in self.implants for each in used.maps
        )


def plain(value: Decimal) -> str:
    """A number without an exponent and without a closing ``.0``."""
    return f"{value:f}".removesuffix(".0")
