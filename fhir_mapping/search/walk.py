"""Resources in the order of one sort key, read off the index that holds its values in this order.

However many resources match, a page costs what it shows and what is passed over on the way to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, literal, null, select, tuple_

from fhir_mapping.search.condition import Scene
from fhir_mapping.search.order import Key, Place
from fhir_mapping.search.sight import Row
from fhir_mapping.tables import fhir_resource

Matching = Callable[[Row], list[ColumnElement[bool]]]
"""Of a row of ``fhir_resource``, what must hold of it."""


def walk(
    scene: Scene, kind: str, key: Key, matching: Matching, after: Place | None, most: int
) -> list[tuple[str, Any]]:
    """Ids with their values of the key, those without a value last; equal ones by id.

    The same as by :func:`fhir_mapping.search.order.by`.

    Parameters
    ----------
    key
        One that an index is in the order of (:attr:`~fhir_mapping.search.order.Key.indexed`).
    after
        The place behind which it begins.
    most
        So many at most.
    """
    found: list[tuple[str, Any]] = []
    if after is None or after[0] is not None:
        found = _stated(scene, kind, key, matching, after, most)
    if len(found) < most:
        behind = after[1] if after is not None and after[0] is None else None
        found += _unstated(scene, kind, key, matching, behind, most - len(found))
    return found


def _stated(
    scene: Scene, kind: str, key: Key, matching: Matching, after: Place | None, most: int
) -> list[tuple[str, Any]]:
    here, other = key.rows(scene.sight, kind), key.rows(scene.sight, kind, opens=False)
    row = fhir_resource.alias()
    # Of several values of one resource the first in this order counts; which one of equal ones does not matter.
    before = other.value > here.value if key.descending or here.newest else other.value < here.value
    if other.rest:
        sooner = tuple_(*other.rest) < tuple_(*here.rest)
        before = before | and_(other.value == here.value, sooner)
    earlier = exists(
        select(literal(1)).select_from(other.table).where(other.table.c.id == here.table.c.id, *other.where, before)
    ).correlate(here.table)
    # A question to each row, and no join: the index is to be walked in its order, whatever a planner thinks of it.
    matches = exists(
        select(literal(1))
        .select_from(row)
        .where(row.c.type == kind, row.c.id == here.table.c.id, *matching(row))
        .correlate(here.table)
    )
    query = select(here.table.c.id, here.value).where(*here.where, ~earlier, matches)
    if after is not None:
        value, identity = after
        further = here.value < value if key.descending else here.value > value
        reached = here.value <= value if key.descending else here.value >= value  # what the index can begin at
        query = query.where(reached, further | and_(here.value == value, here.table.c.id > identity))
    order = here.value.desc() if key.descending else here.value.asc()
    rows = scene.connection.execute(query.order_by(order, here.table.c.id).limit(most))
    return [(identity, value) for identity, value in rows]


def _unstated(
    scene: Scene, kind: str, key: Key, matching: Matching, behind: str | None, most: int
) -> list[tuple[str, Any]]:
    row, here = fhir_resource.alias(), key.rows(scene.sight, kind, opens=False)
    stated = exists(
        select(literal(1)).select_from(here.table).where(here.table.c.id == row.c.id, *here.where)
    ).correlate(row)
    query = select(row.c.id, null()).where(row.c.type == kind, *matching(row), ~stated)
    if behind is not None:
        query = query.where(row.c.id > behind)
    return [(identity, None) for identity, _ in scene.connection.execute(query.order_by(row.c.id).limit(most))]
