"""What a closed visit excuses."""

from __future__ import annotations

from datetime import date

import pytest

from dicom_bridge.gaps.convergence import months
from dicom_bridge.gaps.excuses import HERS, Closing, excused
from dicom_bridge.gaps.finding import asked, gaps
from dicom_bridge.gaps.timeline import Course, Photo, courses
from dicom_bridge.protocols.reasons import reasons
from tests.gaps.sentences import protocols, timelines

pytestmark = pytest.mark.fast
ASKED = date(2026, 4, 1)


def _case() -> tuple[tuple[Course, ...], list[Photo]]:
    (line,) = (each for each in timelines() if each.title.startswith("1. "))
    return courses(line.treatments, protocols()), line.photos


def _closed(reason: str, day: date = date(2026, 3, 20), shot: str = "frown") -> Closing:
    return Closing(day, "toxin-glabella", shot, reason)


def test_reasons_of_the_patient_are_among_those_that_people_choose_from() -> None:
    assert reasons().keys() > HERS


@pytest.mark.parametrize(("reason", "asked_for"), [("patient-declined", 3), ("forgotten", 4)])
def test_what_lies_with_the_patient_was_never_asked_for(reason: str, asked_for: int) -> None:
    found, photos = _case()
    why = excused(found, [_closed(reason)])
    (gap,) = gaps(found, photos, ASKED, why)
    assert [each.name for each in gap.shots] == ["rest"]
    (month,) = months([one for each in found for one in asked(each, photos, ASKED, why)], ASKED)
    assert (month.asked, month.there) == (asked_for, 2)


@pytest.mark.parametrize("day", [date(2026, 3, 12), date(2026, 4, 6)])
def test_a_visit_outside_the_time_point_excuses_nothing_of_it(day: date) -> None:
    found, _ = _case()
    assert excused(found, [_closed("forgotten", day)]) == frozenset()


def test_another_protocol_s_shot_of_the_same_name_is_not_meant() -> None:
    found, _ = _case()
    assert excused(found, [Closing(date(2026, 3, 20), "toxin-forehead", "frown", "forgotten")]) == frozenset()


def test_where_all_is_excused_there_is_no_gap_and_what_comes_later_counts() -> None:
    found, photos = _case()
    why = excused(found, [_closed("forgotten"), _closed("no-time", shot="rest")])
    assert gaps(found, photos, ASKED, why) == ()
    late = [*photos, Photo(9, date(2026, 3, 30), photos[0].view, photos[0].device)]
    (gap,) = gaps(found, late, ASKED, why)
    assert (gap.kind.value, gap.shots[0].name) == ("late", "rest")
