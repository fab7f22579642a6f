"""Proving that chains were not changed: each hash recomputed, each number in its place, each intent with an outcome.

What cannot be seen here is a chain cut off at its end; signed checkpoints kept elsewhere are for that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from consent.audit.read import Archive
from consent.audit.record import Kind, canonical
from consent.audit.shelf import GENESIS, AuditUnavailable, Row


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
    """Records of each chain."""

    heads: dict[str, str]
    """The last hash of each chain, hexadecimal: what a copy kept elsewhere can be compared with."""

    faults: tuple[Fault, ...]
    open: tuple[Open, ...]

    @property
    def sound(self) -> bool:
        """Whether no record was changed, removed from the middle, or moved."""
        return not self.faults


def verify(archive: Archive, progress: Callable[[str, int], None] | None = None) -> Verdict:
    """Check every chain.

    Parameters
    ----------
    progress
        Called with the chain and the number of records checked so far.
    """
    sizes: dict[str, int] = {}
    heads: dict[str, str] = {}
    faults = [Fault(chain, 0, "the whole chain is gone") for chain in archive.lost()]
    intents: dict[str, Open] = {}
    closed: set[str] = set()
    for chain in archive.chains():
        before, expected = GENESIS, 1
        try:
            for row in archive.rows(chain):
                faults += _faults(chain, row, before, expected)
                _note(chain, row, intents, closed)
                before, expected = row.hash, row.sequence + 1
                if progress is not None and row.sequence % 1000 == 0:
                    progress(chain, row.sequence)
        except AuditUnavailable as error:  # the other chains are looked at all the same
            faults.append(Fault(chain, expected, str(error)))
        sizes[chain] = expected - 1
        heads[chain] = before.hex()
    return Verdict(sizes, heads, tuple(faults), tuple(each for name, each in intents.items() if name not in closed))


def _faults(chain: str, row: Row, before: bytes, expected: int) -> Iterable[Fault]:
    if row.sequence != expected:
        yield Fault(chain, row.sequence, f"record {expected} should stand here")
    if hashlib.sha256(before + row.body).digest() != row.hash:
        yield Fault(chain, row.sequence, "the hash does not follow from the record before and the text")
    values = _values(row)
    if values is None:
        yield Fault(chain, row.sequence, "the text is no JSON object")
        return
    if not _is_canonical(values, row.body):
        yield Fault(chain, row.sequence, "the text is not canonical")
    if (values.get("chain"), values.get("sequence"), values.get("at")) != (chain, row.sequence, row.recorded):
        yield Fault(chain, row.sequence, "the text belongs to another place")


def _is_canonical(values: dict[str, Any], body: bytes) -> bool:
    try:
        return canonical(values) == body
    except (ValueError, RecursionError):  # what no writer of ours can write, such as NaN or half of a surrogate pair
        return False


def _note(chain: str, row: Row, intents: dict[str, Open], closed: set[str]) -> None:
    """Remember intents and outcomes; an outcome may stand in another chain, where another process recovered."""
    values = _values(row) or {}
    if values.get("kind") == Kind.INTENT:
        identity = f"{chain}#{row.sequence}"
        intents[identity] = Open(identity, row.recorded, str(values.get("route", "")), str(values.get("subject", "")))
    elif values.get("kind") == Kind.DONE:
        closed.add(str(values.get("intent", "")))


def _values(row: Row) -> dict[str, Any] | None:
    """The record's text, read; None where it is no JSON object."""
    try:
        values = json.loads(row.body)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None
