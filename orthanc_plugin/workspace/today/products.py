"""The products of the form: given, handed over, used at home, or left in the body."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from fhir_mapping.errors import Invalid
from fhir_mapping.treatment.session import Amount, Given, Implant, Lot, Named, Place, PointMap, Use
from fhir_mapping.udi.identifier import Udi
from fhir_mapping.udi.parse import parse
from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.language import noted
from orthanc_plugin.workspace.today.fields import Fields
from orthanc_plugin.workspace.today.state import Kind, KnownProduct, State

MOST_NEW = 12
TYPED = ("given", "name", "scan", "dose", "lot", "expires", "serial")
"""Beginnings of the fields of a row that somebody fills."""

_USES = {Kind.GIVEN: Use.GIVEN, Kind.HANDED: Use.HANDED, Kind.HOME: Use.HOME}


@dataclass(frozen=True, slots=True)
class Chosen:
    """One product that was given, as it was typed."""

    key: str
    name: Named
    kind: Kind
    place: Place | None
    amount: Amount | None
    unit: tuple[str, str]
    lot: str
    expires: str
    serial: str
    di: str
    """``system|value``."""

    udi: str
    """As scanned or printed; empty: it was not."""

    def given(self, maps: tuple[PointMap, ...]) -> Given:
        """As a medicine or topical."""
        return Given(Lot(self.name, self.lot, self.expires, self.di), _USES[self.kind], self.amount, self.place, maps)

    def implant(self, maps: tuple[PointMap, ...]) -> Implant:
        """As a device that is left in the body."""
        return Implant(
            self.name,
            self.di.rpartition("|")[2],
            self.udi,
            self.lot,
            self.expires,
            self.serial,
            self.amount,
            self.place,
            maps,
        )


def read(state: State, fields: Fields, today: date) -> list[Chosen]:
    """The products that were ticked; what is wrong with any is said in ``fields``."""
    found = []
    for key, known in keys(state, fields):
        if known is None:
            known = _typed(key, fields)
        if known is not None and fields.ticked(f"given-{key}"):
            found.append(_chosen(key, known, fields, today))
    return found


def keys(state: State, fields: Fields) -> list[tuple[str, KnownProduct | None]]:
    """The rows of the form: those of last time, then new ones, whose names are typed."""
    known: list[tuple[str, KnownProduct | None]] = [(str(number), each) for number, each in enumerate(state.products)]
    return known + [(f"n{number}", None) for number in range(fields.count("products", MOST_NEW, 1))]


def scan_of(key: str, fields: Fields) -> Udi | None:
    """The UDI in a row's field; None where it is empty, or wrong: then that is said."""
    said = fields.text(f"scan-{key}", 400)
    if not said:
        return None
    try:
        return parse(said)
    except Invalid as refusal:
        fields.wrong(f"scan-{key}", refusal.issues[0].text)
        return None


def _typed(key: str, fields: Fields) -> KnownProduct | None:
    """A product that was not given last time; None where the row is empty."""
    name = fields.text(f"name-{key}")
    ticked = fields.ticked(f"given-{key}")
    if not name and not ticked:
        if any(fields.text(f"{each}-{key}", 400) for each in ("scan", "lot", "dose")):
            fields.wrong(f"name-{key}", "Name the product.")
        return None
    if not name:
        fields.wrong(f"name-{key}", "Name the product.")
    if not ticked:
        fields.wrong(f"given-{key}", "Tick it where it was given.")
    how = fields.sent.get(f"how-{key}", Kind.GIVEN)
    if how not in list(Kind):
        fields.wrong(f"how-{key}", "Choose how it reached the patient.")
        how = Kind.GIVEN
    return KnownProduct(Named(name), Kind(how), None, fields.place(f"area-{key}", f"side-{key}"))


def _chosen(key: str, known: KnownProduct, fields: Fields, today: date) -> Chosen:
    scan = scan_of(key, fields)
    lot, expires = fields.text(f"lot-{key}"), fields.expiry(f"expires-{key}")
    serial = fields.text(f"serial-{key}")
    if scan is not None:
        lot = _agreed(fields, f"lot-{key}", lot, scan.lot, noted("lot"))
        expires = _agreed(fields, f"expires-{key}", expires, scan.expiry, noted("expiry"))
        serial = _agreed(fields, f"serial-{key}", serial, scan.serial or scan.donation, noted("serial number"))
    if not lot and known.kind is not Kind.HOME:
        fields.wrong(f"lot-{key}", "Give the lot on today's pack, or write 'unknown'.")
    elif scan is None and known.kind is not Kind.HOME and not fields.ticked(f"checked-{key}"):
        fields.wrong(f"checked-{key}", "Look at today's pack: is it this lot?")
    if is_over(expires, today) and not fields.ticked(f"expired-{key}"):
        fields.wrong(f"expired-{key}", "This lot has expired. Tick it where it was given all the same.")
    unit = known.unit or fields.unit(f"unit-{key}")
    amount = fields.dose(f"dose-{key}", unit)
    if amount is not None and not any(unit):
        fields.wrong(f"unit-{key}", "Choose the unit of the dose.")
    di = known.di
    if scan is not None and scan.device is not None:
        di = f"{scan.issuer.value}|{scan.device}"
        if known.di and known.di.rpartition("|")[2] != scan.device:
            fields.wrong(f"scan-{key}", "This is another product than last time: enter it as a new one.")
    udi = fields.text(f"scan-{key}", 400) if scan is not None else ""
    return Chosen(key, known.name, known.kind, known.place, amount, unit, lot, expires, serial, di, udi)


def is_over(expires: str, today: date) -> bool:
    """Whether a lot is past its expiry, a FHIR date: on the day, or in the month, it may still be used."""
    return bool(expires) and expires < today.isoformat()[: len(expires)]


def _agreed(fields: Fields, name: str, typed: str, scanned: str | None, what: str) -> str:
    """What was typed and scanned, where they agree."""
    if not scanned:
        return typed
    if typed and typed != scanned and not (what == "expiry" and scanned.startswith(typed)):
        fields.wrong(name, "The scan says %(what)s: correct one of them.", what=f"{_(what)} {scanned}")
    return scanned
