"""One page of what matches a search and may be read.

Where some condition fits few resources, these are looked at one by one, and the total is known. Where all fit many, the
resources are walked in order until the page is full: matches are close to each other then. They need not be where what
fits was written at one time: so the ids that an index gives in their order are walked, where one does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

from consent.store.write import among
from fhir_mapping.search import order
from fhir_mapping.search.condition import FEW, Condition, Scene, few_ids
from fhir_mapping.search.lead import Lead, lead
from fhir_mapping.search.order import Key, Place
from fhir_mapping.search.sight import Row
from fhir_mapping.search.walk import walk
from fhir_mapping.tables import fhir_resource

_FIRST, _LARGEST = 100, 5000
"""So many ids are looked at first; each time after that four times as many, up to the other number."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page."""

    ids: tuple[str, ...]
    following: Place | None
    """The place where the next page begins; None: this is the last."""

    total: int | None
    """How many match; None: they were not counted."""


def page(
    scene: Scene,
    kind: str,
    conditions: Sequence[Condition],
    keys: Sequence[Key] = (),
    *,
    count: int,
    after: Place | None = None,
    counted: bool = False,
) -> Page:
    """Find a page.

    Parameters
    ----------
    counted
        Count all that match, even if there are many.

    Raises
    ------
    fhir_mapping.errors.Forbidden
        The requester reads nothing of the type.
    """
    row = fhir_resource.alias()
    scene.sight.seen(kind, row)  # refused before anything is looked for
    few = few_ids(scene, conditions)
    begins = scene.sight.begins(kind) if few is None else None
    if few is None:
        everything = begins if begins is not None else select(row.c.id).where(row.c.type == kind)
        listed = set(scene.connection.execute(everything.limit(FEW + 1)).scalars())
        few = listed if len(listed) <= FEW else None

    def holding(each: Row) -> list[ColumnElement[bool]]:
        return [*(condition.holds(each) for condition in conditions), scene.sight.seen(kind, each)]

    matching = select(row.c.id).where(row.c.type == kind, *holding(row))
    if few is not None:
        matching = matching.where(among(scene.connection, row.c.id, few))
    values = [key.value(scene.sight, kind, row).label(f"key_{number}") for number, key in enumerate(keys)]
    ordered = matching.add_columns(*values).order_by(*order.by(keys, values, row))
    rows: Sequence[Any]
    total: int | None
    if few is not None:
        beyond = order.behind(keys, values, row, after) if after is not None else None
        found = scene.connection.execute(
            ordered if beyond is None else ordered.add_columns(beyond.label("beyond"))
        ).all()
        total = len(found)
        rows = found if beyond is None else [each for each in found if each.beyond]
    else:
        leading = None if keys else lead(scene.connection, conditions)
        if leading is not None:
            first = after[0] if after is not None else ""
            rows = _led(scene, leading, matching.order_by(row.c.id), row, first, count + 1)
        elif len(keys) == 1 and keys[0].indexed(scene.sight, kind):
            rows = walk(scene, kind, keys[0], holding, after, count + 1)
        else:
            place = [] if after is None else [order.behind(keys, values, row, after)]
            rows = scene.connection.execute(ordered.where(*place).limit(count + 1)).all()
        total = len(rows) if after is None and len(rows) <= count else None
        if total is None and counted:
            total = _count(scene, matching)
    shown, more = rows[:count], len(rows) > count
    following = None
    if more and shown:
        last = shown[-1]
        following = (*last[1 : 1 + len(keys)], last[0])
    return Page(tuple(each[0] for each in shown), following, total)


def _led(scene: Scene, leading: Lead, matching: Select[str], row: Row, after: str, most: int) -> list[Any]:
    """The first that match behind an id, among those of a condition whose index is in the order of the ids."""
    found: list[Any] = []
    size = _FIRST
    while True:
        ids = leading.ids(scene.connection, after, size)
        these = matching.where(among(scene.connection, row.c.id, ids)).limit(most - len(found))
        found += scene.connection.execute(these).all()
        if len(found) >= most or len(ids) < size:
            return found
        after, size = ids[-1], min(size * 4, _LARGEST)


def _count(scene: Scene, matching: Select[str]) -> int:
    return int(scene.connection.execute(select(func.count()).select_from(matching.subquery())).scalar_one())
