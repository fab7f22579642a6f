"""Tasks for a person (R4 Task)."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from fhir_mapping import dates
from fhir_mapping.errors import Issue

TASK_SYSTEM = "urn:photospine:task"
CONSENT_REFUSED = "consent-refused"
PHOTO_OF_ANOTHER = "photo-of-another-patient"


def refused_consent(patient: str | None, issues: Sequence[Issue], body: bytes, now: datetime) -> dict[str, Any]:
    """A Consent with a denial was refused: somebody must see to it, so that no refusal of a patient is lost.

    Parameters
    ----------
    patient
        Id of the patient, where she is known here.
    body
        The Consent as it was sent; it goes into the Task whole.
    """
    task: dict[str, Any] = {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "priority": "urgent",
        "code": {
            "coding": [{"system": TASK_SYSTEM, "code": CONSENT_REFUSED}],
            "text": "A Consent with a denial was refused",
        },
        "description": "A Consent that contains a denial could not be honoured as it was written. Ask the patient, and "
        "write down what she wants.",
        "authoredOn": dates.instant(now),
        "lastModified": dates.instant(now),
        "reasonCode": {"text": "; ".join(f"{each.element}: {each.text}" for each in issues)[:4000]},
        "input": [
            {
                "type": {"text": "The Consent as it was sent"},
                "valueAttachment": {
                    "contentType": "application/fhir+json",
                    "data": base64.b64encode(body).decode(),
                },
            }
        ],
    }
    if patient is not None:
        task["for"] = {"reference": f"Patient/{patient}"}
    return task


def photo_of_another_patient(sop_uid: str, patient: str, now: datetime) -> dict[str, Any]:
    """A file came in that is known as another patient's photo: it is kept unseen until somebody decides.

    Parameters
    ----------
    patient
        Id of the patient whom it was sent for.
    """
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "code": {
            "coding": [{"system": TASK_SYSTEM, "code": PHOTO_OF_ANOTHER}],
            "text": "A file is known as another patient's photo",
        },
        "description": "Find out whose photo it is. The photo that was known before is not touched; this one is not "
        "shown to anybody.",
        "for": {"reference": f"Patient/{patient}"},
        "authoredOn": dates.instant(now),
        "lastModified": dates.instant(now),
        "input": [
            {
                "type": {"text": "The photo that was kept"},
                "valueIdentifier": {"system": "urn:dicom:uid", "value": f"urn:oid:{sop_uid}"},
            }
        ],
    }
