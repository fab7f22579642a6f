"""Processes die while an object from elsewhere is examined and linked: it is one photo afterwards, unseen before."""

from __future__ import annotations

import time
from threading import Event

import pytest

from consent.store.engine import glancing
from dicom_bridge.archive import ArchiveUnavailable
from dicom_bridge.objects.uids import fhir_id
from dicom_bridge.settling import Step
from orthanc_plugin.assembly.intake import open_archive
from orthanc_plugin.assembly.worker import worker_of
from tests.counts import count, report
from tests.pipeline.sent import is_seen, send, state_of
from tests.pipeline.world import World, spread

pytestmark = [pytest.mark.orthanc]

STEPS = list(Step)
_UNLINKED = {Step.RECORDED, Step.READ, Step.INTENDED, Step.WRITTEN}
#: Where the process dies between the intent and its outcome, `audit verify` tells of an open intent.
_OPEN = {Step.INTENDED, Step.WRITTEN, Step.COMMITTED}


def _chosen(name: str, small: int) -> list[Step]:
    return spread(STEPS, count(name, small=small, full=len(STEPS)))


def _version(world: World, sop: str) -> int:
    """Of the photo's document."""
    with glancing(world.engine) as connection:
        return world.store.read(connection, "DocumentReference", fhir_id(sop)).version


@pytest.mark.parametrize("step", _chosen("worker killed while linking", 2), ids=str)
def test_the_worker_dies_while_it_links_and_the_next_one_goes_on(world: World, step: Step) -> None:
    started = time.monotonic()
    visit = world.visit()
    made = send(world, 900 + STEPS.index(step), AccessionNumber=f"ACC-{visit.encounter.rpartition('-')[2]}")
    intents = world.open_intents()
    before = {kind: world.count(kind) for kind in ("DocumentReference", "Provenance", "Task")}
    assert world.victim("worker", step) == -9
    assert is_seen(world, made) is (step not in _UNLINKED)
    world.due()
    assert world.victim("worker") == 0
    assert state_of(world, made) == "linked"
    assert is_seen(world, made)
    assert _version(world, made.sop) == 1
    after = {kind: world.count(kind) - before[kind] for kind in before}
    assert after == {"DocumentReference": 1, "Provenance": 1, "Task": 0}
    assert len(world.open_intents() - intents) == (step in _OPEN)
    report("worker killed while linking", asked=1, run=1, failures=0, started=started)


@pytest.mark.parametrize("step", _chosen("Orthanc killed while linking", 1), ids=str)
def test_orthanc_dies_while_the_worker_links(world: World, step: Step) -> None:
    started = time.monotonic()
    visit = world.visit()
    made = send(world, 950 + STEPS.index(step), AccessionNumber=f"ACC-{visit.encounter.rpartition('-')[2]}")
    died = False

    def at(here: str) -> None:
        nonlocal died
        if here == step and not died:
            died = True
            world.kill_orthanc()

    with world.node("worker") as node, open_archive(node) as archive:
        worker = worker_of(node, archive, at, Event())
        try:
            worker.look()
        except ArchiveUnavailable:
            assert step in (Step.RECORDED, Step.ADVANCED)
        assert died
        world.archive.process.start()
        worker.look()
    assert state_of(world, made) == "linked"
    assert is_seen(world, made)
    assert _version(world, made.sop) == 1
    report("Orthanc killed while linking", asked=1, run=1, failures=0, started=started)
