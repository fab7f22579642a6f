"""Search parameters as SQL conditions on ``fhir_resource`` (R4 search; the parameters of search-parameters.json).

What is not supported is refused, never ignored: a search that silently drops a condition shows too much.
"""

from __future__ import annotations

from collections.abc import Iterable
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, and_, exists, false, literal, or_, select

from fhir_mapping import dates, references
from fhir_mapping.errors import Issue, Malformed
from fhir_mapping.search.parameters import Kind, Parameter, parameters
from fhir_mapping.search.values import FIRST, LAST, folded, indexed, micros, parts, plain, token
from fhir_mapping.tables import fhir_date, fhir_reference, fhir_resource, fhir_string, fhir_token

_MAX_VALUES = 100


def matching(kind: str, asked: Iterable[tuple[str, str]], zone: ZoneInfo, base: str | None = None) -> Select[str]:
    """Ids of a type's resources that match all parameters.

    Parameters
    ----------
    asked
        Names and values as in the address; a name twice means both, a comma in a value means either.
    zone
        Dates without an offset are in it.
    base
        This server's own address; references below it are local.

    Raises
    ------
    Malformed
        A parameter, modifier or value is not supported; the text names it.
    """
    query = select(fhir_resource.c.id).where(fhir_resource.c.type == kind)
    for name, value in asked:
        query = query.where(_condition(kind, name, value, zone, base))
    return query


def _condition(kind: str, name: str, value: str, zone: ZoneInfo, base: str | None) -> ColumnElement[bool]:
    first, dot, rest = name.partition(".")
    if dot:
        return _chain(kind, first, rest, value, zone, base)
    parameter = parameters(kind).get(name)
    if parameter is None:
        known = ", ".join(sorted(parameters(kind)))
        raise Malformed(Issue("not-supported", f"Search parameter {name[:60]!r} is not supported; known: {known}."))
    values = [each for each in parts(value, ",") if each]
    if not values or len(values) > _MAX_VALUES:
        raise Malformed(Issue("value", f"Search parameter {name!r} has no value, or too many."))
    return or_(*(_one(parameter, each, zone, base) for each in values))


def _chain(kind: str, name: str, rest: str, value: str, zone: ZoneInfo, base: str | None) -> ColumnElement[bool]:
    """``medication.lot-number``, ``subject:Patient.identifier``: a parameter of what a reference names."""
    name, _, named = name.partition(":")
    parameter = parameters(kind).get(name)
    targets = (
        ()
        if parameter is None
        else tuple(each for each in parameter.targets if named in ("", each) and rest in parameters(each))
    )
    if parameter is None or parameter.kind is not Kind.REFERENCE or not targets or (len(targets) > 1 and not named):
        raise Malformed(Issue("not-supported", f"Chained parameter {name[:60]}.{rest[:60]} is not supported."))
    found = matching(targets[0], [(rest, value)], zone, base).subquery()
    return _exists(
        fhir_reference,
        fhir_reference.c.path.in_(parameter.paths),
        fhir_reference.c.target.in_(select(literal(f"{targets[0]}/") + found.c.id)),
    )


def _one(parameter: Parameter, value: str, zone: ZoneInfo, base: str | None) -> ColumnElement[bool]:
    if parameter.kind is Kind.TOKEN:
        return _token(parameter, value)
    value = plain(value)
    if parameter.kind is Kind.ID:
        return fhir_resource.c.id == value
    if parameter.kind is Kind.REFERENCE:
        return _reference(parameter, value, base)
    if parameter.kind is Kind.STRING:
        return _string(parameter, value)
    return _date(parameter, value, zone)


def _string(parameter: Parameter, value: str) -> ColumnElement[bool]:
    """R4 search, string: the beginning, without case and accents. An accent alone is the beginning of nothing."""
    beginning = folded(value)
    if not beginning:
        return false()
    return _exists(
        fhir_string,
        fhir_string.c.name == parameter.index,
        fhir_string.c.value.startswith(beginning, autoescape=True),
    )


def _token(parameter: Parameter, value: str) -> ColumnElement[bool]:
    """``code``, ``system|code``, ``|code``, ``system|`` (R4 search, token)."""
    system, code = token(value)
    if system and parameter.bare:
        raise Malformed(Issue("value", f"Search parameter {parameter.name!r} is a code, and names no system."))
    conditions = [fhir_token.c.name == parameter.index]
    if system is not None and (system or code):
        conditions.append(fhir_token.c.system == indexed(system))
    if code:
        conditions.append(fhir_token.c.value == indexed(code))
    elif not system:
        return false()
    return _exists(fhir_token, *conditions)


def _reference(parameter: Parameter, value: str, base: str | None) -> ColumnElement[bool]:
    """``id``, ``Type/id`` or an absolute address of this server."""
    if references.ID.fullmatch(value):
        targets = [f"{kind}/{value}" for kind in parameter.targets]
    else:
        local = references.local(value, base)
        if local is None:
            raise Malformed(Issue("value", "A reference is searched by id or as Type/id."))
        targets = [local] if local.partition("/")[0] in parameter.targets else []
    if not targets:
        return false()
    return _exists(fhir_reference, fhir_reference.c.path.in_(parameter.paths), fhir_reference.c.target.in_(targets))


def _date(parameter: Parameter, value: str, zone: ZoneInfo) -> ColumnElement[bool]:
    """R4 search, date: the prefix compares the stored span with the span of the value."""
    prefix, text = (value[:2], value[2:]) if value[:1].isalpha() else ("eq", value)
    try:
        span = dates.span(text, zone)
    except (ValueError, OverflowError):
        raise Malformed(Issue("value", "A date is searched as YYYY, YYYY-MM, YYYY-MM-DD or with a time.")) from None
    start, end = micros(span.start, FIRST), micros(span.end, LAST)
    low, high = fhir_date.c.start, fhir_date.c.end
    compared = {
        "eq": and_(low >= start, high <= end),
        "ne": or_(low < start, high > end),
        "lt": low < start,
        "gt": high > end,
        "le": low < end,
        "ge": high > start,
        "sa": low >= end,
        "eb": high <= start,
    }.get(prefix)
    if compared is None:
        raise Malformed(Issue("not-supported", f"Date prefix {prefix!r} is not supported."))
    return _exists(fhir_date, fhir_date.c.name == parameter.index, compared)


def _exists(table: object, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    columns = table.c  # type: ignore[attr-defined]
    return exists(
        select(columns.id).where(columns.type == fhir_resource.c.type, columns.id == fhir_resource.c.id, *conditions)
    )
