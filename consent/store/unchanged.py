"""What was worked out from the database, remembered until anything is committed to it (SQLite).

It is the rule by which the rows of :class:`consent.store.quick.Quick` are remembered, for what is made of rows and
holds for some time only.
"""

from __future__ import annotations

from collections.abc import Hashable
from datetime import datetime
from typing import Generic, TypeVar

from sqlalchemy import Engine

from consent.store.engine import require_home, watch_of

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Unchanged(Generic[Key, Value]):
    """Values of one process. Safe for any number of threads; where the engine is not watched, nothing is remembered."""

    def __init__(self, engine: Engine, *, most: int) -> None:
        """Remember.

        Parameters
        ----------
        most
            Values that are remembered at a time.
        """
        self._engine, self._watch, self._most = engine, watch_of(engine), most
        self._known: tuple[bytes, dict[Key, tuple[datetime, datetime | None, Value]]] = (b"", {})

    def stamp(self) -> bytes | None:
        """What :meth:`put` is given: to be asked for before anything is read that the value is made of.

        Raises
        ------
        sqlite3.OperationalError
            The database's file was moved, removed or replaced.
        """
        if self._watch is None:
            return None
        require_home(self._engine)
        return self._watch.stamp()

    def get(self, stamp: bytes | None, key: Key, now: datetime) -> Value | None:
        """The value that was worked out while the database had this stamp, if it holds now."""
        known = self._known
        found = known[1].get(key) if stamp is not None and known[0] == stamp else None
        if found is None:
            return None
        since, until, value = found
        return value if since <= now and (until is None or now < until) else None

    def put(self, stamp: bytes | None, key: Key, value: Value, *, since: datetime, until: datetime | None) -> None:
        """Remember a value.

        Parameters
        ----------
        since, until
            When it was worked out, and when it may be another without any commit; None: never.
        """
        if stamp is None:
            return
        known = self._known
        if known[0] != stamp or len(known[1]) >= self._most:
            known = self._known = (stamp, {})
        known[1][key] = (since, until, value)
