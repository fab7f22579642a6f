"""PostgreSQL stops, is killed, stands still, or is locked: nothing is shown, and it goes on by itself afterwards."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import pytest
from sqlalchemy import create_engine, text

from tests import postgres
from tests.faults.world import World

pytestmark = [pytest.mark.orthanc, pytest.mark.postgres]


@dataclass(frozen=True, slots=True)
class Clinic:
    """A node, and the server that its database is on."""

    world: World
    cluster: postgres.Cluster
    database: str


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    with postgres.cluster() as cluster:
        database = cluster.fresh()
        with World(tmp_path_factory.mktemp("faults"), database=database) as world:
            yield Clinic(world, cluster, database)


@contextmanager
def stopped(clinic: Clinic) -> Iterator[None]:
    """Nobody listens at its port."""
    clinic.cluster.stop()
    try:
        yield
    finally:
        clinic.cluster.start()


@contextmanager
def killed(clinic: Clinic) -> Iterator[None]:
    """It died, and its data folder is as that left it."""
    clinic.cluster.kill()
    try:
        yield
    finally:
        clinic.cluster.start()


@contextmanager
def standing_still(clinic: Clinic) -> Iterator[None]:
    """It takes connections and questions, and says nothing."""
    found = clinic.cluster.pids()
    for pid in found:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in found:
            os.kill(pid, signal.SIGCONT)


@contextmanager
def renamed(clinic: Clinic) -> Iterator[None]:
    """The database has another name."""
    name = clinic.database.rpartition("/")[2]
    engine = create_engine(clinic.cluster.url(), isolation_level="AUTOCOMMIT")
    with engine.connect() as owner:
        owner.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"))
        owner.execute(text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'))
        owner.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"))
        try:
            yield
        finally:
            owner.execute(text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'))
    engine.dispose()


@contextmanager
def locked(clinic: Clinic) -> Iterator[None]:
    """Somebody holds every table that a decision reads, for long."""
    engine = create_engine(clinic.database)
    with engine.begin() as holder:
        holder.execute(text("LOCK TABLE alembic_version, site_state, photo, patient IN ACCESS EXCLUSIVE MODE"))
        yield
    engine.dispose()


@contextmanager
def another_version(clinic: Clinic) -> Iterator[None]:
    """A newer version has brought the schema up to its own, while these processes run."""
    engine = create_engine(clinic.database)
    with engine.begin() as owner:
        former = owner.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        owner.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    try:
        yield
    finally:
        with engine.begin() as owner:
            owner.execute(text("UPDATE alembic_version SET version_num = :former"), {"former": former})
        engine.dispose()


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, and what the doctor says of it."""

    happens: Callable[[Clinic], AbstractContextManager[None]]
    says: str
    remedy: str
    marks: tuple[pytest.MarkDecorator, ...] = ()


FULL = (pytest.mark.full,)
FAULTS = (
    Fault(stopped, "cannot be used: OperationalError", "see that it runs", FULL),
    Fault(killed, "cannot be used: OperationalError", "see that it runs"),
    Fault(standing_still, "cannot be used: ConnectionTimeout", "see that it runs"),
    Fault(renamed, "cannot be used: OperationalError", "see that it runs", FULL),
    Fault(locked, "cannot be used: LockNotAvailable", "pg_stat_activity", FULL),
    Fault(another_version, "stands at schema 9999", "photospine db upgrade"),
)


@pytest.mark.parametrize("fault", [pytest.param(each, id=each.happens.__name__, marks=each.marks) for each in FAULTS])
def test_nothing_is_shown_until_it_is_mended(clinic: Clinic, fault: Fault) -> None:
    with fault.happens(clinic):
        clinic.world.refuses()
        clinic.world.blames("database", fault.says, fault.remedy)
    clinic.world.recovers()
    clinic.world.is_well()
