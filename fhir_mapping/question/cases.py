"""A page of cases: photos of one person, under all her records, and one region; the case with the newest photo first.

A case stands where its newest photo stands, so a page begins behind a photo as one of single photos does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select

from consent.bits import Bits
from consent.store.tables import patient as people
from consent.store.tables import photo
from consent.store.versions import group
from consent.store.write import among
from fhir_mapping.question.page import Place, page

_STEP = 240
"""Photos that are looked at at once."""

_Key = tuple[str | None, str | None]
"""The record that stands for the person, and code of the first region."""

PERSON = func.coalesce(people.c.survivor, photo.c.patient).label("person")
"""The record that stands for the person whom a photo shows first."""

OF_PERSONS = photo.outerjoin(people, people.c.patient == photo.c.patient)


@dataclass(frozen=True, slots=True)
class Cases:
    """Photos of each case, the oldest first, and where the next page begins where there are more."""

    numbers: tuple[tuple[int, ...], ...]
    following: Place | None


def cases(connection: Connection, seen: Bits, months: Mapping[str, Bits], most: int, after: Place | None) -> Cases:
    """The cases of a page.

    Parameters
    ----------
    months
        As for :func:`fhir_mapping.question.page.page`.
    """
    if most <= 0:
        return Cases((), None)
    found: list[Sequence[Any]] = []
    met: set[_Key] = set()
    place = after
    while len(found) <= most:
        step = page(connection, seen, months, _STEP, place)
        fresh = [key for key in _keys(connection, step.numbers) if key not in met]
        met.update(fresh)
        whole = _whole(connection, fresh, seen)
        # What has a newer photo stood on a page before this one.
        found += [whole[key] for key in fresh if after is None or _is_behind(whole[key][-1], after)]
        place = step.following
        if place is None:
            break
    last = found[most - 1][-1] if len(found) > most else None
    following = None if last is None else Place(last.taken, last.document or "")
    return Cases(tuple(tuple(row.photo for row in rows) for rows in found[:most]), following)


def of_case(connection: Connection, number: int) -> set[int]:
    """Numbers of all photos of the case that a photo is of, whoever may see them."""
    query = select(PERSON, photo.c.area).select_from(OF_PERSONS).where(photo.c.photo == number)
    key = connection.execute(query).one_or_none()
    if key is None or key.person is None:
        return set()
    hers = _is_of((key.person, key.area), group(connection, [key.person]))
    return set(connection.execute(select(photo.c.photo).where(hers)).scalars())


def records_of(connection: Connection, persons: Collection[str]) -> dict[str, set[str]]:
    """All records of persons, each named by the record that stands for her."""
    found = {person: {person} for person in persons}
    merged = select(people.c.survivor, people.c.patient).where(among(connection, people.c.survivor, persons))
    for survivor, patient in connection.execute(merged):
        found[survivor].add(patient)
    return found


def _keys(connection: Connection, numbers: Sequence[int]) -> list[_Key]:
    """The cases of photos, in their order."""
    query = select(photo.c.photo, PERSON, photo.c.area).select_from(OF_PERSONS)
    rows = connection.execute(query.where(among(connection, photo.c.photo, numbers)))
    keys: dict[int, _Key] = {row.photo: (row.person, row.area) for row in rows}
    return list(dict.fromkeys(keys[number] for number in numbers))


def _whole(connection: Connection, keys: Sequence[_Key], seen: Bits) -> dict[_Key, list[Any]]:
    """The photos of cases that may be seen and are asked for, the oldest first as a page has them."""
    found: dict[_Key, list[Any]] = {key: [] for key in keys}
    if not keys:
        return found
    records = records_of(connection, {person for person, _ in keys if person is not None})
    columns = (photo.c.photo, photo.c.taken, photo.c.document, PERSON, photo.c.area)
    hers = (_is_of(key, records.get(key[0] or "", set())) for key in keys)
    query = select(*columns).select_from(OF_PERSONS).where(or_(*hers))
    # The last one is the one that comes first on a page of photos.
    for row in connection.execute(query.order_by(photo.c.taken.nulls_first(), photo.c.document.desc())):
        if row.photo in seen:
            found[row.person, row.area].append(row)
    return found


def _is_of(key: _Key, records: Collection[str]) -> Any:
    """That a photo is of a case; of the person's records."""
    area = key[1]
    return and_(photo.c.patient.in_(sorted(records)), photo.c.area.is_(None) if area is None else photo.c.area == area)


def _is_behind(row: Any, place: Place) -> bool:
    """Whether a photo comes after a place, as :mod:`.page` orders them."""
    if place.taken is None:
        return row.taken is None and (row.document or "") > place.document
    if row.taken is None:
        return True
    return bool(row.taken < place.taken or (row.taken == place.taken and (row.document or "") > place.document))
