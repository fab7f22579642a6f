"""The unit of work."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from consent.store.engine import once, reading, transaction
from consent.store.people import ensure
from consent.store.versions import group
from tests.database import fresh
from tests.databases import SITE
from tests.postgres import Cluster


def test_an_error_does_not_say_whom_a_statement_was_about(engine: Engine) -> None:
    with pytest.raises(SQLAlchemyError) as caught, transaction(engine) as connection:
        connection.execute(text("SELECT nothing FROM nowhere WHERE name = :name"), {"name": "Papadaki"})
    assert "nowhere" in str(caught.value)
    assert "Papadaki" not in str(caught.value)


def test_what_is_asked_twice_of_one_snapshot_is_read_once_and_of_the_next_one_anew(engine: Engine) -> None:
    read: list[int] = []

    def number() -> int:
        read.append(1)
        return len(read)

    with reading(engine) as connection:
        assert [once(connection, "number", number) for _ in range(3)] == [1, 1, 1]
        assert once(connection, "another", number) == 2
    with reading(engine) as connection:
        assert once(connection, "number", number) == 3
    with transaction(engine) as connection:  # what it writes itself must be seen
        assert [once(connection, "number", number) for _ in range(2)] == [4, 5]


def test_one_who_asks_of_a_group_changes_nothing_for_the_next(engine: Engine) -> None:
    with transaction(engine) as connection:
        ensure(connection, ["anna"])
    with reading(engine) as connection:
        group(connection, ["anna"]).add("berta")
        assert group(connection, ["anna"]) == {"anna"}


Unit = Callable[[Engine], AbstractContextManager[Connection]]


def _ended(unit: Unit, engine: Engine, owner: Engine) -> None:
    """The server ends a connection between two statements."""
    with unit(engine) as connection:
        mine = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with owner.connect() as other:
            other.execute(text("SELECT pg_terminate_backend(:mine, 5000)"), {"mine": mine})
        connection.execute(text("SELECT 1"))


@pytest.mark.postgres
@pytest.mark.parametrize("unit", [reading, transaction])
def test_a_server_that_goes_away_is_told_as_such(postgres_cluster: Cluster, unit: Unit) -> None:
    url = postgres_cluster.fresh()
    engine, owner = fresh(url, SITE), create_engine(url, isolation_level="AUTOCOMMIT")
    with pytest.raises(OperationalError):
        _ended(unit, engine, owner)
    with unit(engine) as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
    engine.dispose()
    owner.dispose()
