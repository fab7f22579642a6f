"""The clinic of the FHIR tests on either database."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import postgres
from tests.databases import postgres_cluster
from tests.fhir.clinic import Clinic, build, open_clinic
from tests.fhir.conftest import made_clinic

__all__ = ["made_clinic", "postgres_cluster"]


@pytest.fixture(scope="session")
def made_on_postgres(postgres_cluster: postgres.Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Address of the clinic's database on PostgreSQL, made once and copied for each test."""
    url = postgres_cluster.fresh()
    build(tmp_path_factory.mktemp("clinic"), url)
    return url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def clinic(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Clinic]:
    """A clinic of its own for each test."""
    folder, url = tmp_path / "clinic", None
    if request.param == "sqlite":
        shutil.copytree(request.getfixturevalue("made_clinic"), folder)
    else:
        made: str = request.getfixturevalue("made_on_postgres")
        cluster: postgres.Cluster = request.getfixturevalue("postgres_cluster")
        url = cluster.fresh(like=made)
        folder.mkdir()
    opened = open_clinic(folder, url)
    yield opened
    opened.close()
