"""The migrations make exactly the tables that the packages define, and nothing starts on another schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Column, MetaData, String, Table, insert, select, text

from consent.store import schema
from consent.store.engine import open_engine, reading, transaction
from consent.store.schema import WrongSchema, require_schema
from consent.store.sites import NoSite
from dicom_bridge.query.search import attributes_of
from dicom_bridge.query.tables import dicom_instance
from orthanc_plugin.assembly import migrations
from orthanc_plugin.assembly.migrations import revise
from orthanc_plugin.assembly.open import open_node
from orthanc_plugin.assembly.settings import Settings
from orthanc_plugin.assembly.upgrade import status, upgrade


def _settings(url: str, folder: Path) -> Settings:
    return Settings(
        folder, database=url, audit_folder=folder / "audit", keys=folder / "keys.json", checkpoint_key=folder / "c.key"
    )


def test_the_migrated_schema_is_the_metadata(url: str, tmp_path: Path) -> None:
    upgrade(_settings(url, tmp_path), os_user="test")
    engine = open_engine(url)
    with reading(engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, migrations.metadata()) == []
    engine.dispose()


@pytest.mark.fast
def test_the_revisions_make_all_that_the_tables_have() -> None:
    assert revise.source("") == "", "tables changed: run 'python -m orthanc_plugin.assembly.migrations.revise NAME'"


@pytest.mark.fast
def test_the_software_expects_the_newest_migration() -> None:
    assert migrations.head() == schema.REVISION


def test_nothing_starts_on_a_wrong_schema(url: str, tmp_path: Path) -> None:
    settings = _settings(url, tmp_path)
    assert not status(settings).fits
    with pytest.raises(WrongSchema, match="db upgrade"), open_node(settings):
        pass
    upgrade(settings, os_user="test")
    assert status(settings).fits
    with open_node(settings) as node:
        assert node.site == settings.site
    engine = open_engine(url)
    with transaction(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(WrongSchema, match="9999"), reading(engine) as connection:
        require_schema(connection)
    with pytest.raises(WrongSchema), open_node(settings):
        pass
    engine.dispose()


def test_an_upgrade_is_safe_to_run_again_and_to_be_interrupted(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, head = _settings(url, tmp_path), migrations.head()
    with monkeypatch.context() as patch:
        patch.setattr(schema, "REVISION", "9999")
        with pytest.raises(WrongSchema):
            upgrade(settings, os_user="test")
    with pytest.raises(NoSite), open_node(settings):
        pass
    done = upgrade(settings, os_user="test")
    assert (done.before, done.after, done.keys_made, done.site_changed) == (head, head, False, True)
    again = upgrade(settings, os_user="test")
    assert (again.keys_made, again.site_changed) == (False, False)


def test_what_was_indexed_by_the_first_schema_is_found_by_the_newest(url: str, tmp_path: Path) -> None:
    """Each attribute is where it is looked for since: searched ones in columns, the rest apart."""
    attributes = {
        "00080018": {"vr": "UI", "Value": ["2.25.1"]},
        "00080023": {"vr": "DA", "Value": ["20260503"]},
        "00100021": {"vr": "LO", "Value": ["Hospital"]},
        "00200062": {"vr": "CS", "Value": ["L"]},
    }
    engine = open_engine(url, make=True)
    with transaction(engine) as connection:
        migrations.upgrade(connection, "0001")
        for table in ("photo", "dicom_instance"):
            reflected = Table(table, MetaData(), autoload_with=connection)
            values = {column.name: _anything(column) for column in reflected.columns if not column.nullable}
            named = {"photo": 1, "sop_uid": "2.25.1", "attributes": json.dumps(attributes)}
            connection.execute(
                insert(reflected).values(values | {key: named[key] for key in named.keys() & reflected.columns.keys()})
            )
    engine.dispose()
    upgrade(_settings(url, tmp_path), os_user="test")
    engine = open_engine(url)
    with reading(engine) as connection:
        row = connection.execute(select(dicom_instance)).one()
        assert (row.issuer, row.image_laterality, row.content_date) == ("Hospital", "L", "20260503")
        assert attributes_of(connection, [1]) == {1: attributes}
    engine.dispose()


def _anything(column: Column[Any]) -> object:
    return "" if isinstance(column.type, String) else 1
