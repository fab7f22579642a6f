"""The parameters of a search that shape the answer, not the question (R4 search, Result Parameters)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from fhir_mapping import references
from fhir_mapping.errors import Issue, Malformed
from fhir_mapping.search.parameters import parameters

DEFAULT_COUNT = 50
MAX_COUNT = 200
MAX_PARAMETERS = 60
_MAX_DIGITS = 20


@dataclass(frozen=True, slots=True)
class Search:
    """One search, its parameters told apart."""

    type: str
    asked: tuple[tuple[str, str], ...]
    """Name and value of what must match."""

    count: int
    after: str | None
    """Id after which this page begins; ids do not move when others are written, so no page repeats or drops one."""

    total: bool
    ignored: tuple[str, ...] = ()
    """``handling=lenient``: names of parameters that were left out."""

    @property
    def warnings(self) -> tuple[Issue, ...]:
        """What was left out, for the answer."""
        return tuple(
            Issue(
                "not-supported", f"Search parameter {name[:60]!r} is not supported and was left out.", None, "warning"
            )
            for name in self.ignored
        )

    def links(self, base: str, following: str | None) -> list[tuple[str, str]]:
        """``self``, and ``next`` where another page follows.

        Parameters
        ----------
        following
            Last id of this page, where there are more.
        """
        pairs = [*self.asked, ("_count", str(self.count))]
        if not self.total:
            pairs.append(("_total", "none"))
        here = pairs if self.after is None else [*pairs, ("_page", self.after)]
        links = [("self", f"{base}/{self.type}?{urlencode(here)}")]
        if following is not None:
            links.append(("next", f"{base}/{self.type}?{urlencode([*pairs, ('_page', following)])}"))
        return links


def read(kind: str, pairs: Sequence[tuple[str, str]], *, lenient: bool) -> Search:
    """Tell the parameters apart.

    Raises
    ------
    Malformed
        A parameter is not supported, and the request is not lenient; or a value cannot be read.
    """
    if len(pairs) > MAX_PARAMETERS:
        raise Malformed(Issue("too-costly", f"A search takes up to {MAX_PARAMETERS} parameters."))
    count, after, total = DEFAULT_COUNT, None, True
    asked: list[tuple[str, str]] = []
    ignored: list[str] = []
    known = parameters(kind)
    for name, value in pairs:
        if name == "_count":
            if not value.isascii() or not value.isdigit() or len(value) > _MAX_DIGITS:
                raise Malformed(Issue("value", "_count is a whole number."))
            count = min(int(value), MAX_COUNT)
        elif name == "_page":
            if not references.ID.fullmatch(value):
                raise Malformed(Issue("value", "_page comes from the link of the page before."))
            after = value
        elif name == "_total":
            if value not in ("none", "estimate", "accurate"):
                raise Malformed(Issue("value", "_total is none, estimate or accurate."))
            total = value != "none"
        elif name in ("_format", "_pretty"):
            continue
        elif name.partition(".")[0].partition(":")[0] not in known and lenient:
            ignored.append(name)
        else:
            asked.append((name, value))
    return Search(kind, tuple(asked), count, after, total, tuple(ignored))
