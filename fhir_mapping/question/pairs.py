"""A page of pairs: the newest photo of a view beside the one that it is held against, the newest result first.

Of a person (under all her records), an area, side, view and expression the latest photo that is asked for is the
result. It is held against the first photo of the same treatment; where that was treated first when the result was
taken, against the last photo before it of no treatment at all. A photo of another treatment is never the beginning of
this one. Both were taken on days of their own: two photos of one sitting are no before and after.

A pair stands where its result stands, so a page begins behind a photo as one of single photos does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, and_, or_, select

from consent.bits import Bits
from consent.store.clock import instant
from consent.store.tables import photo
from consent.store.write import among
from fhir_mapping.question.cases import OF_PERSONS, PERSON, records_of
from fhir_mapping.question.facets import Facet, Value
from fhir_mapping.question.index import Index
from fhir_mapping.question.page import Place, page

_STEP = 240
"""Photos that are looked at at once, at first; where few of them make a pair, twice as many each time."""

_MOST_OF_STEP = 1920

_OF_VIEW = (Facet.SIDE, Facet.VIEW, Facet.EXPRESSION)

_Key = tuple[str | None, str | None, frozenset[Value]]
"""Who, the first region, and side, view and expression."""

Pair = tuple[int, int]
"""The numbers of two photos: before, after."""


Keeping = Callable[[Connection, Collection[Pair]], Collection[Pair]]
"""Which of some pairs are wanted, by whatever else is known of them."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs, and where the next page begins where there are more."""

    numbers: tuple[Pair, ...]
    following: Place | None


@dataclass(frozen=True, slots=True)
class _Half:
    """A photo as pairing needs it."""

    number: int
    place: Place
    day: date
    key: _Key
    treatments: frozenset[Value]


def pairs(
    connection: Connection,
    index: Index,
    results: Bits,
    beginnings: Bits,
    months: Mapping[str, Bits],
    most: int,
    after: Place | None,
    zone: ZoneInfo,
    keeping: Keeping | None = None,
) -> Pairs:
    """The pairs of a page.

    Parameters
    ----------
    results
        Photos that may be shown and are asked for.
    beginnings
        Photos that may be shown, of the areas and views asked for.
    months
        As for :func:`fhir_mapping.question.page.page`.
    zone
        The site's, in which days are told apart.
    """
    found: list[tuple[Pair, Place]] = []
    place, met, step_of = after, set[_Key](), _STEP
    while most > 0 and len(found) <= most:
        step = page(connection, results, months, step_of, place)
        step_of = min(2 * step_of, _MOST_OF_STEP)
        fresh: list[tuple[Pair, Place]] = []
        groups = _grouped(connection, index, step.numbers, results | beginnings, zone)
        by_number = {each.number: each for group in groups.values() for each in group}
        for number in step.numbers:
            result = by_number.get(number)
            if result is None or result.key in met:
                continue
            met.add(result.key)
            group = groups[result.key]
            if result is not next(each for each in reversed(group) if each.number in results):
                continue  # its result stood on a page before this one
            before = _beginning([each for each in group if each.number in beginnings], result)
            if before is not None:
                fresh.append(((before.number, result.number), result.place))
        kept = None if keeping is None or not fresh else set(keeping(connection, [pair for pair, _ in fresh]))
        found += fresh if kept is None else [each for each in fresh if each[0] in kept]
        place = step.following
        if place is None:
            break
    following = found[most - 1][1] if len(found) > most else None
    return Pairs(tuple(pair for pair, _ in found[:most]), following)


def _beginning(group: Sequence[_Half], result: _Half) -> _Half | None:
    """The photo that a result is held against, of a group with the oldest first."""
    earlier = [each for each in group if each.day < result.day]
    if not result.treatments:
        return next(iter(earlier), None)
    same = next((each for each in earlier if each.treatments & result.treatments), None)
    return same or next((each for each in reversed(earlier) if not each.treatments), None)


def _grouped(
    connection: Connection, index: Index, numbers: Sequence[int], of: Bits, zone: ZoneInfo
) -> dict[_Key, list[_Half]]:
    """All photos of the same persons and areas as some, by what they show, the oldest first; those with a time."""
    if not numbers:
        return {}
    columns = (photo.c.photo, photo.c.taken, photo.c.document, PERSON, photo.c.area)
    query = select(*columns).select_from(OF_PERSONS)
    asked = {
        (row.person, row.area) for row in connection.execute(query.where(among(connection, photo.c.photo, numbers)))
    }
    records = records_of(connection, {person for person, _ in asked if person is not None})
    hers = [
        and_(
            photo.c.patient.in_(sorted(records[person])),
            photo.c.area.is_(None) if area is None else photo.c.area == area,
        )
        for person, area in sorted(asked, key=str)
        if person is not None
    ]
    if not hers:
        return {}
    rows: list[Any] = []
    for start in range(0, len(hers), _STEP):
        some = query.where(photo.c.taken.is_not(None), or_(*hers[start : start + _STEP]))
        rows += [row for row in connection.execute(some) if row.photo in of]
    # The last one is the one that comes first on a page of photos.
    rows.sort(key=lambda row: row.document or "", reverse=True)
    rows.sort(key=lambda row: row.taken)
    values = index.values_of([row.photo for row in rows], (*_OF_VIEW, Facet.TREATMENT))
    found: dict[_Key, list[_Half]] = {}
    for row in rows:
        own = values.get(row.photo, frozenset())
        key = (row.person, row.area, frozenset(each for each in own if each.facet in _OF_VIEW))
        half = _Half(
            row.photo,
            Place(row.taken, row.document or ""),
            instant(row.taken).astimezone(zone).date(),
            key,
            frozenset(each for each in own if each.facet == Facet.TREATMENT),
        )
        found.setdefault(key, []).append(half)
    return found
