"""Small builders of the judges' worlds: what a test does not say is as in the fixture of the case table."""

from __future__ import annotations

from typing import Any

from tests.judges import vocabulary as words

REGION = {
    "face": f"{words.SNOMED}|73897004",
    "lips": f"{words.SNOMED}|88089004",
    "neck": f"{words.SNOMED}|43081002",
    "hand": f"{words.SNOMED}|33712006",
}
NOW = "2026-06-15T12:00:00+03:00"


def site(**changed: Any) -> dict[str, Any]:
    """The settings of the fixture."""
    return {
        "organization": "clinic",
        "time_zone": "Europe/Athens",
        "treatment_default": "implied",
        "portal_default": "consent",
        "care_team": "organization",
        "deniable_duties": [],
        "majority_age": 18,
        "purposes": [],
        "channels": ["instagram", "tiktok"],
        "projects": ["scars", "peels"],
        "rules_on": ["no-publishing-of-minors", "own-record-as-patient"],
        "forbid_break_glass": False,
        "watermark": [],
        "other_objects": "refuse",
        **changed,
    }


def patient(**changed: Any) -> dict[str, Any]:
    """An adult."""
    return {"birth": "1990-03-03", "representatives": [], "care_team": [], "results": {}, **changed}


def photo(name: str, **changed: Any) -> dict[str, Any]:
    """A photo of p, of visit V1."""
    taken = changed.get("taken", "2026-05-03T10:00:00+03:00")
    return {
        "patients": ["p"],
        "known_since": {"p": taken},
        "document": f"DocumentReference/{name}",
        "formerly": [],
        "formerly_hers": [],
        "imaging_study": "ImagingStudy/v1",
        "encounter": "Encounter/v1",
        "links": ["Encounter/v1"],
        "author": "Practitioner/d",
        "photographer": "Practitioner/d",
        "custodian": "Organization/clinic",
        "taken": taken,
        "regions": [shown("face")],
        "labels": [],
        "sources": [],
        "own_description": False,
        "other": False,
        **changed,
    }


def shown(name: str, laterality: str | None = None) -> dict[str, Any]:
    """A region that a photo shows."""
    return {"code": REGION[name], "laterality": laterality}


def account(*purposes: str, reference: str | None = None, **changed: Any) -> dict[str, Any]:
    """Who asks."""
    return {
        "purposes": list(purposes),
        "rights": [],
        "reference": reference,
        "confined_to": None,
        "own_patient": None,
        **changed,
    }


def ask(by: dict[str, Any], name: str, purpose: str, **changed: Any) -> dict[str, Any]:
    """A request."""
    return {
        "account": by,
        "photo": name,
        "purpose": purpose,
        "channel": None,
        "project": None,
        "reason": None,
        "emergency_patient": None,
        "stale": False,
        **changed,
    }


def purpose(code: str, system: str | None = None) -> dict[str, Any]:
    """A Coding of a purpose."""
    own = words.OWN_PURPOSE if code in words.OWN_PURPOSES else words.ACT_REASON
    return {"system": system or own, "code": code}


def actor(reference: str) -> dict[str, Any]:
    """A person or group."""
    return {"role": _role(), "reference": {"reference": reference}}


def channel(name: str) -> dict[str, Any]:
    """A channel."""
    return {"role": _role(), "reference": {"identifier": {"system": words.CHANNEL, "value": name}}}


def project(name: str) -> dict[str, Any]:
    """A project."""
    return {"role": _role(), "reference": {"identifier": {"system": words.PROJECT, "value": name}}}


def data(reference: str, meaning: str = "instance") -> dict[str, Any]:
    """A data element."""
    return {"meaning": meaning, "reference": {"reference": reference}}


def region(name: str, laterality: str | None = None) -> dict[str, Any]:
    """A region of a rule."""
    return region_code(REGION[name], laterality)


def region_code(code: str, laterality: str | None = None) -> dict[str, Any]:
    """A region of a rule, by its code."""
    system, value = code.split("|")
    parts: list[dict[str, Any]] = [
        {"url": "code", "valueCodeableConcept": {"coding": [{"system": system, "code": value}]}}
    ]
    if laterality is not None:
        parts.append({"url": "laterality", "valueCode": laterality})
    return {"url": words.REGION_EXTENSION, "extension": parts}


def label(code: str) -> dict[str, Any]:
    """A security label."""
    return {"system": words.CONFIDENTIALITY if len(code) == 1 else words.ACT_CODE, "code": code}


def provision(kind: str | None, *purposes: str, regions: list[Any] | None = None, **elements: Any) -> dict[str, Any]:
    """A provision, at the root or nested."""
    made: dict[str, Any] = {}
    if kind is not None:
        made["type"] = kind
    if purposes:
        made["purpose"] = [purpose(code) for code in purposes]
    if regions:
        made["extension"] = regions
    return {**made, **elements}


def consent(name: str, root: dict[str, Any] | None = None, **changed: Any) -> dict[str, Any]:
    """A Consent as FHIR JSON, signed by p for the clinic."""
    replaces = changed.pop("replaces", ())
    rule = changed.pop("rule", None)
    body: dict[str, Any] = {
        "resourceType": "Consent",
        "id": name,
        "status": "active",
        "scope": {"coding": [{"system": words.SCOPES, "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": "Patient/p"},
        "dateTime": "2026-05-04T10:00:00+03:00",
        "performer": [{"reference": "Patient/p"}],
        "organization": [{"reference": "Organization/clinic"}],
        "policy": [{"uri": "https://example.org/the-text-that-was-signed"}],
        **changed,
    }
    if root is not None:
        body["provision"] = root
    if rule is not None:
        body["policyRule"] = {"coding": [{"system": words.ACT_CODE, "code": rule}]}
    if replaces:
        body["extension"] = [
            {"url": words.REPLACES_EXTENSION, "valueReference": {"reference": f"Consent/{other}"}} for other in replaces
        ]
    return {name: value for name, value in body.items() if value is not None}


def written(body: dict[str, Any], *history: str, synchronised: bool = False) -> dict[str, Any]:
    """A Consent as it was written, with the states of its versions (the last is its own)."""
    return {"body": body, "history": [*history, body["status"]], "synchronised": synchronised}


def _role() -> dict[str, Any]:
    return {"coding": [{"system": words.PARTICIPATION, "code": "IRCP"}]}
