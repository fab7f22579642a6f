"""The form of today's session: prefilled from the last one, and read back into what is written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from consent.types import Laterality
from fhir_mapping.course.looked_at import Shown
from fhir_mapping.course.upcoming import Upcoming
from fhir_mapping.treatment.elements import region_name
from fhir_mapping.treatment.session import (
    Amount,
    Given,
    Lot,
    Machine,
    Named,
    Person,
    Place,
    Session,
    Setting,
    Use,
    plain,
)

_EXPIRY = re.compile(r"\d{4}-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?")
_MOST = 200  # characters of a field
_NOTE = 4_000
_NEW = 2  # empty rows for products that were not given last time


@dataclass(frozen=True, slots=True)
class Row:
    """One product of the form."""

    key: str
    """Names its fields: ``0``, ``1``; ``n0`` for one that is new today."""

    name: str
    where: str = ""
    lot: str = ""
    expires: str = ""
    dose: str = ""
    unit: str = ""
    handed: bool = False
    given: bool = True
    note: str = ""
    """Why the lot is empty."""

    @property
    def new(self) -> bool:
        """Whether its name is typed."""
        return self.key.startswith("n")


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting of the form."""

    key: str
    machine: str
    name: str
    value: str
    unit: str


@dataclass(frozen=True, slots=True)
class Form:
    """What the template draws."""

    number: str
    title: str
    where: str
    rows: tuple[Row, ...]
    settings: tuple[SettingRow, ...]
    note: str = ""
    errors: Mapping[str, str] = field(default_factory=dict)
    """Field -> what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A form that came back, and what its page knew."""

    session: Session
    plan_version: int | None
    shown: tuple[Shown, ...]
    record: str
    errors: Mapping[str, str]


def state_of(found: Upcoming, key: str) -> dict[str, Any]:
    """What the page knew: whom it is about, what it showed, and what the form was made from."""
    form = found.form
    return {
        "key": key,
        "patient": found.patient,
        "plan": found.plan.reference if found.plan is not None else None,
        "version": found.plan.version if found.plan is not None else None,
        "visit": found.visit,
        "shown": [[each.document, each.version] for each in found.shown],
        "record": found.record,
        "title": _named(form.title),
        "places": [_place(each) for each in form.places],
        "given": [
            [
                _named(each.product.name),
                each.use.value,
                [each.dose.unit, each.dose.code] if each.dose is not None else None,
                _place(each.place) if each.place is not None else None,
            ]
            for each in form.given
        ],
        "machines": [
            [
                each.name,
                each.reference,
                [
                    [_named(s.name), [s.value.unit, s.value.code] if isinstance(s.value, Amount) else None]
                    for s in each.settings
                ],
            ]
            for each in form.machines
        ],
    }


def prefilled(found: Upcoming) -> Form:
    """The form as the last session suggests it."""
    form = found.form
    gone = {each.name: each for each in found.expired}
    rows = []
    for number, each in enumerate(form.given):
        old = gone.get(each.product.name) if not each.product.lot else None
        rows.append(
            Row(
                key=str(number),
                name=each.product.name.text or "Product",
                where=region_name(each.place) if each.place is not None else "",
                lot=each.product.lot,
                expires=each.product.expires,
                dose=plain(each.dose.value) if each.dose is not None else "",
                unit=each.dose.unit or each.dose.code if each.dose is not None else "",
                handed=each.use is Use.HANDED,
                note=f"Lot {old.lot} of last time has expired" if old is not None and old.lot else "",
            )
        )
    rows += [Row(f"n{number}", "", given=False) for number in range(_NEW)]
    settings = tuple(
        SettingRow(
            key=f"{machine}-{number}",
            machine=each.name or "Settings",
            name=setting.name.text or "Setting",
            value=plain(setting.value.value) if isinstance(setting.value, Amount) else setting.value,
            unit=_unit(setting.value),
        )
        for machine, each in enumerate(form.machines)
        for number, setting in enumerate(each.settings)
    )
    return Form(
        number=str(form.number or ""),
        title=form.title.text or "Treatment",
        where=", ".join(region_name(each) for each in form.places),
        rows=tuple(rows),
        settings=settings,
    )


def returned(form: Form, fields: Mapping[str, str], errors: Mapping[str, str]) -> Form:
    """The form as it came back, with what is wrong with it."""
    rows = tuple(
        replace(
            each,
            name=fields.get(f"name-{each.key}", each.name) if each.new else each.name,
            lot=fields.get(f"lot-{each.key}", ""),
            expires=fields.get(f"expires-{each.key}", ""),
            dose=fields.get(f"dose-{each.key}", ""),
            unit=fields.get(f"unit-{each.key}", each.unit) if each.new else each.unit,
            given=f"given-{each.key}" in fields,
        )
        for each in form.rows
    )
    settings = tuple(replace(each, value=fields.get(f"setting-{each.key}", "")) for each in form.settings)
    return replace(
        form,
        number=fields.get("number", ""),
        rows=rows,
        settings=settings,
        note=fields.get("note", ""),
        errors=errors,
    )


def read(state: Mapping[str, Any], fields: Mapping[str, str], *, start: str, performer: str | None) -> Sent:
    """What was sent.

    Parameters
    ----------
    state
        What the page knew, unsealed.
    start
        FHIR dateTime of the session.
    performer
        ``Practitioner/…`` of the account.
    """
    errors: dict[str, str] = {}
    number = fields.get("number", "").strip()
    if not (number.isascii() and number.isdigit() and 0 < int(number[:6]) < 1000):
        errors["number"] = "Give the session's number, from 1 to 999."
    given = []
    for position, (name, use, unit, where) in enumerate(state["given"]):
        each = _given(str(position), fields, errors, _name_of(name), unit or ["", ""], where, Use(use))
        given += [] if each is None else [each]
    for position in range(_NEW):
        key = f"n{position}"
        said = fields.get(f"name-{key}", "").strip()
        if f"given-{key}" in fields and not said:
            errors[f"name-{key}"] = "Name the product."
        if said and f"given-{key}" not in fields:
            errors[f"given-{key}"] = "Tick it where it was given."
        if said and len(said) <= _MOST:
            unit = [fields.get(f"unit-{key}", "").strip()[:20], ""]
            each = _given(key, fields, errors, Named(said), unit, None, Use.GIVEN)
            given += [] if each is None else [each]
    note = fields.get("note", "").strip()
    if len(note) > _NOTE:
        errors["note"] = f"Keep the note within {_NOTE} characters."
    session = Session(
        patient=state["patient"],
        title=_name_of(state["title"]),
        start=start,
        encounter=state["visit"],
        number=int(number) if "number" not in errors else None,
        plans=(state["plan"],) if state["plan"] else (),
        places=tuple(_place_of(each) for each in state["places"]),
        performers=(Person(performer),) if performer is not None else (),
        given=tuple(given),
        machines=_machines(state, fields, errors),
        note=note.replace("\r\n", "\n"),
        key=state["key"],
    )
    shown = tuple(Shown(document, version) for document, version in state["shown"])
    return Sent(session, state["version"], shown, state["record"], errors)


def _given(
    key: str,
    fields: Mapping[str, str],
    errors: dict[str, str],
    name: Named,
    unit: list[str],
    where: list[Any] | None,
    use: Use,
) -> Given | None:
    if f"given-{key}" not in fields:
        return None
    lot, expires = fields.get(f"lot-{key}", "").strip(), fields.get(f"expires-{key}", "").strip()
    if not lot or len(lot) > _MOST:
        errors[f"lot-{key}"] = "Give the lot on today's pack, or write 'unknown'."
    elif f"checked-{key}" not in fields:
        errors[f"checked-{key}"] = "Look at today's pack: is it this lot?"
    if expires and not _EXPIRY.fullmatch(expires):
        errors[f"expires-{key}"] = "An expiry is written as 2027-01 or 2027-01-31."
    dose = fields.get(f"dose-{key}", "").strip().replace(",", ".")
    value = _decimal(dose)
    if dose and (value is None or value < 0):
        errors[f"dose-{key}"] = "A dose is a number."
    amount = None if value is None else Amount(value, unit[0], unit[1])
    return Given(Lot(name, lot, expires), use, amount, None if where is None else _place_of(where))


def _machines(state: Mapping[str, Any], fields: Mapping[str, str], errors: dict[str, str]) -> tuple[Machine, ...]:
    made = []
    for machine, (name, reference, settings) in enumerate(state["machines"]):
        read_ = []
        for number, (setting, unit) in enumerate(settings):
            said = fields.get(f"setting-{machine}-{number}", "").strip()
            value = _decimal(said.replace(",", "."))
            if len(said) > _MOST:
                errors[f"setting-{machine}-{number}"] = "That is too long for a setting."
            elif unit is not None and said and value is None:
                errors[f"setting-{machine}-{number}"] = "This setting is a number."
            elif said:
                shown = Amount(value, unit[0], unit[1]) if unit is not None and value is not None else said
                read_.append(Setting(_name_of(setting), shown))
        made.append(Machine(name, reference, tuple(read_)))
    return tuple(made)


def _decimal(said: str) -> Decimal | None:
    if not said or len(said) > 20:
        return None
    try:
        value = Decimal(said)
    except InvalidOperation:
        return None
    return value if value.is_finite() and abs(value.adjusted()) < 12 else None


def _unit(value: Amount | str) -> str:
    if isinstance(value, str) or value.code == "1":
        return ""
    return (value.unit or value.code).replace("/cm2", "/cm²")


def _named(name: Named) -> list[str | None]:
    return [name.text, name.code]


def _name_of(stored: list[Any]) -> Named:
    return Named(stored[0], stored[1])


def _place(place: Place) -> list[Any]:
    return [_named(place.region), place.side.value if place.side is not None else None]


def _place_of(stored: list[Any]) -> Place:
    return Place(_name_of(stored[0]), None if stored[1] is None else Laterality(stored[1]))
