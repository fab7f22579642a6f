"""Where a chain lies while its process writes it, and the lock that makes the process the only one.

On SQLite each chain is a file of its own: in the shared file it would starve other writers. The slot is taken by a
lock on a file beside it (``flock``), never by SQLite's own lock, which ends with any connection. On PostgreSQL all
chains share one table, and the slot is a session advisory lock of the connection that writes.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from consent.errors import ConsentError
from consent.store.engine import REACH
from consent.store.home import Home

SLOTS = 64
"""Processes of one role on one node at a time."""

GENESIS = bytes(32)
"""What the first record of a chain follows."""

SUFFIX = ".sqlite3"
LOCK = ".lock"
_MADE = b"made\n"
"""What stands in a slot's lock file once its chain was made."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS chain (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS record (
    sequence INTEGER PRIMARY KEY, recorded INTEGER NOT NULL, body BLOB NOT NULL, hash BLOB NOT NULL
);
"""


class AuditUnavailable(ConsentError):
    """A record could not be made durable. Nothing may leave, and no write may be committed, until it can."""


@dataclass(frozen=True, slots=True)
class Head:
    """The last record of a chain."""

    chain: str
    sequence: int
    hash: bytes
    recorded: int = 0
    """Microseconds since 1970; 0: there is no record."""


@dataclass(frozen=True, slots=True)
class Row:
    """One record as it is stored."""

    sequence: int
    recorded: int
    body: bytes
    hash: bytes


class Shelf(Protocol):
    """One chain that is locked, read and written."""

    def take(self) -> Head:
        """Lock the chain and read its head. Raises AuditUnavailable."""

    def check(self) -> None:
        """See that the chain, taken, is where it was. Raises AuditUnavailable."""

    def write(self, rows: Sequence[Row]) -> None:
        """Make the rows durable, all or none. Raises AuditUnavailable."""

    def leave(self) -> None:
        """Give the lock back."""


def name(node: str, role: str, slot: int) -> str:
    """The id of a chain.

    Raises
    ------
    ValueError
        Node or role hold anything but letters, digits, ``.``, ``_`` and ``-``: they become parts of a file's name.
    """
    for part in (node, role):
        if not _NAME.fullmatch(part):
            raise ValueError(f"{part!r} cannot be part of a chain's name")
    return f"{node}/{role}/{slot}"


_INSERT = "INSERT INTO record VALUES (?, ?, ?, ?)"
_MORE = ", (?, ?, ?, ?)"
_ONE_STATEMENT = 50
_SERVER_REACH = (("tcp_keepalives_idle", 10), ("tcp_keepalives_interval", 5), ("tcp_keepalives_count", 3))


def _taken(node: str, role: str, slots: int) -> AuditUnavailable:
    if slots == 1:
        return AuditUnavailable(
            f"another {role} of node {node!r} is at work: end that one, or give this node a name of its own ('node')"
        )
    return AuditUnavailable(f"all {slots} audit chains of {node}/{role} are taken")


class FileShelf:
    """A chain in a SQLite file."""

    def __init__(self, folder: Path, node: str, role: str, *, first_only: bool, slots: int = SLOTS) -> None:
        name(node, role, 0)
        self._folder, self._node, self._role = folder, node, role
        self._first_only, self._slots = first_only, slots
        self._lock: int | None = None
        self._connection: sqlite3.Connection | None = None
        self._chain = ""
        self._home = Home(folder)

    def take(self) -> Head:
        """Lock the first free slot (``first_only``: wait for slot 0) and read its head.

        A chain that was made before and is not there any more is not begun anew: nobody would miss its records.
        """
        try:
            if self._connection is None:
                self._open()
            assert self._connection is not None
            row = self._connection.execute(
                "SELECT sequence, hash, recorded FROM record ORDER BY sequence DESC LIMIT 1"
            ).fetchone()
        except (OSError, sqlite3.Error) as error:
            self.leave()
            raise AuditUnavailable(f"the audit chain in {self._folder} cannot be opened: {error}") from error
        except BaseException:
            self.leave()
            raise
        return Head(self._chain, 0, GENESIS) if row is None else Head(self._chain, row[0], bytes(row[1]), row[2])

    def _open(self) -> None:
        if self._chain and not self._folder.is_dir():
            raise AuditUnavailable(f"the audit's folder {self._folder} is gone: put it back")
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        slot, self._lock = self._free_slot()
        self._chain = name(self._node, self._role, slot)
        path = self._folder / f"{self._node}+{self._role}+{slot}{SUFFIX}"
        made = os.pread(self._lock, len(_MADE), 0) == _MADE
        if made and not path.exists():
            raise AuditUnavailable(
                f"the audit chain {path} is gone: put it back from the backup; "
                f"where its loss is known and a new one is to begin, remove {path.with_suffix(LOCK).name} beside it too"
            )
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.close(descriptor)
        self._home = Home(path)
        self._home.settle()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=2)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.executescript(_SCHEMA)
        self._connection.execute("INSERT OR IGNORE INTO chain VALUES (?)", (self._chain,))
        folder = os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)  # the file's name must outlive a power cut as its records do
        finally:
            os.close(folder)
        if not made:
            os.pwrite(self._lock, _MADE, 0)
            os.fsync(self._lock)

    def _free_slot(self) -> tuple[int, int]:
        for slot in range(1 if self._first_only else self._slots):
            path = self._folder / f"{self._node}+{self._role}+{slot}{LOCK}"
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX if self._first_only else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            else:
                return slot, descriptor
        raise _taken(self._node, self._role, self._slots)

    def check(self) -> None:
        """SQLite would go on writing a file that has no name any more, or another one."""
        if self._connection is None:
            raise AuditUnavailable("the audit chain is closed")
        if self._home.left():
            raise AuditUnavailable(f"the audit chain {self._chain} was moved or removed while it was written")

    def write(self, rows: Sequence[Row]) -> None:
        """Commit with ``synchronous=FULL``: the rows are on the disk when this returns."""
        self.check()
        connection = self._connection
        assert connection is not None
        values = [(row.sequence, row.recorded, row.body, row.hash) for row in rows]
        try:
            if len(values) <= _ONE_STATEMENT:  # a transaction by itself: one call, and so one wait for Python's lock
                connection.execute(_INSERT + _MORE * (len(values) - 1), list(chain.from_iterable(values)))
                return
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.executemany(_INSERT, values)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise AuditUnavailable(f"the audit chain {self._chain} cannot be written: {error}") from error

    def leave(self) -> None:
        """Close the file, then give the lock back."""
        connection, self._connection = self._connection, None
        lock, self._lock = self._lock, None
        if connection is not None:
            connection.close()
        if lock is not None:
            os.close(lock)


def lost(folder: Path) -> tuple[str, ...]:
    """The ids of chains that were made in a folder, and whose files are not there any more."""
    locks = (path for path in sorted(folder.glob(f"*{LOCK}")) if not path.with_suffix(SUFFIX).exists())
    return tuple(path.stem.replace("+", "/") for path in locks if path.read_bytes() == _MADE)


class TableShelf:
    """A chain in the table ``audit_record`` of PostgreSQL, on a connection of its own."""

    def __init__(self, url: str, node: str, role: str, *, first_only: bool, slots: int = SLOTS) -> None:
        name(node, role, 0)
        self._engine = create_engine(
            url, poolclass=NullPool, isolation_level="AUTOCOMMIT", hide_parameters=True, connect_args=REACH
        )
        self._node, self._role = node, role
        self._first_only, self._slots = first_only, slots
        self._connection: Connection | None = None
        self._chain = ""

    def take(self) -> Head:
        """Lock the first free slot (``first_only``: wait for slot 0) and read its head."""
        try:
            if self._connection is None:
                self._open()
            row = self._execute(
                "SELECT sequence, hash, recorded FROM audit_record WHERE chain = %s ORDER BY sequence DESC LIMIT 1",
                self._chain,
            ).fetchone()
        except DBAPIError as error:
            self.leave()
            raise AuditUnavailable("the audit chain cannot be opened") from error
        except BaseException:
            self.leave()
            raise
        return Head(self._chain, 0, GENESIS) if row is None else Head(self._chain, row[0], bytes(row[1]), row[2])

    def _open(self) -> None:
        self._connection = self._engine.connect()
        self._execute("SET synchronous_commit = on")
        for parameter, value in _SERVER_REACH:  # else the lock of a node that lost its power would stand for hours
            self._execute(f"SET {parameter} = {value}")
        for slot in range(1 if self._first_only else self._slots):
            self._chain = name(self._node, self._role, slot)
            key = int.from_bytes(hashlib.sha256(b"photospine audit " + self._chain.encode()).digest()[:8], signed=True)
            if self._first_only:
                self._execute("SELECT pg_advisory_lock(%s)", key)
                return
            if self._execute("SELECT pg_try_advisory_lock(%s)", key).scalar_one():
                return
        raise _taken(self._node, self._role, self._slots)

    def _execute(self, statement: str, *values: Any) -> Any:
        if self._connection is None:
            raise AuditUnavailable("the audit chain is closed")
        return self._connection.exec_driver_sql(statement, tuple(values))

    def check(self) -> None:
        """The table answers."""
        try:
            self._execute("SELECT 1")
        except DBAPIError as error:
            raise AuditUnavailable(f"the audit chain {self._chain} cannot be reached") from error

    def write(self, rows: Sequence[Row]) -> None:
        """One statement, committed by itself; the primary key refuses a second writer of the same chain."""
        try:
            self._execute(
                "INSERT INTO audit_record (chain, sequence, recorded, body, hash) "
                "SELECT %s, * FROM unnest(%s::bigint[], %s::bigint[], %s::bytea[], %s::bytea[])",
                self._chain,
                [row.sequence for row in rows],
                [row.recorded for row in rows],
                [row.body for row in rows],
                [row.hash for row in rows],
            )
        except DBAPIError as error:
            raise AuditUnavailable(f"the audit chain {self._chain} cannot be written") from error

    def leave(self) -> None:
        """Close the connection, and the lock with it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()
