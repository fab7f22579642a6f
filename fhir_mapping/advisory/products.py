"""Which products on record may be of the batch, and why."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, or_, select

from consent.store.write import among, each_value
from consent.wording import worded
from fhir_mapping.advisory import spelling
from fhir_mapping.advisory.asked import Question, Wanted
from fhir_mapping.advisory.batch import BEST, Fit, Product
from fhir_mapping.advisory.stated import State, device_names
from fhir_mapping.advisory.tables import advisory_lot, advisory_name, advisory_spelling
from fhir_mapping.search.values import folded, indexed

_LOT = advisory_lot.c
_WORD = re.compile(r"[^\W_]+")
_DONATION = re.compile(r"[A-NP-Z1-9][A-Z0-9]{4}[0-9]{8}")  # ISBT 128: a donation, whose pieces are numbered

ILLEGIBLE = worded("illegible in places")
NOTED = worded("a note, a name or an extension says so")
VOID = worded("entered in error")
DOUBTED = worded("a UDI says so whose check character does not fit")
SERIAL = worded("a part of the serial number")
NO_LOT = worded("no lot on record")
FORMER = worded("an earlier version says so")
OTHER_DEVICE = worded("the lot of another device identifier")
OTHER_PRODUCT = worded("the lot of another product")
LIKE_NAMED = worded("a product of a similar name")

#: Why something does not fit exactly; the closest first.
CLOSENESS = (
    "",
    FORMER,
    VOID,
    DOUBTED,
    NOTED,
    SERIAL,
    OTHER_DEVICE,
    OTHER_PRODUCT,
    LIKE_NAMED,
    spelling.Near.ALIKE.words,
    ILLEGIBLE,
    NO_LOT,
    spelling.Near.EXCHANGED.words,
    spelling.Near.ONE.words,
)

_DOUBTS = {State.NOTED.value: NOTED, State.DOUBTED.value: DOUBTED, State.VOID.value: VOID}

Key = tuple[str, str, str]
"""Type, id, and part of a product."""


def products(connection: Connection, question: Question) -> list[Product]:
    """All products that may be of the batch, each with how well it fits.

    What states no lot may be of it where it is called as those are that fit for certain; see :func:`lotless`.
    """
    found: dict[Key, Product] = {}
    called = _named(connection, question.product) if question.product is not None else {}
    for wanted in question.lots:
        near = _near(connection, wanted.lot) if wanted.lot else _near(connection, wanted.serial or "")
        for row in _rows(connection, wanted, near):
            _keep(found, row, *_fit(row, wanted, near, called if question.product else None))
    if not question.lots:
        for row in _rows_of(connection, called, _LOT.former.is_(False)):
            exact = called[(row.type, row.id, row.part)]
            _keep(found, row, Fit.EXACT if exact else Fit.UNREADABLE, "" if exact else LIKE_NAMED)
    return [found[key] for key in sorted(found)]


def lotless(connection: Connection, question: Question, names: Collection[str], *, unnamed: bool) -> list[Product]:
    """Products without a lot that may be of the batch: only names tell such products apart.

    One that has a batch on record is left out if it is called otherwise than those that fit for certain. One that has
    none, as most machines, counts if it is called the same.

    Parameters
    ----------
    names
        What those are called that fit for certain, folded.
    unnamed
        Whether one of those has no name at all, so that any may be it.
    """
    if not question.lots:
        return []
    called = (
        select(advisory_name.c.name)
        .where(
            advisory_name.c.type == _LOT.type,
            advisory_name.c.id == _LOT.id,
            advisory_name.c.part == _LOT.part,
            among(connection, advisory_name.c.name, {*names, ""}),
        )
        .exists()
    )
    # What bears no lot is little beside what is called so: a state's rows are asked for their names.
    batch = select(advisory_lot).where(_LOT.state == State.NONE.value, _LOT.former.is_(False))
    rows = list(connection.execute(batch.where(called) if names and not unnamed else batch))
    if names:
        bare = select(advisory_lot).where(
            _LOT.state == State.BARE.value, _LOT.former.is_(False), _LOT.name != "", called
        )
        rows += connection.execute(bare)
    found: dict[Key, Product] = {}
    for row in rows:
        _keep(found, row, Fit.UNREADABLE, NO_LOT)
    return [found[key] for key in sorted(found)]


def names_of(connection: Connection, keys: Collection[tuple[str, str]]) -> set[str]:
    """What products are called, or what uses name by a code alone; folded."""
    found: set[str] = set()
    for kind in {kind for kind, _ in keys}:
        ids = {identity for each, identity in keys if each == kind}
        query = select(advisory_name.c.name).where(
            advisory_name.c.type == kind, among(connection, advisory_name.c.id, ids)
        )
        found.update(connection.execute(query).scalars())
    return found - {""}


def _near(connection: Connection, asked: str) -> dict[str, str]:
    """Lots or serial numbers on record that may be the one asked for, written otherwise, and how."""
    mine = spelling.asked(asked)
    texts = {each for one in mine for each in spelling.neighbourhood(one)}
    query = select(advisory_spelling.c.lot).where(among(connection, advisory_spelling.c.reading, texts)).distinct()
    found: dict[str, str] = {}
    for lot in connection.execute(query).scalars():
        near = spelling.near(lot, mine)
        if near is not None:
            found[lot] = near.words
    wild = select(_LOT.lot).where(_LOT.state == State.WILD.value).distinct()
    found |= {lot: ILLEGIBLE for lot in connection.execute(wild).scalars() if spelling.fits(lot, mine)}
    return found


def _rows(connection: Connection, wanted: Wanted, near: Mapping[str, str]) -> list[Any]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.lot:
        conditions.append(among(connection, _LOT.lot, {indexed(wanted.lot), *near}))
    if wanted.serial:
        conditions.append(among(connection, _LOT.serial, {*map(indexed, (wanted.serial, *_parts(wanted))), *near}))
        if _DONATION.fullmatch(wanted.serial):
            conditions.append(_LOT.serial.startswith(f"{wanted.serial} ", autoescape=True))
    return list(connection.execute(select(advisory_lot).where(or_(*conditions))).all())


def _parts(wanted: Wanted) -> list[str]:
    """Of a donation's number with a serial number behind it, each by itself."""
    parts = (wanted.serial or "").split(" ")
    return parts if len(parts) > 1 else []


def _fit(row: Any, wanted: Wanted, near: Mapping[str, str], called: Mapping[Key, bool] | None) -> tuple[Fit, str]:
    """How well a row fits, and why not exactly."""
    if wanted.lot and row.lot != indexed(wanted.lot):
        return Fit.UNREADABLE, near.get(row.lot, "")
    if not wanted.lot and row.serial != wanted.serial and not row.serial.startswith(f"{wanted.serial} "):
        return Fit.UNREADABLE, SERIAL if row.serial in _parts(wanted) else near.get(row.serial, "")
    doubt = _DOUBTS.get(row.state)
    if row.former or doubt:
        return Fit.UNREADABLE, FORMER if row.former or doubt is None else doubt
    if wanted.device and row.device and not device_names(row.device) & device_names(wanted.device):
        return Fit.UNREADABLE, OTHER_DEVICE
    if called is not None and not called.get((row.type, row.id, row.part)) and row.name:
        return Fit.UNREADABLE, OTHER_PRODUCT
    if wanted.expiry is not None and not (row.expiry and same_date(row.expiry, wanted.expiry)):
        return Fit.OTHER_EXPIRY, ""
    return Fit.EXACT, ""


def _keep(found: dict[Key, Product], row: Any, fit: Fit, why: str) -> None:
    """The best of what a product states; of two the same, the one that is true now."""
    key = (row.type, row.id, row.part)
    known = found.get(key)
    rank = (BEST[fit], CLOSENESS.index(why), row.former)
    if known is None or rank < (BEST[known.fit], CLOSENESS.index(known.why), known.former):
        reference = f"{row.type}/{row.id}" + (f"#{row.part}" if row.part else "")
        found[key] = Product(reference, fit, row.name, row.lot or None, row.expiry or None, row.former, why)


def names_like(connection: Connection, product: str) -> set[str]:
    """Names on record by which a product may be called that is asked for: the same, or one that holds its words."""
    text, same = folded(product), device_names(product)
    asked = set(_WORD.findall(text))
    # Names are compared here: a database does it by its language's order, or reads every row.
    every = connection.execute(each_value(advisory_name.c.name)).scalars()
    return {each for each in every if each in same or _is_like(each, text, asked)}


def _named(connection: Connection, product: str) -> dict[Key, bool]:
    """Products that bear a name or a code, True, or a name that holds its words."""
    same = device_names(product)
    query = select(advisory_name).where(among(connection, advisory_name.c.name, names_like(connection, product)))
    found: dict[Key, bool] = {}
    for row in connection.execute(query):
        key = (row.type, row.id, row.part)
        found[key] = found.get(key, False) or row.name in same
    return found


def _is_like(name: str, text: str, asked: set[str]) -> bool:
    return bool(name) and (name.startswith(text) or (bool(asked) and asked <= set(_WORD.findall(name))))


def _rows_of(connection: Connection, keys: Collection[Key], condition: ColumnElement[bool]) -> Iterator[Any]:
    """The rows of these products that meet a condition; a statement for each type."""
    for kind in sorted({kind for kind, _, _ in keys}):
        ids = {identity for each, identity, _ in keys if each == kind}
        query = select(advisory_lot).where(_LOT.type == kind, among(connection, _LOT.id, ids), condition)
        yield from (row for row in connection.execute(query) if (row.type, row.id, row.part) in keys)


def same_date(stated: str, asked: str) -> bool:
    """Two dates as far as both go: 2027-01 and 2027-01-31 are the same expiry."""
    length = min(len(stated[:10]), len(asked[:10]))
    return length >= 4 and stated[:length] == asked[:length]
