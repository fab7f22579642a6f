"""The parameters of a search as conditions; chains and ``_has`` go on to what a resource names, or what names it."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ColumnElement, and_, exists, func, literal, select

from consent.store.write import among
from fhir_mapping.errors import Forbidden, Issue, Malformed
from fhir_mapping.search import asked, compared, persons
from fhir_mapping.search.condition import Asking, Condition, Either, Listed, Rows, Scene, reached
from fhir_mapping.search.matches import of_parameter
from fhir_mapping.search.parameters import Parameter
from fhir_mapping.search.sight import Row
from fhir_mapping.search.values import parts
from fhir_mapping.tables import fhir_reference, fhir_resource

MAX_ALTERNATIVES = 2000
"""So many values, each by as many ways as a chain has, are asked for by one search."""


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
    named = [(asked.read(kind, name), value) for name, value in pairs]
    if sum(asked.ways(name) * len(parts(value, ",")) for name, value in named) > MAX_ALTERNATIVES:
        raise Malformed(Issue("too-costly", "The search asks for too many values by too many ways; ask for fewer."))
    return [_condition(scene, kind, name, value) for name, value in named]


def _condition(scene: Scene, kind: str, name: asked.Name, value: str) -> Condition:
    if isinstance(name, asked.Chain):
        return _chain(scene, kind, name, value)
    if isinstance(name, asked.Has):
        return _has(scene, kind, name, value)
    return of_parameter(scene, kind, name, value)


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
    few = reached(scene, target, rest)
    of_person = target == persons.PATIENT and persons.follows(parameter)
    if few is not None:
        references = {f"{target}/{each}" for each in few}
        if of_person:
            references = persons.with_merged(scene, references)
        wanted = among(scene.connection, table.c.target, references)
        # Of one resource its references are looked up among these. As a bare column SQLite would look each of these up
        # among its references instead.
        asked_of_one = among(scene.connection, func.coalesce(table.c.target, ""), references)
        return Rows(table, kind, (and_(named, wanted),), asked=(and_(named, asked_of_one),))
    row = fhir_resource.alias()
    prefix = f"{target}/"
    identity = func.substr(table.c.target, len(prefix) + 1)
    there = select(literal(1)).select_from(row)
    there = there.where(row.c.type == target, rest.holds(row), scene.sight.seen(target, row))
    if of_person:
        lies_there = persons.of_person(there, row.c.id, identity, table)
    else:
        lies_there = exists(there.where(row.c.id == identity).correlate(table))
    return Rows(
        table,
        kind,
        (and_(named, compared.beginning(table.c.target, prefix), lies_there),),
        begins=False,
        links=rest.links + 1,
    )


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
    of_person = kind == persons.PATIENT and persons.follows(parameter)
    few = reached(scene, name.type, rest)
    if few is not None:
        query = select(table.c.target).where(
            named, among(scene.connection, table.c.id, few), compared.beginning(table.c.target, prefix)
        )
        targets = set(scene.connection.execute(query).scalars())
        if of_person:
            targets = persons.with_merged(scene, targets)
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
        naming = select(literal(1)).select_from(table).where(named, stated)
        if of_person:
            return persons.named(naming, table.c.target, row)
        return exists(naming.where(table.c.target == literal(prefix) + row.c.id).correlate(row))

    return Asking(holds, links=rest.links + 1)
