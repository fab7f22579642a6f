"""The route table: each row names a route, the photos that it touches, who may open it, and what answers.

Allowlist and registration come from the same row: what is not in the table does not exist. A row whose answer is ours
counts only once Orthanc has taken the answer, so that a route which is open because it is answered by us can never be
open without us.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from consent.types import Obligation, Right
from orthanc_plugin.wall.host import Method
from orthanc_plugin.wall.pool import PATIENCE

if TYPE_CHECKING:
    from orthanc_plugin.wall.answer import Answer
    from orthanc_plugin.wall.asking import Asked
    from orthanc_plugin.wall.foundation import Foundation

LONGEST_PATH = 1024


class Touches(StrEnum):
    """The photos that a route touches, and so what is asked before it answers."""

    NOTHING = "nothing"
    ONE = "one"
    """The photo named in the path: decided and recorded in the filter; Orthanc answers natively."""

    SET = "set"
    """Whatever the answer holds: decided and recorded by the answer, which is rebuilt from permitted photos."""

    WORK = "work"
    """Our own work with a ``task`` ticket, recorded before by whoever made the ticket."""


#: What may stand for a placeholder. Orthanc's own pattern takes any segment, so that the answer is ours in any case.
_PLACES = {
    "id": r"[0-9a-f]{8}(?:-[0-9a-f]{8}){4}",
    "study": r"[0-9.]{1,64}",
    "series": r"[0-9.]{1,64}",
    "sop": r"[0-9.]{1,64}",
    "frame": r"\d{1,6}",
    "frames": r"\d{1,6}(?:,\d{1,6}){0,99}",
    "tag": r"[0-9a-f]{8}",
    "any": r"[^/]{1,128}",
}
_PLACE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Row:
    """One route."""

    method: Method
    path: str
    """Segments, with ``{id}``, ``{study}``, ``{series}``, ``{sop}``, ``{frame}``, ``{frames}``, ``{tag}``."""

    touches: Touches
    answer: Callable[[Foundation, Asked], Answer] | None = None
    """Ours; None: Orthanc's own."""

    query: frozenset[str] | None = frozenset()
    """Query keys let through; None: the answer reads them itself."""

    fulfils: frozenset[Obligation] = frozenset()
    tasks: frozenset[str] = frozenset()
    """Kinds of ``task`` ticket that open it."""

    accounts: bool = True
    """Whether an account opens it, with a purpose or, where ``right`` is set, with that right."""

    right: Right | None = None
    purposes: frozenset[str] | None = None
    """Purposes that open it, where not all do."""

    patience: float = PATIENCE
    """Seconds that our answer may take; our own work may move large files."""

    stores: bool = False
    """The one object that the ticket was made for is stored."""

    inner: bool = False
    """No request opens it: Orthanc's DICOMweb asks it within a request that the filter let pass."""

    locates: bool = False
    """DICOMweb asks it too, within a request that the filter let pass, to find the object that the request names."""

    public: bool = False
    """The canary: open to everybody, for it says nothing of photos."""

    at_hand: Callable[[Foundation, Asked], Answer | None] | None = None
    """The answer of ours where all that it needs is remembered, in Orthanc's own thread; None where it is not."""

    @property
    def name(self) -> str:
        """How audit records name it."""
        return f"{self.method.name} {self.path}"

    @property
    def pattern(self) -> str:
        """The regular expression by which Orthanc gives the route to us: any text in a placeholder."""
        return _PLACE.sub("[^/]+", self.path)


@dataclass(frozen=True, slots=True)
class Match:
    """A row and the values of its placeholders."""

    row: Row
    values: Mapping[str, str]


class Table:
    """All rows, found by method and path."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = tuple(rows)
        self._standing: set[Row] = set()
        self._found: dict[tuple[int, int], list[tuple[re.Pattern[str], Row]]] = {}
        for row in self._rows:
            text = _PLACE.sub(lambda place: f"(?P<{place[1]}>{_PLACES[place[1]]})", row.path)
            shape = re.compile(text)
            self._found.setdefault((row.method, row.path.count("/")), []).append((shape, row))

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def stand(self, row: Row) -> None:
        """The row counts from now on."""
        self._standing.add(row)

    def standing(self) -> list[str]:
        """Names of the rows that count, in the table's order."""
        return [row.name for row in self._rows if row in self._standing]

    def match(self, method: int, path: str) -> Match | None:
        """The one row for a path as Orthanc gives it; a slash at its end means nothing to Orthanc, nor here."""
        if len(path) > LONGEST_PATH:
            return None
        path = path[:-1] if len(path) > 1 and path.endswith("/") else path
        for shape, row in self._found.get((method, path.count("/")), ()):
            found = shape.fullmatch(path)
            if found is not None:
                return Match(row, found.groupdict()) if row in self._standing else None
        return None
