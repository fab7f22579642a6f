"""What both photos have: points with their surroundings (SIFT), and the similarities that many of them agree on."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dicom_bridge.compare.alignment.picture import Picture
from dicom_bridge.compare.alignment.similarity import Points, Similarity

_MOST = 3000
_RATIO = 0.85
"""A partner is believed where the next best is that much worse (Lowe 2004, 7.1)."""

_NEAR = 4.0
"""Pixels within which a pair agrees."""

_LEAST = 8


@dataclass(frozen=True, slots=True)
class Proposal:
    """A similarity that pairs of points agree on."""

    similarity: Similarity
    agreeing: int
    of: int


def proposal(moving: Picture, fixed: Picture) -> Proposal | None:
    """The similarity from one photo to the other that most pairs of points agree on; None where too few do."""
    (here, says), (there, tells) = _points(moving), _points(fixed)
    if len(here) < _LEAST or len(there) < _LEAST:
        return None
    pairs = _pairs(says, tells)
    if len(pairs) < _LEAST:
        return None
    source, target = here[pairs[:, 0]], there[pairs[:, 1]]
    cv2.setRNGSeed(1)  # the same photos, the same answer
    matrix, inside = cv2.estimateAffinePartial2D(
        source, target, method=cv2.RANSAC, ransacReprojThreshold=_NEAR, maxIters=5000, confidence=0.999
    )
    agreeing = int(inside.sum())
    if agreeing < _LEAST:  # none agree where it finds no matrix
        return None
    similarity = Similarity(float(matrix[0, 0]), float(matrix[1, 0]), float(matrix[0, 2]), float(matrix[1, 2]))
    return Proposal(similarity, agreeing, len(pairs))


def _points(picture: Picture) -> tuple[Points, NDArray[np.float32]]:
    shown = np.clip(128 + 48 * picture.even, 0, 255).astype(np.uint8)
    keys, described = cv2.SIFT.create(nfeatures=_MOST, contrastThreshold=0.02).detectAndCompute(
        shown, np.full_like(shown, 255)
    )
    if not keys:
        return np.zeros((0, 2)), np.zeros((0, 128), np.float32)
    # Compared by the root of each part (Arandjelovic and Zisserman 2012).
    rooted = np.sqrt(described / (np.abs(described).sum(1, keepdims=True) + 1e-7))
    return np.array([key.pt for key in keys], dtype=np.float64), np.asarray(rooted, dtype=np.float32)


def _pairs(here: NDArray[np.float32], there: NDArray[np.float32]) -> NDArray[np.int64]:
    """Indices of points that are each other's best partner."""
    likeness = here @ there.T
    best = likeness.argmax(1)
    back = likeness.argmax(0)
    rows = np.arange(len(here))
    top = likeness[rows, best]
    likeness[rows, best] = -1
    next_best = likeness.max(1)
    # Both are of length one: the distance is the root of 2 - 2 x likeness.
    far = np.sqrt(np.maximum(2 - 2 * top, 0)) <= _RATIO * np.sqrt(np.maximum(2 - 2 * next_best, 1e-9))
    chosen = far & (back[best] == rows)
    return np.stack([rows[chosen], best[chosen]], axis=1)
