"""Who saw a photo, what an account saw, and what left of a patient's photos: the records of answers, read for people.

Nothing beside the chains is kept for this. The database finds the records that could be meant by a word in their text,
and only those are read.
"""

from __future__ import annotations

import base64
import heapq
import json
import re
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from consent.audit.read import Archive
from consent.audit.record import Kind, unpack
from consent.audit.shelf import Row

_ALWAYS = (1 << 63) - 1
_NUMBER = re.compile(rb'"number":([0-9]+)')
_PHOTOS = re.compile(rb'"photos":"([A-Za-z0-9+/=]+)"')
_SETS = b'"photos":"'
_PLACE = re.compile(rb'"(?:photo|number)":')


class How(StrEnum):
    """What became of a photo in one answer."""

    RELEASED = "released"
    REFUSED = "refused"
    STOPPED = "stopped"
    """A set released it, and it was refused when its turn came in the stream."""


@dataclass(frozen=True, slots=True)
class Window:
    """Which records are meant."""

    since: int = 0
    until: int = _ALWAYS
    """Recorded within ``[since, until)``, microseconds since 1970."""

    purpose: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """One answer about a photo or several."""

    record: str
    """``node/role/slot#sequence``"""

    at: int
    how: How
    values: dict[str, Any]
    """The record."""

    numbers: tuple[int, ...]
    """The photos that are meant, by their numbers; empty: one that is not known here."""

    of: int = 1
    """How many photos the answer released."""

    @property
    def override(self) -> bool:
        """Whether it was an emergency override."""
        return bool(self.values.get("override"))


def of_photo(archive: Archive, sop_uid: str, numbers: Collection[int], window: Window) -> Iterator[Seen]:
    """Every answer about one photo, by time.

    Parameters
    ----------
    numbers
        The photo's, also former ones; none where it was never known here: then no set can name it.
    """
    named = f'"photo":{json.dumps(sop_uid, ensure_ascii=False)}'.encode()
    words = [named, _SETS] if numbers else [named]
    wanted = frozenset(numbers)

    def meant(row: Row) -> bool:
        return named in row.body or in_set(row.body, wanted)

    return _merged(archive, words, window, meant, wanted, refusals=True)


def of_account(archive: Archive, account: str, window: Window) -> Iterator[Seen]:
    """Every answer to one account that tells of photos, by time."""
    named = f'"account":{json.dumps(account, ensure_ascii=False)}'.encode()

    def meant(row: Row) -> bool:
        return _SETS in row.body or _PLACE.search(row.body) is not None

    found = _merged(archive, [named], window, meant, None, refusals=True)
    return (each for each in found if each.values.get("account") == account)


def of_photos(archive: Archive, numbers: Collection[int], window: Window) -> Iterator[Seen]:
    """Every answer that released one of several photos, by time."""
    wanted = frozenset(numbers)

    def meant(row: Row) -> bool:
        match = _NUMBER.search(row.body)
        return (match is not None and int(match[1]) in wanted) or in_set(row.body, wanted)

    return _merged(archive, [b'"number":', _SETS], window, meant, wanted, refusals=False)


def in_set(body: bytes, wanted: frozenset[int]) -> bool:
    """Whether a set's record names one of the photos: read no further than that takes."""
    match = _PHOTOS.search(body)
    if match is None or not wanted:
        return False
    try:
        steps = zlib.decompress(base64.b64decode(match[1])).split(b",")
        most, number = max(wanted), 0
        for step in steps:
            number += int(step)
            if number in wanted:
                return True
            if number > most:
                return False
    except (ValueError, zlib.error):  # damaged: 'audit verify' names it
        return False
    return False


def _merged(
    archive: Archive,
    words: list[bytes],
    window: Window,
    meant: Callable[[Row], bool],
    wanted: frozenset[int] | None,
    *,
    refusals: bool,
) -> Iterator[Seen]:
    each = (_of_chain(archive, chain, words, window, meant, wanted, refusals) for chain in archive.chains())
    return heapq.merge(*each, key=lambda seen: seen.at)


def _of_chain(
    archive: Archive,
    chain: str,
    words: list[bytes],
    window: Window,
    meant: Callable[[Row], bool],
    wanted: frozenset[int] | None,
    refusals: bool,
) -> Iterator[Seen]:
    streams: dict[tuple[Any, ...], frozenset[int]] = {}
    for row in archive.holding(chain, words, window.since, window.until):
        if not meant(row):
            continue
        values = _values(row)
        if values is None or (window.purpose is not None and values.get("purpose") != window.purpose):
            continue
        found = _seen(chain, row, values, wanted)
        if found is None:
            continue
        stream = tuple(values.get(name) for name in ("door", "route", "account", "session", "purpose"))
        if values["kind"] == Kind.SET:
            streams[stream] = frozenset(found.numbers)
        elif found.how is How.REFUSED and not streams.get(stream, frozenset()).isdisjoint(found.numbers):
            found = Seen(found.record, found.at, How.STOPPED, values, found.numbers)
        if refusals or found.how is not How.REFUSED:
            yield found


def _seen(chain: str, row: Row, values: dict[str, Any], wanted: frozenset[int] | None) -> Seen | None:
    identity = f"{chain}#{row.sequence}"
    if values.get("kind") == Kind.SET:
        try:
            numbers: Iterable[int] = unpack(values["photos"]) if "photos" in values else ()
        except (ValueError, zlib.error):
            return None
        listed = tuple(each for each in numbers if wanted is None or each in wanted)
        return Seen(identity, row.recorded, How.RELEASED, values, listed, int(values.get("released", 0)))
    if values.get("kind") != Kind.DECISION:
        return None
    how = How.RELEASED if values.get("effect") == "permit" else How.REFUSED
    number = values.get("number")
    return Seen(identity, row.recorded, how, values, (number,) if isinstance(number, int) else ())


def _values(row: Row) -> dict[str, Any] | None:
    """The record; None where it was changed beyond reading."""
    try:
        values = json.loads(row.body)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) and isinstance(values.get("kind"), str) else None
