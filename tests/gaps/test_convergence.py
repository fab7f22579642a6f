"""The convergence index."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pytest

from benchmarks import convergence
from dicom_bridge.gaps.convergence import Month, months, together
from dicom_bridge.gaps.finding import asked
from dicom_bridge.gaps.timeline import courses
from tests.gaps.sentences import protocols, timelines

pytestmark = pytest.mark.fast


def _months(title: str, today: date) -> list[tuple[date, int, int, int, int]]:
    (line,) = (each for each in timelines() if title in each.title)
    taken = [
        one
        for course in courses(line.treatments, protocols(), frozenset(line.going_on))
        for one in asked(course, line.photos, today, set(line.excused))
    ]
    return [(each.first, each.asked, each.there, each.in_time, each.good) for each in months(taken, today)]


def test_all_as_it_should_be_is_one() -> None:
    assert _months("9. All", date(2026, 6, 1)) == [(date(2026, 3, 1), 4, 4, 4, 4)]
    assert Month(date(2026, 3, 1), 4, 4, 4, 4).index == 1.0


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("1. The follow-up never", (4, 2, 2, 2)),
        ("11. She came too late", (4, 4, 2, 2)),
        ("10. One view", (4, 3, 3, 3)),
        ("24. Another camera", (4, 4, 4, 2)),
        ("19. She smiled", (4, 1, 1, 1)),
        ("30. She could not", (3, 1, 1, 1)),
    ],
)
def test_what_counts(title: str, expected: tuple[int, ...]) -> None:
    assert _months(title, date(2026, 6, 1)) == [(date(2026, 3, 1), *expected)]


def test_a_window_that_is_open_is_not_counted_yet() -> None:
    assert _months("10. One view", date(2026, 3, 24)) == [(date(2026, 3, 1), 2, 2, 2, 2)]
    assert _months("10. One view", date(2026, 3, 25)) == [(date(2026, 3, 1), 4, 3, 3, 3)]
    assert _months("10. One view", date(2026, 3, 3)) == []


def test_months_together() -> None:
    made = together([Month(date(2026, 3, 1), 4, 3, 2, 1), Month(date(2026, 4, 1), 4, 4, 4, 4)])
    assert made == Month(date(2026, 3, 1), 8, 7, 6, 5)
    assert together([]) is None


def _good(months: Sequence[Month], since: date, until: date) -> float:
    within = together(each for each in months if since <= each.first < until)
    assert within is not None
    return within.index


def test_a_clinic_whose_staff_acts_on_its_gaps_converges() -> None:
    habit, most = (convergence.simulate(share, patients=150) for share in (0.0, 0.9))
    before = (date(2025, 1, 1), date(2025, 7, 1))
    after = (date(2025, 11, 1), date(2026, 7, 1))
    assert _good(habit, *before) == _good(most, *before)  # nobody has looked at the list yet
    assert _good(habit, *after) < 0.6
    assert _good(most, *after) > 0.8
    assert convergence.simulate(0.9, patients=150) == most
