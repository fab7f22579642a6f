"""Patients and what they have signed."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from benchmarks.generated.around import is_minor
from benchmarks.generated.foundation import CLINICIANS, FAMILY, SITE

_GIVEN = ("Anna", "Maria", "Eleni", "Dimitra", "Katerina", "Nikos", "Sofia", "Clara", "Léa", "Jürgen", "Olga", "Tomás")
_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_OURS = "urn:photospine:purpose"
_PURPOSES = {
    "PORTFOLIO": _OURS,
    "WEB": _OURS,
    "SOCIAL": _OURS,
    "TEACH": _OURS,
    "TREAT": _REASON,
    "HRESCH": _REASON,
}
SIGNED = "2026-06-01T10:00:00+03:00"
"""After the last photo, so that it is about all of them."""


def patient(random: Random, number: int) -> dict[str, Any]:
    """One patient; one in a hundred is a minor."""
    name = patient_id(number)
    year = random.randint(2010, 2015) if is_minor(number) else random.randint(1945, 2002)
    return {
        "resourceType": "Patient",
        "id": name,
        "identifier": [
            {
                "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]},
                "system": "urn:example:mrn",
                "value": f"{1_000_000 + number}",
            }
        ],
        "active": True,
        "name": [{"family": random.choice(FAMILY), "given": [random.choice(_GIVEN)]}],
        "telecom": [{"system": "phone", "value": f"+30 210 {number:07}", "use": "mobile"}],
        "gender": random.choice(("female", "female", "female", "male")),
        "birthDate": f"{year}-{random.randint(1, 12):02}-{random.randint(1, 28):02}",
        "address": [{"line": [f"{random.randint(1, 200)} Example Street"], "city": "Athens", "postalCode": "10431"}],
    }


def patient_id(number: int) -> str:
    """The id of a patient, in the order of numbers."""
    return f"p{number:06}"


def consents(random: Random, number: int, documents: Sequence[str]) -> list[dict[str, Any]]:
    """What a patient has signed, most often nothing.

    Parameters
    ----------
    documents
        Ids of her photos' DocumentReferences.
    """
    made = []
    if random.random() < 0.4:
        purposes = ["PORTFOLIO"] + (["WEB"] if random.random() < 0.5 else [])
        period = {"period": {"start": "2026-01-01", "end": "2031-12-31"}} if random.random() < 0.25 else {}
        made.append({"type": "permit", **_for(purposes), **period})
    if random.random() < 0.1:
        social = {"type": "permit", **_for(["SOCIAL"])}
        made.append(
            social | {"actor": [_whom({"identifier": {"system": "urn:photospine:channel", "value": "tiktok"}})]}
        )
    if random.random() < 0.06:
        made.append({"type": "deny", **_for(["TREAT"]), "data": [_photo(random.choice(documents))]})
    if random.random() < 0.05:
        made.append({"type": "deny", **_for(["TEACH"])})
    if random.random() < 0.04:
        made.append({"type": "permit", **_for(["HRESCH"])})
    if number % 1000 == 13:
        made.append({"type": "permit", **_for(["PORTFOLIO"]), "actor": [_whom({"reference": CLINICIANS[0]})]})
    return [_consent(number, place, provision) for place, provision in enumerate(made)]


def _consent(number: int, place: int, provision: dict[str, Any]) -> dict[str, Any]:
    name = patient_id(number)
    return {
        "resourceType": "Consent",
        "id": f"k{number:06}-{place}",
        "status": "active",
        "scope": {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"},
            ]
        },
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": f"Patient/{name}"},
        "dateTime": SIGNED,
        "performer": [{"reference": f"Patient/{name}"}],
        "organization": [{"reference": f"Organization/{SITE.organization}"}],
        "sourceAttachment": {"title": "Signed form"},
        "policy": [{"uri": "urn:example:consent-form:3"}],
        "provision": provision,
    }


def _for(purposes: Sequence[str]) -> dict[str, Any]:
    return {"purpose": [{"system": _PURPOSES[each], "code": each} for each in purposes]}


def _whom(reference: dict[str, Any]) -> dict[str, Any]:
    role = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]}
    return {"role": role, "reference": reference}


def _photo(document: str) -> dict[str, Any]:
    return {"meaning": "instance", "reference": {"reference": f"DocumentReference/{document}"}}
