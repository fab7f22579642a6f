"""The plan, the next session, and what was looked at when it was decided."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event

from consent.store.engine import reading, transaction
from consent.types import Request
from fhir_mapping.course import saving
from fhir_mapping.course.looked_at import Shown, record_in, shown_in
from fhir_mapping.course.plan import Plan, care_plan, read
from fhir_mapping.course.saving import Decided
from fhir_mapping.course.upcoming import Upcoming, upcoming
from fhir_mapping.errors import Invalid, VersionMismatch
from fhir_mapping.outcome.outcome import Outcome, observation
from fhir_mapping.outcome.vocabulary import Rater
from fhir_mapping.store import validate
from fhir_mapping.store.record import RecordStore
from fhir_mapping.text import dump, parse
from fhir_mapping.treatment.session import Amount, Given, Lot, Named, Session
from tests.counts import count, report
from tests.fhir.clinic import BASE, FACE, HAND, SITE, Clinic, consent_of, context, region, requesters
from tests.fhir.sessions import CHEEK, put

NOW = datetime(2026, 6, 15, 9, 0, tzinfo=UTC)
TOXIN = Named("Toxin, forehead", "urn:photospine:treatment|toxin")
PLAN = Plan(
    patient="anna",
    title="Forehead lines",
    treatment=TOXIN,
    goals=("Softer lines at rest", "Brows that move"),
    places=(CHEEK,),
    sessions=3,
    every=4,
    unit="mo",
    products=(Named("Toxin A"), Named("Sunscreen")),
    photos=("DocumentReference/f1",),
    start="2026-05-01",
)
GIVEN = Given(Lot(Named("Toxin A"), "LOT-9", "2026-12-31"), dose=Amount(Decimal("20"), "U", "[arb'U]"), place=CHEEK)


def _next(clinic: Clinic, account: str = "clinician", **more: Any) -> Upcoming:
    with reading(clinic.engine) as connection:
        return upcoming(
            clinic.node.decisions,
            connection,
            clinic.record,
            Request(requesters()[account], more.pop("purpose", "TREAT")),
            "anna",
            NOW,
            route="next",
            **more,
        )


def _course(clinic: Clinic) -> None:
    """A plan decided on f1; one session, with two photos; a visit today with one of them."""
    clinic.put(care_plan(PLAN) | {"id": "plan"})
    today = {
        "resourceType": "Encounter",
        "id": "v5",
        "status": "in-progress",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": "Patient/anna"},
        "period": {"start": "2026-06-15T11:30:00+03:00"},
    }
    clinic.put(today)
    session = Session("anna", TOXIN, "2026-05-03T11:00:00+03:00", encounter="Encounter/v1", number=1,
                      plans=("CarePlan/plan",), places=(CHEEK,), given=(GIVEN,))  # fmt: skip
    done = _save(clinic, session)
    taken = "2026-05-03T10:30:00+03:00"
    clinic.photo("s1", "anna", "v1", context=context("v1", taken, done), extension=[region(FACE)])
    clinic.photo("s2", "anna", "v1", context=context("v1", taken, done), extension=[region(HAND, "R")])
    clinic.photo("t1", "anna", "v5", context=context("v5", "2026-06-15T11:40:00+03:00"), extension=[region(FACE)])


def _save(clinic: Clinic, session: Session, shown: tuple[Shown, ...] = (), version: int | None = None) -> str:
    with reading(clinic.engine) as connection:
        entry = saving.before(connection, clinic.record, session, version)
    decided = Decided("clinician", "Practitioner/d", shown, "chain#7")
    entries = saving.prepare(clinic.record, session, entry, decided, NOW)
    with transaction(clinic.engine) as connection:
        return saving.write(connection, clinic.record, session, entries, source="clinician")


@pytest.mark.fast
def test_a_plan_is_read_back_as_it_was_written() -> None:
    written = parse(dump(care_plan(PLAN)))
    validate.structure("CarePlan", written)
    assert read(written, BASE) == PLAN
    assert PLAN.rhythm == "3 sessions, 4 months apart"


@pytest.mark.fast
@pytest.mark.parametrize(
    ("every", "unit", "day", "after"),
    [
        (5, "wk", "2026-05-03", "2026-06-07"),
        (1, "mo", "2026-01-31", "2026-02-28"),
        (4, "mo", "2026-10-31", "2027-02-28"),
        (1, "a", "2024-02-29", "2025-02-28"),
        (10, "d", "2026-12-25", "2027-01-04"),
        (9, "a", "9998-01-01", None),
        (None, "wk", "2026-05-03", None),
    ],
)
def test_a_rhythm_says_when_the_next_one_is_due(every: int | None, unit: str, day: str, after: str | None) -> None:
    found = replace(PLAN, every=every, unit=unit).after(date.fromisoformat(day))
    assert (None if found is None else found.isoformat()) == after


@pytest.mark.fast
def test_plans_drawn_at_random_are_read_back() -> None:
    asked = count("plan-round-trip", small=100, full=3000)
    ran = 0
    words = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=10)
    drawn = st.builds(
        Plan,
        st.just("anna"),
        st.just("") | words,
        st.builds(Named, words, st.none() | st.just("urn:x|y")),
        st.lists(words, max_size=3).map(tuple),
        st.sampled_from([(), (CHEEK,)]),
        st.none() | st.integers(1, 40),
        st.none() | st.integers(1, 52),
        st.just("wk"),
        st.lists(st.builds(Named, words), max_size=3).map(tuple),
        st.sampled_from([(), ("DocumentReference/f1", "DocumentReference/f2")]),
        st.sampled_from([(), ("Procedure/p1",)]),
        st.sampled_from(["", "2026", "2026-05-01"]),
        st.just(""),
        st.sampled_from(["active", "completed", "on-hold"]),
        st.sampled_from([None, "Practitioner/d"]),
        st.just("") | words,
    )

    @settings(max_examples=asked, deadline=None, suppress_health_check=list(HealthCheck))
    @given(drawn)
    def check(plan: Plan) -> None:
        nonlocal ran
        ran += 1
        written = parse(dump(care_plan(plan)))
        validate.structure("CarePlan", written)
        assert read(written, BASE) == plan

    check()
    report("plan-round-trip", asked=asked, run=ran, failures=0)


@pytest.mark.fast
def test_plans_of_others_are_read() -> None:
    request = {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "plan",
        "subject": {"reference": "Patient/anna"},
        "code": {"text": "Laser"},
        "bodySite": [{"coding": [FACE]}],
        "occurrenceTiming": {"repeat": {"count": 6, "period": Decimal("5.0"), "periodUnit": "wk"}},
    }
    goal = {"resourceType": "Goal", "description": {"text": "Even tone"}}
    plan = {
        "resourceType": "CarePlan",
        "status": "active",
        "intent": "plan",
        "category": [{"text": "Skin"}],
        "subject": {"reference": f"{BASE}/Patient/anna"},
        "goal": [{"reference": "Goal/g"}, {"display": "Less redness"}],
        "activity": [{"reference": {"reference": "ServiceRequest/r"}}, {"reference": {"reference": "Procedure/p1"}}],
    }
    found = read(plan, BASE, {"ServiceRequest/r": request, "Goal/g": goal})
    assert (found.title, found.treatment.text, found.goals) == ("Skin", "Laser", ("Even tone", "Less redness"))
    assert (found.sessions, found.every, found.done) == (6, 5, ("Procedure/p1",))
    assert [each.region.code for each in found.places] == ["http://snomed.info/sct|73897004"]


def test_the_next_session_is_one_answer(clinic: Clinic) -> None:
    _course(clinic)
    clinic.put(
        observation(
            Outcome("anna", "dynamic-wrinkle", 2, Rater.PATIENT, "Patient/anna", before="DocumentReference/f1",
                    after="DocumentReference/s1", end="2026-06-01")
        ) | {"id": "o1"}
    )  # fmt: skip
    found = _next(clinic)
    assert found.plan is not None
    assert (found.plan.goals, found.plan.rhythm) == (PLAN.goals, "3 sessions, 4 months apart")
    assert [each.document for each in found.baseline] == ["f1"]
    assert [each.document for each in found.latest] == ["s1", "s2"]
    assert ([each.document for each in found.today], found.visit) == (["t1"], "Encounter/v5")
    assert [each.name for each in found.missing] == ["Right hand"]
    assert found.due == date(2026, 9, 3)
    assert found.last is not None
    assert [(each.product.name.text, each.product.lot) for each in found.last.session.given] == [("Toxin A", "LOT-9")]
    assert [(each.characteristic, each.change, each.before, each.after) for each in found.outcomes] == [
        ("dynamic-wrinkle", 2, "DocumentReference/f1", "DocumentReference/s1")
    ]
    form = found.form
    assert (form.number, form.encounter, form.plans, form.title) == (2, "Encounter/v5", ("CarePlan/plan",), TOXIN)
    assert [(each.product.lot, each.dose) for each in form.given] == [("LOT-9", GIVEN.dose)]
    (record,) = [each for each in clinic.records() if each.get("route") == "next"]
    assert (record["released"], record["refused"], record["details"]["plan"]) == (4, 0, "CarePlan/plan")


def test_a_refused_photo_is_as_if_absent(clinic: Clinic) -> None:
    _course(clinic)
    clinic.put(
        observation(Outcome("anna", "scar", 1, after="DocumentReference/s1", before="DocumentReference/f1"))
        | {"id": "o"}
    )
    provision = {"data": [{"meaning": "instance", "reference": {"reference": "DocumentReference/s1"}}]}
    clinic.put(consent_of("c", "deny", "TREAT", provision=provision))
    found = _next(clinic)
    assert [each.document for each in found.latest] == ["s2"]
    assert found.outcomes[0].after is None
    assert found.outcomes[0].before == "DocumentReference/f1"
    nobody = _next(clinic, "marketing", purpose="PORTFOLIO")
    assert nobody.shown == ()


def test_a_lot_that_has_expired_is_not_suggested(clinic: Clinic) -> None:
    session = Session("anna", TOXIN, "2026-05-03T12:00:00+03:00", given=(
        replace(GIVEN, product=replace(GIVEN.product, expires="2026-05")),
        replace(GIVEN, product=replace(GIVEN.product, lot="LOT-X", expires="2026-06-15")),
    ))  # fmt: skip
    _save(clinic, session)
    found = _next(clinic)
    assert sorted(each.product.lot for each in found.form.given) == ["", "LOT-X"]
    assert [each.lot for each in found.expired] == ["LOT-9"]


def test_without_a_plan_the_last_sessions_are_told(clinic: Clinic) -> None:
    found = _next(clinic)
    assert found.plan is None
    assert [each.reference for each in found.sessions] == ["Procedure/p1"]
    assert [each.document for each in found.latest] == ["f1"]
    assert [each.product.lot for each in found.form.given] == ["LOT-0071"]
    assert _next(clinic, plan="absent").plan is None


def test_the_statements_of_the_next_session_do_not_grow(clinic: Clinic) -> None:
    _course(clinic)
    asked: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    counts = []
    for more in (0, 12):
        for number in range(more):
            _save(clinic, Session("anna", TOXIN, f"2026-05-{number + 4:02d}", plans=("CarePlan/plan",), given=(GIVEN,)))
        _next(clinic)
        asked.clear()
        event.listen(clinic.engine, "before_cursor_execute", note)
        _next(clinic)
        event.remove(clinic.engine, "before_cursor_execute", note)
        counts.append(len(asked))
    assert counts[0] == counts[1]
    assert counts[0] <= 40


def test_saving_writes_the_session_its_place_in_the_plan_and_what_was_looked_at(clinic: Clinic) -> None:
    clinic.put(care_plan(PLAN) | {"id": "plan", "meta": {"source": "urn:photospine"}})
    clinic.put(care_plan(PLAN) | {"id": "theirs", "meta": {"source": "urn:ehr"}})
    shown = (Shown("f1", 1), Shown("f2", 1))
    session = Session("anna", TOXIN, "2026-06-15T12:00:00+03:00", plans=("CarePlan/plan",), given=(GIVEN,), key="k1")
    reference = _save(clinic, session, shown, version=1)
    assert _save(clinic, session, shown) == reference  # sent twice
    with reading(clinic.engine) as connection:
        plan = clinic.record.read(connection, "CarePlan", "plan")
        assert read(plan.json(), BASE).done == (reference,)
        assert plan.version == 2
        (looked_at,) = clinic.record.search(connection, "Provenance", {})
    body = looked_at.json()
    assert [each["reference"] for each in body["target"]] == [reference, "CarePlan/plan"]
    assert shown_in(body, BASE) == [("DocumentReference/f1", 1), ("DocumentReference/f2", 1)]
    assert record_in(body) == "chain#7"
    other = replace(session, plans=("CarePlan/theirs",), key="k2")
    done = _save(clinic, other)
    with reading(clinic.engine) as connection:
        assert clinic.record.read(connection, "CarePlan", "theirs").version == 1
        procedure = clinic.record.read(connection, "Procedure", done.partition("/")[2]).json()
    assert procedure["basedOn"] == [{"reference": "CarePlan/theirs"}]


def test_a_plan_that_was_changed_meanwhile_is_not_written_over(clinic: Clinic) -> None:
    clinic.put(care_plan(PLAN) | {"id": "plan", "meta": {"source": "urn:photospine"}})
    clinic.put(care_plan(PLAN) | {"id": "plan", "title": "Other", "meta": {"source": "urn:photospine"}})
    session = Session("anna", TOXIN, "2026-06-15", plans=("CarePlan/plan",))
    with pytest.raises(VersionMismatch):
        _save(clinic, session, version=1)
    with reading(clinic.engine) as connection:
        assert [each.id for each in clinic.record.search(connection, "Procedure", {})] == ["p1", "p2"]


def test_nothing_of_another_patient_is_named(clinic: Clinic) -> None:
    clinic.put(care_plan(replace(PLAN, patient="ben", photos=())) | {"id": "his"})
    for session in (Session("anna", plans=("CarePlan/his",)), Session("anna", encounter="Encounter/v2")):
        with pytest.raises(Invalid, match="another patient"):
            _save(clinic, session)


def test_a_session_is_saved_on_either_database(engine: Engine, record: RecordStore) -> None:
    with transaction(engine) as connection:
        put(
            connection,
            record,
            care_plan(replace(PLAN, photos=())) | {"id": "plan", "meta": {"source": "urn:photospine"}},
        )
    session = Session("anna", TOXIN, "2026-06-15T12:00:00+03:00", plans=("CarePlan/plan",), given=(GIVEN,), key="k1")
    with reading(engine) as connection:
        entry = saving.before(connection, record, session, 1)
    entries = saving.prepare(record, session, entry, Decided("clinician", None), NOW)
    with transaction(engine) as connection:
        first = saving.write(connection, record, session, entries, source="clinician")
    with transaction(engine) as connection:
        assert saving.write(connection, record, session, entries, source="clinician") == first
    assert SITE.zone is not None
