"""The order of a search's answer, and the place in it where a page ends (R4 search, ``_sort`` and paging).

A place is named by the sort keys and the id of the last resource of a page, so that what others write meanwhile
neither repeats a resource nor drops one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select, tuple_

from fhir_mapping.errors import Issue, Malformed
from fhir_mapping.search.parameters import Form, Kind, Parameter, parameters
from fhir_mapping.search.sight import Row, Sight
from fhir_mapping.tables import fhir_date, fhir_number, fhir_reference, fhir_string, fhir_token

MAX_KEYS = 5
_LONGEST_PLACE = 4096
_UNTOLD = re.compile("[\x00\ud800-\udfff]")
"""Characters that no database holds."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of an index that hold the values of a key."""

    table: Any
    value: ColumnElement[Any]
    where: tuple[ColumnElement[bool], ...]
    rest: tuple[ColumnElement[Any], ...] = ()
    """What tells several rows of one resource apart that have the same value."""

    newest: bool = False
    """Whether of several values the greatest counts, in either order."""


@dataclass(frozen=True, slots=True)
class Key:
    """One sort key."""

    parameter: Parameter
    descending: bool = False

    def value(self, sight: Sight, kind: str, row: Row) -> ColumnElement[Any]:
        """What a row is sorted by: of several values the first in this order; NULL where it has none."""
        if self.parameter.kind is Kind.ID:
            identity: ColumnElement[Any] = row.c.id
            return identity
        if self.parameter.kind is Kind.UPDATED:
            return sight.updated(kind, row)
        rows = self.rows(sight, kind)
        outermost = func.max if self.descending else func.min
        return (
            select(outermost(rows.value))
            .where(rows.table.c.id == row.c.id, *rows.where)
            .correlate(row)
            .scalar_subquery()
        )

    @property
    def always(self) -> bool:
        """Whether every resource has a value."""
        return self.parameter.kind in (Kind.ID, Kind.UPDATED)

    def indexed(self, sight: Sight, of: str) -> bool:
        """Whether an index holds its values in their order, and not the resource's own row."""
        parameter = self.parameter
        if parameter.kind is Kind.UPDATED:
            return sight.written(of) is not None
        several = parameter.form is Form.REFERENCE and len(parameter.paths) > 1
        return not self.always and not several

    def rows(self, sight: Sight, of: str, *, opens: bool = True) -> Rows:
        """The rows that hold its values, of resources of a type, as far as they are shown.

        Parameters
        ----------
        opens
            Whether the index of the values is walked; else the rows of one resource are looked at.
        """
        written = sight.written(of, opens=opens) if self.parameter.kind is Kind.UPDATED else None
        if written is not None:
            return Rows(written, written.c.updated, (), (written.c.part,), newest=True)
        table, column, named, rest = self._columns()
        where = (table.c.type == of, named, sight.element(of, self.parameter, table))
        return Rows(table, column, where, tuple(table.c[name] for name in rest))

    def _columns(self) -> tuple[Any, ColumnElement[Any], ColumnElement[bool], tuple[str, ...]]:
        kind = self.parameter.kind
        rest: tuple[str, ...] = ()
        if kind is Kind.REFERENCE and self.parameter.form is Form.REFERENCE:
            table = fhir_reference.alias()
            return table, table.c.target, table.c.path.in_(self.parameter.paths), rest
        if kind is Kind.DATE:
            table = fhir_date.alias()
            column, rest = (table.c.end, ("start",)) if self.descending else (table.c.start, ("end",))
        elif kind in (Kind.NUMBER, Kind.QUANTITY):
            table = fhir_number.alias()
            column, rest = (table.c.high, ("low",)) if self.descending else (table.c.low, ("high",))
            rest += ("system", "code")
        else:
            table = fhir_string.alias() if kind is Kind.STRING else fhir_token.alias()
            column, rest = table.c.value, () if kind is Kind.STRING else ("system",)
        return table, column, table.c.name == self.parameter.name, rest


Place = tuple[Any, ...]
"""Each key's value, and the id."""


def read(kind: str, text: str) -> tuple[Key, ...]:
    """``_sort``: names of parameters, those with a minus descending.

    Raises
    ------
    Malformed
    """
    keys = []
    for name in text.split(","):
        parameter = parameters(kind).get(name.removeprefix("-"))
        if parameter is None or parameter.kind is Kind.COMPOSITE:
            raise Malformed(Issue("not-supported", f"_sort by {name[:60]!r} is not supported for {kind}."))
        keys.append(Key(parameter, name.startswith("-")))
    if len(keys) > MAX_KEYS:
        raise Malformed(Issue("too-costly", f"_sort takes up to {MAX_KEYS} parameters."))
    return tuple(keys)


def by(keys: Sequence[Key], values: Sequence[ColumnElement[Any]], row: Row) -> list[ColumnElement[Any]]:
    """What to order by: each key, what has no value last, and the id, so that no two are equal."""
    found: list[ColumnElement[Any]] = []
    for key, value in zip(keys, values, strict=True):
        # What always has a value is in the order of an index, but not with a question whether it has one before it.
        found += [] if key.always else [value.is_(None)]
        found.append(value.desc() if key.descending else value.asc())
    return [*found, row.c.id]


def behind(keys: Sequence[Key], values: Sequence[ColumnElement[Any]], row: Row, place: Place) -> ColumnElement[bool]:
    """What comes after a place in this order."""
    if len(keys) == 1 and keys[0].parameter.kind is Kind.UPDATED and place[0] is not None and not keys[0].descending:
        return tuple_(values[0], row.c.id) > tuple_(place[0], place[1])
    found: ColumnElement[bool] = row.c.id > place[-1]
    for key, value, there in reversed(list(zip(keys, values, place[:-1], strict=True))):
        if there is None:
            found = and_(value.is_(None), found)
        else:
            beyond = value < there if key.descending else value > there
            found = or_(beyond, *([] if key.always else [value.is_(None)]), and_(value == there, found))
    if keys and keys[0].always and place[0] is not None:  # what an index can begin at
        return and_(values[0] <= place[0] if keys[0].descending else values[0] >= place[0], found)
    return found


def named(place: Place, question: str) -> str:
    """A place as the address of the next page holds it.

    Parameters
    ----------
    question
        What was asked; a place in another answer is none in this one.
    """
    told = [repr(each) if isinstance(each, float) and not math.isfinite(each) else each for each in place]
    body = json.dumps([_digest(question), *told], separators=(",", ":"), ensure_ascii=False).encode()
    return base64.urlsafe_b64encode(body).decode().rstrip("=")


def place_of(text: str, keys: Sequence[Key], question: str) -> Place:
    """The place that an address names.

    Raises
    ------
    Malformed
        It is none of this search.
    """
    fault = Malformed(Issue("value", "_page comes from the link of the page before, and goes with its search alone."))
    if len(text) > _LONGEST_PLACE:
        raise fault
    try:
        found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        raise fault from None
    if not isinstance(found, list) or len(found) != len(keys) + 2 or found[0] != _digest(question):
        raise fault
    *told, identity = found[1:]
    if not isinstance(identity, str) or any(isinstance(each, str) and _UNTOLD.search(each) for each in found):
        raise fault
    return (*(_typed(key, value, fault) for key, value in zip(keys, told, strict=True)), identity)


def _typed(key: Key, value: Any, fault: Malformed) -> Any:
    """A key's value as its column has it."""
    if value is None:
        return None
    kind = key.parameter.kind
    if kind in (Kind.NUMBER, Kind.QUANTITY):
        if isinstance(value, str) and value in ("inf", "-inf"):
            return float(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    elif kind in (Kind.DATE, Kind.UPDATED):
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= 1 << 62:
            return value
    elif isinstance(value, str):
        return value
    raise fault


def _digest(question: str) -> str:
    return hashlib.sha256(question.encode()).hexdigest()[:12]
