"""Reading the chains backwards, newest first, so many records at a time: what a page of them costs does not grow."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator
from dataclasses import dataclass

from consent.audit.read import Archive
from consent.audit.shelf import Row

WINDOW = 2000
"""Records that are looked through at a time."""

_AFTER_ALL = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record stands among all chains' records, newest first."""

    recorded: int
    chain: str
    """The chain's short name (:func:`name_of`)."""

    sequence: int

    @property
    def order(self) -> tuple[int, str, int]:
        """Sorts newest first."""
        return -self.recorded, self.chain, -self.sequence


@dataclass(frozen=True, slots=True)
class Found:
    """A record on the way back; or, without one, how far a chain was looked through."""

    place: Place
    chain: str
    row: Row | None
    looked_at: int = 0
    """Records that were passed over or given since the last such mark."""


def name_of(chain: str) -> str:
    """A short name of a chain: 24 hexadecimal digits of its id's SHA-256."""
    return hashlib.sha256(chain.encode()).hexdigest()[:24]


def named(archive: Archive, name: str) -> str | None:
    """The chain with this short name."""
    return next((chain for chain in archive.chains() if name_of(chain) == name), None)


def newest_first(
    archive: Archive, *, before: Place | None = None, since: int = 0, until: int = _AFTER_ALL, word: bytes = b""
) -> Iterator[Found]:
    """The records of all chains, newest first, read a window of each chain at a time.

    Parameters
    ----------
    before
        Behind this place.
    since, until
        Recorded within ``[since, until)``, microseconds since 1970.
    word
        Only those whose text holds it.
    """
    latest = until if before is None else min(until, before.recorded + 1)
    each = [_of_chain(archive, chain, since, latest, word) for chain in archive.chains()]
    for found in heapq.merge(*each, key=lambda found: found.place.order):
        if before is None or found.place.order > before.order:
            yield found


def _of_chain(archive: Archive, chain: str, since: int, until: int, word: bytes) -> Iterator[Found]:
    name = name_of(chain)
    above = _first_at(archive, chain, until)
    while above > 1:
        low = max(above - WINDOW, 1)
        for row in archive.between(chain, low, above, word):
            if row.recorded < since:
                return
            yield Found(Place(row.recorded, name, row.sequence), chain, row)
        lowest = archive.from_sequence(chain, low)
        if lowest is None or lowest.recorded < since:
            return
        yield Found(Place(lowest.recorded, name, low), chain, None, above - low)
        above = low


def _first_at(archive: Archive, chain: str, moment: int) -> int:
    """The sequence of the first record that was made at a moment or later; one more than the last where there is none.

    A chain's records are in order of their times, as long as no clock was put back; the search looks at a few dozen.
    """
    low, high = 1, archive.size(chain) + 1
    if moment == _AFTER_ALL:
        return high
    while low < high:
        middle = (low + high) // 2
        row = archive.from_sequence(chain, middle)
        if row is None or row.recorded >= moment:
            high = middle
        else:
            low = middle + 1
    return low
