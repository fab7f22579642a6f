"""The parameters of a search that shape the answer, not the question (R4 search, Result Parameters)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from fhir_mapping.api import includes
from fhir_mapping.api.includes import Include
from fhir_mapping.api.sight import shown_in_part
from fhir_mapping.api.subset import Summary
from fhir_mapping.errors import Issue, Malformed
from fhir_mapping.search import asked as names
from fhir_mapping.search import order
from fhir_mapping.search.order import Key, Place

DEFAULT_COUNT = 50
MAX_COUNT = 200
MAX_PARAMETERS = 60
_MAX_DIGITS = 20
_MAX_INCLUDES = 20
_TOTALS = ("none", "estimate", "accurate")
_EVERYWHERE = ("_format", "_pretty")


@dataclass(slots=True)
class Search:
    """One search, its parameters told apart."""

    type: str
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Name and value of what must match."""

    count: int = DEFAULT_COUNT
    keys: tuple[Key, ...] = ()
    after: Place | None = None
    """The place behind which this page begins."""

    total: str | None = None
    """``_total``; where nobody says, the total is told as far as it is known without counting many."""

    includes: list[Include] = field(default_factory=list)
    summary: Summary | None = None
    elements: tuple[str, ...] = ()
    shaping: list[tuple[str, str]] = field(default_factory=list)
    """Name and value of what shapes the answer, as they came, but for ``_page``."""

    page: str | None = None
    ignored: list[str] = field(default_factory=list)
    """``handling=lenient``: names of parameters that were left out."""

    @property
    def counts_alone(self) -> bool:
        """Whether the total is all that is wanted."""
        return self.count == 0 or self.summary is Summary.COUNT

    @property
    def question(self) -> str:
        """What pages belong to: what is asked, and in which order."""
        sort = [pair for pair in self.shaping if pair[0] == "_sort"]
        return f"{self.type}?{urlencode([*self.asked, *sort])}"

    @property
    def warnings(self) -> tuple[Issue, ...]:
        """What was left out, for the answer."""
        return tuple(
            Issue(
                "not-supported", f"Search parameter {name[:60]!r} is not supported and was left out.", None, "warning"
            )
            for name in self.ignored
        )

    def links(self, base: str, following: Place | None) -> list[tuple[str, str]]:
        """``self``, and ``next`` where another page follows."""
        pairs = [*self.asked, *self.shaping, ("_count", str(self.count))]
        here = pairs if self.page is None else [*pairs, ("_page", self.page)]
        links = [("self", f"{base}/{self.type}?{urlencode(here)}")]
        if following is not None:
            place = order.named(following, self.question)
            links.append(("next", f"{base}/{self.type}?{urlencode([*pairs, ('_page', place)])}"))
        return links


def require_few(pairs: Sequence[tuple[str, str]]) -> None:
    """A search has no more parameters than anybody needs.

    Raises
    ------
    Malformed
    """
    if len(pairs) > MAX_PARAMETERS:
        raise Malformed(Issue("too-costly", f"A search takes up to {MAX_PARAMETERS} parameters."))


def read(kind: str, pairs: Sequence[tuple[str, str]], *, lenient: bool) -> Search:
    """Tell the parameters apart.

    Raises
    ------
    Malformed
        A parameter is not supported, and the request is not lenient; or a value cannot be read.
    """
    require_few(pairs)
    found = Search(kind)

    for name, value in pairs:
        if name == "_page":
            found.page = value
        elif name == "_count":
            found.count = _count(value)
        elif name in _EVERYWHERE:
            continue
        else:
            try:
                _take(found, name, value)
            except Malformed as error:
                if not lenient or any(issue.code != "not-supported" for issue in error.issues):
                    raise
                found.ignored.append(name)
    if found.summary is not None and found.elements:
        raise Malformed(Issue("value", "_summary and _elements exclude each other."))
    if found.page is not None:
        found.after = order.place_of(found.page, found.keys, found.question)
    return found


def part(pairs: Sequence[tuple[str, str]], *, lenient: bool) -> tuple[Summary | None, tuple[str, ...]]:
    """Which part of one resource a read asks for: ``_summary`` and ``_elements``.

    Raises
    ------
    Malformed
        Another parameter, and the request is not lenient; or a value cannot be read.
    """
    require_few(pairs)
    found = Search("")
    for name, value in pairs:
        if name in ("_summary", "_elements"):
            _SHAPING[name](found, value)
        elif name not in _EVERYWHERE and not lenient:
            raise Malformed(Issue("not-supported", "A read takes _summary, _elements, _format and _pretty alone."))
    if found.summary is Summary.COUNT or (found.summary is not None and found.elements):
        raise Malformed(
            Issue("value", "_summary of a read is true, text, data or false, and stands without _elements.")
        )
    return found.summary, found.elements


def _count(value: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > _MAX_DIGITS:
        raise Malformed(Issue("value", "_count is a whole number."))
    return min(int(value), MAX_COUNT)


def _sort(found: Search, value: str) -> None:
    if found.keys:
        raise Malformed(Issue("value", "_sort is stated once, its parameters with commas between them."))
    keys = order.read(found.type, value)
    for key in keys:
        if shown_in_part(found.type, key.parameter.name):
            raise Malformed(Issue("not-supported", f"_sort by {key.parameter.name!r} is not supported here."))
    found.keys = keys


def _total(found: Search, value: str) -> None:
    if value not in _TOTALS:
        raise Malformed(Issue("value", f"_total is one of {', '.join(_TOTALS)}."))
    found.total = value


def _summary(found: Search, value: str) -> None:
    if value == "false":
        return
    if value not in list(Summary):
        raise Malformed(Issue("value", f"_summary is one of {', '.join(Summary)}, false."))
    found.summary = Summary(value)


def _elements(found: Search, value: str) -> None:
    wanted = tuple(each for each in value.split(",") if each)
    if not wanted or not all(each.isascii() and each.isalnum() for each in wanted):
        raise Malformed(Issue("value", "_elements are names of elements of the resource, with commas between them."))
    found.elements += wanted


_SHAPING: dict[str, Callable[[Search, str], None]] = {
    "_sort": _sort,
    "_total": _total,
    "_summary": _summary,
    "_elements": _elements,
}


def _take(found: Search, name: str, value: str) -> None:
    if name in _SHAPING:
        _SHAPING[name](found, value)
    elif name.partition(":")[0] in ("_include", "_revinclude"):
        _include(found, name, value)
    else:
        names.read(found.type, name)
        found.asked.append((name, value))
        return
    found.shaping.append((name, value))


def _include(found: Search, name: str, value: str) -> None:
    if len(found.includes) == _MAX_INCLUDES:
        raise Malformed(Issue("too-costly", f"A search takes up to {_MAX_INCLUDES} of _include and _revinclude."))
    found.includes.append(includes.read(found.type, name, value))
