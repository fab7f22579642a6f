"""Where Orthanc, the database or the audit is away, nothing leaves; when it is back, all goes on."""

from __future__ import annotations

import io
import shutil
import time
from pathlib import Path

import pytest
from pydicom import dcmread
from pynetdicom import evt
from pynetdicom.presentation import build_context

from tests.gateway.peers import JPEG, STUDY_FIND, STUDY_GET, statuses, storage
from tests.gateway.test_storing import commit
from tests.gateway.world import Gate, identifier

pytestmark = pytest.mark.orthanc

ECHO = "1.2.840.10008.1.1"


def _get(door: Gate, study: str) -> list[tuple[int, tuple[int | None, ...]]]:
    contexts, roles = storage(JPEG)
    with door.association(
        STUDY_GET, roles=roles, more=contexts, handlers=[(evt.EVT_C_STORE, lambda _: 0)]
    ) as association:
        answers = list(association.send_c_get(identifier("STUDY", StudyInstanceUID=study), STUDY_GET))
    return statuses(answers) if "Status" in answers[0][0] else []


def test_orthanc_is_away_and_comes_back(door: Gate) -> None:
    door.archive.patient("iris")
    photo = door.archive.photo("iris")
    door.peer("CAMERA", "camera")
    sent = dcmread(io.BytesIO(door.archive.describe("anna", 950).dicom))
    contexts = [build_context(sent.SOPClassUID, JPEG)]
    door.archive.process.stop()
    try:
        assert _get(door, photo.study) == [(0xA702, (None, 0, 1, 0))]
        assert commit(door, "VIEWER", photo.sop, "1.2.9") == {photo.sop: 0x0112, "1.2.9": 0x0112}
        with door.association(title="CAMERA", more=contexts) as association:
            assert association.send_c_store(sent).Status == 0xA700
    finally:
        door.archive.process.start()
    assert _get(door, photo.study) == [(0, (None, 1, 0, 0))]
    with door.association(title="CAMERA", more=contexts) as association:
        assert association.send_c_store(sent).Status == 0


def test_without_the_database_nobody_is_let_in_and_nothing_is_answered(door: Gate) -> None:
    database = Path(str(door.archive.engine.url.database))
    away = database.with_suffix(".away")
    with door.association(STUDY_FIND) as standing:
        door.archive.engine.dispose()
        database.rename(away)
        time.sleep(0.2)  # whether the name still stands for the file is looked at every 50 ms
        try:
            with door.association(ECHO) as association:
                assert association.is_rejected
            answers = list(standing.send_c_find(identifier("STUDY", StudyInstanceUID=""), STUDY_FIND))
            assert "Status" not in answers[0][0]
        finally:
            away.rename(database)
    with door.association(ECHO) as association:
        assert association.is_established


def test_what_cannot_be_recorded_does_not_leave(door: Gate) -> None:
    photo = door.archive.photo("ben")
    folder = door.archive.settings.audit_folder
    away = folder.with_name("audit-away")
    shutil.copytree(folder, away)
    for file in folder.glob("*gateway*.sqlite3*"):
        file.unlink()
    try:
        assert _get(door, photo.study) == [], "the association ends, and nothing was sent"
    finally:
        for file in away.glob("*gateway*.sqlite3*"):
            shutil.copy2(file, folder / file.name)
