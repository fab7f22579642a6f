"""What the index holds of one element, for each form that a search parameter reads (R4 search, by parameter type)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from consent.directive import Span
from fhir_mapping import dates
from fhir_mapping.search.paths import listed

_NAME_PARTS = ("text", "family", "given", "prefix", "suffix")
_ADDRESS_PARTS = ("text", "line", "city", "district", "state", "postalCode", "country")

#: The greatest number that both databases compare; what is greater is held as if it were this.
MOST = 1.7e308

Token = tuple[str, str]
"""System and value."""

Range = tuple[float, float, str, str]
"""Low and high, both belonging to it, and system and code of the unit."""


def tokens(value: Any) -> Iterator[Token]:
    """Coding, CodeableConcept, Identifier; a bare code, boolean or text has no system."""
    if isinstance(value, bool):
        yield "", "true" if value else "false"
    elif isinstance(value, str):
        yield "", value
    elif isinstance(value, Mapping):
        for each in listed(value.get("coding")) if "coding" in value else [value]:
            code = each.get("code", each.get("value"))
            system = each.get("system")
            if isinstance(code, str) or isinstance(system, str):
                yield system if isinstance(system, str) else "", code if isinstance(code, str) else ""


def contacts(value: Any) -> Iterator[Token]:
    """ContactPoint: the value, and how it is used in the place of a system (R4 search, token)."""
    if isinstance(value, Mapping) and isinstance(value.get("value"), str):
        use = value.get("use")
        yield use if isinstance(use, str) else "", value["value"]


def typed(value: Any) -> Iterator[Token]:
    """``:of-type`` of an Identifier: the type's system; its code and the value."""
    if isinstance(value, Mapping) and isinstance(value.get("value"), str):
        for coding in listed((value.get("type") or {}).get("coding")):
            if isinstance(coding.get("code"), str):
                yield str(coding.get("system", "")), f"{coding['code']}|{value['value']}"


def texts_beside(value: Any) -> Iterator[str]:
    """``:text`` of a token: CodeableConcept.text, Coding.display, Identifier.type.text."""
    if isinstance(value, Mapping):
        kind = value.get("type")
        for each in (value, *listed(value.get("coding")), *([kind] if isinstance(kind, Mapping) else [])):
            for member in ("text", "display"):
                if isinstance(each.get(member), str):
                    yield each[member]


def texts(value: Any) -> Iterator[str]:
    """A string."""
    if isinstance(value, str):
        yield value


def names(value: Any) -> Iterator[str]:
    """HumanName by each of its parts."""
    yield from _parts(value, _NAME_PARTS)


def addresses(value: Any) -> Iterator[str]:
    """Address by each of its parts."""
    yield from _parts(value, _ADDRESS_PARTS)


def _parts(value: Any, members: tuple[str, ...]) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for member in members:
            yield from (each for each in listed(value.get(member)) if isinstance(each, str))


def spans(value: Any, zone: ZoneInfo) -> Iterator[Span]:
    """date, dateTime, instant, Period; of a Timing its events and its bounds.

    Raises
    ------
    ValueError
        It names a day that does not exist.
    """
    if isinstance(value, str):
        yield dates.span(value, zone)
    elif isinstance(value, Mapping) and ("start" in value or "end" in value):
        yield dates.period(value, zone)
    elif isinstance(value, Mapping):
        for event in listed(value.get("event")):
            if isinstance(event, str):
                yield dates.span(event, zone)
        repeat = value.get("repeat")
        bounds = repeat.get("boundsPeriod") if isinstance(repeat, Mapping) else None
        if isinstance(bounds, Mapping):
            yield dates.period(bounds, zone)


def ranges(value: Any) -> Iterator[Range]:
    """A number; Quantity with its comparator; Range; SampledData by the origin and the limits that it states.

    A unit that has a code and a word of its own gives a row for each.
    """
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        yield number(value), number(value), "", ""
    elif isinstance(value, Mapping):
        if "low" in value or "high" in value:
            low, high = value.get("low") or {}, value.get("high") or {}
            for system, code in _units(low or high):
                yield number(low.get("value"), -math.inf), number(high.get("value"), math.inf), system, code
        elif isinstance(value.get("origin"), Mapping):
            for system, code in _units(value["origin"]):
                lowest = number(value.get("lowerLimit"), -math.inf)
                yield lowest, number(value.get("upperLimit"), math.inf), system, code
        elif "value" in value:
            stated = number(value["value"])
            low_end = -math.inf if value.get("comparator") in ("<", "<=") else stated
            high_end = math.inf if value.get("comparator") in (">", ">=") else stated
            for system, code in _units(value):
                yield low_end, high_end, system, code


def _units(quantity: Mapping[str, Any]) -> list[Token]:
    system, code, unit = (quantity.get(member) for member in ("system", "code", "unit"))
    found = [(str(system or ""), code)] if isinstance(code, str) else []
    if isinstance(unit, str) and unit != code:
        found.append(("", unit))
    return found or [("", "")]


def number(value: Any, otherwise: float = 0.0) -> float:
    """A JSON number as the index compares it; a side that is not stated is open."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return otherwise
    return float(min(max(Decimal(value), Decimal(-MOST)), Decimal(MOST)))
