"""Required bindings: what HL7's definitions list, and nothing else, is taken in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fhir_mapping.codes import bindings
from fhir_mapping.errors import Invalid
from fhir_mapping.store.kinds import KEPT
from fhir_mapping.store.validate import structure
from tests.fhir.clinic import Clinic
from tests.fhir.required_bindings import FILE, computed
from tests.fhir.validators import needs_definitions


@needs_definitions
def test_the_table_is_what_the_definitions_say() -> None:
    assert json.loads(FILE.read_text("utf-8")) == computed()


@needs_definitions
def test_no_kept_type_s_required_binding_is_left_out() -> None:
    table = bindings()
    kinds = {name.partition(".")[0] for name in (*table.elements, *table.concepts)}
    without = {"BodyStructure", "CareTeam", "EpisodeOfCare", "PractitionerRole", "Provenance", "Organization"}
    assert {kind for kind in KEPT if not any(each.startswith(kind) for each in kinds)} <= without


def _condition(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Condition", "subject": {"reference": "Patient/anna"}} | more


_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"


@pytest.mark.parametrize(
    ("resource", "element"),
    [
        ({"resourceType": "Goal", "lifecycleStatus": "done", "description": {"text": "x"},
          "subject": {"reference": "Patient/anna"}}, "Goal.lifecycleStatus"),
        ({"resourceType": "Appointment", "status": "maybe", "participant": [{"status": "accepted"}]},
         "Appointment.status"),
        ({"resourceType": "Appointment", "status": "booked", "participant": [{"status": "sure"}]},
         "Appointment.participant[0].status"),
        ({"resourceType": "ServiceRequest", "status": "active", "intent": "wish",
          "subject": {"reference": "Patient/anna"}}, "ServiceRequest.intent"),
        (_condition(clinicalStatus={"coding": [{"system": _CLINICAL, "code": "better"}]}), "Condition.clinicalStatus"),
        (_condition(clinicalStatus={"coding": [{"system": "urn:x", "code": "active"}]}), "Condition.clinicalStatus"),
        (_condition(clinicalStatus={"text": "active"}), "Condition.clinicalStatus"),
        ({"resourceType": "Patient", "contained": [{"resourceType": "Device", "status": "gone"}]},
         "Patient.contained[0].status"),
    ],
)  # fmt: skip
def test_a_code_that_is_not_listed_is_refused(resource: dict[str, Any], element: str) -> None:
    with pytest.raises(Invalid) as refused:
        structure(resource["resourceType"], resource)
    assert element in [each.element for each in refused.value.issues]


def test_a_code_that_is_listed_is_taken(clinic: Clinic) -> None:
    codings = [{"system": "urn:x", "code": "7"}, {"system": _CLINICAL, "code": "active"}]
    body = _condition(clinicalStatus={"coding": codings})
    assert clinic.ask("integrator", "POST", "/Condition", json=body).status_code == 201
