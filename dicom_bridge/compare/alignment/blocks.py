"""How well a transform fits, measured in blocks all over the photo: how far each would have to move, and how surely."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dicom_bridge.compare.alignment.picture import Grey, Picture
from dicom_bridge.compare.alignment.similarity import Points, Similarity

_SIDE = 64
_STEP = 40
_TEXTURED = 0.25
"""Least standard deviation of a block's evened values; less is a plain wall or cloth out of focus."""

_ALIKE = 0.45
"""Least correlation of a block with its partner."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """What the blocks say, those that have something to say."""

    at: Points
    """Centres, in pixels of the fixed photo."""

    off: Points
    """How far the moved photo is from it there: pixels."""

    alike: NDArray[np.float64]
    """Correlation at the best place, -1 to 1."""

    textured: int
    """Blocks of the overlap that show something."""

    overlap: float
    """Share of the fixed photo that the moved one covers."""

    @property
    def agreeing(self) -> NDArray[np.bool_]:
        """Which of them found their partner."""
        return self.alike >= _ALIKE


def measured(moving: Picture, fixed: Picture, similarity: Similarity, reach: int) -> Blocks:
    """Lay one photo upon the other and look at each block.

    Parameters
    ----------
    reach
        Pixels within which a block looks for its partner.
    """
    rows, columns = fixed.even.shape
    moved = cv2.warpAffine(moving.even, similarity.matrix, (columns, rows), flags=cv2.INTER_LINEAR)
    there = cv2.warpAffine(
        np.ones(moving.even.shape, np.uint8), similarity.matrix, (columns, rows), flags=cv2.INTER_NEAREST
    )
    at, off, alike = [], [], []
    textured = 0
    for top in range(reach, rows - _SIDE - reach + 1, _STEP):
        for left in range(reach, columns - _SIDE - reach + 1, _STEP):
            inside = there[top - reach : top + _SIDE + reach, left - reach : left + _SIDE + reach]
            if inside.min() == 0:
                continue
            block = moved[top : top + _SIDE, left : left + _SIDE]
            if float(block.std()) < _TEXTURED:
                continue
            textured += 1
            around = fixed.even[top - reach : top + _SIDE + reach, left - reach : left + _SIDE + reach]
            likeness: Grey = np.asarray(
                cv2.matchTemplate(np.ascontiguousarray(around), block, cv2.TM_CCOEFF_NORMED), dtype=np.float32
            )
            y, x = np.unravel_index(int(likeness.argmax()), likeness.shape)
            best = float(likeness[y, x])
            if not (0 < y < likeness.shape[0] - 1 and 0 < x < likeness.shape[1] - 1):
                best = 0.0  # the best place lies beyond the reach: it is none
            at.append((left + _SIDE / 2, top + _SIDE / 2))
            off.append((x - reach + _peak(likeness[y, :], int(x)), y - reach + _peak(likeness[:, x], int(y))))
            alike.append(best)
    return Blocks(
        np.array(at, dtype=np.float64).reshape(-1, 2),
        np.array(off, dtype=np.float64).reshape(-1, 2),
        np.array(alike, dtype=np.float64),
        textured,
        float(there.mean()),
    )


def _peak(line: Grey, at: int) -> float:
    """Where between pixels the highest point lies, by the parabola through three values."""
    if not 0 < at < len(line) - 1:
        return 0.0
    before, here, after = (float(line[at + step]) for step in (-1, 0, 1))
    bend = before - 2 * here + after
    return 0.0 if bend >= -1e-9 else max(-0.5, min(0.5, 0.5 * (before - after) / bend))
