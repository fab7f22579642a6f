"""The ids that an index gives in their order, for one condition that many resources fit.

An index is in the order of the ids where all its columns before the id are stated. Where one is left open, as by the
beginning of a text, it is so for each of the values that the column has there; few of those are merged.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, select

from fhir_mapping.search.condition import Condition, Rows

_MOST_VALUES = 32
"""So many values are merged: each costs a question."""


@dataclass(frozen=True, slots=True)
class Lead:
    """A condition whose ids an index gives in their order."""

    rows: Rows
    alternatives: tuple[ColumnElement[bool], ...]
    """Those of the rows, each so far stated that the index is in the order of the ids."""

    def ids(self, connection: Connection, after: str, most: int) -> list[str]:
        """The first ids behind one; fewer than ``most``: there are no more."""
        columns = self.rows.table.c
        found: set[str] = set()
        for each in self.alternatives:
            here = select(columns.id).where(columns.type == self.rows.kind, each, columns.id > after)
            found.update(connection.execute(here.order_by(columns.id).limit(most)).scalars())
        return sorted(found)[:most]


def lead(connection: Connection, conditions: Iterable[Condition]) -> Lead | None:
    """The first of the conditions that has such an index; None where none has."""
    for each in conditions:
        alternatives = _alternatives(connection, each) if isinstance(each, Rows) else ()
        if alternatives and isinstance(each, Rows):
            return Lead(each, alternatives)
    return None


def _alternatives(connection: Connection, rows: Rows) -> tuple[ColumnElement[bool], ...]:
    if rows.ordered:
        return rows.alternatives if len(rows.alternatives) <= _MOST_VALUES else ()
    if rows.open is None:
        return ()
    column, (alternative,) = rows.open, rows.alternatives
    query = select(column).where(rows.table.c.type == rows.kind, alternative).order_by(column).limit(1)
    found: list[str] = []
    while len(found) <= _MOST_VALUES:
        value = connection.execute(query.where(column > found[-1]) if found else query).scalar_one_or_none()
        if value is None:
            return tuple(alternative & (column == each) for each in found)
        found.append(value)
    return ()
