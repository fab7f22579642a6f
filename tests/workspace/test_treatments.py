"""Treatments as the timeline shows them, from whatever form of reference a client of the record wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from consent.site import Site
from consent.store.engine import reading, transaction
from fhir_mapping.store.record import RecordStore
from orthanc_plugin.workspace.treatments import treatments
from tests.database import fresh

pytestmark = pytest.mark.fast

BASE = "http://photos.example/fhir"


@pytest.mark.parametrize("base", ["", f"{BASE}/"], ids=["relative", "absolute"])
def test_a_treatment_shows_what_was_given_however_it_is_referred_to(tmp_path: Path, base: str) -> None:
    def named(reference: str) -> dict[str, Any]:
        return {"reference": f"{base}{reference}"}

    engine = fresh(f"sqlite:///{tmp_path}/photospine.sqlite3")
    store = RecordStore(Site(), base=BASE)
    with transaction(engine) as connection:
        for resource in (
            {"resourceType": "Patient", "id": "anna"},
            {
                "resourceType": "Encounter",
                "id": "v1",
                "status": "finished",
                "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
                "subject": named("Patient/anna"),
            },
            {"resourceType": "Device", "id": "laser", "deviceName": [{"name": "A laser", "type": "other"}]},
            {"resourceType": "Medication", "id": "toxin", "code": {"text": "Toxin"}, "batch": {"lotNumber": "L1"}},
            {
                "resourceType": "Procedure",
                "id": "p1",
                "status": "completed",
                "code": {"text": "Forehead"},
                "subject": named("Patient/anna"),
                "encounter": named("Encounter/v1"),
                "usedReference": [named("Device/laser")],
            },
            {
                "resourceType": "MedicationAdministration",
                "id": "g1",
                "status": "completed",
                "medicationReference": named("Medication/toxin"),
                "subject": named("Patient/anna"),
                "effectiveDateTime": "2026-05-03",
                "partOf": [named("Procedure/p1")],
            },
        ):
            store.update(connection, str(resource["resourceType"]), str(resource["id"]), resource, source="urn:test")
    with reading(engine) as connection:
        (found,) = treatments(connection, store, ["anna"], store.site.zone)
    engine.dispose()
    assert [(product.name, product.lot) for product in found.products] == [("Toxin", "L1")]
    assert (found.device, found.visit) == ("A laser", "v1")


def test_outcomes_are_no_settings_and_a_use_without_a_procedure_is_shown(tmp_path: Path) -> None:
    engine = fresh(f"sqlite:///{tmp_path}/photospine.sqlite3")
    store = RecordStore(Site(), base=BASE)
    subject = {"subject": {"reference": "Patient/anna"}}
    with transaction(engine) as connection:
        for resource in (
            {"resourceType": "Patient", "id": "anna"},
            {"resourceType": "Procedure", "id": "p1", "status": "completed", "code": {"text": "Peel"}, **subject},
            {"resourceType": "Procedure", "id": "p2", "status": "preparation", "code": {"text": "Planned"}, **subject},
            {
                "resourceType": "Observation",
                "id": "o1",
                "status": "final",
                "code": {"text": "Pigment"},
                "valueCodeableConcept": {"text": "Much improved"},
                "partOf": [{"reference": "Procedure/p1"}],
                **subject,
            },
            {
                "resourceType": "MedicationDispense",
                "id": "d1",
                "status": "completed",
                "medicationCodeableConcept": {"text": "Sunscreen"},
                "quantity": {"value": 2, "unit": "tube"},
                "whenHandedOver": "2026-05-04",
                **subject,
            },
            {
                "resourceType": "MedicationStatement",
                "id": "s1",
                "status": "active",
                "medicationCodeableConcept": {"text": "Retinol"},
                "dateAsserted": "2026-05-05",
                **subject,
            },
        ):
            store.update(connection, str(resource["resourceType"]), str(resource["id"]), resource, source="urn:test")
    with reading(engine) as connection:
        found = treatments(connection, store, ["anna"], store.site.zone)
    engine.dispose()
    told = [(each.title, [(p.name, p.amount, p.how) for p in each.products], each.settings) for each in found]
    assert told == [
        ("Peel", [], ()),
        ("Handed to the patient", [("Sunscreen", "2 tube", "Handed to the patient")], ()),
        ("Used at home", [("Retinol", "", "Used at home")], ()),
    ]
    assert [each.at is None for each in found] == [True, False, False]
