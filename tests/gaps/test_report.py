"""What is missing, read from the record: today's visitors first, refused photos as if they had never been."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import delete, event, select

from consent.store.engine import transaction
from consent.store.tables import photo
from consent.types import Request, Requester
from dicom_bridge.gaps.arrivals import Presence
from dicom_bridge.gaps.gap import Gap, Kind, State
from fhir_mapping.course.plan import Plan, care_plan
from fhir_mapping.treatment.session import Named, Place
from tests.fhir.clinic import Clinic, consent_of
from tests.gaps.clinic import at, booked, here, of_all, of_one, photographed, treated

pytestmark = pytest.mark.fast


def _told(gaps: tuple[Gap, ...]) -> list[tuple[str, str, str]]:
    return [(each.time, each.kind.value, each.state.value) for each in gaps]


def test_a_follow_up_that_never_came(clinic: Clinic) -> None:
    treated(clinic, "s1", "2026-03-03")
    numbers = [photographed(clinic, f"g{each}", "2026-03-03", each) for each in ("rest", "frown")]
    found = of_one(clinic, at("2026-04-01"))
    (hers,) = found.people
    assert _told(hers.gaps) == [("follow-up-2-weeks", "missing-time-point", "overdue")]
    (gap,) = hers.gaps
    assert (gap.session, gap.until, gap.treatment) == ("Procedure/s1", date(2026, 4, 5), "Toxin")
    assert gap.text == (
        "No photos at follow-up 2 weeks (due 17 March 2026): Glabella, frontal, face at rest; "
        "Glabella, frontal, frown. Photograph by 5 April 2026, late."
    )
    assert [(each.first, each.asked, each.good) for each in found.months] == [(date(2026, 3, 1), 4, 2)]
    record = clinic.records()[-1]
    assert found.record
    assert (record["kind"], record["route"]) == ("set", "test")
    assert record["released"] == len(numbers) + 2  # and the clinic's own two


def test_a_photo_closes_the_gap(clinic: Clinic) -> None:
    treated(clinic, "s1", "2026-03-03")
    for each in ("rest", "frown"):
        photographed(clinic, f"g{each}", "2026-03-03", each)
        photographed(clinic, f"h{each}", "2026-03-17", each)
    assert of_one(clinic, at("2026-04-01")).people[0].gaps == ()


def test_of_whose_photos_nothing_is_known_nothing_is_said(clinic: Clinic) -> None:
    (hers,) = of_one(clinic, at("2026-04-01"), patient="nobody").people
    assert (hers.gaps, hers.months) == ((), ())


def test_today_s_visitors_come_first(clinic: Clinic) -> None:
    treated(clinic, "s1", "2026-03-03")
    treated(clinic, "s2", "2026-03-05", patient="ben")
    assert [each.patient for each in of_all(clinic, at("2026-03-25")).people] == ["anna", "ben"]
    booked(clinic, "a2", at("2026-03-25", 15), patient="ben")
    assert [each.patient for each in of_all(clinic, at("2026-03-25")).people] == ["ben", "anna"]
    here(clinic, "e1", at("2026-03-25", 11))
    found = of_all(clinic, at("2026-03-25")).people
    assert [each.patient for each in found] == ["anna", "ben"]
    presences = [each.arrival.presence for each in found if each.arrival is not None]
    assert presences == [Presence.HERE, Presence.EXPECTED]


@pytest.mark.parametrize(("status", "days", "seen"), [
    ("arrived", 0, True), ("in-progress", 0, True), ("planned", 0, True), ("finished", 0, False),
    ("cancelled", 0, False), ("arrived", 2, False), ("planned", 1, False),
])  # fmt: skip
def test_who_is_here(clinic: Clinic, status: str, days: int, seen: bool) -> None:
    here(clinic, "e1", at("2026-03-25"), status=status)
    found = of_all(clinic, at(f"2026-03-{25 + days}", 13))
    assert any(each.arrival is not None for each in found.people) is seen


@pytest.mark.parametrize(("status", "seen"), [("booked", True), ("checked-in", True), ("cancelled", False)])
def test_who_is_expected(clinic: Clinic, status: str, seen: bool) -> None:
    booked(clinic, "a1", at("2026-03-25", 9), status=status)
    assert any(each.arrival is not None for each in of_all(clinic, at("2026-03-25")).people) is seen


def test_a_planned_session_wants_its_baseline(clinic: Clinic) -> None:
    glabella = Place(Named("Glabella", "http://snomed.info/sct|244083007"))
    plan = Plan("anna", treatment=Named("Toxin"), places=(glabella,), sessions=2, every=16, unit="wk")
    clinic.put(care_plan(plan) | {"id": "plan"})
    assert of_one(clinic, at("2026-03-25")).people[0].gaps == ()
    here(clinic, "e1", at("2026-03-25"))
    (gap,) = of_one(clinic, at("2026-03-25")).people[0].gaps
    assert (gap.time, gap.state, gap.until) == ("baseline", State.DUE, date(2026, 3, 25))
    treated(clinic, "s1", "2026-03-25", basedOn=[{"reference": "CarePlan/plan"}])
    (gap,) = of_one(clinic, at("2026-03-25")).people[0].gaps
    assert gap.session == "Procedure/s1"


def test_a_visit_between_two_sessions_of_a_plan_is_a_follow_up(clinic: Clinic) -> None:
    glabella = Place(Named("Glabella", "http://snomed.info/sct|244083007"))
    plan = Plan("anna", treatment=Named("Toxin"), places=(glabella,), sessions=2, every=16, unit="wk")
    clinic.put(care_plan(plan) | {"id": "plan"})
    treated(clinic, "s1", "2026-03-03", basedOn=[{"reference": "CarePlan/plan"}])
    here(clinic, "e1", at("2026-03-20"))
    found = _told(of_one(clinic, at("2026-03-20")).people[0].gaps)
    assert found == [
        ("baseline", "missing-time-point", "lost"),
        ("follow-up-2-weeks", "missing-time-point", "due"),
    ]


def test_what_an_appraisal_says_is_a_gap(clinic: Clinic) -> None:
    treated(clinic, "s1", "2026-03-03")
    for each in ("rest", "frown"):
        photographed(clinic, f"g{each}", "2026-03-03", each)
        photographed(clinic, f"h{each}", "2026-03-17", each)
    _judged(clinic, "hfrown", "gfrown", "scale")
    _judged(clinic, "hrest", "grest", "sharpness")
    (gap,) = of_one(clinic, at("2026-03-18")).people[0].gaps
    assert (gap.kind, gap.shots[0].name) == (Kind.DISTANCE, "frown")
    clinic.put(consent_of("c1", "deny", "TREAT", provision={"data": [{"meaning": "instance", "reference": {
        "reference": "DocumentReference/gfrown"}}]}))  # fmt: skip
    found = of_one(clinic, at("2026-03-18")).people[0].gaps
    assert [(each.kind, each.time) for each in found] == [(Kind.VIEW, "baseline")]


@pytest.mark.parametrize(
    ("aspect", "kind"),
    [
        ("scale", Kind.DISTANCE),
        ("distance", Kind.DISTANCE),
        ("exposure", Kind.LIGHT),
        ("white-balance", Kind.LIGHT),
        ("flash", Kind.LIGHT),
        ("expression", Kind.EXPRESSION),
    ],
)
def test_what_differs_is_a_gap_of_its_kind(clinic: Clinic, aspect: str, kind: Kind) -> None:
    treated(clinic, "s1", "2026-03-03")
    for each in ("rest", "frown"):
        photographed(clinic, f"g{each}", "2026-03-03", each)
        photographed(clinic, f"h{each}", "2026-03-17", each)
    _judged(clinic, "hrest", "grest", aspect)
    (gap,) = of_one(clinic, at("2026-03-18")).people[0].gaps
    assert (gap.kind, gap.shots[0].name) == (kind, "rest")


def _judged(clinic: Clinic, name: str, reference: str, aspect: str) -> None:
    own = "urn:photospine:appraisal"
    clinic.judged(
        {
            "resourceType": "Observation",
            "id": f"judged-{name}",
            "status": "final",
            "code": {"coding": [{"system": own, "code": "photograph"}]},
            "subject": {"reference": "Patient/anna"},
            "focus": [{"reference": f"DocumentReference/{name}"}],
            "derivedFrom": [{"reference": f"DocumentReference/{each}"} for each in (name, reference)],
            "component": [
                {
                    "code": {"coding": [{"system": own, "code": aspect}]},
                    "interpretation": [{"coding": [{"system": own, "code": "differs"}], "text": "8 % smaller"}],
                    "dataAbsentReason": {"text": "x"},
                }
            ],
        }
    )


def test_a_refused_photo_is_answered_like_one_that_never_was(clinic: Clinic) -> None:
    """The same record without it gives the same answer: nothing of it can be told, neither that it is there nor not."""
    treated(clinic, "s1", "2026-03-03")
    for each in ("rest", "frown"):
        photographed(clinic, f"g{each}", "2026-03-03", each)
        photographed(clinic, f"h{each}", "2026-03-17", each)
    _judged(clinic, "hfrown", "gfrown", "scale")
    clinic.put(consent_of("c1", "deny", "TREAT", provision={"data": [{"meaning": "instance", "reference": {
        "reference": "DocumentReference/hfrown"}}]}))  # fmt: skip
    here(clinic, "e1", at("2026-03-20"))
    one = of_all(clinic, at("2026-03-20"))
    with transaction(clinic.engine) as connection:
        number = connection.execute(select(photo.c.photo).where(photo.c.document == "hfrown")).scalar_one()
        for table in reversed(photo.metadata.sorted_tables):
            if "photo" in table.c and table is not photo:
                connection.execute(delete(table).where(table.c.photo == number))
        connection.execute(delete(photo).where(photo.c.photo == number))
    none = of_all(clinic, at("2026-03-20"))
    assert replace(one, record="") == replace(none, record="")
    assert [each.text for each in one.people[0].open] == [
        "No photo of Glabella, frontal, frown at follow-up 2 weeks (due 17 March 2026). Photograph by 24 March 2026."
    ]


def test_whoever_sees_no_photo_learns_of_none(clinic: Clinic) -> None:
    treated(clinic, "s1", "2026-03-03")
    photographed(clinic, "grest", "2026-03-03", "rest")
    clinic.put(consent_of("c1", "deny", "TREAT"))
    outsider = Request(Requester("outsider", ("TREAT",)), "TREAT")
    (hers,) = of_one(clinic, at("2026-03-04"), request=outsider).people
    assert [(each.kind, each.photo) for each in hers.gaps] == [(Kind.TIME_POINT, None)]


def test_statements_do_not_grow_with_what_there_is(clinic: Clinic) -> None:
    def statements() -> int:
        counted = []

        def count(*_: object) -> None:
            counted.append(1)

        event.listen(clinic.engine, "before_cursor_execute", count)
        of_all(clinic, at("2026-03-20"))
        event.remove(clinic.engine, "before_cursor_execute", count)
        return len(counted)

    treated(clinic, "s1", "2026-03-03")
    photographed(clinic, "grest", "2026-03-03", "rest")
    here(clinic, "e1", at("2026-03-20"))
    of_all(clinic, at("2026-03-20"))
    few = statements()
    for number in range(12):
        treated(clinic, f"t{number}", f"2026-02-{number + 1:02}", patient="ben")
        photographed(clinic, f"p{number}", f"2026-02-{number + 1:02}", "frown", patient="ben")
    of_all(clinic, at("2026-03-20"))
    assert statements() <= few + 2
    assert few < 60
