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
