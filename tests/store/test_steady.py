"""A clock that jumps is noticed; one that is corrected a little, or goes on while the machine sleeps, is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from consent.store.clock import micros
from consent.store.steady import TOLERANCE, ClockJumped, Steady, require_after

pytestmark = pytest.mark.fast

NOON = datetime(2026, 5, 3, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def _steady() -> tuple[Steady, list[float]]:
    ticks = [1000.0]
    return Steady(lambda: ticks[-1]), ticks


@pytest.mark.parametrize(
    ("jump", "says"),
    [(timedelta(hours=3), "ahead by 3:00:00"), (-timedelta(days=1), "back by 1 day"), (TOLERANCE + SECOND, "0:01:01")],
)
def test_a_jump_is_refused_until_it_is_undone(jump: timedelta, says: str) -> None:
    steady, ticks = _steady()
    assert steady.see(NOON) == NOON
    ticks.append(1001.0)
    for _ in range(2):
        with pytest.raises(ClockJumped, match=says):
            steady.see(NOON + SECOND + jump)
    assert steady.see(NOON + SECOND) == NOON + SECOND


def test_small_corrections_do_not_add_up_to_a_jump() -> None:
    steady, ticks = _steady()
    moment = NOON
    for _ in range(20):
        ticks.append(ticks[-1] + 1)
        moment += SECOND - timedelta(seconds=30)
        assert steady.see(moment) == moment


def test_sleep_is_no_jump() -> None:
    steady, ticks = _steady()
    steady.see(NOON)
    ticks.append(1000.0 + 36_000)
    assert steady.see(NOON + timedelta(hours=10)) == NOON + timedelta(hours=10)


def test_no_clock_stands_before_what_it_recorded() -> None:
    require_after(0, NOON)
    require_after(micros(NOON + SECOND), NOON)
    with pytest.raises(ClockJumped, match="2:00:00 before"):
        require_after(micros(NOON + timedelta(hours=2)), NOON)
