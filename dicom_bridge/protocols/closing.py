"""The photographs of a visit, closed: each one that was asked for is there, or why it is not, and who says so.

An Observation of the visit (R4 Observation): one component for each photo, ``dataAbsentReason`` where there is none.
``final`` is closed, ``preliminary`` open again, since a photo came later. It is part of no Procedure, so that nobody
takes it for a machine's settings. Former versions stay.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from dicom_bridge.protocols.reasons import REASONS, reasons
from dicom_bridge.protocols.wanted import Asked, Visited
from dicom_bridge.protocols.words import shot_words
from fhir_mapping import dates
from fhir_mapping.errors import NotFound
from fhir_mapping.store.kinds import SOURCE
from fhir_mapping.store.record import RecordStore
from fhir_mapping.treatment.elements import Json, codes, named, parts, text

SYSTEM = "urn:photospine:photographs"
"""Codes of the Observation, and of its values."""

SHOTS = "urn:photospine:shot"
PHOTO_EXTENSION = "urn:photospine:shot-photo"
"""Extension on a component (valueReference): the photo that is there."""

CLOSED, REOPENED = "final", "preliminary"
_CATEGORY = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "procedure"}
_COMPLETE, _WITH_REASONS = "complete", "with-reasons"


@dataclass(frozen=True, slots=True)
class Why:
    """Why one photo is not there."""

    reason: str
    """Code in ``reasons.toml``."""

    told: str = ""


@dataclass(frozen=True, slots=True)
class Closed:
    """What is on record of a visit's photographs."""

    status: str
    """``final`` or ``preliminary``."""

    at: str
    """FHIR instant."""

    by: str
    """The person's name."""

    why: Mapping[str, Why] = field(default_factory=dict)
    """By :attr:`Asked.code`."""

    version: int = 0

    @property
    def open(self) -> bool:
        """Whether it was closed and is open again."""
        return self.status != CLOSED


@dataclass(frozen=True, slots=True)
class Person:
    """Who closes."""

    name: str
    reference: str | None = None
    """``Practitioner/…``."""


def closing_id(visit: str) -> str:
    """The id of the Observation of a visit: it follows from the visit, so that there is one."""
    return str(uuid.UUID(bytes=hashlib.sha256(f"photographs {visit}".encode()).digest()[:16], version=4))


def observation(visited: Visited, why: Mapping[str, Why], person: Person, now: datetime) -> dict[str, Any]:
    """The Observation that closes a visit's photographs.

    Parameters
    ----------
    why
        By :attr:`Asked.code`: of each photo that is not there.
    """
    whole = all(each.photo is not None for each in visited.asked)
    performer: dict[str, Any] = {"display": person.name}
    if person.reference is not None and person.reference.startswith(("Practitioner/", "PractitionerRole/")):
        performer["reference"] = person.reference
    made: dict[str, Any] = {
        "resourceType": "Observation",
        "id": closing_id(visited.visit),
        "status": CLOSED,
        "category": [{"coding": [_CATEGORY]}],
        "code": {"coding": [{"system": SYSTEM, "code": "closed"}], "text": "Photographs of the visit"},
        "subject": {"reference": f"Patient/{visited.patient}"},
        "encounter": {"reference": f"Encounter/{visited.visit}"},
        "effectiveDateTime": dates.instant(now),
        "issued": dates.instant(now),
        "performer": [performer],
        "valueCodeableConcept": {
            "coding": [{"system": SYSTEM, "code": _COMPLETE if whole else _WITH_REASONS}],
            "text": "Every photo is there" if whole else "Photos are missing, for the reasons that are told",
        },
    }
    photos = dict.fromkeys(each.photo.reference for each in visited.asked if each.photo is not None)
    if photos:
        made["derivedFrom"] = [{"reference": each} for each in photos]
    if visited.asked:
        made["component"] = [_component(each, why.get(each.code)) for each in visited.asked]
    return made


def _component(asked: Asked, why: Why | None) -> dict[str, Any]:
    coding = {"system": SHOTS, "version": asked.protocol.version, "code": asked.code}
    made: dict[str, Any] = {"code": {"coding": [coding], "text": str(shot_words(asked.shot))}}
    if asked.photo is not None:
        made["extension"] = [{"url": PHOTO_EXTENSION, "valueReference": {"reference": asked.photo.reference}}]
        made["valueCodeableConcept"] = {"coding": [{"system": SYSTEM, "code": "taken"}], "text": "Taken"}
    elif why is not None:
        reason = reasons()[why.reason]
        said = f"{reason.name}: {why.told}" if why.told else reason.name
        made["dataAbsentReason"] = {"coding": [{"system": REASONS, "code": reason.code}], "text": said}
    return made


def read(resource: Json, version: int = 0) -> Closed:
    """What an Observation of ours says."""
    why: dict[str, Why] = {}
    for component in parts(resource, "component"):
        shot = next((each for each in codes(component.get("code")) if each.startswith(f"{SHOTS}|")), "")
        reason = next((each for each in codes(component.get("dataAbsentReason")) if each.startswith(REASONS)), "")
        code = reason.rpartition("|")[2]
        if shot and code in reasons():
            told = named(component.get("dataAbsentReason")).text.partition(": ")[2]
            why[shot.rpartition("|")[2]] = Why(code, told)
    by = next((said for each in parts(resource, "performer") if (said := text(each, "display"))), "")
    return Closed(text(resource, "status"), text(resource, "issued"), by, why, version)


def reopened(resource: Json) -> dict[str, Any] | None:
    """The next version of it where a photo came later; None where nothing was missing, or it is open already."""
    if text(resource, "status") != CLOSED or not any(
        "dataAbsentReason" in each for each in parts(resource, "component")
    ):
        return None
    return {key: value for key, value in resource.items() if key != "meta"} | {"status": REOPENED}


def reopen(connection: Connection, store: RecordStore, visits: Iterable[str]) -> None:
    """Open those again whose photographs were closed while photos were missing: others have come.

    Parameters
    ----------
    visits
        Ids of Encounters.
    """
    for visit in sorted(set(visits)):
        try:
            stored = store.read(connection, "Observation", closing_id(visit))
        except NotFound:
            continue
        again = reopened(stored.json())
        if again is not None:
            store.update(connection, "Observation", stored.id, again, source=SOURCE)
