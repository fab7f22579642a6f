"""Several processes take photos in at the same time, through one Orthanc and one database."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from dicom_bridge.pipeline import Outcome
from dicom_bridge.way import Arrow
from orthanc_plugin.assembly.intake import open_archive, pipeline
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


def test_a_file_that_is_sent_for_two_patients_at_once_is_linked_to_the_first(world: World) -> None:
    hers, his = world.visit("anna"), world.visit("ben")
    his = replace(his, files=hers.files, paths=hers.paths)
    outcomes: list[Outcome] = []

    def at(arrow: Arrow) -> None:
        if arrow is Arrow.SPOOLED and not outcomes:
            outcomes.append(Outcome.ADDED)
            assert [each.outcome for each in world.take(hers)] == [Outcome.ADDED]

    with world.node() as node, open_archive(node) as archive:
        (taken,) = pipeline(node, archive, at).take(his.files, world.plan(his))
    assert taken.outcome is Outcome.UNLINKED
    world.whole(hers)


def test_a_file_that_another_process_took_in_meanwhile_leaves_nothing_behind(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit = world.visit()
    outcomes: list[Outcome] = []
    with world.node() as node, open_archive(node) as archive:
        changes = archive.changes

        def beside(batch: str, since: int, most: int) -> object:  # the last thing before an original is kept
            if not outcomes:
                outcomes.extend(each.outcome for each in world.take(visit))
            return changes(batch, since, most)

        monkeypatch.setattr(archive, "changes", beside)
        (taken,) = pipeline(node, archive).take(visit.files, world.plan(visit))
    assert (outcomes, taken.outcome) == ([Outcome.ADDED], Outcome.KNOWN)
    world.whole(visit)
