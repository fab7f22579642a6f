"""Processes die at every arrow of a correction: never are two instances visible, never none, and nothing is lost."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
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
from tests import forks
from tests.counts import count, report
from tests.links.world import Links, Row

pytestmark = pytest.mark.orthanc

WORKER = (
    Arrow.SENT,
    Arrow.STORED,
    Arrow.ADDED,
    Arrow.ATTACHED,
    Arrow.TOLD,
    Arrow.NOTED,
    Arrow.WRITTEN,
    Arrow.COMMITTED,
    Arrow.CONCLUDED,
    Arrow.CLEARED,
)
"""What a worker passes when it goes on with a correction."""

COMMAND = (Arrow.INTENDED, Arrow.ANNOUNCED, *WORKER)
AFTER = {Arrow.COMMITTED, Arrow.CONCLUDED, Arrow.CLEARED}


@dataclass(frozen=True, slots=True)
class Wrong:
    """A photo of which something wrong is said, and what is right."""

    former: Row
    original: bytes
    said: dict[str, str]
    others: tuple[str, ...] = ()
    """Instances that were rejected before."""

    seen: bool = True
    """Whether it is seen before it is corrected: one that waits is not."""


def _side(clinic: Links) -> Wrong:
    visit = clinic.visit()
    clinic.take(visit)
    return Wrong(clinic.one(visit), visit.files[0], {"region": "cheek", "laterality": "L"})


def _patient(clinic: Links) -> Wrong:
    visit, right = clinic.visit("anna"), clinic.visit("ben")
    clinic.take(visit)
    return Wrong(clinic.one(visit), visit.files[0], {"patient": "ben", "visit": right.encounter})


def _visit(clinic: Links) -> Wrong:
    visit, right = clinic.visit("anna"), clinic.visit("anna")
    clinic.take(visit)
    return Wrong(clinic.one(visit), visit.files[0], {"visit": right.encounter})


def _patient_of_the_visit(clinic: Links) -> Wrong:
    visit = clinic.visit("anna")
    clinic.take(visit)
    clinic.put(clinic.bare("Encounter", visit.encounter) | {"subject": {"reference": "Patient/ben"}})
    return Wrong(clinic.one(visit), visit.files[0], {"patient": "ben", "visit": visit.encounter})


def _again(clinic: Links) -> Wrong:
    wrong = _side(clinic)
    made = clinic.corrected(wrong.former.sop, **wrong.said)
    said = {"region": "cheek", "laterality": "R"}
    return Wrong(clinic.row(made), wrong.original, said, (wrong.former.sop,))


def _back(clinic: Links) -> Wrong:
    visit, other = clinic.visit("anna"), clinic.visit("ben")
    clinic.take(visit)
    first = clinic.one(visit)
    made = clinic.corrected(first.sop, patient="ben", visit=other.encounter)
    return Wrong(clinic.row(made), visit.files[0], {"patient": "anna", "visit": visit.encounter}, (first.sop,))


def _waiting(clinic: Links) -> Wrong:
    visit = clinic.visit("anna")
    number = int(visit.encounter.rpartition("-")[2])
    made = clinic.sent(40_000 + number, PatientID="NOBODY", PatientName="Wrong^Name")
    return Wrong(clinic.row(made.sop), made.dicom, {"patient": "anna", "visit": visit.encounter}, seen=False)


KINDS: tuple[Callable[[Links], Wrong], ...] = (
    _side,
    _patient,
    _visit,
    _patient_of_the_visit,
    _again,
    _back,
    _waiting,
)
_EVERY = [
    (who, arrow, kind)
    for kind in KINDS
    for who, arrows in (("command", COMMAND), ("worker", WORKER))
    for arrow in arrows
]
_STEP = 37
"""Shares no divisor with the number of cases: steps of it come to every case before one comes again."""

_KILLS = count("kills in corrections", small=7, full=200)
CASES = [_EVERY[number * _STEP % len(_EVERY)] for number in range(_KILLS)]


def _corrected_until(clinic: Links, arrow: Arrow, former: Row, said: dict[str, str]) -> int:
    return forks.run("tests.links.victim", str(clinic.file), arrow.value, "1", former.sop, json.dumps(said))


def _recovered(clinic: Links) -> None:
    clinic.due()
    clinic.work()


def _visible(clinic: Links, wrong: Wrong) -> list[str]:
    """SOP Instance UIDs that a clinician sees of what was made from this photo's file."""
    with glancing(clinic.engine) as connection:
        entries = ledger.by_file(connection, hashlib.sha256(wrong.original).hexdigest())
    objects = {each.sop_uid: each.orthanc_id for each in entries} | {wrong.former.sop: wrong.former.orthanc_id}
    assert set(wrong.others) <= set(objects)
    listed = clinic.archive.ask("/dicom-web/instances?limit=10000", "clinician", "TREAT").body
    found = [sop for sop in objects if sop.encode() in listed]
    for sop, orthanc_id in objects.items():
        rest = clinic.archive.ask(f"/instances/{orthanc_id}/file", "clinician", "TREAT").status
        assert (rest == 200) is (sop in found), sop
    return found


def _whole(clinic: Links, wrong: Wrong, objects: set[str]) -> Row:
    """The photo is there once, corrected, with its original; and every object that there was is there still."""
    (sop,) = _visible(clinic, wrong)
    assert sop not in (wrong.former.sop, *wrong.others)
    made = clinic.row(sop)
    assert clinic.original_of(made) == wrong.original
    kept = clinic.file_of(wrong.former) if not wrong.seen else clinic.original_of(wrong.former)
    assert kept == wrong.original
    present = clinic.instances()
    assert objects < present
    assert len(present - objects) == 2
    with glancing(clinic.engine) as connection:
        entry = ledger.entry(connection, sop)
        assert entry is not None
        batch = ledger.of_batch(connection, entry.batch)
    assert [each.state for each in batch] == [State.DONE, State.DONE]
    assert {each.orthanc_id for each in batch} == present - objects
    for each in batch:
        if each.sop_uid != sop:  # the document about the former instance is nobody's to see
            assert not clinic.seen(each.sop_uid)
    assert clinic.row(wrong.former.sop).state == "rejected"
    assert clinic.document(sop)["status"] == "current"
    if wrong.seen:
        assert clinic.document(wrong.former.sop)["status"] == "entered-in-error"
    assert made.patient == wrong.said.get("patient", "anna")
    clinic.bits_are_true()
    return made


def _name(case: tuple[str, Arrow, Callable[[Links], Wrong]]) -> str:
    who, arrow, kind = case
    return f"{kind.__name__.strip('_')}-{who}-{arrow.value}"


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_a_process_dies_in_a_correction_and_the_next_one_goes_on(
    clinic: Links, case: tuple[str, Arrow, Callable[[Links], Wrong]]
) -> None:
    started = time.monotonic()
    who, arrow, kind = case
    wrong = kind(clinic)
    before = [wrong.former.sop] if wrong.seen else []
    objects, intents = clinic.instances(), clinic.open_intents()
    if who == "command":
        assert _corrected_until(clinic, arrow, wrong.former, wrong.said) == -9
    else:
        assert _corrected_until(clinic, Arrow.ANNOUNCED, wrong.former, wrong.said) == -9
        assert _visible(clinic, wrong) == before
        clinic.due()
        assert clinic.victim("worker", arrow) == -9
    seen = _visible(clinic, wrong)
    if arrow in AFTER:
        (only,) = seen
        assert only != wrong.former.sop
    else:
        assert seen == before
    _recovered(clinic)
    if arrow is Arrow.INTENDED:  # it was never announced, and is asked for again
        assert _visible(clinic, wrong) == before
        clinic.corrected(wrong.former.sop, **wrong.said)
    _whole(clinic, wrong, objects)
    assert len(clinic.open_intents() - intents) == (1 if arrow is Arrow.INTENDED else 0)
    _recovered(clinic)
    _whole(clinic, wrong, objects)
    report("kills in corrections", asked=1, run=1, failures=0, started=started)


def test_orthanc_is_away_and_the_correction_goes_on_when_it_is_back(clinic: Links) -> None:
    wrong = _side(clinic)
    objects = clinic.instances()
    assert _corrected_until(clinic, Arrow.STORED, wrong.former, wrong.said) == -9
    clinic.kill_orthanc()
    clinic.due()
    with clinic.node("worker") as node, open_archive(node) as archive:
        worker = worker_of(node, archive, lambda _: None, Event())
        with glancing(node.engine) as connection:
            (batch,) = ledger.open_batches(connection, datetime.now(UTC) + timedelta(days=1))
        with pytest.raises(ArchiveUnavailable):
            worker.recovery.recover(batch)
    clinic.archive.process.start()
    assert _visible(clinic, wrong) == [wrong.former.sop]
    _recovered(clinic)
    _whole(clinic, wrong, objects)


def test_a_photo_that_is_being_corrected_is_not_corrected_otherwise(clinic: Links) -> None:
    wrong = _side(clinic)
    objects = clinic.instances()
    assert _corrected_until(clinic, Arrow.ANNOUNCED, wrong.former, wrong.said) == -9
    other = clinic.link(wrong.former.sop, region="cheek", laterality="R", reason="No, the other one.")
    assert (other.exit_code, "is corrected already" in other.stderr) == (1, True)
    _recovered(clinic)
    made = _whole(clinic, wrong, objects)
    assert clinic.document(made.sop)["extension"][0]["extension"][1]["valueCode"] == "L"


# --- what the record says changes on the way --------------------------------------------------------------------------


def _told(clinic: Links, wrong: Wrong) -> list[dict[str, object]]:
    named = f"urn:oid:{wrong.former.sop}"
    return [
        each for each in clinic.tasks("correction-given-up") if each["input"][0]["valueIdentifier"]["value"] == named
    ]


@pytest.mark.parametrize("arrow", [Arrow.ANNOUNCED, Arrow.ATTACHED, Arrow.NOTED])
def test_a_visit_that_is_another_patients_by_then_is_not_where_the_photo_goes(clinic: Links, arrow: Arrow) -> None:
    wrong = _patient(clinic)
    objects = clinic.instances()
    intents = clinic.open_intents()
    assert _corrected_until(clinic, arrow, wrong.former, wrong.said) == -9
    visit = wrong.said["visit"]
    clinic.put(clinic.bare("Encounter", visit) | {"subject": {"reference": "Patient/anna"}})
    assert len(clinic.open_intents() - intents) == 1
    _recovered(clinic)
    assert _visible(clinic, wrong) == [wrong.former.sop]
    assert clinic.instances() == objects
    assert clinic.open_intents() == intents
    (task,) = _told(clinic, wrong)
    assert (task["status"], "not a visit of Patient/ben" in str(task)) == ("requested", True)
    right = clinic.visit("ben")
    clinic.corrected(wrong.former.sop, patient="ben", visit=right.encounter)
    _whole(clinic, wrong, objects)
    (task,) = _told(clinic, wrong)
    assert task["status"] == "completed"


def test_a_copy_whose_source_is_rejected_by_then_is_not_corrected(clinic: Links) -> None:
    source, wrong = _side(clinic), _side(clinic)
    clinic.copied(wrong.former, source.former)
    assert _corrected_until(clinic, Arrow.STORED, wrong.former, wrong.said) == -9
    right = clinic.visit("ben")
    clinic.corrected(source.former.sop, patient="ben", visit=right.encounter)
    objects = clinic.instances()
    _recovered(clinic)
    assert _visible(clinic, wrong) == []
    assert len(objects - clinic.instances()) == 1  # what had been stored for it and was never seen
    (task,) = _told(clinic, wrong)
    assert task["status"] == "requested"
    assert clinic.row(wrong.former.sop).state == "rejected"
