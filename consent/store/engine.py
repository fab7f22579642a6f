"""The unit of work: nobody else opens a connection or begins a transaction.

SQLite runs in WAL mode with ``synchronous=FULL``, so that an acknowledged withdrawal survives a power cut. Its
transactions begin explicitly: writers take the write lock at once instead of failing half-way, readers see one
snapshot.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, create_engine, event, make_url

from consent.store.home import Home
from consent.store.schema import WrongSchema
from consent.store.watch import Watch

T = TypeVar("T")

BUSY_SECONDS = 5.0
"""How long a statement waits for somebody else's lock."""

REACH = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
"""Of PostgreSQL's client (libpq, 34.1.2): a server that went without a word is given up after some seconds."""

_LOCKS = f"-c lock_timeout={int(BUSY_SECONDS * 1000)}"

Call = Callable[[Connection, set[str]], None]
"""Work for the end of a transaction, with the ids that it is about."""

_BEGIN = "photospine_begin"
_CALLS = "photospine_before_commit"
_READ = "photospine_read_in_snapshot"


_HOMES: WeakKeyDictionary[Engine, Home] = WeakKeyDictionary()


def require_home(engine: Engine) -> None:
    """Refuse to go on with a SQLite file that its name does not stand for any more.

    What it says of consent is of no age that anybody could tell, and what is remembered of it may have the versions of
    the other; so nothing is asked any more until a new process asks.

    Raises
    ------
    sqlite3.OperationalError
        The file was moved, removed or replaced.
    """
    _require(_HOMES[engine])


def _require(home: Home) -> None:
    if home.left():
        raise sqlite3.OperationalError("the database file was moved, removed or replaced since it was opened")


_WATCHES: WeakKeyDictionary[Engine, Watch] = WeakKeyDictionary()


def watch(engine: Engine) -> None:
    """Have the queries that every request asks answered from memory as long as nothing is committed (SQLite).

    For a process that opens one database and keeps it open until it ends (:mod:`consent.store.watch`). Where it cannot
    be watched, every query is put as ever.
    """
    if engine.dialect.name == "sqlite":
        with suppress(sqlite3.Error, OSError):
            _WATCHES[engine] = Watch(Path(str(engine.url.database)))


def watch_of(engine: Engine) -> Watch | None:
    """The engine's watch, where it has one."""
    return _WATCHES.get(engine)


def open_engine(url: str, *, pool: int = 20, make: bool = False) -> Engine:
    """An engine for ``sqlite:///FILE`` or ``postgresql+psycopg://…``; nothing is opened before the first use.

    Parameters
    ----------
    make
        Whether a SQLite file that is not there is made. Else using it raises
        :class:`consent.store.schema.WrongSchema`, so that nobody takes an empty database for the one that is lost.
    """
    if make_url(url).get_backend_name() == "sqlite":
        return _sqlite(url, pool, make=make)
    return create_engine(
        url,
        pool_size=pool,
        max_overflow=pool,
        pool_timeout=BUSY_SECONDS,
        pool_pre_ping=False,
        pool_use_lifo=True,
        hide_parameters=True,
        connect_args={**REACH, "options": _LOCKS},
    )


def _sqlite(url: str, pool: int, *, make: bool) -> Engine:
    engine = create_engine(
        url,
        pool_size=pool,
        max_overflow=pool,
        pool_use_lifo=True,
        hide_parameters=True,  # an error goes into a log with its text, and the values of its statement name people
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
    )

    home = _HOMES[engine] = Home(Path(str(engine.url.database)))

    @event.listens_for(engine, "do_connect")
    def _make(_dialect: Any, _record: Any, arguments: list[Any], _options: dict[str, Any]) -> None:
        if arguments[0] == ":memory:":
            return
        _require(home)
        if not make and not Path(arguments[0]).exists():
            raise WrongSchema(
                f"there is no database {arguments[0]}: see the setting 'database', put it back from the backup, "
                "or make a new one with 'photospine db upgrade'"
            )
        # SQLite would let others read what patients have signed, so a new file is made here. A file that is there must
        # not be opened beside SQLite: closing it would drop the locks that this process holds on it.
        with suppress(FileExistsError):
            os.close(os.open(arguments[0], os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        home.settle()

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself; _begin below does
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-32768"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "checkout")
    def _checkout(_connection: Any, _record: Any, _proxy: Any) -> None:
        _require(home)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        statement = connection.get_execution_options().get(_BEGIN, "BEGIN")
        if statement:
            connection.exec_driver_sql(statement)

    return engine


@contextmanager
def transaction(engine: Engine, *, wait: float | None = None) -> Iterator[Connection]:
    """A connection in a write transaction: committed at the end, rolled back by an exception.

    Parameters
    ----------
    wait
        Seconds to wait for other writers, where that is not the usual five; a callback of Orthanc waits 0.05.

    Raises
    ------
    sqlalchemy.exc.OperationalError
        The wait was in vain. Nothing was written.
    """
    sqlite = engine.dialect.name == "sqlite"
    with engine.connect() as connection:
        if sqlite:
            connection = connection.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
        calls: dict[Call, set[str]] = {}
        info = connection.info  # asked of a connection that broke, it would raise
        try:
            if sqlite and wait is not None:
                _set_busy(connection, wait)
            with connection.begin():
                if not sqlite and wait is not None:
                    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(wait * 1000)}")
                info[_CALLS] = calls
                yield connection
                while calls:
                    call, items = calls.popitem()
                    call(connection, items)
        finally:
            if info.get(_CALLS) is calls:
                del info[_CALLS]
            if sqlite and wait is not None:
                _set_busy(connection, BUSY_SECONDS)


class _TakenBack(Exception):
    """Ends a rehearsal."""


@contextmanager
def rehearsal(engine: Engine) -> Iterator[Connection]:
    """A connection in a write transaction that is rolled back at its end: what would be refused is found out."""
    try:
        with transaction(engine) as connection:
            yield connection
            raise _TakenBack
    except _TakenBack:
        pass


def _set_busy(connection: Connection, seconds: float) -> None:
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.execute(f"PRAGMA busy_timeout={int(seconds * 1000)}")


def before_commit(connection: Connection, call: Call, items: Iterable[str]) -> None:
    """Have the unit of work call ``call`` with the items gathered for it, once, before it commits.

    On a connection that is not in :func:`transaction`, nothing happens; so only work that may be left for later
    belongs here.
    """
    calls: dict[Call, set[str]] | None = connection.info.get(_CALLS)
    if calls is not None:
        calls.setdefault(call, set()).update(items)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection that sees one snapshot of the database from its first query on, and writes nothing."""
    with engine.connect() as connection:
        if engine.dialect.name != "sqlite":
            connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        info, mine = connection.info, dict[Hashable, Any]()  # asked of a connection that broke, it would raise
        info[_READ] = mine
        try:
            yield connection
        finally:
            if info.get(_READ) is mine:  # else somebody else reads on it already
                del info[_READ]


def once(connection: Connection, key: Hashable, read: Callable[[], T]) -> T:
    """What several readers ask of one snapshot, read once.

    On a connection that is not in :func:`reading`, it is read each time: another moment may have another answer.
    """
    known: dict[Hashable, T] | None = connection.info.get(_READ)
    if known is None:
        return read()
    if key not in known:
        known[key] = read()
    return known[key]


@contextmanager
def glancing(engine: Engine) -> Iterator[Connection]:
    """A connection on which each query sees the newest commits, without the cost of a transaction around it."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            yield connection.execution_options(**{_BEGIN: ""})
        else:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")
