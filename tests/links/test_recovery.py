"""Processes die at every arrow of a correction: never are two instances visible, never none, and nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest

from consent.store.engine import glancing
from dicom_bridge import ledger
from dicom_bridge.archive import ArchiveUnavailable
from dicom_bridge.ledger import State
from dicom_bridge.way import Arrow
from orthanc_plugin.assembly.intake import open_archive
from orthanc_plugin.assembly.worker import worker_of
from tests.counts import count, report
from tests.links.world import Links, Row
from tests.pipeline.world import Visit, spread

pytestmark = pytest.mark.orthanc

WORKER = [
    (Arrow.SENT, 1),
    (Arrow.STORED, 1),
    (Arrow.ADDED, 1),
    (Arrow.ATTACHED, 1),
    (Arrow.TOLD, 1),
    (Arrow.NOTED, 1),
    (Arrow.WRITTEN, 1),
    (Arrow.COMMITTED, 1),
    (Arrow.CONCLUDED, 1),
    (Arrow.CLEARED, 1),
]
COMMAND = [(Arrow.INTENDED, 1), (Arrow.ANNOUNCED, 1), *WORKER]
AFTER = {Arrow.COMMITTED, Arrow.CONCLUDED, Arrow.CLEARED}


def _corrected_until(clinic: Links, case: tuple[Arrow, int], former: Row, **said: str) -> int:
    command = [sys.executable, "-m", "tests.links.victim", str(clinic.file), case[0].value, str(case[1]), former.sop]
    return subprocess.run([*command, json.dumps(said)], timeout=60, check=False).returncode


def _recovered(clinic: Links) -> None:
    clinic.due()
    assert clinic.victim("worker") == 0


def _visible(clinic: Links, visit: Visit) -> list[str]:
    """SOP Instance UIDs that a clinician sees of the patients' photos made from this visit's file."""
    (sop,) = clinic.sops(visit)
    with glancing(clinic.engine) as connection:
        entry = ledger.entry(connection, sop)
        assert entry is not None
        entries = ledger.by_file(connection, entry.sha256)
    listed = clinic.archive.ask("/dicom-web/instances?limit=10000", "clinician", "TREAT").body
    found = [each.sop_uid for each in entries if each.sop_uid.encode() in listed]
    for each in entries:
        rest = clinic.archive.ask(f"/instances/{each.orthanc_id}/file", "clinician", "TREAT").status
        assert (rest == 200) is (each.sop_uid in found), each
    return found


def _whole(clinic: Links, visit: Visit, former: Row, objects: set[str]) -> Row:
    """The photo is there once, corrected, with its original; and every object that there was is there still."""
    (sop,) = _visible(clinic, visit)
    assert sop != former.sop
    made = clinic.row(sop)
    assert clinic.original_of(made) == visit.files[0]
    present = clinic.instances()
    assert objects < present
    assert len(present - objects) == 2
    with glancing(clinic.engine) as connection:
        entry = ledger.entry(connection, sop)
        assert entry is not None
        batch = ledger.of_batch(connection, entry.batch)
    assert [each.state for each in batch] == [State.DONE, State.DONE]
    assert {each.orthanc_id for each in batch} == present - objects
    assert clinic.row(former.sop).state == "rejected"
    assert [each["status"] for each in (clinic.document(sop), clinic.document(former.sop))] == [
        "current",
        "entered-in-error",
    ]
    return made


def _ids(case: tuple[Arrow, int]) -> str:
    return case[0].value


def _chosen(name: str, cases: list[tuple[Arrow, int]], small: int) -> list[tuple[Arrow, int]]:
    return spread(cases, count(name, small=small, full=len(cases)))


@pytest.mark.parametrize("case", _chosen("link killed at arrows", COMMAND, 3), ids=_ids)
def test_a_correction_dies_and_the_worker_goes_on(clinic: Links, case: tuple[Arrow, int]) -> None:
    started = time.monotonic()
    visit, right = clinic.visit("anna"), clinic.visit("ben")
    clinic.take(visit)
    former = clinic.one(visit)
    objects, intents = clinic.instances(), clinic.open_intents()
    assert _corrected_until(clinic, case, former, patient="ben", visit=right.encounter) == -9
    (seen,) = _visible(clinic, visit)
    assert (seen != former.sop) is (case[0] in AFTER)
    _recovered(clinic)
    if case[0] is Arrow.INTENDED:  # it was never announced, and is asked for again
        assert _visible(clinic, visit) == [former.sop]
        clinic.corrected(former.sop, patient="ben", visit=right.encounter)
    made = _whole(clinic, visit, former, objects)
    assert made.patient == "ben"
    assert len(clinic.open_intents() - intents) == (1 if case[0] is Arrow.INTENDED else 0)
    _recovered(clinic)
    _whole(clinic, visit, former, objects)
    report("link killed at arrows", asked=1, run=1, failures=0, started=started)


@pytest.mark.parametrize("case", _chosen("worker killed in a correction", WORKER, 2), ids=_ids)
def test_the_worker_dies_too_and_the_next_one_goes_on(clinic: Links, case: tuple[Arrow, int]) -> None:
    started = time.monotonic()
    visit = clinic.visit()
    clinic.take(visit)
    former, objects = clinic.one(visit), clinic.instances()
    assert _corrected_until(clinic, (Arrow.ANNOUNCED, 1), former, region="cheek", laterality="L") == -9
    assert _visible(clinic, visit) == [former.sop]
    clinic.due()
    assert clinic.victim("worker", *case) == -9
    assert len(_visible(clinic, visit)) == 1
    _recovered(clinic)
    _whole(clinic, visit, former, objects)
    report("worker killed in a correction", asked=1, run=1, failures=0, started=started)


def test_orthanc_is_away_and_the_correction_goes_on_when_it_is_back(clinic: Links) -> None:
    visit = clinic.visit()
    clinic.take(visit)
    former, objects = clinic.one(visit), clinic.instances()
    assert _corrected_until(clinic, (Arrow.STORED, 1), former, region="cheek", laterality="L") == -9
    clinic.kill_orthanc()
    clinic.due()
    with clinic.node("worker") as node, open_archive(node) as archive:
        worker = worker_of(node, archive, lambda _: None, Event())
        with glancing(node.engine) as connection:
            (batch,) = ledger.open_batches(connection, datetime.now(UTC) + timedelta(days=1))
        with pytest.raises(ArchiveUnavailable):
            worker.recovery.recover(batch)
    clinic.archive.process.start()
    assert _visible(clinic, visit) == [former.sop]
    _recovered(clinic)
    _whole(clinic, visit, former, objects)


def test_a_photo_that_is_being_corrected_is_not_corrected_otherwise(clinic: Links) -> None:
    visit = clinic.visit()
    clinic.take(visit)
    former, objects = clinic.one(visit), clinic.instances()
    assert _corrected_until(clinic, (Arrow.ANNOUNCED, 1), former, region="cheek", laterality="L") == -9
    other = clinic.link(former.sop, region="cheek", laterality="R", reason="No, the other one.")
    assert (other.exit_code, "is corrected already" in other.stderr) == (1, True)
    _recovered(clinic)
    made = _whole(clinic, visit, former, objects)
    assert clinic.document(made.sop)["extension"][0]["extension"][1]["valueCode"] == "L"
