"""The history of one resource or of a type: every version and every deletion, newest first (R4 history)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Select, func, literal, select, tuple_, union_all

from consent.store.clock import instant, micros
from fhir_mapping.tables import fhir_deletion, fhir_version


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a history something stands: no two versions stand at the same."""

    updated: int
    """Microseconds since 1970."""

    id: str
    version: int


@dataclass(frozen=True, slots=True)
class Event:
    """One version, or a deletion."""

    place: Place
    deleted: bool

    @property
    def updated(self) -> datetime:
        """When it was written."""
        return instant(self.place.updated)


@dataclass(frozen=True, slots=True)
class Asked:
    """Which part of a history is meant."""

    type: str
    id: str | None = None
    """None: of the whole type."""

    since: datetime | None = None
    """Written at this time or later."""

    before: Place | None = None
    """Behind this place."""


Narrowing = Callable[[Any], ColumnElement[bool]]
"""Of the columns of a table of versions, a condition on them."""


def page(connection: Connection, asked: Asked, most: int, may: Narrowing) -> list[Event]:
    """The newest events behind a place, at most so many.

    Parameters
    ----------
    may
        The rows that the requester may know of.
    """
    parts = [_part(asked, table, deleted, may) for table, deleted in _PARTS]
    whole = union_all(*parts)
    columns = whole.selected_columns
    newest = whole.order_by(columns[0].desc(), columns[1].desc(), columns[2].desc()).limit(most)
    return [Event(Place(row.updated, row.id, row.version), bool(row.deleted)) for row in connection.execute(newest)]


def one(connection: Connection, kind: str, identity: str, version: int, may: Narrowing) -> Event | None:
    """One version of one resource, or the deletion that has its number; None where there is none to be known of."""
    parts = [
        _part(Asked(kind, identity), table, deleted, may).where(table.c.version == version) for table, deleted in _PARTS
    ]
    row = connection.execute(union_all(*parts)).one_or_none()
    return None if row is None else Event(Place(row.updated, row.id, row.version), bool(row.deleted))


def total(connection: Connection, asked: Asked, may: Narrowing) -> int:
    """How many events a history has."""
    counts = [
        select(func.count()).select_from(_part(asked, table, deleted, may).subquery()).scalar_subquery()
        for table, deleted in _PARTS
    ]
    return int(connection.execute(select(counts[0] + counts[1])).scalar_one())


_PARTS: tuple[tuple[FromClause, bool], ...] = ((fhir_version, False), (fhir_deletion, True))


def _part(asked: Asked, table: FromClause, deleted: bool, may: Narrowing) -> Select[Any]:
    columns = table.c
    query = select(columns.updated, columns.id, columns.version, literal(int(deleted)).label("deleted")).where(
        columns.type == asked.type, may(columns)
    )
    if asked.id is not None:
        query = query.where(columns.id == asked.id)
    if asked.since is not None:
        query = query.where(columns.updated >= micros(asked.since))
    if asked.before is not None:
        at = asked.before
        query = query.where(
            columns.updated <= at.updated,  # what an index can begin at
            tuple_(columns.updated, columns.id, columns.version) < tuple_(at.updated, at.id, at.version),
        )
    return query
