"""A stored photo as the judge looks at it: decoded at a part of its size, since nothing here needs more."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from dicom_bridge.compare.renditions import NotRendered

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LONG = 1400
"""Pixels of the longer side that are enough; the decoder halves the size down to this."""

_MOST = 2400
"""What was not decoded smaller is made so."""

_MOST_PIXELS = 150_000_000


@dataclass(frozen=True, slots=True)
class Picture:
    """One photo."""

    pixels: NDArray[np.uint8]
    """(rows, columns, 3) uint8, sRGB."""

    width: int
    height: int
    """Of the whole photo, in pixels."""


def decode(data: bytes) -> Picture:
    """A JPEG or PNG, upright and in sRGB, at the size that the judge needs.

    Raises
    ------
    NotRendered
        It cannot be decoded, or is too large.
    """
    import numpy as np

    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as opened:
            width, height = opened.size
            if width * height > _MOST_PIXELS:
                raise NotRendered("the photo is too large to be judged")
            part = min(1.0, _LONG / max(width, height))
            opened.draft("RGB", (max(1, round(width * part)), max(1, round(height * part))))
            made = opened.convert("RGB")
            if max(made.size) > _MOST:
                made.thumbnail((_MOST, _MOST), Image.Resampling.BOX)
            return Picture(np.asarray(made), width, height)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise NotRendered("the photo cannot be decoded") from None
