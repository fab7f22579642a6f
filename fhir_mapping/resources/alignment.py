"""Observation: where one photo lies on another, as a person kept it (R4 Observation). No pixel of either is touched.

One Observation for each pair of photos, whichever is moved, under an id that follows from both; former versions stay:

- ``code`` ``urn:photospine:alignment|photographs``; ``status`` final, or entered-in-error once it was taken back;
- ``focus`` is the photo that is moved, ``derivedFrom`` the one that it lies on and the one that is moved, in this
  order: ``DocumentReference/…`` all;
- ``performer`` and ``issued``: who kept it, and when; ``device`` a logical reference (``urn:photospine:aligner``, the
  version of the method);
- one ``component`` for each part of the similarity ``x' = a x - b y + dx``, ``y' = b x + a y + dy`` from pixels of the
  moved photo to pixels of the fixed one (``a``, ``b``, ``dx``, ``dy``), for the size in pixels of both
  (``fixed-columns``, …), the stated ``error``, and for each photo its SOP Instance UID and the SHA-256 of its original
  (``fixed-instance``, ``fixed-sha-256``, …): where one is another meanwhile, the transform is not of that photo.

It says something of each photo that it names, so whoever may not see one of them is shown nothing of it
(:mod:`fhir_mapping.api.sight`).
"""

from __future__ import annotations

import hashlib
import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from fhir_mapping import dates, references
from fhir_mapping.treatment.elements import UCUM, Json, codes, parts, text

SYSTEM = "urn:photospine:alignment"
PHOTOGRAPHS = "photographs"
"""Code of the Observation."""

ALIGNER = "urn:photospine:aligner"
"""Identifier system: the version of the method."""

_IMAGING = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "imaging"}
_PLACES = 9
"""Decimal places of the transform: a hundredth of a pixel over any photo."""


@dataclass(frozen=True, slots=True)
class Side:
    """One photo of the pair, as it was when they were aligned."""

    document: str
    """``DocumentReference/…``."""

    instance: str
    """SOP Instance UID."""

    sha256: str
    """Of the original file, hexadecimal."""

    columns: float
    rows: float
    """Pixels in which the transform is told."""

    @property
    def diagonal(self) -> float:
        """In these pixels."""
        return math.hypot(self.columns, self.rows)


@dataclass(frozen=True, slots=True)
class Transform:
    """``x' = a x - b y + dx``, ``y' = b x + a y + dy``, and how sure it is."""

    a: float
    b: float
    dx: float
    dy: float
    error: float
    """Per cent of the fixed photo's diagonal: in 95 of 100 photos the mean distance from the truth is smaller."""

    @property
    def scale(self) -> float:
        """How much larger the moved photo becomes."""
        return math.hypot(self.a, self.b)


@dataclass(frozen=True, slots=True)
class Kept:
    """An alignment that a person kept."""

    fixed: Side
    moved: Side
    transform: Transform
    method: str
    """Version of the method that found it."""

    by: str
    """The person's name."""

    at: str = ""
    """FHIR instant."""

    reference: str | None = None
    """``Practitioner/…``."""

    version: int = 0
    """Of the Observation."""

    @property
    def swapped(self) -> Kept:
        """The same with the other photo moved: the inverse, its error in the other photo's diagonal."""
        t = self.transform
        a, b = t.a / t.scale**2, -t.b / t.scale**2
        error = t.error * self.fixed.diagonal / (t.scale * self.moved.diagonal)
        inverse = Transform(a, b, b * t.dy - a * t.dx, -b * t.dx - a * t.dy, error)
        return replace(self, fixed=self.moved, moved=self.fixed, transform=inverse)


def alignment_id(one: str, other: str) -> str:
    """The id of the Observation about two ``DocumentReference/…``, in either order."""
    named = " ".join(sorted((one, other)))
    return str(uuid.UUID(bytes=hashlib.sha256(f"alignment {named}".encode()).digest()[:16], version=4))


def observation(kept: Kept, patient: str, now: datetime, *, taken_back: bool = False) -> dict[str, Any]:
    """The resource.

    Parameters
    ----------
    patient
        ``Patient/…``.
    taken_back
        Whether it is said to be wrong: it is not used any more.
    """
    performer: dict[str, Any] = {"display": kept.by}
    if kept.reference is not None and kept.reference.startswith(("Practitioner/", "PractitionerRole/")):
        performer["reference"] = kept.reference
    components = [_component(name, getattr(kept.transform, name), unit) for name, unit in _PARTS.items()]
    for which, side in (("fixed", kept.fixed), ("moved", kept.moved)):
        components += [_component(f"{which}-{name}", getattr(side, name), "{px}") for name in ("columns", "rows")]
        components += [_said(f"{which}-instance", f"urn:oid:{side.instance}"), _said(f"{which}-sha-256", side.sha256)]
    return {
        "resourceType": "Observation",
        "id": alignment_id(kept.fixed.document, kept.moved.document),
        "status": "entered-in-error" if taken_back else "final",
        "category": [{"coding": [_IMAGING]}],
        "code": {
            "coding": [{"system": SYSTEM, "code": PHOTOGRAPHS}],
            "text": "Where one photo lies on the other",
        },
        "subject": {"reference": patient},
        "focus": [{"reference": kept.moved.document}],
        "issued": dates.instant(now),
        "performer": [performer],
        "device": {
            "type": "Device",
            "identifier": {"system": ALIGNER, "value": kept.method},
            "display": "Photospine, alignment of photographs",
        },
        "derivedFrom": [{"reference": kept.fixed.document}, {"reference": kept.moved.document}],
        "component": components,
    }


_PARTS: Mapping[str, str] = {"a": "1", "b": "1", "dx": "{px}", "dy": "{px}", "error": "%"}


def _component(name: str, value: float, unit: str) -> dict[str, Any]:
    number = Decimal(repr(round(value, _PLACES)))
    return {
        "code": {"coding": [{"system": SYSTEM, "code": name}]},
        "valueQuantity": {"value": number, "system": UCUM, "code": unit},
    }


def _said(name: str, value: str) -> dict[str, Any]:
    return {"code": {"coding": [{"system": SYSTEM, "code": name}]}, "valueString": value}


def is_alignment(resource: Json) -> bool:
    """Whether an Observation tells where one photo lies on another."""
    return resource.get("resourceType") == "Observation" and f"{SYSTEM}|{PHOTOGRAPHS}" in codes(resource.get("code"))


def read(resource: Json, base: str | None, version: int = 0) -> Kept | None:
    """What an Observation says; None where it is no alignment, was taken back, or is not whole."""
    if not is_alignment(resource) or text(resource, "status") != "final":
        return None
    photos = [each for each in references.local_of(resource, base, "derivedFrom") if each.startswith("DocumentRef")]
    said = {_code(each): each for each in parts(resource, "component")}
    numbers = {name: _number(each) for name, each in said.items()}
    words = {name: text(each, "valueString") for name, each in said.items()}
    try:
        fixed, moved = (
            Side(
                document,
                words[f"{which}-instance"].removeprefix("urn:oid:"),
                words[f"{which}-sha-256"],
                _positive(numbers[f"{which}-columns"]),
                _positive(numbers[f"{which}-rows"]),
            )
            for which, document in zip(("fixed", "moved"), photos, strict=True)
        )
        transform = Transform(*(_whole(numbers[each.name]) for each in fields(Transform)))
    except (KeyError, ValueError):
        return None
    if transform.a == 0 and transform.b == 0:
        return None
    performer = next(parts(resource, "performer"), {})
    method = next((text(each, "value") for each in parts(resource, "device", "identifier")), "")
    return Kept(
        fixed,
        moved,
        transform,
        method,
        text(performer, "display"),
        text(resource, "issued"),
        text(performer, "reference") or None,
        version,
    )


def _code(component: Json) -> str:
    own = (each for each in codes(component.get("code")) if each.startswith(f"{SYSTEM}|"))
    return next(own, "").rpartition("|")[2]


def _number(component: Json) -> float | None:
    quantity = component.get("valueQuantity")
    value = quantity.get("value") if isinstance(quantity, Mapping) else None
    return float(value) if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else None


def _whole(value: float | None) -> float:
    if value is None:
        raise ValueError("a part of the transform is missing")
    return value


def _positive(value: float | None) -> float:
    if value is None or value <= 0:
        raise ValueError("a size is missing")
    return value
