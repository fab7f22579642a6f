"""A colour card of 24 patches in a photo: where it is, and what light the photo shows of its greys.

The card is the one that every camera maker's software knows: four rows of six patches between dark bars, the last row
grey. Its squares are found by their edges, put into a lattice, and believed only where the colours of all 24 places are
the card's under one light. A picture of anything else gives None, and then nothing is judged by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from dicom_bridge.judging.landmarks import halved
from dicom_bridge.judging.lattice import Lattice, lattices

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: The 24 patches in sRGB, row by row (McCamy, Marcus and Davidson 1976, as their maker publishes them for D65).
PATCHES = (
    (115, 82, 68), (194, 150, 130), (98, 122, 157), (87, 108, 67), (133, 128, 177), (103, 189, 170),
    (214, 126, 44), (80, 91, 166), (193, 90, 99), (94, 60, 108), (157, 188, 64), (224, 163, 46),
    (56, 61, 150), (70, 148, 73), (175, 54, 60), (231, 199, 31), (187, 86, 149), (8, 133, 161),
    (243, 243, 242), (200, 200, 200), (160, 160, 160), (122, 122, 121), (85, 85, 85), (52, 52, 52),
)  # fmt: skip
COLUMNS, ROWS = 6, 4
_GREYS = (20, 21, 22)
"""The greys of the middle: neither burnt out nor lost in the dark."""

_LONG = 700
"""Pixels of the longer side that are enough to find a card that takes a tenth of it; at most twice as many."""

_UNLIKE = 0.45
"""Stops by which the patches, each channel by its own light, may be off from the card's in the mean."""

_CLIPPED = 0.955
_WEIGHTS = (0.2126, 0.7152, 0.0722)


@dataclass(frozen=True, slots=True)
class Card:
    """What a card shows."""

    stops: float
    """Its greys against what they are: brighter."""

    warm: float
    """log2(red/blue) of its greys; 0 where the light is the one that the camera is set to."""


def find_card(pixels: NDArray[np.uint8]) -> Card | None:
    """The card in a picture; None where there is none, or its greys are burnt out.

    Parameters
    ----------
    pixels
        (rows, columns, 3) uint8, sRGB.
    """
    import numpy as np

    small = halved(pixels, _LONG)
    best: tuple[float, NDArray[np.float64]] | None = None
    for lattice in lattices(small, COLUMNS, ROWS):
        for shown in _readings(small, lattice):
            off = _unlike(shown)
            if best is None or off < best[0]:
                best = off, shown
    if best is None or best[0] > _UNLIKE:
        return None
    greys, known = best[1][list(_GREYS)], _known()[list(_GREYS)]
    told = (greys.max(axis=1) < _CLIPPED) & (greys.min(axis=1) > 0)
    if not told.any():
        return None
    weights = np.array(_WEIGHTS)
    stops = np.log2((greys[told] @ weights) / (known[told] @ weights))
    warm = np.log2(greys[told, 0] / greys[told, 2])
    return Card(float(np.median(stops)), float(np.median(warm)))


def _readings(pixels: NDArray[np.uint8], lattice: Lattice) -> list[NDArray[np.float64]]:
    """(24, 3) linear RGB: the lattice's places read in each of the ways in which the card may lie."""
    import numpy as np

    rows, columns = pixels.shape[:2]
    made = []
    for places in lattice.placed(COLUMNS, ROWS):
        x, y = np.rint(places).astype(int).T
        half = max(1, round(lattice.side * 0.2))
        if x.min() < half or y.min() < half or x.max() >= columns - half or y.max() >= rows - half:
            continue
        parts = [
            pixels[b - half : b + half + 1, a - half : a + half + 1].reshape(-1, 3) for a, b in zip(x, y, strict=True)
        ]
        made.append(_light(np.array([np.median(each, axis=0) for each in parts])))
    return made


def _unlike(shown: NDArray[np.float64]) -> float:
    """By how much places differ from the card's under the light that fits best, in stops."""
    import numpy as np

    known = np.log2(np.maximum(_known(), 0.01))
    off = np.log2(np.maximum(shown, 0.01)) - known
    unclipped = shown < _CLIPPED
    if unclipped.sum() < shown.size / 2:
        return float("inf")
    light = np.nanmedian(np.where(unclipped, off, np.nan), axis=0)
    return float(np.abs(off - light)[unclipped].mean())


@cache
def _known() -> NDArray[np.float64]:
    import numpy as np

    return _light(np.array(PATCHES, dtype=np.float64))


def _light(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """sRGB, 0 to 255, as linear light (IEC 61966-2-1)."""
    import numpy as np

    part = value / 255
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
