"""DocumentReference: one photo (R4 DocumentReference)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from consent.regions import BodyRegion
from consent.types import Laterality
from fhir_mapping import dates
from fhir_mapping.consent_codes import REGION_EXTENSION
from fhir_mapping.resources.session import session_extension

DICOM_UID = "urn:dicom:uid"
ORIGINAL_HASH = "urn:photospine:original-sha-256"
"""Identifier system: SHA-256 of the original file, hexadecimal."""

VIEW_EXTENSION = "urn:photospine:view"
EXPRESSION_EXTENSION = "urn:photospine:expression"
KNOWN_SINCE_EXTENSION = "urn:photospine:known-since"
"""valueDate: the day that an import's manifest states for the source system."""

_LOINC_PHOTO = {
    "system": "http://loinc.org",
    "code": "72170-4",
    "display": "Photographic image Unspecified body region Document",
}


@dataclass(frozen=True, slots=True)
class Concept:
    """A code with its text."""

    system: str
    code: str
    display: str

    def json(self) -> dict[str, Any]:
        """A CodeableConcept."""
        return {"coding": [{"system": self.system, "code": self.code, "display": self.display}], "text": self.display}


@dataclass(frozen=True, slots=True)
class PhotoDocument:
    """What the DocumentReference of a photo says. References are relative."""

    id: str
    sop_uid: str
    sha256: str
    patient: str
    encounter: str
    custodian: str
    url: str
    """Where the rendered photo is served; decided like any door."""

    region: BodyRegion | None
    """None where an object from elsewhere does not say it."""

    laterality: Laterality | None
    view: Concept | None
    expression: Concept | None = None
    procedure: str | None = None
    session: int | None = None
    """Where no Procedure says it."""

    author: str | None = None
    taken: str | None = None
    """FHIR dateTime, in the precision that is known."""

    known_since: str | None = None
    """FHIR date that an import's manifest states."""

    content_type: str = "image/jpeg"
    """Of what ``url`` gives."""


def document_reference(photo: PhotoDocument, now: datetime) -> dict[str, Any]:
    """The resource."""
    extensions: list[dict[str, Any]] = []
    if photo.region is not None:
        region = Concept(photo.region.system, photo.region.value, photo.region.display)
        parts: list[dict[str, Any]] = [{"url": "code", "valueCodeableConcept": region.json()}]
        if photo.laterality is not None:
            parts.append({"url": "laterality", "valueCode": photo.laterality.value})
        extensions.append({"url": REGION_EXTENSION, "extension": parts})
    if photo.view is not None:
        extensions.append({"url": VIEW_EXTENSION, "valueCodeableConcept": photo.view.json()})
    if photo.expression is not None:
        extensions.append({"url": EXPRESSION_EXTENSION, "valueCodeableConcept": photo.expression.json()})
    if photo.session is not None:
        extensions.append(session_extension(photo.session))
    if photo.known_since is not None:
        extensions.append({"url": KNOWN_SINCE_EXTENSION, "valueDate": photo.known_since})
    context: dict[str, Any] = {"encounter": [{"reference": photo.encounter}]}
    if photo.taken is not None:
        context["period"] = {"start": photo.taken}
    if photo.procedure is not None:
        context["related"] = [{"reference": photo.procedure}]
    resource: dict[str, Any] = {
        "resourceType": "DocumentReference",
        "id": photo.id,
        "identifier": [
            {"system": DICOM_UID, "value": f"urn:oid:{photo.sop_uid}"},
            {"system": ORIGINAL_HASH, "value": photo.sha256},
        ],
        "status": "current",
        "type": {"coding": [_LOINC_PHOTO]},
        "subject": {"reference": photo.patient},
        "date": dates.instant(now),
        "custodian": {"reference": photo.custodian},
        "content": [{"attachment": {"contentType": photo.content_type, "url": photo.url}}],
        "context": context,
    }
    if extensions:
        resource["extension"] = extensions
    if photo.author is not None:
        resource["author"] = [{"reference": photo.author}]
    return resource
