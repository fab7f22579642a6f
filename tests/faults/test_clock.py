"""The clock is put ahead or back by hours: nothing is shown until somebody has looked at it, and the doctor says so."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from consent.directive import Span
from consent.identity.keys import load as load_keys
from consent.identity.tickets import TicketKeys, TicketMint
from consent.site import Site, TreatmentDefault
from consent.store.engine import transaction
from consent.store.people import save_directive, save_patient, save_representation
from orthanc_plugin.assembly.cli import build
from tests.faults.world import World
from tests.store.world import consent

pytestmark = [pytest.mark.orthanc]

LIBRARY = os.environ.get("PHOTOSPINE_TEST_FAKETIME", "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
"""Of Debian's package ``libfaketime``: the clock of a process, without the machine's."""

HOURS = 3
MINUTES = 6
"""Before midnight, when her node is started; it is brought near in steps that are no jump."""

STEP = timedelta(seconds=45)
_CACHED = 2.5  # seconds that the library goes by the former offset, at most


class Clock:
    """The clock of Orthanc and ``serve``; the machine's own goes on as ever."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set()

    def set(self, hours: float = 0.0, *, seconds: float = 0.0) -> None:
        """Put it ahead, or back, of the machine's by so much."""
        self._file.write_text(f"{hours * 3600 + seconds:+.0f}s\n", encoding="ascii")
        time.sleep(_CACHED)

    @property
    def environment(self) -> dict[str, str]:
        """For the processes that go by it. What counts seconds is left alone, as by a clock that is put ahead."""
        return {
            "LD_PRELOAD": LIBRARY,
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }


@pytest.fixture(scope="module")
def clocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Clock]]:
    if not Path(LIBRARY).exists():
        pytest.skip("Debian's libfaketime is not installed")
    folder = tmp_path_factory.mktemp("faults")
    clock = Clock(folder / "clock")
    with World(folder, environment=clock.environment) as world:
        yield world, clock


def test_nothing_is_shown_after_a_jump_back(clocked: tuple[World, Clock]) -> None:
    world, clock = clocked
    world.sign_in()
    world.recovers()
    clock.set(-HOURS)
    try:
        world.refuses()
    finally:
        clock.set()
    world.recovers()


@pytest.mark.full
def test_a_jump_ahead_is_named_and_accepted_by_a_start(clocked: tuple[World, Clock]) -> None:
    """Were it wrong then and right at the next start, what was recorded lies ahead of it: a person has to say so."""
    world, clock = clocked
    world.recovers()
    clock.set(HOURS)
    try:
        world.refuses()
        told = _as_the_clock_stands(world, HOURS)
        assert "the clock was put ahead by 3:00:00" in told
        assert "timedatectl" in told
        world.restart()
        world.sign_in()
        world.recovers()
        world.stop()
    finally:
        clock.set()
    with pytest.raises(RuntimeError, match="before the newest record"):
        world.start()
    world.refuses()
    world.blames("clock", "before the newest record", "photospine doctor --accept-clock")
    world.stop()
    done = CliRunner().invoke(build(), ["doctor", "--accept-clock", "--settings", str(world.file)])
    assert "FAIL  clock" not in done.output
    world.start()
    world.sign_in()
    world.recovers()
    world.is_well()


def _as_the_clock_stands(world: World, hours: int) -> str:
    """What the wall says of itself to a doctor who goes by the same clock."""
    mint = TicketMint(
        TicketKeys(load_keys(world.settings.keys).tickets),
        world.settings.node,
        clock=lambda: time.time_ns() // 1000 + hours * 3_600_000_000,
    )
    path = "/photospine/state"
    ticket = mint.mint_task("GET", path, job="doctor", kind="doctor")
    from orthanc_plugin.assembly.clock import CLOCK_REMEDY

    return str(world.archive.ask(path, headers={"Authorization": ticket}).json()) + CLOCK_REMEDY


@pytest.mark.full
def test_a_birthday_ends_what_was_signed_for_a_minor(tmp_path: Path) -> None:
    """Her mother agreed to the treatment, without which nothing is shown here; then the day of majority begins."""
    if not Path(LIBRARY).exists():
        pytest.skip("Debian's libfaketime is not installed")
    clock = Clock(tmp_path / "clock")
    now = datetime.now(UTC)
    midnight = datetime(now.year, now.month, now.day, tzinfo=UTC) + timedelta(days=1)
    ahead = (midnight - now).total_seconds() - 60 * MINUTES
    clock.set(seconds=ahead)
    born = datetime(midnight.year - 18, midnight.month, midnight.day, tzinfo=UTC)
    signed = consent("hers", "permit", "TREAT")
    site = Site(treatment_default=TreatmentDefault.OPT_IN)
    with World(tmp_path / "node", environment=clock.environment, ahead=ahead, site=site) as world:
        with transaction(world.archive.engine) as connection:
            save_patient(connection, "anna", Span(born, born + timedelta(days=1)))
            save_representation(connection, "RelatedPerson/mother", "anna", Span(None, None))
            save_directive(connection, replace(signed, performers=("RelatedPerson/mother",)))
        world.permits()
        while datetime.now(UTC) + timedelta(seconds=ahead) < midnight - STEP:
            ahead += STEP.total_seconds()
            clock.set(seconds=ahead)
            assert world._wall(f"{world.photo.rest}/file").status == 200
            assert world._serve("/chart/patient/anna").status == 200
        world.permits()
        left = midnight - datetime.now(UTC) - timedelta(seconds=ahead)
        time.sleep(max(0.0, left.total_seconds()) + _CACHED)
        world.refuses(decided=True)
