"""How far away the camera was, against the distance or the reproduction ratio that a protocol asks for.

A face tells by itself how large the picture shows it, since adults' faces are of nearly one size; the camera tells by
its EXIF how far away it focused, and through which lens. Neither is exact, so what is let pass is a fifth.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from dicom_bridge.judging import sayings
from dicom_bridge.judging.landmarks import eyes_apart
from fhir_mapping.resources.appraisal import Aspect, Finding, Verdict

if TYPE_CHECKING:
    from dicom_bridge.judging.measure import Measured
    from dicom_bridge.protocols.protocol import Shot

FRAME = 36.0
"""Millimetres of the longer side of the frame that ratios and focal lengths are told for (36 x 24)."""

EYES = 90.0
"""Millimetres between the outer corners of an adult's eyes: 88 to 91 in the mean of either sex, with a standard
deviation of 4 (Farkas, Anthropometry of the Head and Face, 1994: biocular width)."""

WITHIN = 20.0
"""Per cent that are let pass: twice what faces differ by, and what cameras round distances to."""

_MOST_MM = 100_000.0


@dataclass(frozen=True, slots=True)
class Lens:
    """What the camera says of how it was set; None where it does not."""

    focal_mm: float | None = None
    """On a frame of 36 x 24 mm."""

    distance_mm: float | None = None
    """To what it focused on."""


UNTOLD = Lens()


def lens_of(data: bytes) -> Lens:
    """Read a stored object's EXIF (PS3.3 C.8.12.11).

    Parameters
    ----------
    data
        A DICOM file (PS3.10).
    """
    try:
        dataset = dcmread(
            io.BytesIO(data), stop_before_pixels=True, specific_tags=["SubjectDistance", "FocalLengthIn35mmFilm"]
        )
        return Lens(_positive(dataset.get("FocalLengthIn35mmFilm")), _positive(dataset.get("SubjectDistance"), 1000.0))
    except (InvalidDicomError, OSError, ValueError, TypeError):
        return UNTOLD


def scale_of(shot: Shot) -> str:
    """What a protocol asks for: ``1:10`` or ``60 cm``."""
    return f"1:{shot.ratio:g}" if shot.ratio is not None else f"{shot.distance_cm:g} cm"


def distance(photo: Measured, asked: Shot) -> Verdict:
    """Whether the photo is as near as the protocol asks for."""
    lens = photo.lens
    ratio = _ratio(photo, lens)
    if asked.ratio is not None:
        if ratio is None:
            return _unknown(sayings.unknown(sayings.NO_NEARNESS))
        return _told(asked.ratio, ratio, sayings.A_RATIO.of(ratio=f"1:{ratio:.3g}"), scale_of(asked))
    assert asked.distance_cm is not None
    found = lens.distance_mm
    if found is None and ratio is not None and lens.focal_mm is not None:
        found = lens.focal_mm * (ratio + 1)
    if found is None:
        return _unknown(sayings.unknown(sayings.NO_DISTANCE))
    return _told(asked.distance_cm, found / 10, sayings.A_DISTANCE.of(distance=f"{found / 10:.3g} cm"), scale_of(asked))


def _ratio(photo: Measured, lens: Lens) -> float | None:
    """``n`` of ``1:n``; None where nothing tells."""
    if photo.face is not None:
        return EYES * max(photo.columns, photo.rows) / (eyes_apart(photo.face) * FRAME)
    if lens.distance_mm is not None and lens.focal_mm is not None and lens.distance_mm > 2 * lens.focal_mm:
        return lens.distance_mm / lens.focal_mm - 1
    return None


def _told(asked: float, found: float, what: str, wanted: str) -> Verdict:
    nearer = (asked / found - 1) * 100
    if abs(nearer) <= WITHIN:
        return Verdict(Aspect.DISTANCE, Finding.GOOD, sayings.AS_NEAR, nearer, WITHIN)
    words = (sayings.TOO_NEAR if nearer > 0 else sayings.TOO_FAR).of(found=what, asked=wanted)
    return Verdict(Aspect.DISTANCE, Finding.DIFFERS, words, nearer, WITHIN)


def _unknown(why: str) -> Verdict:
    return Verdict(Aspect.DISTANCE, Finding.UNKNOWN, why)


def _positive(value: Any, unit: float = 1.0) -> float | None:
    """A length in millimetres; EXIF says 0 for unknown, and cameras say infinity in several ways."""
    if value is None:
        return None
    found = float(value) * unit
    return found if math.isfinite(found) and 0 < found < _MOST_MM else None
