"""Proving that chains were not changed: each hash recomputed, each number in its place, each intent with an outcome.

A chain cut off at its end, or written anew from some record on, follows from itself like any other. Signed checkpoints
show it: what they cover must be there, with the hash that they name. What was written after the last one is told apart.
"""

from __future__ import annotations

import hashlib
import heapq
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from consent.audit.checkpoint import Checkpoint
from consent.audit.checkpoint import read as read_checkpoint
from consent.audit.note import NoteRefused, PublicKey
from consent.audit.places import Place
from consent.audit.read import Archive
from consent.audit.record import Kind, canonical
from consent.audit.shelf import GENESIS, AuditUnavailable, Row

COPY_WITHIN = timedelta(minutes=2)
"""So long a checkpoint may be on its way from one place to the other."""

_EACH = 1000
_MOST = 20
"""Faults that are listed of one chain; what follows is counted."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A place where a chain is not what was written."""

    chain: str
    sequence: int
    text: str


@dataclass(frozen=True, slots=True)
class Open:
    """A write whose outcome is not recorded: its process died between intent and outcome, or is still at it."""

    record: str
    recorded: int
    route: str
    subject: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the chains of one archive are worth."""

    chains: dict[str, int]
    """Chain -> number of records."""

    heads: dict[str, str]
    """Chain -> hash of its last record, hexadecimal."""

    faults: tuple[Fault, ...]
    open: tuple[Open, ...]
    covered: dict[str, int] = field(default_factory=dict)
    """Chain -> sequence of the last record that a good checkpoint covers; what follows could be cut off unseen."""

    checkpoints: int = 0
    """How many notes were found good."""

    began: dict[str, int] = field(default_factory=dict)
    """Chain -> sequence of the checkpoint that verification began behind; 0: at the first record."""

    @property
    def sound(self) -> bool:
        """Whether no record was changed, moved, or removed, as far as that can be seen."""
        return not self.faults


@dataclass(frozen=True, slots=True)
class Signed:
    """Where checkpoints are looked for, and whose count."""

    places: Sequence[Place] = ()
    keys: Sequence[PublicKey] = ()
    since: datetime | None = None
    """Begin behind the newest checkpoint of each chain that is not later than this."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))


_NOWHERE = Signed()


class _Faults:
    """What was found, no more of one chain than anybody reads."""

    def __init__(self) -> None:
        self.found: list[Fault] = []
        self._counts: dict[str, int] = {}

    def add(self, chain: str, sequence: int, text: str) -> None:
        count = self._counts[chain] = self._counts.get(chain, 0) + 1
        if count <= _MOST:
            self.found.append(Fault(chain, sequence, text))
        elif count == _MOST + 1:
            self.found.append(Fault(chain, sequence, "more follows, and is not listed"))


class _Checkpoints:
    """The checkpoints of one chain, by size; each opened when its record comes by."""

    def __init__(self, chain: str, signed: Signed, faults: _Faults) -> None:
        self._chain, self._signed, self._faults = chain, signed, faults
        self.good = 0
        self.covered = 0
        self._notes = self._all()
        self._next: Checkpoint | None = None
        self._step()

    def _step(self) -> None:
        self._next = next(self._notes, None)

    def _all(self) -> Iterator[Checkpoint]:
        """The good ones; each size once. What is wrong with a note, or missing in a place, is a fault."""
        listed = heapq.merge(*(self._listed(number) for number in range(len(self._signed.places))))
        for size, group in groupby(listed, key=lambda entry: entry[0]):
            found: dict[int, Checkpoint] = {}
            seen = set()
            for _, number, note in group:
                seen.add(number)
                checkpoint = self._opened(size, number, note)
                if checkpoint is not None:
                    found[number] = checkpoint
                    self.good += 1
            checkpoint = next(iter(found.values()), None)
            young = checkpoint is not None and timedelta(0) <= self._signed.now - checkpoint.at < COPY_WITHIN
            for number, place in enumerate(self._signed.places):
                if number not in seen and not young:
                    self._faults.add(self._chain, size, f"its checkpoint is missing in {place.name}")
            if len({each.hash for each in found.values()}) > 1:
                self._faults.add(self._chain, size, "two checkpoints were signed of different heads")
            if checkpoint is not None:
                yield checkpoint

    def _listed(self, number: int) -> Iterator[tuple[int, int, str]]:
        for size, note in self._signed.places[number].notes(self._chain):
            yield size, number, note

    def _opened(self, size: int, number: int, note: str) -> Checkpoint | None:
        place = self._signed.places[number].name
        try:
            checkpoint = read_checkpoint(note, self._signed.keys)
        except NoteRefused as error:
            self._faults.add(self._chain, size, f"its checkpoint in {place} is not to be trusted: {error}")
            return None
        if (checkpoint.chain, checkpoint.size) != (self._chain, size):
            self._faults.add(self._chain, size, f"the checkpoint in its place in {place} is another one's")
            return None
        return checkpoint

    def start(self, since: datetime) -> Checkpoint | None:
        """Step to the newest one that is not later; None where there is none."""
        found = None
        while self._next is not None and self._next.at <= since:
            found = self._next
            self._step()
        return found

    def pass_by(self, row: Row) -> None:
        """Compare the record with the checkpoint that covers it last, if one does."""
        while self._next is not None and self._next.size <= row.sequence:
            if self._next.size == row.sequence:
                if self._next.hash == row.hash:
                    self.covered = row.sequence
                else:
                    self._faults.add(
                        self._chain, row.sequence, "its checkpoint covers another record: written anew before it"
                    )
            self._step()

    def end(self, last: int) -> None:
        """No record follows: nor may a checkpoint."""
        newest = None
        while self._next is not None:
            newest = self._next
            self._step()
        if newest is not None:
            what = f"the chain ends at record {last}" if last else "the whole chain is gone"
            self._faults.add(
                self._chain, newest.size, f"{what}, and a checkpoint of {newest.at:%Y-%m-%d %H:%M:%S} covers this one"
            )


def verify(archive: Archive, progress: Callable[[str, int], None] | None = None, signed: Signed = _NOWHERE) -> Verdict:
    """Check every chain, and every checkpoint in every place. Memory does not grow with the records.

    Parameters
    ----------
    progress
        Called with the chain and the number of records checked so far.

    Raises
    ------
    consent.audit.places.PlaceUnavailable
        A place for checkpoints cannot be read.
    """
    sizes: dict[str, int] = {}
    heads: dict[str, str] = {}
    covered: dict[str, int] = {}
    began: dict[str, int] = {}
    good = 0
    faults = _Faults()
    outcomes = _Outcomes()
    present, lost = archive.chains(), archive.lost()
    for chain in lost:
        faults.add(chain, 0, "the whole chain is gone")
    known = {chain for place in signed.places for chain in place.chains()}
    for chain in sorted(set(present) | known):
        checkpoints = _Checkpoints(chain, signed, faults)
        start = None if signed.since is None else checkpoints.start(signed.since)
        before, expected = (GENESIS, 1) if start is None else (start.hash, start.size + 1)
        if chain in present:
            if start is not None:
                began[chain] = checkpoints.covered = start.size
            try:
                if start is not None and not _stands(archive, start):
                    faults.add(chain, start.size, "its checkpoint covers another record, or one that is gone")
                for row in archive.rows(chain) if start is None else archive.rows(chain, start.size):
                    _check(chain, row, before, expected, faults, outcomes)
                    checkpoints.pass_by(row)
                    before, expected = row.hash, row.sequence + 1
                    if progress is not None and row.sequence % _EACH == 0:
                        progress(chain, row.sequence)
            except AuditUnavailable as error:  # the other chains are looked at all the same
                faults.add(chain, expected, str(error))
            sizes[chain], heads[chain] = expected - 1, before.hex()
        checkpoints.end(expected - 1 if chain in present else 0)
        covered[chain] = checkpoints.covered
        good += checkpoints.good
    return Verdict(sizes, heads, tuple(faults.found), outcomes.missing(), covered, good, began)


def _stands(archive: Archive, checkpoint: Checkpoint) -> bool:
    row = archive.row(checkpoint.chain, checkpoint.size)
    return row is not None and row.hash == checkpoint.hash


def _check(chain: str, row: Row, before: bytes, expected: int, faults: _Faults, outcomes: _Outcomes) -> None:
    if row.sequence != expected:
        faults.add(chain, row.sequence, f"record {expected} should stand here")
    if hashlib.sha256(before + row.body).digest() != row.hash:
        faults.add(chain, row.sequence, "the hash does not follow from the record before and the text")
    values = _values(row)
    if values is None:
        faults.add(chain, row.sequence, "the text is no JSON object")
        return
    if not _is_canonical(values, row.body):
        faults.add(chain, row.sequence, "the text is not canonical")
    if (values.get("chain"), values.get("sequence"), values.get("at")) != (chain, row.sequence, row.recorded):
        faults.add(chain, row.sequence, "the text belongs to another place")
    outcomes.note(chain, row, values)


def _is_canonical(values: dict[str, Any], body: bytes) -> bool:
    try:
        return canonical(values) == body
    except (ValueError, RecursionError):  # what no writer of ours can write, such as NaN or half of a surrogate pair
        return False


class _Outcomes:
    """Intents that wait for their outcome, and outcomes whose intent stands in a chain that is read later."""

    def __init__(self) -> None:
        self._intents: dict[str, Open] = {}
        self._early: set[str] = set()

    def note(self, chain: str, row: Row, values: dict[str, Any]) -> None:
        """An outcome may stand in another chain, where another process recovered."""
        kind = values.get("kind")
        if kind == Kind.INTENT:
            identity = f"{chain}#{row.sequence}"
            if identity in self._early:
                self._early.discard(identity)
                return
            self._intents[identity] = Open(
                identity, row.recorded, str(values.get("route", "")), str(values.get("subject", ""))
            )
        elif kind == Kind.DONE:
            identity = str(values.get("intent", ""))
            if self._intents.pop(identity, None) is None:
                self._early.add(identity)

    def missing(self) -> tuple[Open, ...]:
        """The intents without outcome."""
        return tuple(self._intents.values())


def _values(row: Row) -> dict[str, Any] | None:
    """The record's text, read; None where it is no JSON object."""
    try:
        values = json.loads(row.body)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


def uncovered(verdict: Verdict) -> Iterable[tuple[str, int]]:
    """Each chain with the number of its last records that no good checkpoint covers."""
    for chain, size in verdict.chains.items():
        yield chain, size - verdict.covered.get(chain, 0)
