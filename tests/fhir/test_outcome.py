"""Outcomes: written, read as others write them, and asked for."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from consent.store.engine import reading, transaction
from consent.types import Laterality
from fhir_mapping.outcome.outcome import Graded, Outcome, is_outcome, observation, read
from fhir_mapping.outcome.tables import outcome as table
from fhir_mapping.outcome.vocabulary import SYSTEM, Rater, vocabulary
from fhir_mapping.projections.project import rebuild
from fhir_mapping.projections.written import Setting
from fhir_mapping.store import validate
from fhir_mapping.store.record import RecordStore
from fhir_mapping.text import dump, parse
from fhir_mapping.treatment.session import Amount, Named, Place
from tests.counts import count, report
from tests.fhir.clinic import BASE, SITE, document_of
from tests.fhir.sessions import put

FACE = "http://snomed.info/sct|73897004"
SCALP = Place(Named("Scalp", "http://snomed.info/sct|43067004"), None)
HAIR = Outcome(
    patient="anna",
    characteristic="hair-density",
    change=2,
    rater=Rater.PATIENT,
    performer="Patient/anna",
    place=SCALP,
    graded=Graded("ludwig", "II", "I"),
    measured=Amount(Decimal("14"), "hairs/cm²", "/cm2"),
    before="DocumentReference/f1",
    after="DocumentReference/f2",
    start="2026-01-03",
    end="2026-05-03T10:00:00+03:00",
    sessions=("Procedure/p1",),
    encounter="Encounter/v1",
)


@pytest.fixture
def store(engine: Engine, record: RecordStore) -> RecordStore:
    """The record with two photos' documents."""
    with transaction(engine) as connection:
        for name in ("f1", "f2"):
            record.create(connection, "DocumentReference", document_of(name, "anna", "v1"), source="p", id=name)
    return record


def _drawn() -> st.SearchStrategy[Outcome]:
    words = vocabulary()
    scales = st.sampled_from([each for each in words.scales.values() if each.steps])
    graded = scales.flatmap(
        lambda scale: st.builds(
            Graded, st.just(scale.code), st.sampled_from(["", *scale.steps]), st.sampled_from(scale.steps)
        )
    )
    return st.builds(
        Outcome,
        st.just("anna"),
        st.sampled_from(sorted(words.characteristics)),
        st.sampled_from([each.change for each in words.grades.values()]),
        st.sampled_from(list(Rater)),
        st.sampled_from([None, "Patient/anna", "Practitioner/d", "Device/laser"]),
        st.sampled_from([None, SCALP, Place(Named("Face", FACE), Laterality.LEFT)]),
        st.none() | graded,
        st.none() | st.builds(Amount, st.decimals(-99, 99, places=1), st.just("mm"), st.just("mm")),
        *st_photos(),
        st.just("2026-01-03"),
        st.just("2026-05-03"),
        st.sampled_from([(), ("Procedure/p1",)]),
        st.sampled_from([None, "Encounter/v1"]),
    )


def st_photos() -> tuple[st.SearchStrategy[str | None], st.SearchStrategy[str | None]]:
    """Both photos: one alone would be the later one."""
    return st.just("DocumentReference/f1"), st.just("DocumentReference/f2")


@pytest.mark.fast
def test_outcomes_drawn_at_random_are_read_back() -> None:
    asked = count("outcome-round-trip", small=200, full=5000)
    ran = 0

    @settings(max_examples=asked, deadline=None, suppress_health_check=list(HealthCheck))
    @given(_drawn())
    def check(drawn: Outcome) -> None:
        nonlocal ran
        ran += 1
        written = parse(dump(observation(drawn)))
        validate.structure("Observation", written)
        assert read(written, BASE) == drawn

    check()
    report("outcome-round-trip", asked=asked, run=ran, failures=0)


OTHERS: tuple[tuple[str, dict[str, Any], tuple[Any, ...] | None], ...] = (
    (
        "a word for the change",
        {
            "code": {"text": "Hair density"},
            "valueString": "Much improved",
            "performer": [{"reference": "Patient/anna"}],
        },
        ("hair-density", 2, Rater.PATIENT),
    ),
    (
        "better, by its interpretation",
        {
            "code": {"coding": [{"system": "urn:x", "code": "9", "display": "Wrinkles, static"}]},
            "interpretation": [
                {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation",
                            "code": "B",
                        }
                    ]
                }
            ],
            "performer": [{"reference": "Practitioner/d"}],
        },
        None,
    ),
    (
        "worse, in a display",
        {
            "code": {"text": "Scars"},
            "valueCodeableConcept": {"coding": [{"system": "urn:x", "code": "w", "display": "Worse"}]},
            "device": {"reference": "Device/laser"},
        },
        ("scar", -1, Rater.MEASURED),
    ),
    ("a machine's volume", {"code": {"text": "Volume"}, "valueQuantity": {"value": 3}}, None),
    ("a word that is no change", {"code": {"text": "Pores"}, "valueString": "wide"}, None),
    (
        "ours, with a scale alone",
        {
            "code": {"coding": [{"system": SYSTEM, "code": "hair-line"}]},
            "component": [
                {
                    "code": {
                        "coding": [
                            {"system": "urn:photospine:scale", "code": "norwood-hamilton"},
                            *([{"system": SYSTEM, "code": "before"}] if step == "IV" else []),
                        ]
                    },
                    "valueString": step,
                }
                for step in ("IV", "III")
            ],
        },
        ("hair-line", 1, None),
    ),
)


@pytest.mark.fast
@pytest.mark.parametrize(("name", "more", "expected"), OTHERS, ids=[each[0] for each in OTHERS])
def test_what_others_write_is_read(name: str, more: dict[str, Any], expected: tuple[Any, ...] | None) -> None:
    resource = {"resourceType": "Observation", "status": "final", "subject": {"reference": "Patient/anna"}} | more
    validate.structure("Observation", parse(dump(resource)))
    found = read(parse(dump(resource)), BASE)
    if name == "better, by its interpretation":
        assert found is not None
        assert (found.characteristic, found.change, found.rater) == ("static-wrinkle", 1, Rater.INVESTIGATOR)
        return
    assert (None if found is None else (found.characteristic, found.change, found.rater)) == expected
    assert is_outcome(resource) == (expected is not None)


def test_an_outcome_has_a_row(engine: Engine, store: RecordStore) -> None:
    with transaction(engine) as connection:
        put(connection, store, observation(HAIR) | {"id": "o0"})
    with reading(engine) as connection:
        row = connection.execute(select(table).where(table.c.observation == "o0")).one()
    assert (row.change, row.rater, row.scale, row.step_before, row.step_after) == (2, "patient", "ludwig", "II", "I")


def test_a_void_or_changed_outcome_leaves_no_row_and_a_rebuild_makes_the_same(
    engine: Engine, store: RecordStore
) -> None:
    with transaction(engine) as connection:
        put(connection, store, observation(HAIR) | {"id": "o1"}, observation(HAIR) | {"id": "o2"})
        put(connection, store, observation(HAIR) | {"id": "o2", "status": "entered-in-error"})
        before = connection.execute(select(table)).all()
        assert [each.observation for each in before] == ["o1"]
        rebuild(connection, Setting(SITE, BASE))
        assert connection.execute(select(table)).all() == before


@pytest.mark.fast
def test_scales_name_their_source_and_know_their_steps() -> None:
    for scale in vocabulary().scales.values():
        assert scale.source
        assert not scale.steps or scale.change(scale.steps[-1], scale.steps[0]) == 1
    assert vocabulary().scales["ferriman-gallwey"].change("20", "12") == 1
    with pytest.raises(ValueError, match="no step"):
        observation(Outcome("anna", "hair-line", 1, graded=Graded("ludwig", "IX", "I")))
