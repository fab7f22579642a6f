"""A small clinic on its record, and clients that speak to it over HTTP."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from consent.store.engine import transaction
from fhir_mapping.store.record import RecordStore
from tests.databases import engine, postgres_cluster, url
from tests.fhir.clinic import BASE, RESOURCES, SITE, Clinic, build, document_of, open_clinic
from tests.fhir.refused_pair import pair
from tests.fhir.sessions import put
from tests.fhir.treated import LASER
from tests.fhir.validators import Medplum, Pyrofile

__all__ = ["engine", "pair", "postgres_cluster", "url"]


@pytest.fixture(scope="session")
def made_clinic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clinic's folder, made once."""
    folder = tmp_path_factory.mktemp("clinic")
    build(folder)
    shutil.rmtree(folder / "audit")
    return folder


@pytest.fixture
def clinic(made_clinic: Path, tmp_path: Path) -> Iterator[Clinic]:
    """A clinic of its own for each test, on SQLite."""
    folder = tmp_path / "clinic"
    shutil.copytree(made_clinic, folder)
    made = open_clinic(folder)
    yield made
    made.close()


@pytest.fixture
def record(engine: Engine) -> RecordStore:
    """The clinic's people and treatments, on either database."""
    store = RecordStore(SITE, base=BASE)
    with transaction(engine) as connection:
        for resource in RESOURCES:
            store.update(connection, resource["resourceType"], resource["id"], resource, source="test")
    return store


@pytest.fixture
def store(engine: Engine, record: RecordStore) -> RecordStore:
    """The record with a machine and a photo's document."""
    with transaction(engine) as connection:
        put(connection, record, LASER)
        record.create(connection, "DocumentReference", document_of("f1", "anna", "v1"), source="pipeline", id="f1")
    return record


@pytest.fixture(scope="session")
def medplum() -> Iterator[Medplum]:
    """Medplum's validator."""
    made = Medplum()
    yield made
    made.close()


@pytest.fixture(scope="session")
def pyrofile(tmp_path_factory: pytest.TempPathFactory) -> Pyrofile:
    """pyrofile's validator."""
    return Pyrofile(tmp_path_factory.mktemp("r4"))
