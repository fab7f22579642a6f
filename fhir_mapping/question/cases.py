"""A page of cases: photos of one patient and one region, the case with the newest photo first.

A case stands where its newest photo stands, so a page begins behind a photo as one of single photos does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, or_, select

from consent.bits import Bits
from consent.store.tables import photo
from consent.store.write import among
from fhir_mapping.question.page import Place, page

_STEP = 240
"""Photos that are looked at at once."""

_Key = tuple[str | None, str | None]
"""Patient, and code of the first region."""


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
    key = connection.execute(select(photo.c.patient, photo.c.area).where(photo.c.photo == number)).one_or_none()
    if key is None or key.patient is None:
        return set()
    return set(connection.execute(select(photo.c.photo).where(_is_of((key.patient, key.area)))).scalars())


def _keys(connection: Connection, numbers: Sequence[int]) -> list[_Key]:
    """The cases of photos, in their order."""
    query = select(photo.c.photo, photo.c.patient, photo.c.area).where(among(connection, photo.c.photo, numbers))
    keys: dict[int, _Key] = {row.photo: (row.patient, row.area) for row in connection.execute(query)}
    return list(dict.fromkeys(keys[number] for number in numbers))


def _whole(connection: Connection, keys: Sequence[_Key], seen: Bits) -> dict[_Key, list[Any]]:
    """The photos of cases that may be seen and are asked for, the oldest first as a page has them."""
    found: dict[_Key, list[Any]] = {key: [] for key in keys}
    if not keys:
        return found
    columns = (photo.c.photo, photo.c.taken, photo.c.document, photo.c.patient, photo.c.area)
    query = select(*columns).where(or_(*map(_is_of, keys)))
    # The last one is the one that comes first on a page of photos.
    for row in connection.execute(query.order_by(photo.c.taken.nulls_first(), photo.c.document.desc())):
        if row.photo in seen:
            found[row.patient, row.area].append(row)
    return found


def _is_of(key: _Key) -> Any:
    patient, area = key
    return and_(photo.c.patient == patient, photo.c.area.is_(None) if area is None else photo.c.area == area)


def _is_behind(row: Any, place: Place) -> bool:
    """Whether a photo comes after a place, as :mod:`.page` orders them."""
    if place.taken is None:
        return row.taken is None and (row.document or "") > place.document
    if row.taken is None:
        return True
    return bool(row.taken < place.taken or (row.taken == place.taken and (row.document or "") > place.document))
