"""Whether anything was committed to a SQLite database: a look at the head of its WAL index, without asking SQLite.

Every commit, by whatever process, rewrites the first 48 bytes of the file ``…-shm`` and their copy behind them before
it returns (https://www.sqlite.org/walformat.html, section 2.1): they hold a counter of transactions, the number of
frames and the salts of the log. As long as both copies are what they were, nothing was committed.

SQLite's own locks on that file belong to the process and end when *any* descriptor of it is closed (POSIX), so those
that are opened here stay open until the process ends; one watch for each process is meant.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import sqlite3
import struct
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from consent.store.home import Home

_COPY = 48
_INITIALISED = 12
"""Offset of the byte that says that the head holds something."""

_FLOCK = struct.Struct("hhqqi4x")
"""``struct flock`` of 64-bit Linux: type, whence, start, length, process."""

_READERS = range(123, 128)
"""The bytes of the index that readers lock, one of them each (walformat.html, section 2.3)."""

_MAY_READ = _FLOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, _READERS.start, len(_READERS), 0)

_kept: list[tuple[int, mmap.mmap]] = []
"""What must never be closed."""


class Watch:
    """The head of one database's WAL index. Safe for any number of threads."""

    def __init__(self, database: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin to watch.

        Raises
        ------
        sqlite3.Error
            The database cannot be opened.
        OSError
            It keeps no WAL index in a file.
        """
        # As long as one connection is open, nobody removes the file or begins another one.
        self._connection = sqlite3.connect(
            f"file:{quote(str(database))}?mode=rw", uri=True, isolation_level=None, check_same_thread=False
        )
        self._connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
        index = Path(f"{database}-shm")
        self._home = Home(index, clock)
        self._home.settle()
        self._index = os.open(index, os.O_RDONLY | os.O_CLOEXEC)
        self._head = mmap.mmap(self._index, 2 * _COPY, prot=mmap.PROT_READ)
        _kept.append((self._index, self._head))

    def stamp(self) -> bytes | None:
        """What stays the same until something is committed; None where that cannot be told now."""
        head = self._head[:]
        stamp = head[:_COPY]
        if stamp != head[_COPY:] or not stamp[_INITIALISED] or self._home.left() or self._locked():
            return None
        return stamp

    def _locked(self) -> bool:
        """Whether another process lets nobody read: what cannot be read is not shown from memory either."""
        kind, _, start, length, _ = _FLOCK.unpack(fcntl.fcntl(self._index, fcntl.F_GETLK, _MAY_READ))
        if kind == fcntl.F_UNLCK or start > _READERS.start:
            return False
        return bool(length == 0 or start + length >= _READERS.stop)
