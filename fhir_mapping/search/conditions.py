"""Search parameters as conditions, each in two forms: a question to one row, and the ids that an index gives.

A search begins with the ids of the condition that fits fewest, or, where all fit many, walks the rows and asks each.
Both databases serve both forms from an index, whatever their statistics say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, false, func, literal, not_, or_, select

from consent.store.write import among
from fhir_mapping import references
from fhir_mapping.errors import Forbidden, Issue, Malformed
from fhir_mapping.search import asked, compared
from fhir_mapping.search.index import EXACT, IDENTIFIER, TEXT, TYPED, target_of
from fhir_mapping.search.parameters import Form, Kind, Parameter
from fhir_mapping.search.sight import Everything, Row, Sight
from fhir_mapping.search.values import indexed, parts, plain, sounds, token
from fhir_mapping.tables import (
    PART,
    fhir_composite,
    fhir_date,
    fhir_number,
    fhir_reference,
    fhir_resource,
    fhir_string,
    fhir_token,
)

MAX_VALUES = 100

FEW = 5000
"""Up to so many ids a condition is answered by its index first."""


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

    def holds(self, row: Row) -> ColumnElement[bool]:
        """Whether it holds of a row of ``fhir_resource``."""

    def ids(self) -> Sequence[Select[str]] | None:
        """Queries that give all ids of which it holds; None where no index begins with it."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of an index table about the resource."""

    table: Any
    kind: str
    alternatives: tuple[ColumnElement[bool], ...]
    begins: bool = True
    """Whether an index begins with the alternatives."""

    def holds(self, row: Row) -> ColumnElement[bool]:
        """One of the rows is there."""
        columns = self.table.c
        return exists(
            select(literal(1))
            .select_from(self.table)
            .where(columns.type == self.kind, columns.id == row.c.id, or_(*self.alternatives))
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

    def holds(self, row: Row) -> ColumnElement[bool]:
        """The other does not."""
        return not_(self.other.holds(row))

    def ids(self) -> Sequence[Select[str]] | None:
        """None."""
        return None


@dataclass(frozen=True, slots=True)
class Asking:
    """A question to the row alone."""

    question: Any
    """Of a row, its condition."""

    def holds(self, row: Row) -> ColumnElement[bool]:
        """The answer."""
        found: ColumnElement[bool] = self.question(row)
        return found

    def ids(self) -> Sequence[Select[str]] | None:
        """None."""
        return None


def conditions(scene: Scene, kind: str, pairs: Iterable[tuple[str, str]]) -> list[Condition]:
    """One condition for each parameter of a search.

    Parameters
    ----------
    pairs
        Names and values as in the address; a name twice means both, a comma in a value means either.

    Raises
    ------
    Malformed
        A parameter, modifier or value is not supported; the text names it.
    Forbidden
        A chain goes through a type of which the requester reads nothing.
    """
    return [_condition(scene, kind, asked.read(kind, name), value) for name, value in pairs]


def _condition(scene: Scene, kind: str, name: asked.Name, value: str) -> Condition:
    if isinstance(name, asked.Chain):
        return _chain(scene, kind, name, value)
    if isinstance(name, asked.Has):
        return _has(scene, kind, name, value)
    return _plain(scene, kind, name, value)


def _plain(scene: Scene, kind: str, name: asked.Plain, value: str) -> Condition:
    parameter = name.parameter
    if name.modifier == "missing":
        there = _there(scene, kind, parameter)
        return Without(there) if compared.missing(value, parameter.name) else there
    values = [each for each in parts(value, ",") if each]
    if not values or len(values) > MAX_VALUES:
        raise Malformed(Issue("value", f"Search parameter {parameter.name!r} has no value, or too many."))
    if parameter.kind is Kind.ID:
        return Listed(scene.connection, kind, frozenset(filter(references.ID.fullmatch, map(plain, values))))
    if parameter.kind is Kind.UPDATED:
        return _updated(scene, kind, values)
    table, index, alternatives = _alternatives(scene, name, values)
    shown = scene.sight.element(kind, parameter, table)
    column = table.c.path if table.element is fhir_reference else table.c.name
    named = column.in_(parameter.paths) if table.element is fhir_reference else column == index
    found = Rows(table, kind, tuple(and_(named, each, shown) for each in alternatives))
    return Without(found) if name.modifier == "not" else found


def _alternatives(scene: Scene, name: asked.Plain, values: Sequence[str]) -> tuple[Any, str, list[ColumnElement[bool]]]:
    """The index table, the name in it, and what its rows must hold for one of the values."""
    parameter, modifier = name.parameter, name.modifier
    kind = parameter.kind
    found: list[ColumnElement[bool]] = []
    if kind is Kind.TOKEN and modifier == "text":
        table, index = fhir_string.alias(), parameter.name + TEXT
        found = [compared.strings(table.c.value, plain(each), "") for each in values]
    elif kind is Kind.TOKEN and modifier == "of-type":
        table, index = fhir_token.alias(), parameter.name + TYPED
        found = [_typed(table.c, each) for each in values]
    elif kind is Kind.TOKEN:
        table, index = fhir_token.alias(), parameter.name
        found = [compared.tokens(table.c, each, parameter.name, bare=parameter.bare) for each in values]
    elif kind is Kind.REFERENCE and modifier == "identifier":
        table, index = fhir_token.alias(), parameter.name + IDENTIFIER
        found = [compared.tokens(table.c, each, parameter.name, bare=False) for each in values]
    elif parameter.form is Form.CANONICAL or kind is Kind.URI:
        table, index = fhir_token.alias(), parameter.name
        found = [compared.uris(table.c.value, plain(each), modifier) for each in values]
    elif kind is Kind.REFERENCE:
        table, index = fhir_reference.alias(), ""
        found = [_reference(scene, table.c, name, plain(each)) for each in values]
    elif kind is Kind.STRING:
        table, index = fhir_string.alias(), parameter.name + (EXACT if modifier == "exact" else "")
        found = [
            each
            for value in values
            for each in (
                _sounding(table.c, plain(value))
                if parameter.form is Form.PHONETIC
                else [compared.strings(table.c.value, plain(value), modifier)]
            )
        ]
    elif kind is Kind.DATE:
        table, index = fhir_date.alias(), parameter.name
        for each in values:
            found += compared.spans(table.c.start, table.c.end, plain(each), scene.zone, scene.now)
    elif kind is Kind.NUMBER:
        table, index = fhir_number.alias(), parameter.name
        for each in values:
            found += compared.numbers(table.c.low, table.c.high, plain(each))
    elif kind is Kind.QUANTITY:
        table, index = fhir_number.alias(), parameter.name
        for each in values:
            found += compared.quantities(table.c, each, "system", "code")
    else:
        table, index = fhir_composite.alias(), parameter.name
        for each in values:
            found += _pair(scene, table.c, parameter, each)
    return table, index, found


def _typed(columns: Any, value: str) -> ColumnElement[bool]:
    """``system|code|value`` of ``:of-type``."""
    pieces = [plain(each) for each in parts(value, "|")]
    if len(pieces) != 3 or not all(pieces[1:]):
        raise Malformed(Issue("value", "identifier:of-type is SYSTEM|CODE|VALUE."))
    return and_(columns.system == indexed(pieces[0]), columns.value == indexed(f"{pieces[1]}|{pieces[2]}"))


def _sounding(columns: Any, value: str) -> list[ColumnElement[bool]]:
    return [columns.value == each for each in sorted(sounds(value))] or [false()]


def _reference(scene: Scene, columns: Any, name: asked.Plain, value: str) -> ColumnElement[bool]:
    """``id``, ``Type/id``, an address of this server, or of another one as it stands."""
    parameter = name.parameter
    allowed = (name.type,) if name.type else parameter.targets
    if references.ID.fullmatch(value):
        targets = [f"{kind}/{value}" for kind in allowed]
    else:
        target = target_of(value, scene.base)
        if target is None:
            raise Malformed(Issue("value", "A reference is searched by id, as Type/id, or by its whole address."))
        kind = references.target_type(value)
        fits = kind in allowed if references.local(value, scene.base) else not (name.type or parameter.only)
        targets = [target] if fits or kind in allowed else []
    found: ColumnElement[bool] = columns.target.in_(targets) if targets else false()
    return found


def _pair(scene: Scene, columns: Any, parameter: Parameter, value: str) -> list[ColumnElement[bool]]:
    """``token$value`` of a composite."""
    pieces = parts(value, "$")
    if len(pieces) != 2 or not all(pieces):
        raise Malformed(Issue("value", f"Search parameter {parameter.name!r} is two values with a $ between them."))
    system, code = token(pieces[0])
    first = compared.token_is(columns.system, columns.value, system, code, PART)
    part = parameter.parts[1]
    if part.kind is Kind.TOKEN:
        system, code = token(pieces[1])
        seconds = [compared.token_is(columns.part_system, columns.part_value, system, code, PART)]
    elif part.kind is Kind.QUANTITY:
        seconds = compared.quantities(columns, pieces[1], "part_system", "part_value")
    elif part.kind is Kind.DATE:
        seconds = compared.spans(columns.low, columns.high, plain(pieces[1]), scene.zone, scene.now)
    elif part.kind is Kind.STRING:
        seconds = [compared.strings(columns.part_value, plain(pieces[1]), "")]
    else:
        seconds = [columns.part_value == indexed(target_of(plain(pieces[1]), scene.base) or "", PART)]
    return [and_(first, second) for second in seconds]


def _updated(scene: Scene, kind: str, values: Sequence[str]) -> Condition:
    """``_lastUpdated``: of what the requester is shown of the resource."""

    def holds(row: Row) -> ColumnElement[bool]:
        column = scene.sight.updated(kind, row)
        return or_(*(each for value in values for each in compared.moments(column, value, scene.zone, scene.now)))

    table = fhir_resource.alias()
    if scene.sight.updated(kind, table) is not table.c.updated:
        return Asking(holds)
    alternatives = [
        each for value in values for each in compared.moments(table.c.updated, value, scene.zone, scene.now)
    ]
    return Rows(table, kind, tuple(alternatives))


def _there(scene: Scene, kind: str, parameter: Parameter) -> Condition:
    """``:missing=false``: the element is there, whatever it says."""
    sight = scene.sight

    def rows(table: Any, *where: ColumnElement[bool]) -> Rows:
        return Rows(table, kind, (and_(*where, sight.element(kind, parameter, table)),))

    tokens, strings = fhir_token.alias(), fhir_string.alias()
    if parameter.form is Form.REFERENCE:
        named = fhir_reference.alias()
        where: list[ColumnElement[bool]] = [named.c.path.in_(parameter.paths)]
        if parameter.only:
            where.append(or_(*(compared.beginning(named.c.target, f"{each}/") for each in parameter.targets)))
        found: list[Condition] = [rows(named, *where)]
        if not parameter.only:
            found.append(rows(tokens, tokens.c.name == parameter.name + IDENTIFIER))
        return Either(tuple(found))
    if parameter.kind in (Kind.TOKEN, Kind.URI, Kind.REFERENCE):
        beside = rows(strings, strings.c.name == parameter.name + TEXT)
        return Either((rows(tokens, tokens.c.name == parameter.name), beside))
    table = {
        Kind.STRING: strings,
        Kind.DATE: fhir_date.alias(),
        Kind.NUMBER: fhir_number.alias(),
        Kind.QUANTITY: fhir_number.alias(),
        Kind.COMPOSITE: fhir_composite.alias(),
    }[parameter.kind]
    return rows(table, table.c.name == parameter.name)


def _chain(scene: Scene, kind: str, name: asked.Chain, value: str) -> Condition:
    """What names a resource of which the rest holds, and which the requester may read.

    Where no type is named it may be of any; those of which she reads nothing are left out then, if not all are.
    """
    found: list[Condition] = []
    fault: Forbidden | None = None
    for target, rest in name.rest:
        try:
            found.append(_link(scene, kind, name.parameter, target, _condition(scene, target, rest, value)))
        except Forbidden as error:
            fault = error
    if fault is not None and (name.stated or not found):
        raise fault
    return found[0] if len(found) == 1 else Either(tuple(found))


def _link(scene: Scene, kind: str, parameter: Parameter, target: str, rest: Condition) -> Condition:
    """What names a resource of this type of which the rest holds."""
    table = fhir_reference.alias()
    named = and_(
        table.c.path.in_(parameter.paths),
        scene.sight.element(kind, parameter, table),
    )
    few = few_ids(scene, [rest])
    if few is not None:
        seen = visible(scene, target, few, [rest])
        wanted = among(scene.connection, table.c.target, {f"{target}/{each}" for each in seen})
        return Rows(table, kind, (and_(named, wanted),))
    row = fhir_resource.alias()
    prefix = f"{target}/"
    lies_there = exists(
        select(literal(1))
        .select_from(row)
        .where(
            row.c.type == target,
            row.c.id == func.substr(table.c.target, len(prefix) + 1),
            rest.holds(row),
            scene.sight.seen(target, row),
        )
        .correlate(table)
    )
    return Rows(table, kind, (and_(named, compared.beginning(table.c.target, prefix), lies_there),), begins=False)


def _has(scene: Scene, kind: str, name: asked.Has, value: str) -> Condition:
    """What a resource names of which the rest holds, and which the requester may read."""
    table, parameter = fhir_reference.alias(), name.parameter
    rest = _condition(scene, name.type, name.rest, value)
    named = and_(
        table.c.type == name.type,
        table.c.path.in_(parameter.paths),
        scene.sight.element(name.type, parameter, table),
    )
    prefix = f"{kind}/"
    few = few_ids(scene, [rest])
    if few is not None:
        seen = visible(scene, name.type, few, [rest])
        query = select(table.c.target).where(
            named, among(scene.connection, table.c.id, seen), compared.beginning(table.c.target, prefix)
        )
        targets = scene.connection.execute(query).scalars()
        return Listed(scene.connection, kind, frozenset(each.removeprefix(prefix) for each in targets))

    def holds(row: Row) -> ColumnElement[bool]:
        source = fhir_resource.alias()
        stated = exists(
            select(literal(1))
            .select_from(source)
            .where(
                source.c.type == name.type,
                source.c.id == table.c.id,
                rest.holds(source),
                scene.sight.seen(name.type, source),
            )
            .correlate(table)
        )
        return exists(
            select(literal(1))
            .select_from(table)
            .where(named, table.c.target == literal(prefix) + row.c.id, stated)
            .correlate(row)
        )

    return Asking(holds)


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
            found.update(scene.connection.execute(query.limit(limit + 1)).scalars())
            if len(found) > limit:
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
