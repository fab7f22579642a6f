"""What the made-up clinic's record holds around its treatments: one of each kind that a clinic's system may send."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from orthanc_plugin.assembly.demo.clinic import COURSES, visit_id
from orthanc_plugin.assembly.demo.resources import transaction

Json = dict[str, Any]

_CLINIC = {"reference": "Organization/clinic"}
_CLINICIAN = {"reference": "Practitioner/demo-clinician"}


def around() -> Json:
    """As a transaction: rooms, teams, people close to a patient, findings, orders and what was used at home."""
    return transaction([*_clinic(), *_people(), *_findings(), *_orders(), *_at_home()])


def _patient(key: str) -> Json:
    return {"reference": f"Patient/demo-{key}"}


def _clinic() -> list[Json]:
    return [
        {
            "resourceType": "Location",
            "id": "demo-room",
            "status": "active",
            "name": "Treatment room",
            "managingOrganization": _CLINIC,
        },
        {
            "resourceType": "CareTeam",
            "id": "demo-team",
            "status": "active",
            "subject": _patient("anna"),
            "participant": [{"member": _CLINICIAN}, {"member": {"reference": "Practitioner/demo-doctor"}}],
            "managingOrganization": [_CLINIC],
        },
        {
            "resourceType": "Group",
            "id": "demo-group",
            "type": "person",
            "actual": True,
            "name": "Open day",
            "member": [{"entity": _patient("eleni")}, {"entity": _patient("maria")}],
        },
    ]


def _people() -> list[Json]:
    return [
        {
            "resourceType": "RelatedPerson",
            "id": "demo-eleni-brother",
            "active": True,
            "patient": _patient("eleni"),
            "relationship": [{"text": "Brother, called when she is not reached"}],
            "name": [{"family": "Brother", "given": ["Demo"]}],
            "telecom": [{"system": "phone", "value": "+30 210 000 0099"}],
        },
        {
            "resourceType": "EpisodeOfCare",
            "id": "demo-katerina-hands",
            "status": "finished",
            "patient": _patient("katerina"),
            "managingOrganization": _CLINIC,
            "period": {"start": "2025-10-01", "end": "2026-04-30"},
        },
    ]


def _findings() -> list[Json]:
    clinical = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    return [
        {
            "resourceType": "Condition",
            "id": "demo-katerina-lentigo",
            "clinicalStatus": {"coding": [{"system": clinical, "code": "active"}]},
            "code": {"text": "Solar lentigo, backs of both hands"},
            "subject": _patient("katerina"),
            "recordedDate": "2025-10-01",
        },
        {
            "resourceType": "BodyStructure",
            "id": "demo-dimitra-scars",
            "active": True,
            "location": {"text": "Right cheek"},
            "description": "Scars of acne",
            "patient": _patient("dimitra"),
        },
        {
            "resourceType": "Goal",
            "id": "demo-katerina-goal",
            "lifecycleStatus": "active",
            "description": {"text": "Backs of the hands without visible spots"},
            "subject": _patient("katerina"),
            "addresses": [{"reference": "Condition/demo-katerina-lentigo"}],
        },
    ]


def _orders() -> list[Json]:
    (course,) = [each for each in COURSES if each.patient == "nikos"]
    return [
        {
            "resourceType": "ServiceRequest",
            "id": "demo-nikos-referral",
            "status": "completed",
            "intent": "order",
            "code": {"text": "Assessment of hair loss"},
            "subject": _patient("nikos"),
            "authoredOn": f"{course.start - timedelta(days=30):%Y-%m-%d}",
            "requester": {"reference": "Practitioner/demo-doctor"},
        },
        {
            "resourceType": "Appointment",
            "id": f"{visit_id(course, 1)}-booked",
            "status": "fulfilled",
            "start": course.start.isoformat(),
            "end": (course.start + timedelta(minutes=45)).isoformat(),
            "basedOn": [{"reference": "ServiceRequest/demo-nikos-referral"}],
            "participant": [
                {"actor": _patient("nikos"), "status": "accepted"},
                {"actor": _CLINICIAN, "status": "accepted"},
                {"actor": {"reference": "Location/demo-room"}, "status": "accepted"},
            ],
        },
        {
            "resourceType": "Communication",
            "id": "demo-nikos-reminder",
            "status": "completed",
            "subject": _patient("nikos"),
            "recipient": [_patient("nikos")],
            "sender": _CLINIC,
            "sent": (course.start - timedelta(days=2)).isoformat(),
            "payload": [{"contentString": "Reminder of the first session"}],
        },
    ]


def _at_home() -> list[Json]:
    return [
        {
            "resourceType": "MedicationStatement",
            "id": "demo-katerina-sunscreen",
            "status": "active",
            "medicationCodeableConcept": {"text": "Sunscreen, factor 50"},
            "subject": _patient("katerina"),
            "effectivePeriod": {"start": "2025-10-01"},
        },
        {
            "resourceType": "Device",
            "id": "demo-mask",
            "status": "active",
            "deviceName": [{"name": "Cooling mask", "type": "user-friendly-name"}],
            "patient": _patient("maria"),
        },
        {
            "resourceType": "DeviceUseStatement",
            "id": "demo-maria-cooling",
            "status": "completed",
            "subject": _patient("maria"),
            "device": {"reference": "Device/demo-mask"},
            "timingPeriod": {"start": "2025-12-10", "end": "2025-12-12"},
        },
    ]
