"""DocumentReference: one photo (R4 DocumentReference)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from consent.regions import BodyRegion
from consent.types import Laterality
from fhir_mapping import dates
from fhir_mapping.consent_codes import REGION_EXTENSION
from fhir_mapping.resources.session import SESSION_EXTENSION, session_extension

DICOM_UID = "urn:dicom:uid"
ORIGINAL_HASH = "urn:photospine:original-sha-256"
"""Identifier system: SHA-256 of the original file, hexadecimal."""

VIEW_EXTENSION = "urn:photospine:view"
EXPRESSION_EXTENSION = "urn:photospine:expression"
KNOWN_SINCE_EXTENSION = "urn:photospine:known-since"
"""valueDate: the day that an import's manifest states for the source system."""

TAKEN_FROM_EXTENSION = "urn:photospine:taken-from"
"""valueCode: where an import has the time of a photo from."""

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
    also: tuple[tuple[BodyRegion, Laterality | None], ...] = ()
    """Further regions that it shows: Consents are about these, too."""

    expression: Concept | None = None
    procedure: str | None = None
    session: int | None = None
    """Where no Procedure says it."""

    author: str | None = None
    taken: str | None = None
    """FHIR dateTime, in the precision that is known."""

    known_since: str | None = None
    """FHIR date that an import's manifest states."""

    taken_from: str | None = None
    """Where an import has ``taken`` from, one word."""

    content_type: str = "image/jpeg"
    """Of what ``url`` gives."""


def document_reference(photo: PhotoDocument, now: datetime) -> dict[str, Any]:
    """The resource."""
    extensions: list[dict[str, Any]] = []
    if photo.region is not None:
        extensions.append(_region(photo.region, photo.laterality))
    extensions += [_region(region, side) for region, side in photo.also]
    if photo.view is not None:
        extensions.append({"url": VIEW_EXTENSION, "valueCodeableConcept": photo.view.json()})
    if photo.expression is not None:
        extensions.append({"url": EXPRESSION_EXTENSION, "valueCodeableConcept": photo.expression.json()})
    if photo.session is not None:
        extensions.append(session_extension(photo.session))
    if photo.known_since is not None:
        extensions.append({"url": KNOWN_SINCE_EXTENSION, "valueDate": photo.known_since})
    if photo.taken_from is not None:
        extensions.append({"url": TAKEN_FROM_EXTENSION, "valueCode": photo.taken_from})
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


def _region(region: BodyRegion, side: Laterality | None) -> dict[str, Any]:
    said = Concept(region.system, region.value, region.display)
    parts: list[dict[str, Any]] = [{"url": "code", "valueCodeableConcept": said.json()}]
    if side is not None:
        parts.append({"url": "laterality", "valueCode": side.value})
    return {"url": REGION_EXTENSION, "extension": parts}


_MADE_ANEW = frozenset(
    {"id", "meta", "text", "status", "identifier", "extension", "subject", "date", "content", "context"}
)


def corrected_document(former: Mapping[str, Any], photo: PhotoDocument, now: datetime) -> dict[str, Any]:
    """The resource of the instance that takes the place of a rejected one.

    What was recorded of the photo beside what is corrected goes on: labels, further patients, its author, its sources.

    Parameters
    ----------
    former
        The rejected one's, as it stands.
    """
    made = document_reference(photo, now)
    same_patient = (former.get("subject") or {}).get("reference") == photo.patient
    same_visit = (former.get("context") or {}).get("encounter") == made["context"]["encounter"]
    for name, value in former.items():
        if name not in _MADE_ANEW:
            made[name] = copy.deepcopy(value)
    known = {(each["system"], each["value"]) for each in made["identifier"]}
    made["identifier"] += [
        copy.deepcopy(each)
        for each in former.get("identifier") or ()
        if each.get("system") not in (DICOM_UID, ORIGINAL_HASH) and (each.get("system"), each.get("value")) not in known
    ]
    extensions = made.pop("extension", [])
    dropped = {each["url"] for each in extensions} | {SESSION_EXTENSION}
    if photo.taken is not None:
        dropped.add(TAKEN_FROM_EXTENSION)
    if not same_patient:
        dropped.add(KNOWN_SINCE_EXTENSION)
    extensions += [copy.deepcopy(each) for each in former.get("extension") or () if each.get("url") not in dropped]
    if extensions:
        made["extension"] = extensions
    security = (former.get("meta") or {}).get("security")
    if security:
        made["meta"] = {"security": copy.deepcopy(security)}
    period = (former.get("context") or {}).get("period")
    if period and photo.taken is None:
        made["context"]["period"] = copy.deepcopy(period)
    if same_patient and same_visit:
        related = made["context"].get("related", [])
        related += [
            copy.deepcopy(each)
            for each in (former.get("context") or {}).get("related") or ()
            if not str(each.get("reference", "")).startswith("Procedure/")
        ]
        if related:
            made["context"]["related"] = related
    made["content"][0]["attachment"]["contentType"] = photo.content_type
    replaces = {"code": "replaces", "target": {"reference": f"DocumentReference/{former['id']}"}}
    kept = [copy.deepcopy(each) for each in former.get("relatesTo") or () if each.get("code") != "replaces"]
    made["relatesTo"] = [replaces, *kept]
    return made


def rejected_document(former: Mapping[str, Any]) -> dict[str, Any]:
    """The resource of an instance that is rejected: it stands in the record as an error."""
    made = {name: copy.deepcopy(value) for name, value in former.items() if name != "meta"}
    security = (former.get("meta") or {}).get("security")
    return made | {"status": "entered-in-error"} | ({"meta": {"security": security}} if security else {})


def with_procedure(document: Mapping[str, Any], procedure: str | None, session: int | None) -> dict[str, Any]:
    """The resource of a photo that is of another treatment.

    Parameters
    ----------
    procedure
        ``Procedure/…``
    session
        Where no Procedure says it.
    """
    made = copy.deepcopy(dict(document))
    context = made.setdefault("context", {})
    related = [
        each for each in context.pop("related", ()) if not str(each.get("reference", "")).startswith("Procedure/")
    ]
    if procedure is not None:
        related.insert(0, {"reference": procedure})
    if related:
        context["related"] = related
    extensions = [each for each in made.pop("extension", ()) if each.get("url") != SESSION_EXTENSION]
    if session is not None:
        extensions.append(session_extension(session))
    if extensions:
        made["extension"] = extensions
    return made
