"""How one photo was taken, as far as two photos are compared by it: what its object says, and what was judged of it.

None stands for what is not known, whatever the cause: the object does not say it, or says it in a code that is not of
the vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dicom_bridge.depiction import expression_of, view_of
from dicom_bridge.query.index import text_of
from fhir_mapping.resources.appraisal import Appraisal

_MANUFACTURER, _MODEL = "00080070", "00081090"
_FLASH_FIRED = "00160011"
_FOCAL_LENGTH, _FOCAL_LENGTH_35MM = "00160029", "00160045"
_FIRED = {"0": False, "1": True}
"""PS3.3 C.8.12.11."""


@dataclass(frozen=True, slots=True)
class View:
    """What is seen, and from where."""

    region: str
    """``system|code``."""

    side: str
    """``L``, ``R``, or empty."""

    direction: str
    """Name of the vocabulary: ``left-oblique``."""


@dataclass(frozen=True, slots=True)
class Focal:
    """The focal length in millimetres."""

    lens: float | None
    """Of the lens itself; it says the same of two photos of one kind of camera alone."""

    film: float | None
    """Of a lens that shows as much on 35 mm film."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """One photo."""

    document: str
    """``DocumentReference/…``."""

    taken: datetime | None = None
    """Aware."""

    view: View | None = None
    expression: str | None = None
    """Name of the vocabulary: ``smile``."""

    focal: Focal | None = None
    flash: bool | None = None
    """Whether a flash fired."""

    device: str | None = None
    """Manufacturer and model."""

    appraisal: Appraisal | None = None
    """How it was judged. Whoever asks may see each photo that it names."""


def conditions_of(
    attributes: Mapping[str, Any],
    *,
    document: str,
    taken: datetime | None,
    region: str | None,
    side: str,
    appraisal: Appraisal | None = None,
) -> Conditions:
    """What a photo's object says.

    Parameters
    ----------
    attributes
        DICOM JSON Model (PS3.18 F.2).
    document
        ``DocumentReference/…``.
    taken, region, side
        As the record has them, which may have been corrected since the object was written.
    """
    view, expression = view_of(attributes), expression_of(attributes)
    model = text_of(attributes, _MODEL)
    lens, film = (_millimetres(attributes, tag) for tag in (_FOCAL_LENGTH, _FOCAL_LENGTH_35MM))
    return Conditions(
        document=document,
        taken=taken,
        view=View(region, side, view.name) if region and view is not None else None,
        expression=expression.name if expression is not None else None,
        focal=Focal(lens, film) if lens is not None or film is not None else None,
        flash=_fired(attributes),
        device=f"{text_of(attributes, _MANUFACTURER)} {model}".strip() if model else None,
        appraisal=appraisal,
    )


def _fired(attributes: Mapping[str, Any]) -> bool | None:
    return _FIRED.get(text_of(attributes, _FLASH_FIRED))


def _millimetres(attributes: Mapping[str, Any], tag: str) -> float | None:
    """Zero is how cameras write that they do not know (EXIF 2.32, 4.6.5)."""
    try:
        value = float(text_of(attributes, tag))
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None
