"""Everything that the API serves holds before two foreign validators: what is kept, what is rebuilt, what is cut."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from consent.store.engine import transaction
from fhir_mapping.api.interactions import TABLE
from fhir_mapping.resources.task import refused_consent
from orthanc_plugin.assembly.demo import around, resources
from tests.fhir.clinic import Clinic, consent_of, context
from tests.fhir.validators import Medplum, Pyrofile, needs_definitions


@pytest.fixture
def full(clinic: Clinic) -> Clinic:
    """The clinic with the demo's record beside its own, photos of which some are refused, and a Task."""
    for bundle in (resources.foundation(), *resources.visits(), around.around()):
        assert clinic.ask("integrator", "POST", "", json=bundle).status_code == 200
    clinic.photo("f3", "anna", "v1", context=context("v1", "2026-05-03T10:10:00+03:00", "Procedure/p1"))
    clinic.photo("f4", "anna", "v1", relatesTo=[{"code": "appends", "target": {"reference": "DocumentReference/f3"}}])
    data = [{"meaning": "instance", "reference": {"reference": "DocumentReference/f3"}}]
    clinic.put(consent_of("no", "deny", "TREAT", provision={"data": data}))
    clinic.put(
        {
            "resourceType": "Provenance",
            "id": "looked-at",
            "target": [{"reference": "Procedure/p1"}],
            "recorded": "2026-05-03T10:00:00Z",
            "agent": [{"who": {"reference": "Practitioner/d"}}],
            "entity": [
                {"role": "source", "what": {"reference": f"DocumentReference/{each}/_history/1"}}
                for each in ("f1", "f3")
            ],
        }
    )
    clinic.put(
        {
            "resourceType": "CarePlan",
            "id": "plan",
            "status": "active",
            "intent": "plan",
            "subject": {"reference": "Patient/anna"},
            "supportingInfo": [{"reference": f"DocumentReference/{each}"} for each in ("f1", "f3")],
        }
    )
    with transaction(clinic.engine) as connection:
        task = clinic.record.own("Task", refused_consent("anna", [], b"{}", clinic.record.clock(connection)))
        clinic.record.create(connection, "Task", task, source="test", id="t1")
    return clinic


_PATHS = (
    "Observation?_include=Observation:device&_revinclude=Provenance:target",
    "CarePlan/plan",
    "CarePlan/plan/_history",
    "CarePlan/plan/_history/1",
    "DocumentReference/f4",
    "DocumentReference/_history",
    "ImagingStudy/v1",
    "ImagingStudy?_summary=true",
    "Patient?_summary=text",
    "Procedure?_elements=code",
    "Procedure?_summary=count",
    "Device/laser/_history",
    "Procedure/p1/$treatment",
    "Procedure/p1/$basis",
    "DocumentReference/$photos?_facets=area,view",
    "metadata",
    "Patient/nobody",
    "Patient?nothing=1",
)


def _served(clinic: Clinic) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for row in TABLE:
        if row.type not in ("AuditEvent", "Task"):
            yield row.type, clinic.get("clinician", f"/{row.type}?_count=200").json()
    for path in _PATHS:
        yield path, clinic.get("clinician", f"/{path}").json()
    yield "lenient", clinic.ask("clinician", "GET", "/Patient?x=1", headers={"Prefer": "handling=lenient"}).json()
    yield "Task", clinic.get("compliance", "/Task", "HCOMPL").json()
    yield "AuditEvent", clinic.get("compliance", "/AuditEvent?_count=200", "HCOMPL").json()
    yield "her AuditEvent", clinic.get("anna", "/AuditEvent?_count=200").json()
    yield "$batch-advisory", clinic.get("compliance", "/$batch-advisory?lot=LOT-0071", "PATSFTY").json()
    yield "$explain", clinic.get("compliance", "/DocumentReference/f3/$explain?purpose=TREAT&account=clinician").json()
    device = {"resourceType": "Device", "id": "d9"}
    entries = [
        {"resource": device, "request": {"method": "PUT", "url": "Device/d9"}, "fullUrl": "urn:uuid:" + "1" * 8},
        {"resource": {"resourceType": "Device"}, "request": {"method": "POST", "url": "Device"}},
        {"request": {"method": "DELETE", "url": "Device/laser"}},
    ]
    for kind in ("transaction", "batch"):
        for prefer in ("representation", "minimal", "OperationOutcome"):
            bundle = {"resourceType": "Bundle", "type": kind, "entry": entries}
            answer = clinic.ask("integrator", "POST", "", json=bundle, headers={"Prefer": f"return={prefer}"})
            assert answer.status_code == 200, answer.text
            yield f"{kind} {prefer}", answer.json()
    yield "422", clinic.ask("integrator", "POST", "/Device", json={"resourceType": "Device", "status": "x"}).json()
    yield "401", clinic.raw("GET", "/Patient").json()
    yield "history", clinic.get("clinician", "/Device/_history").json()


@needs_definitions
def test_what_is_served_holds_before_both_validators(full: Clinic, medplum: Medplum, pyrofile: Pyrofile) -> None:
    kinds: set[str] = set()
    bundles: set[str] = set()
    cut = 0
    for name, resource in _served(full):
        kinds.add(resource["resourceType"])
        bundles.add(str(resource.get("type")))
        faults = [*medplum.faults(resource), *pyrofile.faults(resource)]
        assert faults == [], (name, resource)
        for entry in resource.get("entry", ()):
            inner = entry.get("resource")
            if inner is None:
                continue
            kinds.add(inner["resourceType"])
            cut += "SUBSETTED" in str(inner.get("meta"))
            found = [*medplum.faults(inner), *pyrofile.faults(inner)]
            assert found == [], (name, inner)
    assert {row.type for row in TABLE} <= kinds
    assert {"Bundle", "CapabilityStatement", "OperationOutcome", "Parameters"} <= kinds
    assert {"searchset", "history", "transaction-response", "batch-response", "collection"} <= bundles
    assert cut > 5
