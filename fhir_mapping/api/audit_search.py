"""The question for AuditEvents: parameters, and which events match them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from consent.audit.back import Place
from consent.store.clock import micros
from fhir_mapping import dates, references
from fhir_mapping.api.node import Node
from fhir_mapping.api.paging import DEFAULT_COUNT, MAX_COUNT, require_few
from fhir_mapping.errors import Issue, Malformed
from fhir_mapping.search.values import folded, parts, plain, token

TYPE = "AuditEvent"
PARAMETERS: Mapping[str, str] = {
    "_id": "token",
    "action": "token",
    "agent": "reference",
    "agent-name": "string",
    "date": "date",
    "entity": "reference",
    "outcome": "token",
    "patient": "reference",
    "subtype": "token",
    "type": "token",
}
"""Name and R4 type of what can be searched by; ``agent`` and ``entity`` also by ``:identifier``."""

_PAGE = re.compile(r"([0-9]{1,18})\.([0-9a-f]{24})\.([0-9]{1,18})")

Test = Callable[[dict[str, Any]], bool]
"""Whether an event matches."""


@dataclass(frozen=True, slots=True)
class Search:
    """One question for events."""

    tests: tuple[Test, ...] = ()
    asked: tuple[tuple[str, str], ...] = ()
    count: int = DEFAULT_COUNT
    before: Place | None = None
    since: int = 0
    until: int = (1 << 63) - 1
    patients: frozenset[str] | None = None
    """Only of these patients' records."""

    word: bytes = b""
    ignored: tuple[str, ...] = ()


def read(node: Node, pairs: Sequence[tuple[str, str]], *, lenient: bool) -> Search:
    """Tell the parameters apart.

    Raises
    ------
    Malformed
        A parameter is not supported, and the request is not lenient; or a value cannot be read.
    """
    require_few(pairs)
    wanted = Search()
    for name, value in pairs:
        if name in ("_format", "_pretty", "_total"):
            continue
        if name == "_count":
            if not value.isascii() or not value.isdigit() or len(value) > 20:
                raise Malformed(Issue("value", "_count is a whole number."))
            wanted = replace(wanted, count=min(int(value), MAX_COUNT))
        elif name == "_page":
            match = _PAGE.fullmatch(value)
            if match is None:
                raise Malformed(Issue("value", "_page comes from the link of the page before."))
            wanted = replace(wanted, before=Place(int(match[1]), match[2], int(match[3])))
        elif name.partition(":")[0] not in PARAMETERS and lenient:
            wanted = replace(wanted, ignored=(*wanted.ignored, name))
        else:
            wanted = _narrowed(node, replace(wanted, asked=(*wanted.asked, (name, value))), name, value)
    return wanted


def _narrowed(node: Node, wanted: Search, name: str, value: str) -> Search:
    values = [each for each in parts(value, ",") if each]
    if not values or len(values) > 100:
        raise Malformed(Issue("value", f"Search parameter {name[:60]!r} has no value, or too many."))
    base = node.record.base
    if name == "date":
        return _dated(node, wanted, values)
    if name == "patient":
        ids = {_patient(each, base) for each in values}
        return replace(wanted, patients=frozenset(ids) if wanted.patients is None else wanted.patients & ids)
    test = _test(name, values, base)
    word = wanted.word
    if name == "agent:identifier" and len(values) == 1:
        account = token(values[0])[1]
        word = f'"account":{json.dumps(account, ensure_ascii=False)}'.encode()
    return replace(wanted, tests=(*wanted.tests, test), word=word)


def _patient(value: str, base: str | None) -> str:
    local = references.local(value, base)
    if references.ID.fullmatch(value):
        return value
    if local is None or not local.startswith("Patient/"):
        raise Malformed(Issue("value", "A patient is searched by id or as Patient/id."))
    return references.id_of(local)


def _test(name: str, values: Sequence[str], base: str | None) -> Test:
    if name == "_id":
        return lambda event: event["id"] in values
    if name in ("action", "outcome"):
        codes = {plain(each) for each in values}
        return lambda event: event[name] in codes
    if name in ("type", "subtype"):
        return _any_coding(name, [token(each) for each in values])
    if name == "agent-name":
        beginnings = tuple(folded(plain(each)) for each in values)
        return lambda event: any(folded(each.get("name", "")).startswith(beginnings) for each in event["agent"])
    if name in ("agent", "entity"):
        targets = {
            plain(each) if references.ID.fullmatch(plain(each)) else _local(plain(each), base) for each in values
        }
        part = "who" if name == "agent" else "what"
        return lambda event: any(_names(each.get(part, {}).get("reference", ""), targets) for each in event[name])
    if name in ("agent:identifier", "entity:identifier"):
        pairs = [token(each) for each in values]
        element, part = (name.partition(":")[0], "who" if name.startswith("agent") else "what")
        return lambda event: any(
            _is(each.get(part, {}).get("identifier", {}), "value", pairs) for each in event[element]
        )
    raise Malformed(
        Issue("not-supported", f"Search parameter {name[:60]!r} is not supported; known: {', '.join(PARAMETERS)}.")
    )


def _local(value: str, base: str | None) -> str:
    found = references.local(value, base)
    if found is None:
        raise Malformed(Issue("value", "A reference is searched by id, as Type/id, or by :identifier."))
    return found


def _names(reference: str, targets: Collection[str]) -> bool:
    """Whether a reference is one of these, ``Type/id`` or the id of any type."""
    return reference in targets or references.id_of(reference) in targets


def _any_coding(name: str, pairs: Sequence[tuple[str | None, str]]) -> Test:
    def test(event: dict[str, Any]) -> bool:
        stated = event.get(name, [])
        return any(_is(each, "code", pairs) for each in (stated if isinstance(stated, list) else [stated]))

    return test


def _is(element: Mapping[str, Any], member: str, pairs: Iterable[tuple[str | None, str]]) -> bool:
    return any(
        (system is None or system == element.get("system", "")) and (not value or value == element.get(member))
        for system, value in pairs
        if system or value
    )


def _dated(node: Node, wanted: Search, values: Sequence[str]) -> Search:
    if len(values) > 1:
        raise Malformed(Issue("not-supported", "A date here is one; give the parameter twice for a span."))
    value = plain(values[0])
    prefix, text = (value[:2], value[2:]) if value[:1].isalpha() else ("eq", value)
    try:
        span = dates.span(text, node.record.site.zone)
    except (ValueError, OverflowError):
        raise Malformed(Issue("value", "A date is searched as YYYY, YYYY-MM, YYYY-MM-DD or with a time.")) from None
    assert span.start is not None
    assert span.end is not None
    start, end = micros(span.start), micros(span.end)
    bounds = {
        "eq": (start, end),
        "ge": (start, None),
        "gt": (end, None),
        "sa": (end, None),
        "lt": (None, start),
        "eb": (None, start),
        "le": (None, end),
    }.get(prefix)
    if bounds is None:
        raise Malformed(Issue("not-supported", f"Date prefix {prefix!r} is not supported."))
    since, until = bounds
    return replace(
        wanted,
        since=wanted.since if since is None else max(wanted.since, since),
        until=wanted.until if until is None else min(wanted.until, until),
    )


def links(base: str, wanted: Search, last: Place | None) -> list[tuple[str, str]]:
    """``self``, and ``next`` where another page follows."""
    pairs = [*wanted.asked, ("_count", str(wanted.count))]

    def url(before: Place | None) -> str:
        place = [] if before is None else [("_page", f"{before.recorded}.{before.chain}.{before.sequence}")]
        return f"{base}/{TYPE}?{urlencode([*pairs, *place])}"

    links = [("self", url(wanted.before))]
    return links if last is None else [*links, ("next", url(last))]
