"""Several processes take photos in at the same time, through one Orthanc and one database."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from dicom_bridge.pipeline import Outcome
from tests.pipeline.world import Visit, World

pytestmark = pytest.mark.orthanc

PROCESSES = 4
SECONDS = 90
"""Far longer than it takes, and a process that Orthanc never answers again is not waited for."""


def _together(world: World, visit: Visit, shares: Sequence[Sequence[Path]]) -> None:
    plan = world.settings.folder / "at-once.plan"
    plan.write_text(world.plan(visit).dumps(), "utf-8")
    words = [sys.executable, "-m", "tests.pipeline.victim", str(world.file), "ingest", "-", "1", str(plan)]
    senders = [subprocess.Popen([*words, *map(str, share)]) for share in shares]
    try:
        assert [sender.wait(SECONDS) for sender in senders] == [0] * len(shares)
    finally:
        for sender in senders:
            sender.kill()
            sender.wait()


@pytest.mark.parametrize("round_", range(2))
def test_photos_of_one_view_sent_by_several_processes_are_all_taken_in(world: World, round_: int) -> None:
    visit = world.visit(files=2 * PROCESSES)
    _together(world, visit, [visit.paths[place::PROCESSES] for place in range(PROCESSES)])
    world.whole(visit)


def test_the_same_files_sent_by_several_processes_are_taken_in_once(world: World) -> None:
    visit = world.visit(files=2)
    _together(world, visit, [visit.paths] * PROCESSES)
    world.whole(visit)
    assert [each.outcome for each in world.take(visit)] == [Outcome.KNOWN] * 2
