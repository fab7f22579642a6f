"""A session is read back as it was written: from a photo, a product or a machine, and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import Engine, event

from consent.store.engine import reading, rehearsal, transaction
from consent.types import Laterality
from fhir_mapping.store.kinds import KEPT
from fhir_mapping.store.record import RecordStore
from fhir_mapping.treatment.elements import place, region_name
from fhir_mapping.treatment.session import (
    Named,
    Place,
    Session,
)
from fhir_mapping.treatment.settings import SETTINGS, known_settings
from fhir_mapping.treatment.surroundings import ROUNDS, Surroundings
from tests.counts import count, report
from tests.fhir.clinic import BASE, FACE, document_of
from tests.fhir.sessions import amounts, around, put, sessions, write
from tests.fhir.treated import GIVEN, OBSERVED, PART, PHOTO, PROCEDURE, WHOLE, known, ordered


def test_a_session_is_read_back_as_it_was_written(engine: Engine, store: RecordStore) -> None:
    with transaction(engine) as connection:
        (procedure, *_) = write(connection, store, WHOLE)
    with reading(engine) as connection:
        (found,) = around(connection, procedure.reference)
    assert found.reference == procedure.reference
    assert ordered(known(found.session)) == ordered(WHOLE)


def test_everything_leads_to_the_session_and_to_its_photo(engine: Engine, store: RecordStore) -> None:
    with transaction(engine) as connection:
        written = write(connection, store, WHOLE)
        treated = written[0].reference
        linked = document_of("f2", "anna", "v1")
        linked["context"]["related"] = [{"reference": treated}]
        store.create(connection, "DocumentReference", linked, source="pipeline", id="f2")
    anchors = [each.reference for each in written] + ["Device/yag", "DocumentReference/f1", "DocumentReference/f2"]
    with reading(engine) as connection:
        for anchor in anchors:
            found = [each for each in around(connection, anchor) if each.reference == treated]
            assert found, anchor
            assert ordered(known(found[0].session)) == ordered(WHOLE), anchor
            assert found[0].photos == ("DocumentReference/f1", "DocumentReference/f2"), anchor


def test_a_lot_is_one_medication_however_often_it_is_given(engine: Engine, store: RecordStore) -> None:
    with transaction(engine) as connection:
        first = write(connection, store, WHOLE)
        again = write(connection, store, replace(WHOLE, number=4))
    lots = [{each.reference for each in some if each.type == "Medication"} for some in (first, again)]
    assert lots[0] == lots[1]
    with reading(engine) as connection:
        assert len(around(connection, sorted(lots[0])[0])) == 2


def test_sessions_drawn_at_random_are_read_back(engine: Engine, store: RecordStore) -> None:
    asked = count("treatment-round-trip", small=25, full=500)
    ran = 0

    @settings(max_examples=asked, deadline=None, suppress_health_check=list(HealthCheck))
    @given(sessions(PHOTO, "Device/yag"))
    def check(session: Session) -> None:
        nonlocal ran
        ran += 1
        with rehearsal(engine) as connection:
            (procedure, *_) = write(connection, store, session)
            (found,) = around(connection, procedure.reference)
            assert ordered(known(found.session)) == ordered(session)

    check()
    report("treatment-round-trip", asked=asked, run=ran, failures=0)


def test_a_photo_that_is_linked_to_its_visit_alone_shows_what_was_done_there(
    engine: Engine, store: RecordStore
) -> None:
    with reading(engine) as connection:
        found = Surroundings(connection, BASE, [PHOTO])
        assert found.by_visit
        assert [each.reference for each in around(connection, PHOTO)] == ["Procedure/p1"]


def test_an_administration_without_a_procedure_is_a_treatment(engine: Engine, store: RecordStore) -> None:
    with transaction(engine) as connection:
        put(connection, store, GIVEN)
    with reading(engine) as connection:
        (found,) = around(connection, "MedicationAdministration/gx")
    assert found.reference == "MedicationAdministration/gx"
    assert [each.product.lot for each in found.session.given] == ["LOT-0071"]


def test_a_mixed_drug_leads_back_from_what_it_was_mixed_of(engine: Engine, store: RecordStore) -> None:
    with transaction(engine) as connection:
        mixed = {
            "resourceType": "Medication",
            "id": "mix",
            "ingredient": [{"itemReference": {"reference": "Medication/lot7"}}],
        }
        put(
            connection, store, mixed, PROCEDURE, GIVEN | PART | {"medicationReference": {"reference": "Medication/mix"}}
        )
    with reading(engine) as connection:
        assert "Procedure/px" in [each.reference for each in around(connection, "Medication/lot7")]


def test_other_sessions_with_the_same_machine_are_not_read(engine: Engine, store: RecordStore) -> None:
    with transaction(engine) as connection:
        others = [
            PROCEDURE | {"id": f"o{number}", "encounter": {"reference": "Encounter/v2"},
                         "usedReference": [{"reference": "Device/yag"}]}
            for number in range(20)
        ]  # fmt: skip
        put(connection, store, *others)
    with reading(engine) as connection:
        found = Surroundings(connection, BASE, ["Procedure/o3"])
        assert "Device/yag" in found.resources
        assert (
            sum(each.startswith("Procedure/o") for each in found.resources) == 20
        )  # one visit, named and not followed
        assert len(around(connection, "Device/yag")) == 20


def test_the_number_of_statements_is_the_same_however_much_there_is(engine: Engine, store: RecordStore) -> None:
    asked: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    counts = []
    for sessions_ in (1, 30):
        with transaction(engine) as connection:
            for _ in range(sessions_):
                write(connection, store, WHOLE)
        with reading(engine) as connection:
            for anchor in ("Device/yag", PHOTO):
                event.listen(engine, "before_cursor_execute", note)
                asked.clear()
                around(connection, anchor)
                counts.append(len(asked))
                event.remove(engine, "before_cursor_execute", note)
    assert max(counts) <= 2 * ROUNDS
    assert counts[:2] == counts[2:]


@pytest.mark.fast
@pytest.mark.parametrize(
    ("site", "side", "name"),
    [
        ({"text": "Left cheek"}, Laterality.LEFT, "Left cheek"),
        ({"text": "cheek"}, None, "Cheek"),
        ({"coding": [FACE, {"system": "http://snomed.info/sct", "code": "24028007"}]}, Laterality.RIGHT, "Right face"),
        ({"coding": [{"system": "urn:other", "code": "12", "display": "Crow's feet"}]}, None, "Crow's feet"),
        (
            {"extension": [{"url": "urn:photospine:laterality", "valueCode": "B"}], "text": "Hand"},
            Laterality.BOTH,
            "Hand",
        ),
    ],
)
def test_sides_are_told_in_many_ways(site: dict[str, Any], side: Laterality | None, name: str) -> None:
    found = place(site)
    assert found is not None
    assert (found.side, region_name(found)) == (side, name)


@pytest.mark.fast
def test_every_setting_has_a_unit_and_the_kinds_of_the_record_are_known() -> None:
    assert all(each.units for each in known_settings().values())
    assert {"Procedure", "MedicationAdministration", "MedicationDispense", "Observation"} <= KEPT
    assert amounts() is not None
    assert Place(Named("x")) == place({"text": "x"})


def test_what_else_was_observed_at_the_visit_is_not_read(engine: Engine, store: RecordStore) -> None:
    pulse = OBSERVED | {"code": {"text": "Pulse"}, "encounter": {"reference": "Encounter/v1"}}
    setting = pulse | {"id": "st", "code": {"coding": [{"system": SETTINGS, "code": "passes"}]}}
    part = pulse | PART | {"id": "part", "code": {"text": "Tip"}}
    with transaction(engine) as connection:
        put(connection, store, PROCEDURE | {"encounter": {"reference": "Encounter/v1"}}, part)
        put(connection, store, *(pulse | {"id": f"pulse{number}"} for number in range(30)))
        put(connection, store, setting | PART)
    with reading(engine) as connection:
        found = Surroundings(connection, BASE, ["Procedure/px"])
        assert not [each for each in found.resources if "pulse" in each]
        (treated,) = around(connection, "Procedure/px")
        assert sorted(s.name.text for m in treated.session.machines for s in m.settings) == ["Passes", "Tip"]
    with transaction(engine) as connection:
        visit = store.read(connection, "Encounter", "v1").json() | {"id": "v9"}
        at_it = {"encounter": {"reference": "Encounter/v9"}}
        put(connection, store, visit, PROCEDURE | at_it, setting | at_it)
    with reading(engine) as connection:
        (treated,) = around(connection, "Procedure/px")
        assert "Passes" in [s.name.text for m in treated.session.machines for s in m.settings]
