"""The database is gone, locked, replaced, of another version or full: nothing is shown, and the doctor says why."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from consent.store.home import LOOK_SECONDS
from tests.faults.world import World

pytestmark = [pytest.mark.orthanc]

_LOCKER = """
import fcntl, os, sys
shared = os.open(sys.argv[1] + "-shm", os.O_RDWR)
fcntl.lockf(shared, fcntl.LOCK_EX, 5, 123)  # what readers of a WAL take (https://www.sqlite.org/walformat.html#locks)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("faults")) as made:
        yield made


def _files(world: World) -> list[Path]:
    return sorted(world.folder.glob("photospine.sqlite3*"))


@contextmanager
def moved(world: World) -> Iterator[None]:
    """The file has another name for a while."""
    file = world.folder / "photospine.sqlite3"
    file.rename(world.folder / "elsewhere")
    time.sleep(2 * LOOK_SECONDS)
    try:
        yield
    finally:
        (world.folder / "elsewhere").rename(file)


@contextmanager
def removed(world: World) -> Iterator[None]:
    """The file is lost; a copy is put back."""
    _keep(world)
    for file in _files(world):
        file.unlink()
    time.sleep(2 * LOOK_SECONDS)
    try:
        yield
    finally:
        (world.folder / "backup").rename(world.folder / "photospine.sqlite3")


@contextmanager
def replaced(world: World) -> Iterator[None]:
    """A copy is put in its place while everything runs."""
    _keep(world)
    for file in _files(world):
        file.unlink()
    (world.folder / "backup").rename(world.folder / "photospine.sqlite3")
    time.sleep(2 * LOOK_SECONDS)
    yield


@contextmanager
def garbage(world: World) -> Iterator[None]:
    """Something that is no database lies in its place."""
    _keep(world)
    for file in _files(world):
        file.unlink()
    file = world.folder / "photospine.sqlite3"
    file.write_bytes(b"a photo, or nothing at all " * 100)
    time.sleep(2 * LOOK_SECONDS)
    try:
        yield
    finally:
        file.unlink()
        (world.folder / "backup").rename(file)


@contextmanager
def locked(world: World) -> Iterator[None]:
    """Another process holds it, so that nobody can read."""
    command = [sys.executable, "-c", _LOCKER, str(world.folder / "photospine.sqlite3")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == b"held\n"
        try:
            yield
        finally:
            holder.stdin.close()


@contextmanager
def another_version(world: World) -> Iterator[None]:
    """A newer version has brought the schema up to its own, while these processes run."""
    _set_schema(world, "9999")
    try:
        yield
    finally:
        _set_schema(world, None)


def _set_schema(world: World, version: str | None) -> None:
    from consent.store.schema import REVISION

    with closing(sqlite3.connect(world.folder / "photospine.sqlite3", timeout=10)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version or REVISION,))


@contextmanager
def no_settings(world: World) -> Iterator[None]:
    """The site's settings are not in it."""
    with closing(sqlite3.connect(world.folder / "photospine.sqlite3", timeout=10)) as connection, connection:
        connection.execute("ALTER TABLE site_state RENAME TO lost")
    try:
        yield
    finally:
        with closing(sqlite3.connect(world.folder / "photospine.sqlite3", timeout=10)) as connection, connection:
            connection.execute("ALTER TABLE lost RENAME TO site_state")


def _keep(world: World) -> None:
    (world.folder / "backup").unlink(missing_ok=True)
    with closing(sqlite3.connect(world.folder / "photospine.sqlite3")) as connection:
        connection.execute(f"VACUUM INTO '{world.folder}/backup'")
    (world.folder / "backup").chmod(0o600)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, and what the doctor says of it."""

    happens: Callable[[World], AbstractContextManager[None]]
    what: str
    says: str
    remedy: str
    then: str | None = None
    """What it says once the file is back: the processes know the other one, and have to be started anew."""

    marks: tuple[pytest.MarkDecorator, ...] = ()


ANEW = "was moved, removed or replaced"
FULL = (pytest.mark.full,)
FAULTS = (
    Fault(moved, "database", "is not there", "put it back from the backup"),
    Fault(removed, "database", "is not there", "put it back from the backup", ANEW, FULL),
    Fault(replaced, "wall", ANEW, "stop Orthanc, serve and worker", ANEW),
    Fault(garbage, "database", "not a database", "is damaged", ANEW, FULL),
    Fault(another_version, "database", "stands at schema 9999", "photospine db upgrade"),
    Fault(no_settings, "database", "no such table: site_state", "photospine db upgrade", marks=FULL),
)


@pytest.mark.parametrize("fault", [pytest.param(each, id=each.happens.__name__, marks=each.marks) for each in FAULTS])
def test_nothing_is_shown_until_it_is_mended(world: World, fault: Fault) -> None:
    with fault.happens(world):
        world.refuses()
        world.blames(fault.what, fault.says, fault.remedy)
    if fault.then is not None:
        world.refuses()
        world.blames("wall", fault.then, "start them anew")
        world.restart()
    world.recovers()
    world.is_well()


@pytest.mark.full
def test_nothing_is_shown_while_nobody_can_read(world: World) -> None:
    """SQLite tries for ten seconds before it gives up; the wall does not wait for that."""
    with locked(world):
        world.refuses()
        world.blames("database", "locking protocol", "another process holds it")
    world.recovers()


def test_who_waits_to_write_keeps_nobody_from_reading(world: World) -> None:
    """Facts are as they were, and records have files of their own: what is shown is decided as ever."""
    with closing(sqlite3.connect(world.folder / "photospine.sqlite3")) as holder:
        holder.execute("BEGIN IMMEDIATE")
        world.blames("database", "database is locked", "another process holds it")
        world.permits()
        answer = world.withdraw()
        assert answer.status_code == 503, "not acknowledged"
        holder.rollback()
    assert world.withdraw().status_code == 201
    world.refuses(decided=True)
    world.consent_again()
    world.permits()
