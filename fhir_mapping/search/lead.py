"""The ids that an index gives in their order, for one condition that many resources fit.

An index is in the order of the ids where all its columns before the id are stated. Where one is left open, as by the
beginning of a text, it is so for each of the values that the column has there; few of those are merged, by the
database, whose order of ids is its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, select, union_all

from fhir_mapping.search.condition import Condition, Rows

_MOST_VALUES = 32
"""So many values are merged: each opens the index once more."""


@dataclass(frozen=True, slots=True)
class Lead:
    """A condition whose ids an index gives in their order."""

    rows: Rows
    alternatives: tuple[ColumnElement[bool], ...]
    """Those of the rows, each so far stated that the index is in the order of the ids."""

    def ids(self, connection: Connection, after: str, most: int) -> Sequence[str]:
        """The first ids behind one, some of them twice; fewer than ``most``: there are no more."""
        columns = self.rows.table.c
        each = [
            select(columns.id.label("id")).where(columns.type == self.rows.kind, alternative, columns.id > after)
            for alternative in self.alternatives
        ]
        # Both databases merge the parts of such a question, and read of each no more than what is asked for.
        merged = each[0] if len(each) == 1 else union_all(*each)
        return connection.execute(merged.order_by("id").limit(most)).scalars().all()


def lead(connection: Connection, conditions: Iterable[Condition]) -> Lead | None:
    """That of the conditions that opens an index least often; None where none has one that is in order.

    One that leaves a column open comes after those that leave none: what it fits is likely to be more.
    """
    rows = [each for each in conditions if isinstance(each, Rows)]
    ordered = [Lead(each, each.alternatives) for each in rows if each.ordered]
    best = min(ordered, key=lambda each: len(each.alternatives), default=None)
    if best is not None and len(best.alternatives) <= _MOST_VALUES:
        return best
    for each in rows:
        stated = () if each.open is None else _stated(connection, each, each.open)
        if stated:
            return Lead(each, stated)
    return None


def _stated(connection: Connection, rows: Rows, column: ColumnElement[str]) -> tuple[ColumnElement[bool], ...]:
    """The one alternative with each value of the column that it leaves open; none where those are many."""
    (alternative,) = rows.alternatives
    query = select(column).where(rows.table.c.type == rows.kind, alternative).order_by(column).limit(1)
    found: list[str] = []
    while len(found) <= _MOST_VALUES:
        value = connection.execute(query.where(column > found[-1]) if found else query).scalar_one_or_none()
        if value is None:
            return tuple(alternative & (column == each) for each in found)
        found.append(value)
    return ()
