"""What of one photo two photos are compared by: light in patches, fine detail, and the face's landmarks.

Light is linear, as the sensor saw it: sRGB is taken back (IEC 61966-2-1). A patch is the median of a small square, so
that pores, hairs and noise do not matter; one with a burnt-out channel says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from dicom_bridge.judging.distance import UNTOLD, Lens
from dicom_bridge.judging.following import local_contrast
from dicom_bridge.judging.landmarks import EYE_OUTER_LEFT, EYE_OUTER_RIGHT, Face, Landmarks, around, eyes_apart, shrunk
from dicom_bridge.judging.target import Card, find_card

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dicom_bridge.judging.picture import Picture

#: Landmarks in the middle of skin that moves little: the patient's right cheek, her left one, nose and chin.
RIGHT_CHEEK, LEFT_CHEEK, MIDDLE = (50, 187, 117), (280, 411, 346), (6, 197, 199)
_SKIN = (*RIGHT_CHEEK, *LEFT_CHEEK, *MIDDLE)
_BURNT = 0.955
_DARK = 0.0015
_PATCH = 0.055
"""Half a side, in distances between the outer corners of the eyes."""

_GRID = 6
"""Patches across and down the picture."""

_EYES_APART = 120
_CROP = 288
"""Pixels between the eyes, and of the square that detail is looked for in."""


@dataclass(frozen=True, slots=True)
class Upright:
    """The face upright, its eyes always as far apart."""

    contrast: NDArray[np.uint8]
    """(288, 288): :func:`dicom_bridge.judging.following.local_contrast`."""

    matrix: NDArray[np.float64]
    """(2, 3): from the decoded picture's pixels to these."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One photo, measured; positions in pixels of the decoded picture."""

    width: int
    height: int
    """Of the whole photo."""

    columns: int
    rows: int
    """Of the decoded picture."""

    face: Face | None
    upright: Upright | None
    """None without a face."""

    skin: NDArray[np.float64]
    """(9, 3): linear RGB of the patches of skin, NaN where a patch says nothing; all NaN without a face."""

    around: NDArray[np.float64]
    """(36, 3): linear RGB of the picture in a grid, row by row."""

    backdrop: NDArray[np.bool_]
    """(36,): which of these are beside the person."""

    detail: float
    """Fine detail against the coarser one: a ratio of energies."""

    burnt: float
    """Share of the picture, of the face where there is one, that is burnt out."""

    lens: Lens = UNTOLD
    card: Card | None = None
    """The colour card in it, where one was looked for and is seen."""


def measure(picture: Picture, landmarks: Landmarks | None, lens: Lens = UNTOLD, *, card: bool = False) -> Measured:
    """Measure a photo; without landmarks what needs no face.

    Parameters
    ----------
    card
        Whether a colour card is looked for, which needs OpenCV.
    """
    import numpy as np

    rows, columns = picture.pixels.shape[:2]
    face = None if landmarks is None else landmarks.find(picture.pixels)
    around, backdrop = _around(picture.pixels, face)
    skin = np.full((len(_SKIN), 3), np.nan)
    if face is not None:
        half = max(2, round(_PATCH * eyes_apart(face)))
        for row, number in enumerate(_SKIN):
            skin[row] = _patch(picture.pixels, face.points[number, 0], face.points[number, 1], half)
    upright = None
    if face is None:
        looked_at = _middle(picture.pixels)
    else:
        looked_at, matrix = _aligned(picture.pixels, face)
        upright = Upright(local_contrast(_grey(looked_at)), matrix)
    return Measured(
        picture.width,
        picture.height,
        columns,
        rows,
        face,
        upright,
        skin,
        around,
        backdrop,
        _detail(looked_at),
        float((looked_at >= _CLIPPED).all(axis=-1).mean()),
        lens,
        find_card(picture.pixels) if card else None,
    )


_CLIPPED = 253


def _around(pixels: NDArray[np.uint8], face: Face | None) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    import numpy as np

    rows, columns = pixels.shape[:2]
    half = max(2, round(min(rows, columns) * 0.03))
    found = np.full((_GRID * _GRID, 3), np.nan)
    beside = np.zeros(_GRID * _GRID, dtype=bool)
    for number in range(_GRID * _GRID):
        down, right = divmod(number, _GRID)
        x = half + (columns - 2 * half) * right / (_GRID - 1)
        y = half + (rows - 2 * half) * down / (_GRID - 1)
        found[number] = _patch(pixels, x, y, half)
        beside[number] = _beside(x, y, face)
    return found, beside


def _beside(x: float, y: float, face: Face | None) -> bool:
    """Whether a place is beside the person: left and right of the head and above it, not where shoulders are."""
    if face is None:
        return False
    low, high = face.points[:, :2].min(axis=0), face.points[:, :2].max(axis=0)
    wide, tall = high - low
    if y > high[1] - 0.1 * tall:
        return False
    return bool(x < low[0] - 0.45 * wide or x > high[0] + 0.45 * wide or y < low[1] - 0.75 * tall)


def _patch(pixels: NDArray[np.uint8], x: float, y: float, half: int) -> NDArray[np.float64]:
    import numpy as np

    rows, columns = pixels.shape[:2]
    if not (0 <= x < columns and 0 <= y < rows):
        return np.full(3, np.nan)
    left, top = max(0, round(x) - half), max(0, round(y) - half)
    part = pixels[top : round(y) + half + 1, left : round(x) + half + 1].reshape(-1, 3)
    middle = len(part) // 2
    light = _linear()[np.partition(part, middle, axis=0)[middle]]  # what is in the middle stays there as light
    said = light.max() < _BURNT and light.max() > _DARK
    return np.asarray(light if said else np.full(3, np.nan))


@cache
def _linear() -> NDArray[np.float64]:
    """sRGB, 0 to 255, as linear light."""
    import numpy as np

    value = np.arange(256) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def _aligned(pixels: NDArray[np.uint8], face: Face) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The face upright, its eyes always as far apart; and what brings the picture's pixels there."""
    import cv2
    import numpy as np

    right, left = face.points[EYE_OUTER_RIGHT, :2], face.points[EYE_OUTER_LEFT, :2]
    scale = _EYES_APART / max(1.0, float(np.linalg.norm(left - right)))
    part, middle, corner = min(1.0, 1.5 * scale), (right + left) / 2, (0, 0)
    if part < 1:
        pixels, corner = around(pixels, (middle[0], middle[1]), _CROP / scale)
        pixels = shrunk(pixels, part)
    middle = (middle - np.array(corner)) * part
    angle = np.arctan2(left[1] - right[1], left[0] - right[0])
    cos, sin = np.cos(angle) * scale / part, np.sin(angle) * scale / part
    x, y = _CROP / 2, _CROP * 0.36
    matrix = np.array(
        [[cos, sin, x - cos * middle[0] - sin * middle[1]], [-sin, cos, y + sin * middle[0] - cos * middle[1]]]
    )
    made = cv2.warpAffine(pixels, matrix, (_CROP, _CROP), flags=cv2.INTER_LINEAR)
    # From here on of the picture's own pixels.
    matrix[:, :2] *= part
    matrix[:, 2] -= matrix[:, :2] @ np.array(corner)
    return np.asarray(made, dtype=np.uint8), matrix


def _grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import cv2
    import numpy as np

    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def _middle(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The middle half of a picture."""
    rows, columns = pixels.shape[:2]
    return pixels[rows // 4 : rows - rows // 4, columns // 4 : columns - columns // 4]


def _detail(pixels: NDArray[np.uint8]) -> float:
    """Energy of the finest detail that is no noise, against that of the next coarser one, where there is any."""
    import numpy as np

    grey = pixels.astype(np.float64) @ np.array([0.2126, 0.7152, 0.0722])
    fine = _smooth(grey, 1)
    coarse = _smooth(fine, 2)
    coarser = _smooth(coarse, 4)
    high, low = fine - coarse, coarse - coarser
    busy = np.abs(low) > np.quantile(np.abs(low), 0.5)  # where nothing is, there is nothing to be sharp
    return float((high[busy] ** 2).mean() / max(1e-6, (low[busy] ** 2).mean())) if busy.any() else 0.0


def _smooth(value: NDArray[np.float64], radius: int) -> NDArray[np.float64]:
    """Means over squares, twice: close to a Gaussian."""
    import numpy as np

    made = value
    for _ in range(2):
        for axis in (0, 1):
            padded = np.pad(made, [(radius + 1, radius) if each == axis else (0, 0) for each in (0, 1)], mode="edge")
            summed = padded.cumsum(axis=axis)
            size = 2 * radius + 1
            upper = np.take(summed, np.arange(size, summed.shape[axis]), axis=axis)
            lower = np.take(summed, np.arange(summed.shape[axis] - size), axis=axis)
            made = (upper - lower) / size
    return made
