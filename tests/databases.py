"""Fixtures that run a test on SQLite and on PostgreSQL. Import them in a ``conftest.py``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from consent.site import Site
from tests import postgres
from tests.database import fresh

SITE = Site(time_zone="Europe/Athens", channels=frozenset({"instagram", "tiktok"}), projects=frozenset({"scars"}))


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[postgres.Cluster]:
    """One cluster for the whole session."""
    with postgres.cluster() as cluster:
        yield cluster


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/photospine.sqlite3"
    cluster: postgres.Cluster = request.getfixturevalue("postgres_cluster")
    return cluster.fresh()


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """A database with the schema and the settings of a small clinic."""
    made = fresh(url, SITE)
    yield made
    made.dispose()
