"""Processes die at every arrow of the pipeline; afterwards nothing is lost, nothing doubled, nothing seen too early."""

from __future__ import annotations

import time
from threading import Event

import pytest

from consent.store.engine import glancing
from dicom_bridge import ledger
from dicom_bridge.archive import ArchiveUnavailable
from dicom_bridge.pipeline import Outcome
from dicom_bridge.way import Arrow
from orthanc_plugin.assembly.intake import open_archive, pipeline
from orthanc_plugin.assembly.worker import worker_of
from tests.counts import count, report
from tests.pipeline.world import World, spread

pytestmark = pytest.mark.orthanc

FILES = 2
_EACH = (Arrow.SENT, Arrow.ADDED)
_OF_A_BATCH = (Arrow.STORED, Arrow.ATTACHED)
_ONCE = (Arrow.WRITTEN, Arrow.COMMITTED, Arrow.CONCLUDED, Arrow.CLEARED)
#: What a worker passes when it goes on with a batch.
WORKER = [(arrow, nth) for nth in range(1, FILES + 1) for arrow in (*_EACH, *_OF_A_BATCH)]
WORKER += [(arrow, 1) for arrow in _ONCE]
INGEST = [(Arrow.SPOOLED, 1), (Arrow.INTENDED, 1), (Arrow.ANNOUNCED, 1)]
INGEST += [(arrow, nth) for nth in range(1, FILES + 1) for arrow in _EACH]
INGEST += [(arrow, 1) for arrow in (*_OF_A_BATCH, *_ONCE)]
#: What it passes when it takes a batch back whose originals are lost.
ABANDON = [(Arrow.GIVEN_UP, 1), (Arrow.REMOVED, 1), (Arrow.REMOVED, 2), (Arrow.REGRETTED, 1), (Arrow.FORGOTTEN, 1)]
UNANNOUNCED = {Arrow.SPOOLED, Arrow.INTENDED}


def _recovered(world: World) -> None:
    world.due()
    assert world.victim("worker") == 0


def _chosen(name: str, cases: list[tuple[Arrow, int]], small: int) -> list[tuple[Arrow, int]]:
    return spread(cases, count(name, small=small, full=len(cases)))


def _ids(case: tuple[Arrow, int]) -> str:
    return f"{case[0].value}-{case[1]}"


@pytest.mark.parametrize("case", _chosen("ingest killed at arrows", INGEST, 4), ids=_ids)
def test_ingest_dies_and_the_worker_goes_on(world: World, case: tuple[Arrow, int]) -> None:
    started = time.monotonic()
    visit = world.visit(files=FILES)
    intents = world.open_intents()
    before = world.count("Procedure")
    assert world.ingest_until(*case, visit) == -9
    world.nobody_sees(visit)
    _recovered(world)
    if case[0] in UNANNOUNCED:
        # Its sender was told nothing: the files are not taken in, and nothing but the spool knows of them.
        world.nobody_sees(visit)
        assert world.count("Procedure") == before
        assert [each.outcome for each in world.take(visit, record=True)] == [Outcome.ADDED] * FILES
    world.whole(visit)
    assert world.count("Procedure") == before + 1
    assert [each.outcome for each in world.take(visit, record=True)] == [Outcome.KNOWN] * FILES
    world.whole(visit)
    assert world.count("Procedure") == before + 1
    # A write that was announced in the audit chain and never began has no outcome, and `audit verify` says so.
    assert len(world.open_intents() - intents) == (1 if case[0] is Arrow.INTENDED else 0)
    report("ingest killed at arrows", asked=1, run=1, failures=0, started=started)


@pytest.mark.parametrize("case", _chosen("worker killed at arrows", WORKER, 2), ids=_ids)
def test_the_worker_dies_too_and_the_next_one_goes_on(world: World, case: tuple[Arrow, int]) -> None:
    started = time.monotonic()
    visit = world.visit(files=FILES)
    assert world.ingest_until(Arrow.ANNOUNCED, 1, visit) == -9
    world.due()
    assert world.victim("worker", *case) == -9
    world.nobody_sees(visit)
    _recovered(world)
    world.whole(visit)
    report("worker killed at arrows", asked=1, run=1, failures=0, started=started)


@pytest.mark.parametrize("case", _chosen("the next ingest after a kill", INGEST, 2), ids=_ids)
def test_ingest_dies_and_the_next_ingest_goes_on(world: World, case: tuple[Arrow, int]) -> None:
    started = time.monotonic()
    visit = world.visit(files=FILES)
    assert world.ingest_until(*case, visit) == -9
    wanted = Outcome.ADDED if case[0] in UNANNOUNCED else Outcome.KNOWN
    assert [each.outcome for each in world.take(visit, record=True)] == [wanted] * FILES
    _recovered(world)
    world.whole(visit)
    report("the next ingest after a kill", asked=1, run=1, failures=0, started=started)


@pytest.mark.parametrize("case", _chosen("Orthanc killed at arrows", INGEST, 2), ids=_ids)
def test_orthanc_dies_and_what_it_had_is_found_again(world: World, case: tuple[Arrow, int]) -> None:
    started = time.monotonic()
    visit = world.visit(files=FILES)
    arrow, nth = case
    seen = 0

    def at(here: Arrow) -> None:
        nonlocal seen
        seen += here is arrow
        if here is arrow and seen == nth:
            world.kill_orthanc()

    with world.node() as node, open_archive(node) as archive:
        try:
            pipeline(node, archive, at).take(visit.files, world.plan(visit, record=True))
        except ArchiveUnavailable:
            died = True
        else:
            died = False
    assert seen >= nth
    # Where nothing was left to ask of it, nobody noticed.
    noticed = arrow not in _ONCE and case not in ((Arrow.ATTACHED, 1), (Arrow.ADDED, FILES))
    assert died is noticed
    world.archive.process.start()
    world.nobody_sees(visit)
    _recovered(world)
    world.whole(visit)
    report("Orthanc killed at arrows", asked=1, run=1, failures=0, started=started)


@pytest.mark.parametrize("case", _chosen("worker killed while it takes a batch back", ABANDON, 2), ids=_ids)
def test_a_batch_whose_originals_are_lost_is_taken_back_and_told_once(world: World, case: tuple[Arrow, int]) -> None:
    started = time.monotonic()
    visit = world.visit(files=FILES)
    intents = world.open_intents()
    assert world.ingest_until(Arrow.SENT, 1, visit) == -9  # Orthanc has the first object, and not its original
    first = world.sops(visit)[0]
    with glancing(world.engine) as connection:
        entry = ledger.entry(connection, first)
    assert entry is not None
    assert entry.orthanc_id in world.instances()
    (world.settings.spool / first).unlink()
    tasks = world.tasks("originals-lost")
    world.due()
    assert world.victim("worker", *case) == -9
    world.nobody_sees(visit)
    _recovered(world)
    _recovered(world)
    with glancing(world.engine) as connection:
        assert [ledger.entry(connection, sop) for sop in world.sops(visit)] == [None] * FILES
    assert entry.orthanc_id not in world.instances()
    (told,) = world.tasks("originals-lost")[len(tasks) :]
    assert {each["valueIdentifier"]["value"] for each in told["input"]} == {f"urn:oid:{s}" for s in world.sops(visit)}
    assert world.open_intents() == intents
    # What it asks for helps: sent again, the files are photos.
    assert [each.outcome for each in world.take(visit, record=True)] == [Outcome.ADDED] * FILES
    world.whole(visit)
    report("worker killed while it takes a batch back", asked=1, run=1, failures=0, started=started)


def test_a_batch_that_does_not_get_through_is_told_once_and_settled_when_it_does(world: World) -> None:
    visit = world.visit(files=FILES)
    assert world.ingest_until(Arrow.ANNOUNCED, 1, visit) == -9
    with world.node("worker") as node, open_archive(node) as archive:

        def fault(here: str) -> None:
            if faulty and here == Arrow.SENT:
                raise RuntimeError

        faulty = True
        worker = worker_of(node, archive, fault, Event())
        for attempt in range(1, 9):
            world.due()
            while worker.one_job():
                pass
            assert len(world.tasks("batch-stands-still")) == (1 if attempt >= 6 else 0)
        (task,) = world.tasks("batch-stands-still")
        assert (task["status"], task["for"]) == ("requested", {"reference": "Patient/anna"})
        assert task["meta"]["versionId"] == "1"
        world.nobody_sees(visit)
        faulty = False
        world.due()
        while worker.one_job():
            pass
    (task,) = world.tasks("batch-stands-still")
    assert task["status"] == "completed"
    world.whole(visit)


@pytest.mark.parametrize("arrow", [Arrow.ANNOUNCED, Arrow.SENT], ids=str)
def test_a_batch_goes_on_though_its_patient_has_another_number_meanwhile(world: World, arrow: Arrow) -> None:
    def numbered(number: str) -> None:
        world.put({"resourceType": "Patient", "id": f"renumbered-{arrow}", "identifier": [{"value": number}]})

    numbered(f"before-{arrow}")
    visit = world.visit(f"renumbered-{arrow}", files=FILES)
    assert world.ingest_until(arrow, 1, visit) == -9
    numbered(f"after-{arrow}")
    _recovered(world)
    world.whole(visit)
