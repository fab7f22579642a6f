"""A photo as alignment looks at it: grey, small, its light evened out."""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

LONGEST = 800
"""Pixels of the longer side."""

_EVENED = 24.0
"""Pixels over which light is evened out."""

Grey = NDArray[np.float32]
"""Rows x columns."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One photo, made small."""

    grey: NDArray[np.uint8]
    """Rows x columns, 0 to 255."""

    even: Grey
    """Without what changes slowly (light, shadow, skin tone), of one contrast all over."""

    factor: float
    """Pixels of it for each pixel of the photo."""

    @property
    def columns(self) -> float:
        """Pixels of the photo itself, across."""
        return float(self.grey.shape[1]) / self.factor

    @property
    def rows(self) -> float:
        """Pixels of the photo itself, down."""
        return float(self.grey.shape[0]) / self.factor

    @property
    def diagonal(self) -> float:
        """In its pixels."""
        rows, columns = self.grey.shape
        return float(np.hypot(rows, columns))


def picture(jpeg: bytes) -> Picture:
    """Read a rendition (JPEG or PNG, upright, sRGB). What it is was checked when it was made."""
    stored = Image.open(io.BytesIO(jpeg))
    width = stored.width
    stored.draft("L", (LONGEST, LONGEST))
    image = stored.convert("L")
    image.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    return made(np.asarray(image), image.width / width)


def made(grey: NDArray[np.uint8], factor: float) -> Picture:
    """A picture of grey values that are there already."""
    level = grey.astype(np.float32)
    local = level - cv2.GaussianBlur(level, (0, 0), _EVENED)
    strength = np.sqrt(cv2.GaussianBlur(local * local, (0, 0), 2 * _EVENED)) + 4.0
    return Picture(grey, np.asarray(local / strength, dtype=np.float32), factor)
