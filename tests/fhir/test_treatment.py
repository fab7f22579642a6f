"""A session is read back as it was written, and as others write it: from a photo, a product or a machine, and back."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event

from consent.store.engine import reading, rehearsal, transaction
from consent.types import Laterality
from fhir_mapping.errors import Invalid
from fhir_mapping.store import validate
from fhir_mapping.store.kinds import KEPT
from fhir_mapping.store.record import RecordStore
from fhir_mapping.treatment.elements import place, region_name
from fhir_mapping.treatment.session import (
    Given,
    Implant,
    Lot,
    Machine,
    Named,
    Person,
    Place,
    Point,
    PointMap,
    Session,
    Setting,
    Use,
)
from fhir_mapping.treatment.settings import SETTINGS, known_settings
from fhir_mapping.treatment.surroundings import ROUNDS, Surroundings
from tests.counts import count, report
from tests.fhir.clinic import BASE, FACE, document_of
from tests.fhir.sessions import CHEEK, UNITS, amounts, around, put, sessions, write

LASER = {
    "resourceType": "Device",
    "id": "yag",
    "deviceName": [{"name": "Laser one", "type": "user-friendly-name"}],
    "serialNumber": "7",
}
PHOTO = "DocumentReference/f1"
WHOLE = Session(
    patient="anna",
    title=Named("Toxin, forehead", "urn:photospine:treatment|toxin"),
    start="2026-05-03T11:00:00+03:00",
    encounter="Encounter/v1",
    number=3,
    places=(CHEEK,),
    performers=(Person("Practitioner/d", "D Doe"),),
    given=(
        Given(
            Lot(Named("Toxin A"), "LOT-9", "2027-01-31"),
            dose=UNITS,
            place=CHEEK,
            maps=(PointMap(PHOTO, (Point(Decimal("0.25"), Decimal("0.5"), UNITS), Point(Decimal("1"), Decimal(0)))),),
        ),
        Given(Lot(Named("Sunscreen"), "SC-1"), Use.HANDED, replace(UNITS, unit="tube", code="")),
    ),
    implants=(
        Implant(
            Named("Filler"),
            "09504000059118",
            "(01)09504000059118(17)270131(10)L7",
            "L7",
            "2027-01-31",
            amount=replace(UNITS, value=Decimal("0.8"), unit="mL", code="mL"),
            place=CHEEK,
        ),
    ),
    machines=(
        Machine(
            "Laser one", "Device/yag", (Setting(Named("Fluence", f"{SETTINGS}|fluence"), replace(UNITS, unit="J/cm2")),)
        ),
    ),
    note="Tolerated well",
)


@pytest.fixture
def store(engine: Engine, record: RecordStore) -> RecordStore:
    """The record with a machine and a photo's document."""
    with transaction(engine) as connection:
        put(connection, record, LASER)
        record.create(connection, "DocumentReference", document_of("f1", "anna", "v1"), source="pipeline", id="f1")
    return record


def _known(session: Session) -> Session:
    """A session without the references that writing has given its products and devices."""
    return replace(
        session,
        given=tuple(replace(each, product=replace(each.product, reference=None)) for each in session.given),
        implants=tuple(replace(each, reference=None) for each in session.implants),
    )


def _sorted(session: Session) -> Session:
    """Ids are random, and with them the order of what belongs to a session."""
    given_ = [replace(each, maps=tuple(sorted(each.maps, key=repr))) for each in session.given]
    return replace(session, given=tuple(sorted(given_, key=repr)), implants=tuple(sorted(session.implants, key=repr)))


def test_a_session_is_read_back_as_it_was_written(engine: Engine, store: RecordStore) -> None:
    with transaction(engine) as connection:
        (procedure, *_) = write(connection, store, WHOLE)
    with reading(engine) as connection:
        (found,) = around(connection, procedure.reference)
    assert found.reference == procedure.reference
    assert _sorted(_known(found.session)) == _sorted(WHOLE)


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
            assert _sorted(_known(found[0].session)) == _sorted(WHOLE), anchor
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
            assert _sorted(_known(found.session)) == _sorted(session)

    check()
    report("treatment-round-trip", asked=asked, run=ran, failures=0)


PROCEDURE: dict[str, Any] = {
    "resourceType": "Procedure",
    "id": "px",
    "status": "completed",
    "subject": {"reference": "Patient/anna"},
    "encounter": {"reference": "Encounter/v1"},
    "performedPeriod": {"start": "2026-06-01T10:00:00+03:00", "end": "2026-06-01T10:30:00+03:00"},
}
GIVEN: dict[str, Any] = {
    "resourceType": "MedicationAdministration",
    "id": "gx",
    "status": "completed",
    "subject": {"reference": "Patient/anna"},
    "medicationReference": {"reference": "Medication/lot7"},
    "effectiveDateTime": "2026-06-01T10:00:00+03:00",
    "dosage": {"dose": {"value": 12, "unit": "U"}},
}
OBSERVED: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "ox",
    "status": "final",
    "subject": {"reference": "Patient/anna"},
    "code": {"text": "Fluence"},
    "valueQuantity": {"value": 2.4, "unit": "J/cm2", "system": "http://unitsofmeasure.org", "code": "J/cm2"},
}
PART = {"partOf": [{"reference": "Procedure/px"}]}

#: What others write, and the member of the session that must hold what.
SHAPES: dict[str, tuple[list[dict[str, Any]], str, Any]] = {
    "the administration is part of the Procedure": (
        [PROCEDURE, GIVEN | PART],
        "given",
        [("Toxin A", "LOT-0071", "12 U")],
    ),
    "the Procedure is part of the administration": (
        [GIVEN, PROCEDURE | {"partOf": [{"reference": "MedicationAdministration/gx"}]}],
        "given",
        [("Toxin A", "LOT-0071", "12 U")],
    ),
    "the administration names the visit alone": (
        [
            PROCEDURE | {"encounter": {"reference": "Encounter/v9"}},
            GIVEN | {"context": {"reference": "Encounter/v9"}},
        ],
        "given",
        [("Toxin A", "LOT-0071", "12 U")],
    ),
    "the drug is contained": (
        [
            PROCEDURE,
            GIVEN
            | PART
            | {
                "medicationReference": {"reference": "#m"},
                "contained": [
                    {
                        "resourceType": "Medication",
                        "id": "m",
                        "code": {"coding": [{"system": "urn:x", "code": "tox", "display": "Toxin C"}]},
                        "batch": {"lotNumber": "C-1"},
                    }
                ],
            },
        ],
        "given",
        [("Toxin C", "C-1", "12 U")],
    ),
    "the drug is a code": (
        [
            PROCEDURE,
            {key: value for key, value in (GIVEN | PART).items() if key != "medicationReference"}
            | {"medicationCodeableConcept": {"text": "Toxin B"}},
        ],
        "given",
        [("Toxin B", "", "12 U")],
    ),
    "it was handed over": (
        [
            PROCEDURE,
            {
                "resourceType": "MedicationDispense",
                "id": "dx",
                "status": "completed",
                "subject": {"reference": "Patient/anna"},
                "medicationReference": {"reference": "Medication/lot7"},
                "quantity": {"value": 1, "unit": "tube"},
            }
            | PART,
        ],
        "given",
        [("Toxin A", "LOT-0071", "1 tube")],
    ),
    "the administration is void": ([PROCEDURE, GIVEN | PART | {"status": "entered-in-error"}], "given", []),
    "the setting is the Observation's value": (
        [PROCEDURE, OBSERVED | PART],
        "machines",
        [("", None, [("Fluence", "2.4 J/cm²")])],
    ),
    "the setting names the machine": (
        [PROCEDURE, OBSERVED | PART | {"device": {"reference": "Device/yag"}}],
        "machines",
        [("Laser one", "Device/yag", [("Fluence", "2.4 J/cm²")])],
    ),
    "the machine is a kind": (
        [PROCEDURE | {"usedCode": [{"text": "Nd:YAG"}]}, OBSERVED | PART],
        "machines",
        [("Nd:YAG", None, [("Fluence", "2.4 J/cm²")])],
    ),
    "the machine is used, its settings name none": (
        [PROCEDURE | {"usedReference": [{"reference": "Device/yag"}]}, OBSERVED | PART],
        "machines",
        [("Laser one", "Device/yag", [("Fluence", "2.4 J/cm²")])],
    ),
    "a setting in words": (
        [
            PROCEDURE,
            {key: value for key, value in (OBSERVED | PART).items() if key != "valueQuantity"}
            | {"code": {"text": "Mode"}, "component": [{"code": {"text": "Tip"}, "valueString": "fractional"}]},
        ],
        "machines",
        [("", None, [("Tip", "fractional")])],
    ),
    "a filler used as a device": (
        [PROCEDURE | {"usedReference": [{"reference": "Device/laser"}]}],
        "implants",
        [("", "L1", "2028-12-31", "09504000059118")],
    ),
    "an implant by its use": (
        [
            PROCEDURE,
            {
                "resourceType": "DeviceUseStatement",
                "id": "ux",
                "status": "active",
                "subject": {"reference": "Patient/anna"},
                "device": {"reference": "Device/laser"},
                "derivedFrom": [{"reference": "Procedure/px"}],
            },
        ],
        "implants",
        [("", "L1", "2028-12-31", "09504000059118")],
    ),
    "times are a period": ([PROCEDURE], "end", "2026-06-01T10:30:00+03:00"),
    "the area is a BodyStructure": (
        [
            {
                "resourceType": "BodyStructure",
                "id": "bx",
                "patient": {"reference": "Patient/anna"},
                "location": {"coding": [FACE]},
                "locationQualifier": [{"coding": [{"system": "http://snomed.info/sct", "code": "7771000"}]}],
            },
            PROCEDURE
            | {
                "extension": [
                    {
                        "url": "http://hl7.org/fhir/StructureDefinition/procedure-targetBodyStructure",
                        "valueReference": {"reference": "BodyStructure/bx"},
                    }
                ]
            },
        ],
        "places",
        ["Left face"],
    ),
    "the performer is a display": (
        [PROCEDURE | {"performer": [{"actor": {"display": "Nurse A"}}]}],
        "performers",
        [(None, "Nurse A")],
    ),
    "a point is an Observation of its own": (
        [
            PROCEDURE,
            GIVEN | PART,
            {
                "resourceType": "Observation",
                "id": "pt",
                "status": "final",
                "subject": {"reference": "Patient/anna"},
                "code": {"coding": [{"system": "urn:photospine:injection", "code": "injection-point"}]},
                "partOf": [{"reference": "MedicationAdministration/gx"}],
                "derivedFrom": [{"reference": "DocumentReference/f1"}],
                "component": [
                    {
                        "code": {"coding": [{"system": "urn:photospine:injection", "code": axis}]},
                        "valueQuantity": {"value": value},
                    }
                    for axis, value in (("x", 0.5), ("y", 0.25), ("dose", 4))
                ],
            },
        ],
        "points",
        [(PHOTO, "0.5", "0.25", "4")],
    ),
}


def _plain(session: Session, member: str) -> Any:
    match member:
        case "given":
            return [(e.product.name.text, e.product.lot, e.dose.shown if e.dose else "") for e in session.given]
        case "machines":
            return [(e.name, e.reference, [(s.name.text, s.shown) for s in e.settings]) for e in session.machines]
        case "implants":
            return [(e.name.text, e.lot, e.expires, e.di) for e in session.implants]
        case "places":
            return [region_name(each) for each in session.places]
        case "performers":
            return [(each.reference, each.name) for each in session.performers]
        case "points":
            return [
                (each.photo, str(point.x), str(point.y), point.dose.shown if point.dose else "")
                for use in session.given
                for each in use.maps
                for point in each.points
            ]
    return getattr(session, member)


def test_what_others_write_is_read(engine: Engine, store: RecordStore) -> None:
    wrong: dict[str, Any] = {}
    visit = {
        "resourceType": "Encounter",
        "id": "v9",
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": "Patient/anna"},
    }
    with transaction(engine) as connection:
        put(connection, store, visit)
    for shape, (resources, member, expected) in SHAPES.items():
        with rehearsal(engine) as connection:
            put(connection, store, *resources)
            (found,) = around(connection, "Procedure/px")
            if _plain(found.session, member) != expected:
                wrong[shape] = _plain(found.session, member)
            for each in resources:
                anchor = f"{each['resourceType']}/{each['id']}"
                linked = each["resourceType"] != "BodyStructure" and ("px" in str(each) or "v9" in str(each))
                if linked and "Procedure/px" not in [e.reference for e in around(connection, anchor)]:
                    wrong[f"{shape}, from {anchor}"] = around(connection, anchor)
    assert wrong == {}


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


def _resources() -> st.SearchStrategy[dict[str, Any]]:
    """Resources of the kinds that are read here, with elements of every shape: most of them are valid."""
    concept = st.fixed_dictionaries(
        {},
        optional={
            "text": st.sampled_from(["Left cheek", "Hair density", "Passes", "improved"]),
            "coding": st.lists(
                st.fixed_dictionaries(
                    {},
                    optional={
                        "system": st.sampled_from(["http://snomed.info/sct", SETTINGS, "urn:photospine:outcome"]),
                        "code": st.sampled_from(["7771000", "fluence", "hair-density", "device-settings", "x"]),
                        "display": st.just("Shown"),
                    },
                ).filter(bool),
                min_size=1,
                max_size=2,
            ),
        },
    ).filter(bool)
    quantity = st.fixed_dictionaries(
        {},
        optional={"value": st.floats(0, 1e6).map(lambda n: round(n, 3)), "unit": st.just("mm"), "code": st.just("mm")},
    ).filter(bool)
    reference = st.fixed_dictionaries(
        {},
        optional={
            "reference": st.sampled_from(
                ["Procedure/p1", "MedicationAdministration/ma1", "Device/yag", "Medication/lot7", "#c", "Encounter/v1",
                 "DocumentReference/f1", "CarePlan/none", "http://elsewhere/fhir/Procedure/1"]
            ),
            "display": st.just("Somebody"),
        },
    ).filter(bool)  # fmt: skip
    many = st.lists(reference, min_size=1, max_size=2)
    value = {
        "valueQuantity": quantity,
        "valueCodeableConcept": concept,
        "valueString": st.just("improved"),
        "valueBoolean": st.booleans(),
        "valueRange": st.fixed_dictionaries({"low": quantity}),
        "valueRatio": st.fixed_dictionaries({"numerator": quantity}),
        "valuePeriod": st.just({"start": "2026"}),
    }
    component = st.fixed_dictionaries({"code": concept}) | st.one_of(
        [st.fixed_dictionaries({"code": concept, name: each}) for name, each in value.items()]
    )
    site_ = concept
    kinds: dict[str, dict[str, Any]] = {
        "Procedure": {
            "code": concept,
            "bodySite": st.lists(site_, min_size=1, max_size=2),
            "partOf": many,
            "basedOn": many,
            "usedReference": many,
            "usedCode": st.lists(concept, min_size=1, max_size=1),
            "performedString": st.just("May"),
            "performedAge": st.just({"value": 3}),
            "encounter": reference,
            "focalDevice": st.lists(st.fixed_dictionaries({"manipulated": reference}), min_size=1, max_size=2),
            "performer": st.lists(st.fixed_dictionaries({"actor": reference}), min_size=1, max_size=1),
            "contained": st.just([{"resourceType": "Device", "id": "c"}]),
        },
        "MedicationAdministration": {
            "medicationCodeableConcept": concept,
            "partOf": many,
            "context": reference,
            "effectiveDateTime": st.just("2026"),
            "dosage": st.fixed_dictionaries({"dose": quantity}, optional={"site": site_}),
            "device": many,
            "supportingInformation": many,
        },
        "Observation": {
            "code": concept,
            "partOf": many,
            "derivedFrom": many,
            "device": reference,
            "bodySite": site_,
            "component": st.lists(component, min_size=1, max_size=3),
            "interpretation": st.lists(concept, min_size=1, max_size=1),
            "effectiveInstant": st.just("2026-01-01T00:00:00Z"),
            "method": concept,
            "performer": many,
            **value,
        },
        "DeviceUseStatement": {
            "device": reference,
            "derivedFrom": many,
            "bodySite": site_,
            "timingTiming": st.just({"event": ["2026"]}),
        },
        "MedicationDispense": {
            "medicationCodeableConcept": concept,
            "quantity": quantity,
            "partOf": many,
            "dosageInstruction": st.just([{"text": "once"}]),
        },
    }
    drawn = []
    for kind, members in kinds.items():
        fixed = {
            "resourceType": st.just(kind),
            "id": st.just("any"),
            "status": st.sampled_from(["completed", "final", "active", "entered-in-error", "in-progress"]),
            "subject": st.just({"reference": "Patient/anna"}),
        }
        drawn.append(st.fixed_dictionaries(fixed, optional=members))
    return st.one_of(drawn)


def test_whatever_is_valid_is_read_without_stumbling(engine: Engine, store: RecordStore) -> None:
    asked = count("treatment-any-resource", small=150, full=4000)
    ran = kept = 0

    @settings(max_examples=asked, deadline=None, suppress_health_check=list(HealthCheck))
    @given(_resources())
    def check(resource: dict[str, Any]) -> None:
        nonlocal ran, kept
        ran += 1
        kind = resource["resourceType"]
        try:
            validate.structure(kind, resource)
            with rehearsal(engine) as connection:
                store.update(connection, kind, "any", resource, source="test")
                around(connection, f"{kind}/any")
                around(connection, PHOTO, "Procedure/p1", "Device/yag", "Medication/lot7")
                kept += 1
        except Invalid:
            return

    check()
    assert kept > ran / 20
    report("treatment-any-resource", asked=asked, run=ran, failures=0, measured=f"{kept} of them valid")


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
