"""Migrations of the database, run by ``photospine db upgrade`` alone.

A change of a table is a new revision beside the others: ``python -m orthanc_plugin.assembly.migrations.revise NAME``
writes it from the tables of all packages.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, MetaData

from consent.store.metadata import METADATA

FOLDER = Path(__file__).parent

TABLES = (
    "consent.store.tables",
    "fhir_mapping.tables",
    "fhir_mapping.outcome.tables",
    "fhir_mapping.advisory.tables",
    "fhir_mapping.question.tables",
    "dicom_bridge.tables",
    "dicom_bridge.query.tables",
    "dicom_bridge.gateway.tables",
    "dicom_bridge.publish.tables",
)
"""Every module that defines tables on the shared metadata."""


def metadata() -> MetaData:
    """The shared metadata with the tables of every package."""
    for name in TABLES:
        importlib.import_module(name)
    return METADATA


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Bring the schema to a revision, the newest, within the caller's transaction: all of it, or nothing."""
    command.upgrade(_config(connection), revision)


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["connection"] = connection
    return config


def head() -> str:
    """The newest revision."""
    from alembic.script import ScriptDirectory

    found = ScriptDirectory.from_config(_config(None)).get_current_head()
    assert found is not None
    return found
