"""Observation: how a photo was taken, judged against the reference photo of the same view (R4 Observation).

One Observation for each photo, under an id that follows from the photo's:

- ``category`` imaging; ``code`` ``urn:photospine:appraisal|photograph``;
- ``subject``, ``encounter`` and ``effectiveDateTime`` are the photo's, ``issued`` is when it was judged;
- ``focus`` is the photo, ``derivedFrom`` the photo and, where there is one, the reference photo, in this order:
  ``DocumentReference/…`` all;
- ``device`` is a logical reference (``urn:photospine:judge``, its version) with the judge's name as ``display``;
  ``method`` the landmark model, if any;
- the extension ``urn:photospine:asked`` is what a protocol asks for, where one asks for the photo: ``1:10`` or
  ``60 cm, colour-card``; which protocol is not said, since that would tell of the treatment;
- ``interpretation`` of the whole, and one ``component`` for each :class:`Aspect`:
  ``code`` ``urn:photospine:appraisal|ASPECT``; ``interpretation`` ``urn:photospine:appraisal|good``, ``differs`` or
  ``unknown``, its text what a person reads ("turned 5 degrees to her left"); ``valueQuantity`` in UCUM, signed as
  :data:`MEANINGS` says; ``referenceRange`` what is let pass; ``dataAbsentReason`` where there is no value, its text
  the reason ("unknown without target").

Wrong expression, distance and light are the components ``expression``, ``scale`` and ``distance``, and ``exposure``,
``white-balance``, ``light-direction`` or ``flash`` that are interpreted ``differs``. :func:`read` gives them all as
facts.

It says something of each photo that it names, so whoever may not see one of them is shown nothing of it
(:mod:`fhir_mapping.api.sight`).
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from consent.wording import worded
from fhir_mapping import dates, references
from fhir_mapping.treatment.elements import UCUM, Json, codes, named, parts, text

SYSTEM = "urn:photospine:appraisal"
PHOTOGRAPH = "photograph"
"""Code of the Observation."""

_IMAGING = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "imaging"}
_ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
JUDGE = "urn:photospine:judge"
"""Identifier system: the version of the judge. It is no contained Device, which a batch question would take for a
product that was used."""


ASKED_EXTENSION = "urn:photospine:asked"
"""What of a protocol the photo was held against, as text."""


class Aspect(StrEnum):
    """What is judged of a photo."""

    SHARPNESS = "sharpness"
    EXPOSURE = "exposure"
    WHITE_BALANCE = "white-balance"
    RESOLUTION = "resolution"
    SCALE = "scale"
    POSITION = "position"
    YAW = "yaw"
    PITCH = "pitch"
    ROLL = "roll"
    EXPRESSION = "expression"
    LIGHT_DIRECTION = "light-direction"
    FLASH = "flash"
    DISTANCE = "distance"
    """Against the protocol, and not against the reference; there where a protocol asks for the photo."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """How an aspect is written down."""

    name: str
    """As people call it."""

    unit: str
    """As people write it."""

    ucum: str
    says: str
    """What a positive value says, against the reference."""


MEANINGS: Mapping[Aspect, Meaning] = {
    Aspect.SHARPNESS: Meaning(worded("Sharpness"), "%", "%", "finer detail"),
    Aspect.EXPOSURE: Meaning(worded("Exposure"), worded("stops"), "{stop}", "brighter"),
    Aspect.WHITE_BALANCE: Meaning(worded("White balance"), "K", "K", "cooler: the light was bluer by so many kelvin"),
    Aspect.RESOLUTION: Meaning(worded("Resolution"), "px", "{px}", "pixels along the shorter side"),
    Aspect.SCALE: Meaning(worded("Scale"), "%", "%", "larger in the picture: the camera was nearer"),
    Aspect.POSITION: Meaning(worded("Position"), "%", "%", "off its place, in hundredths of the picture's width"),
    Aspect.YAW: Meaning(worded("Head turn"), worded("degrees"), "deg", "turned to the patient's left"),
    Aspect.PITCH: Meaning(worded("Head tilt up or down"), worded("degrees"), "deg", "chin up"),
    Aspect.ROLL: Meaning(
        worded("Head tilt to the side"), worded("degrees"), "deg", "leaning to the patient's left shoulder"
    ),
    Aspect.EXPRESSION: Meaning(worded("Expression"), "%", "%", "mouth wider"),
    Aspect.LIGHT_DIRECTION: Meaning(
        worded("Light direction"), worded("stops"), "{stop}", "more light on the patient's left side"
    ),
    Aspect.FLASH: Meaning(
        worded("Flash"), worded("stops"), "{stop}", "brighter against the background, with highlights"
    ),
    Aspect.DISTANCE: Meaning(worded("Distance"), "%", "%", "nearer than the protocol asks for"),
}


class Finding(StrEnum):
    """How one aspect came out."""

    GOOD = "good"
    DIFFERS = "differs"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One aspect of one photo."""

    aspect: Aspect
    finding: Finding
    words: str
    """What a person reads; of an unknown the reason."""

    value: float | None = None
    """In the unit of :data:`MEANINGS`."""

    within: float | None = None
    """So much to either side is let pass."""


@dataclass(frozen=True, slots=True)
class Appraisal:
    """All verdicts on one photo."""

    photo: str
    """``DocumentReference/…``."""

    verdicts: tuple[Verdict, ...]
    judge: str
    """Its name."""

    version: str
    reference: str | None = None
    """``DocumentReference/…`` that it was held against."""

    model: str | None = None
    """The landmark model, where one looked at it."""

    asked: str | None = None
    """``1:10`` or ``60 cm, colour-card``: what a protocol asks for, where one asks for the photo."""

    @property
    def finding(self) -> Finding:
        """Of the whole: differs where anything does, unknown where nothing is known."""
        found = {each.finding for each in self.verdicts}
        if Finding.DIFFERS in found:
            return Finding.DIFFERS
        return Finding.GOOD if Finding.GOOD in found else Finding.UNKNOWN


def appraisal_id(photo: str) -> str:
    """The id of the Observation about ``DocumentReference/…``."""
    return str(uuid.UUID(bytes=hashlib.sha256(f"appraisal {photo}".encode()).digest()[:16], version=4))


def observation(appraisal: Appraisal, document: Json, now: datetime) -> dict[str, Any]:
    """The resource.

    Parameters
    ----------
    document
        The photo's DocumentReference.
    """
    context = document.get("context")
    context = context if isinstance(context, Mapping) else {}
    photos = [appraisal.photo] if appraisal.reference is None else [appraisal.photo, appraisal.reference]
    made: dict[str, Any] = {
        "resourceType": "Observation",
        "id": appraisal_id(appraisal.photo),
        "status": "entered-in-error" if document.get("status") == "entered-in-error" else "final",
        "category": [{"coding": [_IMAGING]}],
        "code": _concept(PHOTOGRAPH, "How the photo was taken"),
        "subject": {"reference": text(document.get("subject"), "reference")},
        "focus": [{"reference": appraisal.photo}],
        "issued": dates.instant(now),
        "interpretation": [_concept(appraisal.finding.value, appraisal.finding.value)],
        "device": {
            "type": "Device",
            "identifier": {"system": JUDGE, "value": appraisal.version},
            "display": appraisal.judge,
        },
        "derivedFrom": [{"reference": each} for each in photos],
        "component": [_component(each) for each in appraisal.verdicts],
    }
    visit = next((said for each in parts(context, "encounter") if (said := text(each, "reference"))), "")
    if visit:
        made["encounter"] = {"reference": visit}
    taken = text(context.get("period"), "start")
    if taken:
        made["effectiveDateTime"] = taken
    if appraisal.asked is not None:
        made["extension"] = [{"url": ASKED_EXTENSION, "valueString": appraisal.asked}]
    if appraisal.model is not None:
        made["method"] = {"text": appraisal.model}
    return made


def read(resource: Json, base: str | None) -> Appraisal | None:
    """What an Observation says of a photo; None where it is no appraisal."""
    if not is_appraisal(resource):
        return None
    focus = [each for each in references.local_of(resource, base, "focus") if each.startswith("DocumentReference/")]
    if not focus:
        return None
    against = [
        each
        for each in references.local_of(resource, base, "derivedFrom")
        if each.startswith("DocumentReference/") and each != focus[0]
    ]
    judge = resource.get("device")
    return Appraisal(
        photo=focus[0],
        verdicts=tuple(each for part in parts(resource, "component") if (each := _verdict(part)) is not None),
        judge=text(judge, "display"),
        version=next((text(each, "value") for each in parts(judge, "identifier")), ""),
        reference=against[0] if against else None,
        model=named(resource.get("method")).text or None,
        asked=next(
            (
                text(each, "valueString")
                for each in parts(resource, "extension")
                if text(each, "url") == ASKED_EXTENSION
            ),
            None,
        ),
    )


def is_appraisal(resource: Json) -> bool:
    """Whether an Observation tells how a photo was taken."""
    return resource.get("resourceType") == "Observation" and f"{SYSTEM}|{PHOTOGRAPH}" in codes(resource.get("code"))


def _component(verdict: Verdict) -> dict[str, Any]:
    meaning = MEANINGS[verdict.aspect]
    said: dict[str, Any] = {"code": _concept(verdict.aspect.value, meaning.name)}
    if verdict.value is None:
        absent = {"system": _ABSENT, "code": "unknown"}
        said["dataAbsentReason"] = {"coding": [absent], "text": verdict.words}
    else:
        said["valueQuantity"] = _quantity(verdict.value, meaning)
    said["interpretation"] = [_concept(verdict.finding.value, verdict.words)]
    if verdict.within is not None:
        low, high = _quantity(-verdict.within, meaning), _quantity(verdict.within, meaning)
        said["referenceRange"] = [{"low": low, "high": high}]
    return said


def _verdict(component: Json) -> Verdict | None:
    said = _own(component.get("code"))
    finding = next((each for part in parts(component, "interpretation") for each in _own(part)), "")
    aspect = next((each for each in said if each in set(Aspect)), None)
    if aspect is None or finding not in set(Finding):
        return None
    words = next((text(each, "text") for each in parts(component, "interpretation")), "")
    value = _number(component.get("valueQuantity"))
    within = next((_number(each.get("high")) for each in parts(component, "referenceRange")), None)
    return Verdict(Aspect(aspect), Finding(finding), words, value, within)


def _own(concept: Any) -> list[str]:
    return [each.rpartition("|")[2] for each in codes(concept) if each.startswith(f"{SYSTEM}|")]


def _number(quantity: Any) -> float | None:
    value = quantity.get("value") if isinstance(quantity, Mapping) else None
    return float(value) if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else None


def _quantity(value: float, meaning: Meaning) -> dict[str, Any]:
    return {"value": Decimal(f"{value:.2f}"), "unit": meaning.unit, "system": UCUM, "code": meaning.ucum}


def _concept(code: str, said: str) -> dict[str, Any]:
    return {"coding": [{"system": SYSTEM, "code": code}], "text": said}
