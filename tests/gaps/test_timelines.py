"""Gaps against timelines that were written by hand as sentences, and against generated ones."""

from __future__ import annotations

import time

import pytest

from consent.regions import regions
from consent.types import Laterality
from dicom_bridge.gaps.finding import gaps
from dicom_bridge.gaps.gap import Kind
from dicom_bridge.gaps.timeline import Excused, Photo, Treatment, courses
from dicom_bridge.objects.vocabulary import find_expression, find_view
from dicom_bridge.protocols.reading import load
from fhir_mapping.course.views import View
from fhir_mapping.treatment.session import Named, Place
from tests import counts
from tests.gaps import generator
from tests.gaps.sentences import Expected, misses, protocols, timelines, told

pytestmark = pytest.mark.fast


def test_timelines_written_by_hand() -> None:
    started, known = time.monotonic(), protocols()
    right = found_all = expected_all = 0
    wrong = []
    every = timelines()
    for each in every:
        made = gaps(
            courses(each.treatments, known, frozenset(each.going_on)), each.photos, each.asked, set(each.excused)
        )
        found = {told(gap) for gap in made}
        assert len(found) == len(made), each.title
        right += len(found & each.expected)
        found_all, expected_all = found_all + len(found), expected_all + len(each.expected)
        wrong += [f"{each.title}: {line}" for line in misses(found, each.expected)]
    assert len(every) >= 60
    assert not wrong, "\n".join(wrong)
    counts.report(
        "gap report: timelines written by hand",
        asked=60,
        run=len(every),
        failures=len(wrong),
        started=started,
        measured=f"precision {right / found_all:.3f}, recall {right / expected_all:.3f}, {expected_all} gaps",
    )


def test_generated_timelines() -> None:
    started, seed = time.monotonic(), 20260503
    many = counts.count("gap report: generated timelines", small=300, full=5000)
    right = found_all = expected_all = 0
    wrong = []
    for number in range(many):
        drawn = generator.case(seed + number)
        found = _found(drawn)
        right += len(found & drawn.gaps)
        found_all, expected_all = found_all + len(found), expected_all + len(drawn.gaps)
        wrong += [f"seed {seed + number}: {line}" for line in misses(found, drawn.gaps)]
    precision, recall = right / found_all, right / expected_all
    counts.report(
        "gap report: generated timelines",
        asked=many,
        run=many,
        failures=len(wrong),
        seed=seed,
        started=started,
        measured=f"precision {precision:.3f}, recall {recall:.3f}, {expected_all} gaps",
    )
    assert expected_all > many / 2
    assert precision >= 0.98, "\n".join(wrong[:20])
    assert recall >= 0.98, "\n".join(wrong[:20])


def _found(drawn: generator.Case) -> set[Expected]:
    protocol = load(drawn.protocol, "drawn", "drawn.toml")
    area = regions().by_name(drawn.area)
    assert area is not None
    places = (Place(Named(area.display, area.code)),)
    treatments = [Treatment(f"Procedure/{day}", "anna", day, Named("drawn"), places) for day in drawn.sessions]
    photos = [_photo(number, each) for number, each in enumerate(drawn.pictures, start=1)]
    excused = {Excused(f"Procedure/{day}", "drawn", label, shot) for day, label, shot in drawn.excused}
    made = gaps(courses(treatments, [protocol]), photos, drawn.asked, excused)
    assert len({told(each) for each in made}) == len(made)
    return {told(each) for each in made}


def _photo(number: int, taken: generator.Picture) -> Photo:
    area = regions().by_name(taken.shot.region)
    assert area is not None
    side = {"left": Laterality.LEFT, "right": Laterality.RIGHT, "both": Laterality.BOTH}[taken.shot.side]
    expression = find_expression(taken.expression).code if taken.expression else ""
    key = (area.code, side.value, find_view(taken.shot.view).code, expression)
    view = View(Place(Named(area.display, area.code), side), taken.shot.view, taken.expression, key)
    return Photo(number, taken.day, view, taken.camera, frozenset({Kind(taken.judged)} if taken.judged else ()))
