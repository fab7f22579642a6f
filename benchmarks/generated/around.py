"""What stands around a patient's treatments: who acts for her, what she comes for, what was planned and agreed."""

from __future__ import annotations

from random import Random
from typing import Any

from benchmarks.generated.foundation import CLINICIANS, ROOMS, SITE
from dicom_bridge.objects.vocabulary import find_region

_ROLES = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
_CONDITIONS = ("Glabellar lines", "Photodamage", "Acne scars", "Volume loss", "Rosacea")
_MINORS = 100


def is_minor(number: int) -> bool:
    """Whether a patient, by her number, is a child."""
    return number % _MINORS == 7


def around(random: Random, number: int) -> list[dict[str, Any]]:
    """The resources of one patient."""
    key = f"{number:06}"
    subject = {"reference": f"Patient/p{key}"}
    clinician = {"reference": random.choice(CLINICIANS)}
    condition = random.choice(_CONDITIONS)
    made: list[dict[str, Any]] = [
        {
            "resourceType": "EpisodeOfCare",
            "id": f"e{key}",
            "status": "active",
            "patient": subject,
            "managingOrganization": {"reference": f"Organization/{SITE.organization}"},
            "period": {"start": "2019-01-01"},
            "careManager": clinician,
        },
        {
            "resourceType": "Condition",
            "id": f"x{key}",
            "clinicalStatus": {
                "coding": [
                    {"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"},
                ]
            },
            "code": {
                "coding": [{"system": "urn:example:condition", "code": condition.lower().replace(" ", "-")}],
                "text": condition,
            },
            "subject": subject,
            "onsetDateTime": f"{random.randint(2010, 2019)}-{random.randint(1, 12):02}",
        },
    ]
    if is_minor(number) or number % 20 == 1:
        made.append(_related(key, subject, is_minor(number)))
    if number % 2:
        made += _booked(random, key, subject, clinician)
    if number % 5 == 2:
        made += _agreed(key, subject)
    if number % 20 == 3:
        made.append(
            {
                "resourceType": "Communication",
                "id": f"q{key}",
                "status": "completed",
                "subject": subject,
                "sent": "2026-02-01T10:00:00+02:00",
                "payload": [{"contentString": "Aftercare as agreed."}],
            }
        )
    if number % 100 == 4:
        made.append(
            {
                "resourceType": "CareTeam",
                "id": f"z{key}",
                "status": "active",
                "subject": subject,
                "participant": [{"member": clinician}],
            }
        )
    if number % 1000 == 5:
        made.append(
            {
                "resourceType": "Group",
                "id": f"g{key}",
                "active": True,
                "type": "practitioner",
                "actual": True,
                "name": "Scar board",
                "member": [{"entity": {"reference": each}} for each in CLINICIANS[:4]],
            }
        )
    return made


def _related(key: str, subject: dict[str, str], parent: bool) -> dict[str, Any]:
    return {
        "resourceType": "RelatedPerson",
        "id": f"a{key}",
        "active": True,
        "patient": subject,
        "relationship": [{"coding": [{"system": _ROLES, "code": "MTH" if parent else "DPOWATT"}]}],
        "name": [{"family": "Specimen", "given": ["Representative"]}],
        "telecom": [{"system": "phone", "value": f"+30 211 {int(key):07}"}],
    }


def _booked(random: Random, key: str, subject: dict[str, str], clinician: dict[str, str]) -> list[dict[str, Any]]:
    day = f"2026-{random.randint(7, 12):02}-{random.randint(1, 28):02}"
    request = {
        "resourceType": "ServiceRequest",
        "id": f"b{key}",
        "status": "active",
        "intent": "order",
        "code": {"text": "Next session"},
        "subject": subject,
        "occurrenceDateTime": day,
        "requester": clinician,
    }
    appointment = {
        "resourceType": "Appointment",
        "id": f"h{key}",
        "status": "booked",
        "start": f"{day}T09:00:00Z",
        "end": f"{day}T09:30:00Z",
        "basedOn": [{"reference": f"ServiceRequest/b{key}"}],
        "participant": [
            {"actor": subject, "status": "accepted"},
            {"actor": clinician, "status": "accepted"},
            {"actor": {"reference": random.choice(ROOMS)}, "status": "accepted"},
        ],
    }
    return [request, appointment]


def _agreed(key: str, subject: dict[str, str]) -> list[dict[str, Any]]:
    region = find_region("forehead")
    return [
        {
            "resourceType": "Goal",
            "id": f"l{key}",
            "lifecycleStatus": "active",
            "description": {"text": "Fewer lines at rest"},
            "subject": subject,
            "startDate": "2026-01-10",
        },
        {
            "resourceType": "BodyStructure",
            "id": f"y{key}",
            "active": True,
            "location": {"coding": [{"system": region.system, "code": region.value}], "text": region.display},
            "patient": subject,
        },
    ]
