"""What decisions read of a photo: from its document, and from whatever links to it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, select

from consent.codec import photo_from_json
from consent.store.engine import transaction
from consent.store.tables import photo
from consent.store.tables import photo_facts as facts_table
from fhir_mapping.projections.photo import photo_facts
from fhir_mapping.projections.written import Setting
from fhir_mapping.store.record import RecordStore
from tests.fhir.clinic import (
    BASE,
    FACE,
    HAND,
    SITE,
    Clinic,
    context,
    document_of,
    region,
    study_of,
    uid_of,
)

SETTING = Setting(SITE, BASE)


def test_what_a_photo_shows_and_is_linked_to(engine: Engine, record: RecordStore) -> None:
    with transaction(engine) as connection:
        plan = {
            "resourceType": "CarePlan",
            "id": "cp",
            "status": "active",
            "intent": "plan",
            "subject": {"reference": "Patient/anna"},
        }
        record.update(connection, "CarePlan", "cp", plan, source="test")
        document = document_of("f", "anna", "v1") | {
            "context": context("v1", "2026-05-03T10:00", "Procedure/p1")
            | {"period": {"start": "2026-05-03T10:00:00+03:00"}},
            "extension": [
                region(FACE, "L"),
                region(HAND),
                {"url": "urn:photospine:also-shows", "valueReference": {"reference": "Patient/ben"}},
            ],
            "securityLabel": [
                {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]}
            ],
        }
        record.create(connection, "DocumentReference", document, source="pipeline", id="f")
        record.update(connection, "ImagingStudy", "v1", study_of("v1", "anna", [uid_of("f")]), source="pipeline")
        record.create(
            connection,
            "Provenance",
            {
                "resourceType": "Provenance",
                "id": "pr",
                "target": [{"reference": "DocumentReference/f"}],
                "recorded": "2026-05-03T10:00:00Z",
                "agent": [
                    {
                        "type": {
                            "coding": [
                                {
                                    "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
                                    "code": "performer",
                                }
                            ]
                        },
                        "who": {"reference": "Practitioner/m"},
                    }
                ],
            },
            source="pipeline",
            id="pr",
        )
        facts = photo_facts(connection, SETTING, "f")
    assert facts.photo == uid_of("f")
    assert facts.patients == ("anna", "ben")
    assert facts.links == {"Procedure/p1", "Encounter/v1"}
    assert facts.treatment
    assert (facts.encounter, facts.imaging_study, facts.custodian) == (
        "Encounter/v1",
        "ImagingStudy/v1",
        "Organization/clinic",
    )
    assert (facts.author, facts.photographer) == ("Practitioner/d", "Practitioner/m")
    assert [(each.code.rpartition("|")[2], each.laterality) for each in facts.regions] == [
        ("89545001", "L"),
        ("85562004", "B"),
    ]
    assert [each.code for each in facts.labels] == ["R"]
    assert facts.taken is not None
    assert facts.taken.start == datetime(2026, 5, 3, 7, tzinfo=UTC)


@pytest.mark.fast
def test_a_link_from_the_other_side_reaches_the_photo(clinic: Clinic) -> None:
    assert "Procedure/p9" not in _stored(clinic, "f2").links
    procedure = {
        "resourceType": "Procedure",
        "id": "p9",
        "status": "completed",
        "subject": {"reference": "Patient/anna"},
        "report": [{"reference": "DocumentReference/f2"}],
    }
    clinic.put(procedure)
    assert "Procedure/p9" in _stored(clinic, "f2").links
    procedure.pop("report")
    clinic.put(procedure)
    assert "Procedure/p9" not in _stored(clinic, "f2").links


@pytest.mark.fast
def test_the_study_lends_no_treatment_to_a_photo_of_another(clinic: Clinic) -> None:
    """ImagingStudy.procedureReference is one for all photos of the visit."""
    study = study_of("v1", "anna", [uid_of("f1"), uid_of("f2")])
    clinic.put(
        {"resourceType": "Procedure", "id": "p9", "status": "completed", "subject": {"reference": "Patient/anna"}}
    )
    clinic.put(study | {"procedureReference": {"reference": "Procedure/p9"}})
    assert "Procedure/p9" not in _stored(clinic, "f1").links  # its own document names p1
    assert "Procedure/p9" in _stored(clinic, "f2").links


@pytest.mark.fast
def test_known_since_begins_anew_when_a_photo_is_linked_to_another_patient(clinic: Clinic) -> None:
    before = _stored(clinic, "f1").known_since["anna"]
    clinic.put(document_of("f1", "ben", "v2"))
    moved = _stored(clinic, "f1")
    assert set(moved.known_since) == {"ben"}
    assert moved.known_since["ben"] > before
    clinic.put(document_of("f1", "anna", "v1"))
    assert _stored(clinic, "f1").known_since["anna"] > moved.known_since["ben"]


@pytest.mark.fast
def test_a_manifest_states_since_when_its_patient_could_know(clinic: Clinic) -> None:
    stated = {"url": "urn:photospine:known-since", "valueDate": "2026-05-03"}
    clinic.photo("f5", "anna", "v1", extension=[region(FACE), stated])
    assert _stored(clinic, "f5").known_since["anna"] == datetime(2026, 5, 3, 21, tzinfo=UTC)
    clinic.put(document_of("f5", "ben", "v2") | {"extension": [stated]})
    assert _stored(clinic, "f5").known_since["ben"] > datetime(2026, 5, 4, tzinfo=UTC)


def _stored(clinic: Clinic, name: str) -> Any:
    with transaction(clinic.engine) as connection:
        query = select(facts_table.c.body).join(photo, photo.c.photo == facts_table.c.photo)
        return photo_from_json(connection.execute(query.where(photo.c.document == name)).scalar_one())
