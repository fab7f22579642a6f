"""One value of a search parameter as a condition on the rows of an index table (R4 search, by parameter type)."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, false, or_, true

from fhir_mapping import dates
from fhir_mapping.errors import Issue, Malformed
from fhir_mapping.search.elements import number
from fhir_mapping.search.values import FIRST, LAST, folded, indexed, micros, parts, plain, token

PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")

_NUMBER = re.compile(r"[+-]?(?P<digits>[0-9]{1,40}(?:\.[0-9]{1,40})?)(?:[eE](?P<exponent>[+-]?[0-9]{1,3}))?")

#: The greatest character: what begins with a text lies between it, and it with this behind it.
_GREATEST = "\U0010ffff"

#: Microseconds.
_LEAST_MARGIN = 1_000_000

Columns = Any
"""The columns of a table or of its alias."""


def beginning(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    """What begins with a text, as a range, so that the index serves it."""
    return and_(column >= text, column < text + _GREATEST)


def tokens(columns: Columns, value: str, name: str, *, bare: bool) -> ColumnElement[bool]:
    """``code``, ``system|code``, ``|code``, ``system|``."""
    system, code = token(value)
    if system and bare:
        raise Malformed(Issue("value", f"Search parameter {name!r} is a code, and names no system."))
    return token_is(columns.system, columns.value, system, code)


def token_is(
    systems: ColumnElement[str], values: ColumnElement[str], system: str | None, code: str, room: int | None = None
) -> ColumnElement[bool]:
    """A token's system and code against two columns."""
    fits = indexed if room is None else lambda text: indexed(text, room)
    if not code and not system:
        return false()
    conditions = []
    if code:
        conditions.append(values == fits(code))
    if system is not None:
        conditions.append(systems == fits(system))
    return and_(*conditions)


def strings(column: ColumnElement[str], value: str, modifier: str) -> ColumnElement[bool]:
    """The beginning, without case and accents; ``:contains`` anywhere; ``:exact`` the whole as it stands.

    An accent alone is the beginning of nothing.
    """
    if modifier == "exact":
        return column == indexed(value)
    wanted = folded(value)
    if not wanted:
        return false()
    return column.contains(wanted, autoescape=True) if modifier == "contains" else beginning(column, wanted)


def uris(column: ColumnElement[str], value: str, modifier: str) -> ColumnElement[bool]:
    """The whole; ``:below`` it, and what begins with it up to a slash (R4 search, uri)."""
    if modifier != "below":
        return column == indexed(value)
    stem = value.rstrip("/")
    return or_(column == indexed(value), beginning(column, f"{stem}/"))


def spans(
    low: ColumnElement[Any], high: ColumnElement[Any], value: str, zone: ZoneInfo, now: datetime
) -> list[ColumnElement[bool]]:
    """A date against half-open spans; alternatives, each of which one index serves.

    The prefix compares the stored span with that of the value (R4 search, prefixes); ``ap`` widens it by a tenth of
    the time between the value and now.
    """
    prefix, start, end, margin = _asked_span(value, zone, now)
    if prefix == "ap":
        return [and_(low < end + margin, high > start - margin)]
    within = and_(low >= start, low < end, high <= end)
    return {
        "eq": [within],
        "ne": [low < start, high > end],
        "lt": [low < start],
        "gt": [high > end],
        "le": [low < start, within],
        "ge": [high > end, within],
        "sa": [low >= end],
        "eb": [high <= start],
    }[prefix]


def moments(column: ColumnElement[int], value: str, zone: ZoneInfo, now: datetime) -> list[ColumnElement[bool]]:
    """The same against an instant, which is told to the millisecond."""
    prefix, start, end, margin = _asked_span(value, zone, now)
    return {
        "eq": [and_(column >= start, column < end)],
        "ne": [column < start, column >= end],
        "lt": [column < start],
        "eb": [column < start],
        "gt": [column >= end],
        "sa": [column >= end],
        "le": [column < end],
        "ge": [column >= start],
        "ap": [and_(column >= start - margin, column < end + margin)],
    }[prefix]


def _asked_span(value: str, zone: ZoneInfo, now: datetime) -> tuple[str, int, int, int]:
    """Prefix, start and end, and by how much ``ap`` widens them."""
    prefix, text = prefixed(value)
    try:
        span = dates.span(text, zone)
    except (ValueError, OverflowError):
        raise Malformed(Issue("value", "A date is searched as YYYY, YYYY-MM, YYYY-MM-DD or with a time.")) from None
    start, end = micros(span.start, FIRST), micros(span.end, LAST)
    return prefix, start, end, max(abs(micros(now, 0) - start) // 10, _LEAST_MARGIN)


def numbers(low: ColumnElement[float], high: ColumnElement[float], value: str) -> list[ColumnElement[bool]]:
    """A number against ranges, both ends of which belong to them.

    Without a prefix the digits that are written tell how exact it is meant: 100 is [99.5, 100.5) (R4 search, number).
    """
    prefix, text = prefixed(value)
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise Malformed(Issue("value", "A number is searched as 5, 5.40 or 5.4e-3, with a prefix before it or none."))
    stated = Decimal(text)
    exponent = int(stated.as_tuple().exponent)
    if match["exponent"] is not None and "." not in match["digits"]:
        exponent -= 1  # 1e2 is meant as 1.0e2: 95 to 105
    half = Decimal(5).scaleb(exponent - 1)
    exact, least, most = number(stated), number(stated - half), number(stated + half)
    if prefix == "ap":
        tenth = number(max(abs(stated) / 10, half))
        return [and_(low <= exact + tenth, high >= exact - tenth)]
    return {
        "eq": [and_(low >= least, low < most, high < most)],
        "ne": [low < least, high >= most],
        "lt": [low < exact],
        "gt": [high > exact],
        "le": [low <= exact],
        "ge": [high >= exact],
        "sa": [low > exact],
        "eb": [high < exact],
    }[prefix]


def quantities(columns: Columns, value: str, system: str, code: str) -> list[ColumnElement[bool]]:
    """``5.4|http://unitsofmeasure.org|mg``, ``5.4||mg``, ``5.4``: the number, and the unit by code or word.

    Parameters
    ----------
    system, code
        Names of the columns that hold the unit.
    """
    pieces = [plain(each) for each in parts(value, "|")]
    if len(pieces) not in (1, 3):
        raise Malformed(Issue("value", "A quantity is searched as NUMBER, NUMBER|SYSTEM|CODE or NUMBER||CODE."))
    unit: ColumnElement[bool] = true()
    if len(pieces) == 3:
        if pieces[1]:
            unit = and_(unit, columns[system] == indexed(pieces[1]))
        if pieces[2]:
            unit = and_(unit, columns[code] == indexed(pieces[2]))
    return [and_(each, unit) for each in numbers(columns.low, columns.high, pieces[0])]


def prefixed(value: str) -> tuple[str, str]:
    """Prefix and value; without one ``eq``.

    Raises
    ------
    Malformed
        There is no such prefix.
    """
    if not value[:1].isalpha():
        return "eq", value
    if value[:2] not in PREFIXES:
        known = ", ".join(PREFIXES)
        raise Malformed(Issue("not-supported", f"Prefix {value[:2]!r} is not supported; known: {known}."))
    return value[:2], value[2:]


def missing(value: str, name: str) -> bool:
    """The value of ``:missing``."""
    if value not in ("true", "false"):
        raise Malformed(Issue("value", f"{name}:missing is true or false."))
    return value == "true"
