"""All that is left is Orthanc's folder and a backup of the database: every original is rebuilt from these, whole."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import make_url, select

from consent.store.engine import glancing, open_engine
from dicom_bridge.archive import OrthancArchive
from dicom_bridge.tables import ledger
from fhir_mapping.resources.document_reference import ORIGINAL_HASH
from fhir_mapping.store.reader import RecordReader
from orthanc_plugin.assembly.open import open_node
from tests.archive import Archive
from tests.counts import count, report
from tests.formats import FORMATS, HEIC_SAMPLES
from tests.photos import Shot
from tests.pipeline.world import World
from tests.ports import free_port

pytestmark = [pytest.mark.orthanc]

_ENDINGS = {"JPEG": ".jpg", "MPO": ".mpo", "PNG": ".png", "TIFF": ".tif", "WebP": ".webp"}
_SEED = 61


def _files(many: int) -> list[dict[str, bytes]]:
    """Files of each format in turn, of several sizes and turns, by visit."""
    made = [{"phone.heic": (HEIC_SAMPLES / "heif" / "RGB_8__128x128.heif").read_bytes()}]
    formats = list(FORMATS.items())
    for number in range(many - 1):
        name, make = formats[number % len(formats)]
        turn = number // len(formats)
        shot = Shot(
            width=160 + 16 * (turn % 5),
            height=120 + 8 * (turn % 3),
            orientation=turn % 8 + 1,
            seed=_SEED * 1000 + number,
        )
        if number % len(formats) == 0:
            made.append({})
        made[-1][f"{number}{_ENDINGS[name.split()[0].strip(',')]}"] = make(shot)
    return made


def _backup(engine_url: str, target: Path) -> None:
    """What a site's own backup of the database is: a copy that is one state of it."""
    with (
        closing(sqlite3.connect(str(make_url(engine_url).database))) as source,
        closing(sqlite3.connect(target)) as copy,
    ):
        source.backup(copy)


def test_every_original_is_rebuilt_from_a_backup_of_orthanc_and_database(world: World, tmp_path: Path) -> None:
    if world.engine.dialect.name != "sqlite":
        pytest.skip("the backup of PostgreSQL is that of its own tools")
    asked = count("originals rebuilt after a restore", small=20, full=300)
    started = time.monotonic()
    sent: dict[str, bytes] = {}
    for files in _files(asked):
        visit = world.visit(sent=files)
        for taken, data in zip(world.take(visit), visit.files, strict=True):
            sent[taken.sop_uid] = data
    backup = tmp_path / "backup.sqlite3"
    _backup(world.archive.settings.database, backup)
    world.archive.process.stop()
    try:
        shutil.copytree(world.settings.folder / "orthanc" / "storage", tmp_path / "storage")
    finally:
        world.archive.process.start()

    anew = Archive(tmp_path / "anew", free_port())  # other keys, no audit chain, no spool
    anew.engine.dispose()
    for file in anew.folder.glob("photospine.sqlite3*"):
        file.unlink()
    shutil.copy(backup, anew.folder / "photospine.sqlite3")
    anew.engine = open_engine(anew.settings.database)
    shutil.copytree(tmp_path / "storage", anew.folder / "orthanc" / "storage")
    wrong = []
    with anew, open_node(anew.settings, "cli") as node:
        archive = OrthancArchive(anew.settings.orthanc, anew.mint)
        reader = RecordReader(node.site)
        with glancing(anew.engine) as connection:
            rows = connection.execute(select(ledger.c.sop_uid, ledger.c.orthanc_id, ledger.c.sha256)).all()
            for row in rows:
                if row.sop_uid not in sent:  # another test's
                    continue
                back = archive.original("restore", row.orthanc_id)
                (document,) = reader.by_identifier(connection, "DocumentReference", row.sha256, ORIGINAL_HASH)
                if back != sent.pop(row.sop_uid) or hashlib.sha256(back).hexdigest() != row.sha256 or not document:
                    wrong.append(row.sop_uid)
        archive.close()
    report(
        "originals rebuilt after a restore",
        asked=asked,
        run=asked - len(sent),
        failures=len(wrong),
        seed=_SEED,
        started=started,
    )
    assert sent == {}
    assert wrong == []
