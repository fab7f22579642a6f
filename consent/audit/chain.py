"""A chain of audit records: each bound by SHA-256 to the one before it, durable before anything leaves.

Threads that append at the same time share one commit: while one of them waits for the disk, the others gather, and
one of those writes them all. Whoever's records are on the disk goes on at once, without waiting for the next commit.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from sqlalchemy import make_url

from consent.audit.record import AuditRecord, Kind, body
from consent.audit.shelf import SLOTS, AuditUnavailable, FileShelf, Head, Row, Shelf, TableShelf

PATIENCE = 5.0
"""Seconds that an append waits for the commits before its own."""


class _Batch:
    """What one caller appends, and what became of it."""

    __slots__ = ("chain", "error", "first", "records", "turn", "writes")

    def __init__(self, records: Sequence[AuditRecord], *, writes: bool) -> None:
        self.records = records
        self.first = 0
        self.chain = ""
        self.error: BaseException | None = None
        self.writes = writes
        """Whether its caller is the one who writes next."""

        self.turn = Lock()
        """Held until the records were written, or their caller is to write."""

        self.turn.acquire()


def _host_clock() -> int:
    return time.time_ns() // 1000


class Chain:
    """The chain that this process appends to. Safe for any number of threads."""

    def __init__(
        self, shelf: Shelf, *, brief: bool = False, clock: Callable[[], int] = _host_clock, patience: float = PATIENCE
    ) -> None:
        """Open the chain.

        Parameters
        ----------
        brief
            Hold the chain's lock for each append alone (commands), instead of until :meth:`close`.
        clock
            Microseconds since 1970.
        patience
            Seconds that an append waits for the commits before its own.
        """
        self._patience = patience
        self._shelf, self._brief, self._clock = shelf, brief, clock
        self._pending: list[_Batch] = []
        self._gather = Lock()
        self._taken = False  # whether one of the callers writes, or is about to
        self._shelf_lock = Lock()
        self._head: Head | None = None
        self._written: Head | None = None  # the last record that callers were told to be durable
        self._process = os.getpid()
        self._closed = False
        if not brief:
            self._head = shelf.take()

    @property
    def name(self) -> str:
        """The chain's id, ``node/role/slot``; empty before the first append of a brief chain."""
        return "" if self._head is None else self._head.chain

    @property
    def recorded(self) -> int:
        """When the chain's head was recorded, as far as it is known: microseconds since 1970, or 0."""
        return 0 if self._head is None else self._head.recorded

    def append(self, records: Sequence[AuditRecord]) -> tuple[str, ...]:
        """Make records durable; when this returns, they are on the disk.

        Returns
        -------
        tuple of str
            The records' ids, ``node/role/slot#sequence``.

        Raises
        ------
        AuditUnavailable
            They may not be durable. What they tell of must not happen.
        """
        if not records:
            return ()
        if os.getpid() != self._process:
            raise AuditUnavailable("an audit chain cannot be carried into a forked process")
        with self._gather:
            batch = _Batch(records, writes=not self._taken)
            self._taken = True
            self._pending.append(batch)
        if not batch.writes and not batch.turn.acquire(timeout=self._patience):
            with self._gather:
                if batch in self._pending and not batch.writes:
                    self._pending.remove(batch)
                if not batch.writes:
                    raise AuditUnavailable("the audit chain is too slow")
        if batch.writes:
            try:
                with self._shelf_lock:
                    self._write_pending()
            finally:
                self._pass_on()
        if batch.error is not None:
            raise AuditUnavailable(str(batch.error)) from batch.error
        return tuple(f"{batch.chain}#{batch.first + place}" for place in range(len(records)))

    def check(self) -> None:
        """See that the next record could be written, as far as can be told without writing one.

        Raises
        ------
        AuditUnavailable
            It could not; the text says why.
        """
        with self._shelf_lock:
            try:
                self._taken_head()
                self._shelf.check()
            except BaseException:
                self._head = None
                self._shelf.leave()
                raise
            if self._brief:
                self._shelf.leave()

    def _pass_on(self) -> None:
        """Have the caller who waits longest write what has gathered."""
        with self._gather:
            self._taken = bool(self._pending)
            if self._pending:
                self._pending[0].writes = True
                self._pending[0].turn.release()

    def _write_pending(self) -> None:
        with self._gather:
            batches, self._pending = self._pending, []
        try:
            head = self._taken_head()
            rows: list[Row] = []
            before, sequence, recorded = head.hash, head.sequence, head.recorded
            firsts: list[int] = []
            for batch in batches:
                firsts.append(sequence + 1)
                for record in batch.records:
                    sequence += 1
                    recorded = self._clock()
                    text = body(record, head.chain, sequence, recorded)
                    before = hashlib.sha256(before + text).digest()
                    rows.append(Row(sequence, recorded, text, before))
            self._shelf.write(rows)
            self._head = self._written = Head(head.chain, sequence, before, recorded)
            for batch, first in zip(batches, firsts, strict=True):
                batch.first, batch.chain = first, head.chain
        except BaseException as error:
            # Whether the commit happened is not known; the head is read again, from a chain locked again.
            self._head = None
            self._shelf.leave()
            for batch in batches:
                batch.error = error
            if not isinstance(error, AuditUnavailable):
                raise
        finally:
            for batch in batches:
                if not batch.writes:
                    batch.turn.release()
            if self._brief:
                self._shelf.leave()

    def _taken_head(self) -> Head:
        """The chain's head; the chain is taken where it was given back. What was durable must still be in it."""
        if self._closed:
            raise AuditUnavailable("the audit chain is closed")
        if self._head is None or self._brief:
            head, known = self._shelf.take(), self._written
            if known is not None and head.chain == known.chain and _lacks(head, known):
                raise AuditUnavailable(f"the audit chain {head.chain} has lost records behind {head.sequence}")
            self._head = head
        return self._head

    @contextmanager
    def written(self, intent: AuditRecord) -> Iterator[str]:
        """Record a write: its intent durable before, its outcome after. Commit inside, gives the intent's id.

        A process that dies in between leaves an intent without outcome, which ``photospine audit verify`` reports.
        """
        (identity,) = self.append([intent])
        try:
            yield identity
        except BaseException:
            self.append([outcome(intent, identity, "failed")])
            raise
        self.append([outcome(intent, identity, "done")])

    def close(self) -> None:
        """Give the chain back; later appends are refused."""
        with self._shelf_lock:
            self._closed = True
            self._shelf.leave()


def _lacks(head: Head, known: Head) -> bool:
    """Whether a chain with this head lacks a record that it had: an older copy was put in its place."""
    return head.sequence < known.sequence or (head.sequence == known.sequence and head.hash != known.hash)


def outcome(intent: AuditRecord, identity: str, result: str) -> AuditRecord:
    """The record that closes an intent: ``done`` or ``failed``."""
    return AuditRecord(
        kind=Kind.DONE,
        door=intent.door,
        route=intent.route,
        account=intent.account,
        session=intent.session,
        intent=identity,
        outcome=result,
        subject=intent.subject,
    )


def open_chain(
    url: str,
    folder: Path,
    node: str,
    role: str,
    *,
    brief: bool = False,
    sole: bool = False,
    clock: Callable[[], int] = _host_clock,
    patience: float = PATIENCE,
) -> Chain:
    """The chain of this process.

    Parameters
    ----------
    url
        Address of the database; PostgreSQL holds the chains itself.
    folder
        Where chains lie beside SQLite.
    role
        ``wall``, ``serve``, ``worker``, ``cli``, ….
    brief
        Hold slot 0 for each record alone, waiting for it: for commands.
    sole
        Be the only process of this role on this node; where another is, AuditUnavailable is raised.
    """
    shelf: Shelf
    if make_url(url).get_backend_name() == "sqlite":
        shelf = FileShelf(folder, node, role, first_only=brief, slots=1 if sole else SLOTS)
    else:
        shelf = TableShelf(url, node, role, first_only=brief, slots=1 if sole else SLOTS)
    return Chain(shelf, brief=brief, clock=clock, patience=patience)
