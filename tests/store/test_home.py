"""A SQLite file that is moved, removed or replaced is not read any more, whatever is remembered of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from consent.decision import decide
from consent.store import home
from consent.store.cache import FactsCache
from consent.store.engine import open_engine, reading, transaction
from consent.store.people import save_directive
from consent.types import Request
from tests.database import fresh
from tests.store.world import CLINICIAN, consent, one_patient

pytestmark = pytest.mark.fast

TREAT = Request(CLINICIAN, "TREAT")


@pytest.fixture(autouse=True)
def at_each_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look each time, as after a while."""
    monkeypatch.setattr(home, "LOOK_SECONDS", 0.0)


def _move(file: Path, to: Path) -> None:
    for end in ("", "-wal", "-shm"):
        if Path(f"{file}{end}").exists():
            Path(f"{file}{end}").rename(f"{to}{end}")


def _restore_another(file: Path) -> None:
    """As by somebody who puts a backup back while processes run: in this one the patient has said no."""
    other = file.with_name("other.sqlite3")
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"VACUUM INTO '{other}'")
    engine = open_engine(f"sqlite:///{other}")
    with transaction(engine) as connection:
        save_directive(connection, consent("no", "deny", "TREAT"))
    engine.dispose()
    _move(file, file.with_name("former.sqlite3"))
    _move(other, file)


def _remove(file: Path) -> None:
    for end in ("", "-wal", "-shm"):
        Path(f"{file}{end}").unlink(missing_ok=True)


@pytest.mark.parametrize(
    "harm", [lambda file: _move(file, file.with_name("elsewhere")), _remove, _restore_another], ids=["move", "rm", "mv"]
)
def test_a_database_that_is_another_answers_nothing(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    file = tmp_path / "photospine.sqlite3"
    engine = fresh(f"sqlite:///{file}")
    with transaction(engine) as connection:
        one_patient(connection)
    cache = FactsCache(engine)
    loaded = cache.photo("2.25.1", CLINICIAN)
    assert decide(TREAT, loaded.facts, loaded.now).permitted
    there = harm is _restore_another
    harm(file)
    with pytest.raises(OperationalError, match="moved, removed or replaced"):
        cache.photo("2.25.1", CLINICIAN)
    with pytest.raises(OperationalError, match="moved, removed or replaced"):
        cache.at_hand("2.25.1", CLINICIAN)
    with pytest.raises(OperationalError), reading(engine):
        pass
    assert file.exists() is there, "none is made where one was"
    engine.dispose()


def test_a_database_that_is_put_back_is_asked_again(tmp_path: Path) -> None:
    file, elsewhere = tmp_path / "photospine.sqlite3", tmp_path / "elsewhere"
    engine = fresh(f"sqlite:///{file}")
    with transaction(engine) as connection:
        one_patient(connection)
    cache = FactsCache(engine)
    _move(file, elsewhere)
    with pytest.raises(OperationalError):
        cache.photo("2.25.1", CLINICIAN)
    _move(elsewhere, file)
    loaded = cache.photo("2.25.1", CLINICIAN)
    assert decide(TREAT, loaded.facts, loaded.now).permitted
    engine.dispose()


def test_a_look_is_worth_a_while_and_what_is_put_back_is_seen_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home, "LOOK_SECONDS", 5.0)
    file, seconds = tmp_path / "x", [0.0]
    file.touch()
    opened = home.Home(file, clock=lambda: seconds[0])
    assert not opened.left()
    opened.settle()
    assert not opened.left()
    file.rename(tmp_path / "y")
    seconds[0] = 4.9
    assert not opened.left()
    seconds[0] = 5.0
    assert opened.left()
    (tmp_path / "y").rename(file)
    assert not opened.left()
