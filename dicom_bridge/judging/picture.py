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

_LEAST = 32
"""Pixels of the shorter side."""

MOST_PIXELS = 150_000_000
"""Larger photos are not decoded."""


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
        It cannot be decoded, or is too large or too small.
    """
    import numpy as np

    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as opened:
            width, height = opened.size
            if width * height > MOST_PIXELS:
                raise NotRendered("the photo is too large to be judged")
            part = min(1.0, _LONG / max(width, height))
            opened.draft("RGB", (max(1, round(width * part)), max(1, round(height * part))))
            return Picture(np.asarray(_small(opened.convert("RGB"))), width, height)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise NotRendered("the photo cannot be decoded") from None


def shrunk(pixels: NDArray[np.uint8]) -> Picture:
    """Pixels that are decoded already, at the size that the judge needs.

    Raises
    ------
    NotRendered
        Too few.
    """
    import numpy as np

    return Picture(np.asarray(_small(Image.fromarray(pixels))), pixels.shape[1], pixels.shape[0])


def _small(picture: Image.Image) -> Image.Image:
    if max(picture.size) > _MOST:
        picture.thumbnail((_MOST, _MOST), Image.Resampling.BOX)
    if min(picture.size) < _LEAST:
        raise NotRendered("the photo is too small or too narrow to be judged")
    return picture
