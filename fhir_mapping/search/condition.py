"""What one search parameter asks, in two forms: a question to one row, and the ids that an index gives.

A search begins with the ids of the condition that fits fewest, or, where all fit many, walks the rows and asks each.
Both databases serve both forms from an index, whatever their statistics say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, Select, exists, false, literal, not_, or_, select

from consent.store.write import among
from fhir_mapping.errors import Issue, Malformed
from fhir_mapping.search.sight import Everything, Row, Sight
from fhir_mapping.tables import fhir_resource

FEW = 5000
"""Up to so many ids a condition is answered by its index first."""

_DEEPEST = 2
"""So many links are asked of each row; a further one is followed first. SQLite nests a hundred symbols."""

_MOST_REACHED = 100_000
"""So many resources a link leads to where it is followed first."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What conditions are made in: one snapshot, one requester."""

    connection: Connection
    zone: ZoneInfo
    now: datetime
    base: str | None = None
    sight: Sight = field(default_factory=Everything)


class Condition(Protocol):
    """What one parameter asks."""

    @property
    def links(self) -> int:
        """Through how many resources, one named by the other, its question to a row goes."""

    def holds(self, row: Row) -> ColumnElement[bool]:
        """Whether it holds of a row of ``fhir_resource``."""

    def ids(self) -> Sequence[Select[str]] | None:
        """Queries that give all ids of which it holds, perhaps others too; None where no index begins with it."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of an index table about the resource."""

    table: Any
    kind: str
    alternatives: tuple[ColumnElement[bool], ...]
    begins: bool = True
    """Whether an index begins with the alternatives."""

    asked: tuple[ColumnElement[bool], ...] = ()
    """The alternatives once more, as they are asked of the rows of one resource; none: as they are."""

    ordered: bool = False
    """Whether the index of each alternative is in the order of the ids: all columns before the id are stated."""

    open: ColumnElement[str] | None = None
    """The one column before the id that the one alternative leaves open."""

    links: int = 0

    def holds(self, row: Row) -> ColumnElement[bool]:
        """One of the rows is there."""
        columns = self.table.c
        return exists(
            select(literal(1))
            .select_from(self.table)
            .where(columns.type == self.kind, columns.id == row.c.id, or_(*(self.asked or self.alternatives)))
            .correlate(row)
        )

    def ids(self) -> Sequence[Select[str]] | None:
        """One query for each alternative."""
        if not self.begins:
            return None
        columns = self.table.c
        return [select(columns.id).where(columns.type == self.kind, each) for each in self.alternatives]


@dataclass(frozen=True, slots=True)
class Listed:
    """Ids that are known already."""

    connection: Connection
    kind: str
    found: frozenset[str]

    @property
    def links(self) -> int:
        """None: they are known."""
        return 0

    def holds(self, row: Row) -> ColumnElement[bool]:
        """It is among them."""
        return among(self.connection, row.c.id, self.found)

    def ids(self) -> Sequence[Select[str]] | None:
        """They themselves, as rows."""
        column = fhir_resource.c.id
        return [select(column).where(fhir_resource.c.type == self.kind, among(self.connection, column, self.found))]


@dataclass(frozen=True, slots=True)
class Either:
    """One of several."""

    several: tuple[Condition, ...]

    @property
    def links(self) -> int:
        """Of the one that goes furthest."""
        return max((each.links for each in self.several), default=0)

    def holds(self, row: Row) -> ColumnElement[bool]:
        """One holds."""
        return or_(false(), *(each.holds(row) for each in self.several))

    def ids(self) -> Sequence[Select[str]] | None:
        """Those of all."""
        found: list[Select[str]] = []
        for each in self.several:
            queries = each.ids()
            if queries is None:
                return None
            found += queries
        return found


@dataclass(frozen=True, slots=True)
class Without:
    """What does not hold; no index begins with that."""

    other: Condition

    @property
    def links(self) -> int:
        """Those of the other."""
        return self.other.links

    def holds(self, row: Row) -> ColumnElement[bool]:
        """The other does not."""
        return not_(self.other.holds(row))

    def ids(self) -> Sequence[Select[str]] | None:
        """None."""
        return None


@dataclass(frozen=True, slots=True)
class Asking:
    """A question to the row, where no index holds what it asks."""

    question: Any
    """Of a row, its condition."""

    begins: tuple[Select[str], ...] | None = None
    """Queries for ids among which are all of which it holds."""

    links: int = 0

    def holds(self, row: Row) -> ColumnElement[bool]:
        """The answer."""
        found: ColumnElement[bool] = self.question(row)
        return found

    def ids(self) -> Sequence[Select[str]] | None:
        """Where it begins."""
        return self.begins


def few_ids(scene: Scene, conditions: Iterable[Condition], most: int = FEW) -> set[str] | None:
    """Ids that one condition gives, the one that gives fewest; None where each gives more than ``most``.

    They may be of resources that are not to be seen, and the other conditions are not asked: :func:`visible` does.
    """
    best: set[str] | None = None
    for condition in conditions:
        queries = condition.ids()
        if queries is None:
            continue
        found: set[str] = set()
        limit = most if best is None else len(best)
        for query in queries:
            rows = scene.connection.execute(query.limit(limit + 1)).scalars().all()
            found.update(rows)
            # Rows and not ids alone: one resource may have several, and those beyond the limit were not read.
            if len(rows) > limit or len(found) > limit:
                break
        else:
            best = found
    return best


def visible(scene: Scene, kind: str, ids: Iterable[str], conditions: Iterable[Condition]) -> set[str]:
    """Those of the ids of which every condition holds, and which the requester may read."""
    row = fhir_resource.alias()
    query = select(row.c.id).where(
        row.c.type == kind,
        among(scene.connection, row.c.id, set(ids)),
        *(each.holds(row) for each in conditions),
        scene.sight.seen(kind, row),
    )
    return set(scene.connection.execute(query).scalars())


def reached(scene: Scene, kind: str, rest: Condition) -> set[str] | None:
    """The resources of which the rest of a chain holds, and which the requester may read.

    None where it is better asked of each row: where they are many, and the question to a row is not too deep.

    Raises
    ------
    Malformed
        They are too many, and the question too deep: what SQLite parses may not be nested further.
    """
    few = few_ids(scene, [rest])
    if few is not None:
        return visible(scene, kind, few, [rest])
    if rest.links < _DEEPEST:
        return None
    row = fhir_resource.alias()
    query = select(row.c.id).where(row.c.type == kind, rest.holds(row), scene.sight.seen(kind, row))
    found = set(scene.connection.execute(query.limit(_MOST_REACHED + 1)).scalars())
    if len(found) > _MOST_REACHED:
        raise Malformed(
            Issue(
                "too-costly", f"The search goes through more than {_MOST_REACHED} resources of {kind}: ask for fewer."
            )
        )
    return found
