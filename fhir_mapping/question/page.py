"""A page of photos: the newest first by the time they were taken, then by their documents; what has no time comes last.

A page begins behind a place in that order and not behind a photo that must be there, so that pages neither repeat nor
drop a photo that stays, and the address of a page tells nothing of what is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, or_, select

from consent.bits import Bits
from consent.store.clock import micros
from consent.store.tables import photo
from consent.store.write import among
from fhir_mapping import references
from fhir_mapping.question.facets import UNDATED

FEW = 3000
"""Photos that are looked at one by one."""

_COLUMNS = (photo.c.photo, photo.c.taken, photo.c.document)
_BATCH = 500
_MOST_DIGITS = 18

_Row = Any
"""Number, time and document of a photo."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: behind a photo that was taken then, whether it is still there or not."""

    taken: int | None
    """Microseconds since 1970; None: not known."""

    document: str

    @property
    def text(self) -> str:
        """For an address or an option; :meth:`parse` reads it."""
        return f"{'' if self.taken is None else self.taken}.{self.document}"

    @classmethod
    def parse(cls, text: str) -> Place | None:
        """The place that a text names; None where it names none."""
        taken, _, document = text.partition(".")
        digits = taken.removeprefix("-")
        known = digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS
        if not references.ID.fullmatch(document) or not (known or taken == ""):
            return None
        return cls(int(taken) if known else None, document)


@dataclass(frozen=True, slots=True)
class Page:
    """Photos, and where the next page begins where there are more."""

    numbers: tuple[int, ...]
    following: Place | None


def page(connection: Connection, seen: Bits, months: Mapping[str, Bits], most: int, after: Place | None) -> Page:
    """The photos of a page.

    Parameters
    ----------
    months
        The photos of each month in UTC; those whose time is not known under ``none``.
    """
    if most <= 0:
        return Page((), None)
    rows: list[_Row] = []
    for each in _portions(connection, seen, months, most + 1, after):
        rows += each
        if len(rows) > most:
            break
    last = rows[most - 1] if len(rows) > most else None
    following = None if last is None else Place(last.taken, last.document or "")
    return Page(tuple(row.photo for row in rows[:most]), following)


def bounds(month: str) -> tuple[int, int | None]:
    """First and last instant of a month in UTC, half-open; the end of the calendar is open."""
    year, number = int(month[:4]), int(month[5:])
    end = None if (year, number) >= (9999, 12) else datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    return micros(datetime(year, number, 1, tzinfo=UTC)), None if end is None else micros(end)


def within(month: str) -> ColumnElement[bool]:
    """The photos of a month."""
    start, end = bounds(month)
    return photo.c.taken >= start if end is None else and_(photo.c.taken >= start, photo.c.taken < end)


def _portions(
    connection: Connection, seen: Bits, months: Mapping[str, Bits], wanted: int, after: Place | None
) -> Iterator[Sequence[_Row]]:
    if len(seen) <= FEW:
        yield _listed(connection, seen, wanted, after)
        return
    for month in sorted((each for each in months if each != UNDATED), reverse=True):
        if after is not None and (after.taken is None or bounds(month)[0] > after.taken):
            continue
        hits = seen & months[month]
        if hits:
            yield (
                _listed(connection, hits, wanted, after)
                if len(hits) <= FEW
                else _walked(connection, hits, within(month), wanted, after)
            )
    if hits := seen & months.get(UNDATED, Bits({})):
        yield (
            _listed(connection, hits, wanted, after)
            if len(hits) <= FEW
            else _walked(connection, hits, photo.c.taken.is_(None), wanted, after)
        )


def _listed(connection: Connection, hits: Bits, wanted: int, after: Place | None) -> Sequence[_Row]:
    query = select(*_COLUMNS).where(among(connection, photo.c.photo, list(hits)))
    if after is not None:
        query = query.where(_behind(after))
    ordered = query.order_by(photo.c.taken.desc().nulls_last(), photo.c.document)
    return connection.execute(ordered.limit(wanted)).all()


def _walked(
    connection: Connection, hits: Bits, where: ColumnElement[bool], wanted: int, after: Place | None
) -> list[_Row]:
    """Rows in order until there are enough: among so many hits they come soon."""
    found: list[_Row] = []
    place = after
    while True:
        query = select(*_COLUMNS).where(where)
        if place is not None:
            query = query.where(_behind(place))
        rows = connection.execute(query.order_by(photo.c.taken.desc(), photo.c.document).limit(_BATCH)).all()
        found += [row for row in rows if row.photo in hits]
        if len(found) >= wanted or len(rows) < _BATCH:
            return found
        place = Place(rows[-1].taken, rows[-1].document or "")


def _behind(place: Place) -> ColumnElement[bool]:
    if place.taken is None:
        return and_(photo.c.taken.is_(None), photo.c.document > place.document)
    same = and_(photo.c.taken == place.taken, photo.c.document > place.document)
    return or_(photo.c.taken < place.taken, same, photo.c.taken.is_(None))
