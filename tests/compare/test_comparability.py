"""How far two photos can be compared: what is said of which difference, and what no photo may make of it."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_bridge.compare.comparability import CAUSES, Cause, Comparability, Kind, comparability
from dicom_bridge.compare.conditions import Conditions, Focal, View, conditions_of
from dicom_bridge.judging.verdicts import WITHIN
from fhir_mapping.resources.appraisal import Appraisal, Aspect, Finding, Verdict

NOW = datetime(2026, 5, 3, 10, 0, tzinfo=UTC)
FACE = "http://snomed.info/sct|73897004"


def verdicts(finding: Finding = Finding.GOOD, **values: float) -> tuple[Verdict, ...]:
    made = []
    for aspect in Aspect:
        value = values.get(aspect.name.lower(), 0.0)
        within = WITHIN.get(aspect)
        wrong = within is not None and abs(value) > within
        made.append(Verdict(aspect, Finding.DIFFERS if wrong else finding, "words", value, within))
    return tuple(made)


def appraisal(photo: str, reference: str | None, **values: float) -> Appraisal:
    return Appraisal(photo, verdicts(Finding.GOOD, **values), "judge", "1", reference)


BASELINE = Conditions(
    "DocumentReference/a", NOW - timedelta(weeks=20), View(FACE, "", "frontal"), "neutral", Focal(50, 85), False,
    "Canon EOS R6",
)  # fmt: skip
LATER = replace(
    BASELINE, document="DocumentReference/b", taken=NOW, appraisal=appraisal("DocumentReference/b", BASELINE.document)
)


def judged(**values: float) -> Conditions:
    """The later photo, held against the baseline."""
    return replace(LATER, appraisal=appraisal(LATER.document, BASELINE.document, **values))


def finding(found: Comparability, kind: Kind) -> Finding:
    return next(fact.finding for each in found.causes for fact in each.facts if fact.kind is kind)


def test_two_photos_that_are_alike_in_everything_are_wholly_comparable() -> None:
    found = comparability(BASELINE, LATER)
    assert (found.score, found.possible, found.warnings) == (1.0, 1.0, ())
    assert found.named(Finding.GOOD) == tuple(Cause)


def test_two_photos_of_which_nothing_is_known_are_not_and_might_be() -> None:
    found = comparability(Conditions("DocumentReference/a"), Conditions("DocumentReference/b"))
    assert (found.score, found.possible) == (0.0, 1.0)
    assert found.named(Finding.UNKNOWN) == tuple(Cause)


@pytest.mark.parametrize(
    ("kind", "cause", "later", "warned"),
    [
        (Kind.FLASH_FIRED, Cause.LIGHT, replace(LATER, flash=True), True),
        (Kind.FOCAL_LENGTH, Cause.DISTANCE, replace(LATER, focal=Focal(24, 35)), True),
        (Kind.EXPRESSION_STATED, Cause.EXPRESSION, replace(LATER, expression="smile"), True),
        (Kind.VIEW, Cause.POSE, replace(LATER, view=View(FACE, "", "left-oblique")), True),
        (Kind.VIEW, Cause.POSE, replace(LATER, view=View(FACE, "L", "frontal")), True),
        (Kind.DEVICE, Cause.DEVICE, replace(LATER, device="Apple iPhone 15"), False),
        (Kind.INTERVAL, Cause.INTERVAL, replace(LATER, taken=NOW + timedelta(days=2500)), False),
        *(
            (kind, cause, judged(**{name: value}), warned)
            for kind, cause, name, value, warned in (
                (Kind.SCALE, Cause.DISTANCE, "scale", 9.0, False),
                (Kind.YAW, Cause.POSE, "yaw", -6.0, False),
                (Kind.FLASH, Cause.LIGHT, "flash", 0.7, True),
                (Kind.EXPOSURE, Cause.LIGHT, "exposure", -0.8, False),
                (Kind.WHITE_BALANCE, Cause.COLOUR, "white_balance", 600.0, False),
                (Kind.EXPRESSION, Cause.EXPRESSION, "expression", 12.0, True),
            )
        ),
    ],
)  # fmt: skip
def test_each_difference_is_named_by_its_cause(kind: Kind, cause: Cause, later: Conditions, warned: bool) -> None:
    found = comparability(BASELINE, later)
    assert found.named(Finding.DIFFERS) == (cause,)
    assert finding(found, kind) is Finding.DIFFERS
    assert [fact.kind for fact in found.warnings] == ([kind] if warned else [])
    assert found.score < 1
    assert found.score == found.possible


def test_a_fact_that_one_photo_lacks_is_unknown_and_names_no_difference() -> None:
    found = comparability(BASELINE, replace(LATER, flash=None, device=None))
    assert finding(found, Kind.FLASH_FIRED) is Finding.UNKNOWN
    assert found.named(Finding.UNKNOWN) == (Cause.DEVICE,)
    assert found.named(Finding.DIFFERS) == ()
    assert found.score < 1 == found.possible


def test_a_focal_length_says_something_of_one_kind_of_camera_alone() -> None:
    one = replace(BASELINE, focal=Focal(50, None))
    assert finding(comparability(one, replace(LATER, focal=Focal(50, None))), Kind.FOCAL_LENGTH) is Finding.GOOD
    phone = replace(LATER, focal=Focal(50, None), device="Apple iPhone 15")
    assert finding(comparability(one, phone), Kind.FOCAL_LENGTH) is Finding.UNKNOWN
    zoomed = replace(LATER, focal=Focal(50, 120))  # the digital zoom stands in the one for 35 mm film alone
    assert finding(comparability(BASELINE, zoomed), Kind.FOCAL_LENGTH) is Finding.DIFFERS


def test_what_was_judged_against_a_third_photo_tells_how_the_two_differ() -> None:
    first = "DocumentReference/first"
    one = replace(BASELINE, appraisal=appraisal(BASELINE.document, first, yaw=2.0, exposure=0.2))
    other = replace(LATER, appraisal=appraisal(LATER.document, first, yaw=-2.0, exposure=0.1))
    found = comparability(one, other)
    assert finding(found, Kind.YAW) is Finding.DIFFERS  # each is near enough to the first, and not to the other
    assert finding(found, Kind.EXPOSURE) is Finding.GOOD
    apart = replace(other, appraisal=appraisal(LATER.document, "DocumentReference/another", yaw=2.0))
    assert finding(comparability(one, apart), Kind.YAW) is Finding.UNKNOWN


def test_two_faces_that_both_differ_from_a_third_are_not_taken_for_alike() -> None:
    first = "DocumentReference/first"
    said = appraisal(LATER.document, first)
    raised = replace(
        said,
        verdicts=tuple(
            replace(each, finding=Finding.DIFFERS) if each.aspect is Aspect.EXPRESSION else each
            for each in said.verdicts
        ),
    )
    one = replace(BASELINE, appraisal=replace(raised, photo=BASELINE.document))
    assert finding(comparability(one, replace(LATER, appraisal=raised)), Kind.EXPRESSION) is Finding.UNKNOWN


def test_an_object_tells_its_conditions_and_what_is_no_number_is_unknown() -> None:
    attributes = {
        "00160011": {"vr": "US", "Value": [1]}, "00160029": {"vr": "DS", "Value": [50.0]},
        "00160045": {"vr": "IS", "Value": [0]}, "00080070": {"vr": "LO", "Value": ["Canon"]},
        "00081090": {"vr": "LO", "Value": ["EOS R6"]},
        "00540220": {"vr": "SQ", "Value": [{"00080100": {"vr": "SH", "Value": ["399033003"]},
                                            "00080102": {"vr": "SH", "Value": ["SCT"]}}]},
    }  # fmt: skip
    found = conditions_of(attributes, document="DocumentReference/a", taken=NOW, region=FACE, side="")
    assert found == Conditions(
        "DocumentReference/a", NOW, View(FACE, "", "frontal"), None, Focal(50.0, None), True, "Canon EOS R6"
    )
    odd = {"00160011": {"vr": "US", "Value": [7]}, "00160029": {"vr": "DS", "Value": ["wide"]}}
    assert conditions_of(odd, document="DocumentReference/a", taken=None, region=None, side="") == Conditions(
        "DocumentReference/a"
    )


# --- whatever the facts ---------------------------------------------------------------------------------------------

_numbers = st.floats(-200, 200, allow_nan=False)
_verdict = st.builds(
    Verdict, st.just(Aspect.YAW), st.sampled_from(Finding), st.just("words"), st.none() | _numbers,
    st.none() | st.floats(0.1, 50),
)  # fmt: skip
_DOCUMENTS = st.sampled_from([f"DocumentReference/{name}" for name in "abc"])


@st.composite
def _appraisals(draw: st.DrawFn) -> Appraisal:
    said = tuple(replace(draw(_verdict), aspect=aspect) for aspect in Aspect if draw(st.booleans()))
    return Appraisal(draw(_DOCUMENTS), said, "judge", draw(st.sampled_from("12")), draw(st.none() | _DOCUMENTS))


_lengths = st.none() | st.floats(1, 500)
_conditions = st.builds(
    Conditions,
    _DOCUMENTS,
    st.none() | st.integers(0, 14_000).map(lambda days: NOW - timedelta(days=days)),
    st.none() | st.builds(View, st.just(FACE), st.sampled_from(["", "L"]), st.sampled_from(["frontal", "basal"])),
    st.none() | st.sampled_from(["neutral", "smile"]),
    st.none() | st.builds(Focal, _lengths, _lengths),
    st.none() | st.booleans(),
    st.none() | st.sampled_from(["Canon EOS R6", "Apple iPhone 15"]),
    st.none() | _appraisals(),
)


@given(_conditions, _conditions)
def test_which_photo_is_named_first_changes_nothing(one: Conditions, other: Conditions) -> None:
    assert comparability(one, other) == comparability(other, one)


@given(_conditions, _conditions)
def test_a_score_lies_between_nothing_and_what_is_possible(one: Conditions, other: Conditions) -> None:
    found = comparability(one, other)
    assert 0 <= found.score <= found.possible <= 1
    assert [each.cause for each in found.causes] == list(Cause)
    assert {fact.kind for each in found.causes for fact in each.facts} == set(Kind)
    assert set(CAUSES) == set(Cause)


@given(_conditions, _conditions, st.sampled_from([each.name for each in fields(Conditions) if each.name != "document"]))
def test_knowing_less_never_raises_the_score(one: Conditions, other: Conditions, forgotten: str) -> None:
    nothing: dict[str, Any] = {forgotten: None}
    less = replace(other, **nothing)
    if forgotten == "appraisal" and one.appraisal and other.appraisal and one.appraisal.reference == other.document:
        less = other  # the one that was judged against the other remains: nothing is forgotten by leaving out the rest
    assert comparability(one, less).score <= comparability(one, other).score + 1e-9


@given(st.sampled_from(sorted(WITHIN)), st.floats(0, 60), st.floats(0, 60), st.sampled_from([-1, 1]))
def test_the_further_two_photos_differ_the_less_comparable_they_are(
    aspect: Aspect, near: float, far: float, side: int
) -> None:
    near, far = sorted((near, far))
    scores = [comparability(BASELINE, judged(**{aspect.name.lower(): side * value})).score for value in (near, far)]
    assert scores[1] <= scores[0] + 1e-9


@given(st.floats(10, 300), st.floats(1, 4), st.floats(1, 4), st.integers(0, 9000), st.integers(0, 9000))
def test_so_it_is_with_focal_lengths_and_years(length: float, near: float, far: float, soon: int, late: int) -> None:
    near, far = sorted((near, far))
    soon, late = sorted((soon, late))
    one = replace(BASELINE, focal=Focal(None, length))
    scores = [
        comparability(
            one, replace(LATER, focal=Focal(None, length * ratio), taken=BASELINE.taken + timedelta(days=days))
        ).score
        for ratio, days in ((near, soon), (far, soon), (far, late))
        if BASELINE.taken is not None
    ]
    assert scores[1] <= scores[0] + 1e-9
    assert scores[2] <= scores[1] + 1e-9
