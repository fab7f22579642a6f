"""The few queries that every request asks, put to SQLite's driver itself.

SQLAlchemy's own work costs ten times what such a query does, and inside Orthanc every microsecond of Python is taken
from all other requests. On PostgreSQL the network costs more than both, so the usual way is taken there.
"""

from __future__ import annotations

import sqlite3
from collections import deque, namedtuple
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from urllib.parse import quote

from sqlalchemy import Engine, Select, event
from sqlalchemy.exc import OperationalError

from consent.store.engine import BUSY_SECONDS, glancing, require_home, watch_of

_MOST = 50_000
"""Values whose rows a query of one row each remembers at a time."""


class Quick:
    """One query of one parameter. Each call sees the newest commits; safe for any number of threads.

    Where the engine is watched, rows are given from memory until anything is committed.

    Rows have the query's columns as attributes, as the driver gives them: a Boolean is 0 or 1.
    """

    def __init__(self, engine: Engine, statement: Select[Any], parameter: str, *, most: int = _MOST) -> None:
        """Prepare it.

        Parameters
        ----------
        most
            Values whose rows are remembered at a time.
        """
        self._most = most
        self._watch = watch_of(engine)
        self._known: tuple[bytes, dict[str, Sequence[Any]]] = (b"", {})
        self._engine, self._statement, self._parameter = engine, statement, parameter
        self.direct = engine.dialect.name == "sqlite"
        """Whether it is put to the driver, in this process, and waits for no other connection."""

        self._idle: deque[sqlite3.Cursor] = deque()
        if self.direct:
            self._sql = str(statement.compile(engine))
            self._make = _maker([column.name for column in statement.selected_columns])
            event.listen(engine, "engine_disposed", lambda _: self.close())

    def rows(self, value: str) -> Sequence[Any]:
        """All rows for one value of the parameter.

        Raises
        ------
        sqlalchemy.exc.SQLAlchemyError
            The database cannot be asked.
        """
        if not self.direct:
            with glancing(self._engine) as connection:
                return connection.execute(self._statement, {self._parameter: value}).all()
        try:
            require_home(self._engine)
            stamp = None if self._watch is None else self._watch.stamp()  # before it is asked, so never too new
            known = self._known
            if stamp == known[0] and (rows := known[1].get(value)) is not None:
                return rows
            cursor = self._cursor()
            found = cursor.execute(self._sql, (value,)).fetchall()
        except sqlite3.Error as error:
            raise OperationalError(self._sql, None, error) from error
        self._idle.append(cursor)
        rows = [self._make(each) for each in found]
        if stamp is not None:
            self._remember(stamp, value, rows)
        return rows

    def _remember(self, stamp: bytes, value: str, rows: Sequence[Any]) -> None:
        known = self._known
        if known[0] != stamp or len(known[1]) >= self._most:
            known = self._known = (stamp, {})
        known[1][value] = rows

    def close(self) -> None:
        """Close what is idle; later calls open anew."""
        while self._idle:
            self._idle.pop().connection.close()

    def _cursor(self) -> sqlite3.Cursor:
        try:
            return self._idle.pop()
        except IndexError:
            address = f"file:{quote(str(self._engine.url.database))}?mode=rw"
            connection = sqlite3.connect(
                address, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            connection.execute("PRAGMA query_only=ON")
            return connection.cursor()


def _maker(names: list[str]) -> Callable[[Iterable[Any]], Any]:
    """What makes a row with these attributes."""
    row: Any = namedtuple("row", names)  # type: ignore[misc]
    make: Callable[[Iterable[Any]], Any] = row._make
    return make
