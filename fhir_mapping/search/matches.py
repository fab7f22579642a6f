"""A parameter of the type itself as a condition: its values against the rows of the index that hold its elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, false, func, or_, select

from fhir_mapping import references
from fhir_mapping.errors import Issue, Malformed
from fhir_mapping.photo_names import uid_in
from fhir_mapping.resources.document_reference import DICOM_UID
from fhir_mapping.search import asked, compared
from fhir_mapping.search.condition import Asking, Condition, Either, Listed, Rows, Scene, Without
from fhir_mapping.search.index import EXACT, IDENTIFIER, TEXT, TYPED, target_of
from fhir_mapping.search.parameters import Form, Kind, Parameter
from fhir_mapping.search.persons import follows, with_merged
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


def of_parameter(scene: Scene, kind: str, name: asked.Plain, value: str) -> Condition:
    """The condition that a parameter and its modifier make with a value.

    Raises
    ------
    Malformed
        The value cannot be read; the text names the parameter.
    """
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
    uid = parameter.kind is Kind.TOKEN and any(_may_be_uid(each) for each in values)
    shown = scene.sight.element(kind, parameter, table, uid=uid)
    column = table.c.path if table.element is fhir_reference else table.c.name
    named = column.in_(parameter.paths) if table.element is fhir_reference else column == index
    of_one = named if table.element is fhir_reference else func.coalesce(column, "") == index
    # Of one resource its few rows are read. As a bare column SQLite may take the index that begins with the value
    # instead, and go through everything that has it. The index of references ends with the id.
    asked_of_one = tuple(and_(of_one, each, shown) for each in alternatives)
    ordered = len(alternatives) == len(values) and all(_is_whole(name, each) for each in values)
    text = parameter.kind is Kind.STRING and not name.modifier and len(alternatives) == 1
    found = Rows(
        table,
        kind,
        tuple(and_(named, each, shown) for each in alternatives),
        asked=asked_of_one,
        ordered=ordered,
        open=table.c.value if text and not ordered else None,
    )
    return Without(found) if name.modifier == "not" else found


def _may_be_uid(value: str) -> bool:
    """Whether a token that is asked for may be a DICOM UID."""
    system, code = token(value)
    return system == DICOM_UID or uid_in(code) is not None


def _is_whole(name: asked.Plain, value: str) -> bool:
    """Whether a value is a whole text, a token, or a pair of tokens, each with its system and its code."""
    parameter = name.parameter
    if name.modifier:
        return parameter.kind is Kind.STRING and name.modifier == "exact"
    if parameter.kind is Kind.TOKEN:
        return all(token(value))
    pieces = parts(value, "$") if parameter.kind is Kind.COMPOSITE and parameter.parts[1].kind is Kind.TOKEN else ()
    return len(pieces) == 2 and all(all(token(each)) for each in pieces)


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
    if follows(parameter):
        targets = sorted(with_merged(scene, targets))
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
        whole = and_(columns.low == 0, columns.high == 0)  # as they are of tokens; the index has them before the id
        seconds = [and_(compared.token_is(columns.part_system, columns.part_value, system, code, PART), whole)]
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

    def spans(column: ColumnElement[int]) -> tuple[ColumnElement[bool], ...]:
        return tuple(each for value in values for each in compared.moments(column, value, scene.zone, scene.now))

    written = scene.sight.written(kind)
    if written is None:
        table = fhir_resource.alias()
        return Rows(table, kind, spans(table.c.updated))
    # Where the newest part fits, some part does.
    begins = tuple(select(written.c.id).where(each) for each in spans(written.c.updated))
    return Asking(lambda row: or_(*spans(scene.sight.updated(kind, row))), begins)


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
