"""What is answered from memory while nothing is committed is never older than the last commit of any process."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, Integer, String, bindparam, column, select, table

from consent.store.engine import open_engine, watch, watch_of
from consent.store.quick import Quick

pytestmark = pytest.mark.fast

_TABLE = table("fact", column("name", String), column("value", Integer))
_ONE = select(_TABLE.c.value).where(_TABLE.c.name == bindparam("name"))
_OTHER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)
print("ready", flush=True)
for line in sys.stdin:
    connection.execute(line)
    print("done", flush=True)
"""


_LOCKER = """
import fcntl, os, sys
index = os.open(sys.argv[1] + "-shm", os.O_RDWR)
for line in sys.stdin:
    start, length = map(int, line.split())
    fcntl.lockf(index, fcntl.LOCK_EX, length, start)
    print("held", flush=True)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "facts.sqlite3"
    with sqlite3.connect(path, isolation_level=None) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE fact (name TEXT PRIMARY KEY, value INTEGER)")
        connection.execute("INSERT INTO fact VALUES ('a', 0)")
    return path


@pytest.fixture
def engine(file: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{file}")
    watch(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def quick(engine: Engine) -> Quick:
    return Quick(engine, _ONE, "name")


def _value(quick: Quick) -> object:
    return quick.rows("a")[0].value


def test_rows_come_from_memory_until_anything_is_committed(
    file: Path, quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _value(quick) == 0
    with monkeypatch.context() as patch:
        patch.setattr(quick, "_cursor", lambda: pytest.fail("the database was asked"))
        assert _value(quick) == 0
    with sqlite3.connect(file, isolation_level=None) as other:
        other.execute("UPDATE fact SET value = 1")
    assert _value(quick) == 1
    assert quick.rows("nobody") == []


def test_a_commit_of_another_process_is_seen_by_the_next_question(file: Path, quick: Quick) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _OTHER, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdout.readline()
        for number in range(1, 500):
            other.stdin.write(f"UPDATE fact SET value = {number}\n")
            other.stdin.flush()
            assert other.stdout.readline() == "done\n"
            assert _value(quick) == number
            assert _value(quick) == number
        other.stdin.close()


_STEPS = st.lists(
    st.sampled_from(
        [
            "UPDATE fact SET value = value + 1",
            "PRAGMA wal_checkpoint(PASSIVE)",
            "PRAGMA wal_checkpoint(RESTART)",
            "PRAGMA wal_checkpoint(TRUNCATE)",
            "VACUUM",
            "INSERT INTO fact SELECT 'b' || random(), 1 FROM fact LIMIT 50",
            "BEGIN IMMEDIATE; UPDATE fact SET value = value + 7; ROLLBACK",
            "close",
        ]
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_STEPS)
def test_whatever_another_connection_does_memory_and_database_agree(file: Path, quick: Quick, steps: list[str]) -> None:
    other = sqlite3.connect(file, isolation_level=None)
    _value(quick)
    for step in steps:
        if step == "close":
            other.close()
            other = sqlite3.connect(file, isolation_level=None)
        else:
            other.executescript(step)
        truth = other.execute("SELECT value FROM fact WHERE name = 'a'").fetchone()[0]
        assert _value(quick) == truth
    other.close()


def test_where_the_index_of_the_log_is_another_file_nothing_is_taken_from_memory(
    file: Path, quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _value(quick) == 0
    index = Path(f"{file}-shm")
    index.replace(index.with_suffix(".moved"))
    index.write_bytes(index.with_suffix(".moved").read_bytes())
    watched = quick._watch
    assert watched is not None
    monkeypatch.setattr(watched._home, "_next", float("-inf"))
    assert watched.stamp() is None


def test_what_nobody_may_read_is_not_given_from_memory(file: Path, engine: Engine) -> None:
    """All readers' locks held by another process, not some: a checkpoint holds one of them for a moment."""
    watched = watch_of(engine)
    assert watched is not None
    stamp = watched.stamp()
    assert stamp is not None
    with subprocess.Popen(
        [sys.executable, "-c", _LOCKER, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        for lock, expected in (("120 3", stamp), ("124 2", stamp), ("123 5", None)):
            other.stdin.write(f"{lock}\n")
            other.stdin.flush()
            other.stdout.readline()
            assert watched.stamp() == expected, lock
        other.stdin.close()
    assert watched.stamp() == stamp
