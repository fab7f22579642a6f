"""The parameters of a history, and its entries (R4 history)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fhir_mapping import dates, references
from fhir_mapping.api.paging import DEFAULT_COUNT, MAX_COUNT
from fhir_mapping.errors import Issue, Malformed
from fhir_mapping.store.history import Asked, Event, Place
from fhir_mapping.store.reader import Stored

_PAGE = re.compile(r"(-?[0-9]{1,18})_([0-9]{1,9})_(.{1,64})")
_MAX_DIGITS = 20

Entry = tuple[Event, Stored | None]
"""What happened, and the version that it left; none for a deletion."""


@dataclass(frozen=True, slots=True)
class History:
    """One question for a history."""

    asked: Asked
    count: int
    since: str | None
    ignored: tuple[str, ...] = ()

    @property
    def whole(self) -> Asked:
        """The same without regard to pages."""
        return replace(self.asked, before=None)

    @property
    def warnings(self) -> tuple[Issue, ...]:
        """What was left out (``handling=lenient``), for the answer."""
        return tuple(
            Issue("not-supported", f"Parameter {name[:60]!r} is not supported and was left out.", None, "warning")
            for name in self.ignored
        )

    def links(self, base: str, events: Sequence[Event]) -> list[tuple[str, str]]:
        """``self``, and ``next`` where more events were found than a page holds."""
        asked = self.asked
        path = f"{base}/{asked.type}" + ("" if asked.id is None else f"/{asked.id}") + "/_history"
        pairs = [("_count", str(self.count))]
        if self.since is not None:
            pairs.append(("_since", self.since))
        here = pairs if asked.before is None else [*pairs, ("_page", _page(asked.before))]
        links = [("self", f"{path}?{urlencode(here)}")]
        if self.count and len(events) > self.count:
            links.append(("next", f"{path}?{urlencode([*pairs, ('_page', _page(events[self.count - 1].place))])}"))
        return links


def read(
    kind: str, identity: str | None, pairs: Sequence[tuple[str, str]], zone: ZoneInfo, *, lenient: bool
) -> History:
    """Tell the parameters apart.

    Raises
    ------
    Malformed
        A parameter is not supported, and the request is not lenient; or a value cannot be read.
    """
    found = History(Asked(kind, identity), DEFAULT_COUNT, None)
    for name, value in pairs:
        if name == "_count":
            if not value.isascii() or not value.isdigit() or len(value) > _MAX_DIGITS:
                raise Malformed(Issue("value", "_count is a whole number."))
            found = replace(found, count=min(int(value), MAX_COUNT))
        elif name == "_since":
            try:
                start = dates.span(value, zone).start
            except (ValueError, OverflowError):
                raise Malformed(Issue("value", "_since is a time, such as 2026-06-01T09:00:00Z.")) from None
            found = replace(found, since=value, asked=replace(found.asked, since=start))
        elif name == "_page":
            found = replace(found, asked=replace(found.asked, before=_place(value)))
        elif name in ("_format", "_pretty"):
            continue
        elif lenient:
            found = replace(found, ignored=(*found.ignored, name))
        else:
            raise Malformed(Issue("not-supported", f"Parameter {name[:60]!r} is not supported; known: _count, _since."))
    return found


def kept(events: Sequence[Event]) -> list[tuple[str, int]]:
    """Id and number of the versions among the events."""
    return [(each.place.id, each.place.version) for each in events if not each.deleted]


def entries(events: Sequence[Event], versions: Sequence[Stored]) -> list[Entry]:
    """The events with what they left; one whose version is not among those given is left out."""
    by_key = {(each.id, each.version): each for each in versions}
    both = [(each, by_key.get((each.place.id, each.place.version))) for each in events]
    return [(each, version) for each, version in both if each.deleted or version is not None]


def _page(place: Place) -> str:
    return f"{place.updated}_{place.version}_{place.id}"


def _place(value: str) -> Place:
    match = _PAGE.fullmatch(value) if value.isascii() else None
    if match is None or not references.ID.fullmatch(match[3]):
        raise Malformed(Issue("value", "_page comes from the link of the page before."))
    return Place(int(match[1]), match[3], int(match[2]))
