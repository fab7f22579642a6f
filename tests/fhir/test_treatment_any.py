"""Whatever is valid is read without stumbling."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from consent.store.engine import rehearsal
from fhir_mapping.errors import Invalid
from fhir_mapping.store import validate
from fhir_mapping.store.record import RecordStore
from fhir_mapping.treatment.settings import SETTINGS
from tests.counts import count, report
from tests.fhir.sessions import around
from tests.fhir.treated import PHOTO

_DONE = {
    "Procedure": "completed",
    "MedicationAdministration": "in-progress",
    "Observation": "final",
    "DeviceUseStatement": "active",
    "MedicationDispense": "completed",
}


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
            "status": st.sampled_from([_DONE[kind], "entered-in-error"]),
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
