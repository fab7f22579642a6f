"""A similarity of the plane: turn, one scale for both directions, shift."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""N x 2, x to the right and y down."""


@dataclass(frozen=True, slots=True)
class Similarity:
    """``x' = a x - b y + dx``, ``y' = b x + a y + dy``."""

    a: float
    b: float
    dx: float
    dy: float

    @property
    def scale(self) -> float:
        """How much larger what it is applied to becomes."""
        return math.hypot(self.a, self.b)

    @property
    def angle(self) -> float:
        """Degrees, clockwise as the eye sees it (y runs down)."""
        return math.degrees(math.atan2(self.b, self.a))

    @property
    def matrix(self) -> NDArray[np.float64]:
        """2 x 3."""
        return np.array([[self.a, -self.b, self.dx], [self.b, self.a, self.dy]])

    def applied(self, points: Points) -> Points:
        """The points, moved."""
        return points @ self.matrix[:, :2].T + self.matrix[:, 2]

    def sized(self, source: float, target: float) -> Similarity:
        """The same for photos that are larger by these factors, the one it is applied to and the other one."""
        ratio = target / source
        return Similarity(self.a * ratio, self.b * ratio, self.dx * target, self.dy * target)


IDENTITY = Similarity(1.0, 0.0, 0.0, 0.0)


def fitted(source: Points, target: Points, weights: NDArray[np.float64]) -> Similarity:
    """The similarity that takes points nearest to their partners, by weighted least squares.

    Raises
    ------
    ValueError
        The points lie all in one place.
    """
    total = float(weights.sum())
    if len(source) < 2 or total <= 0:
        raise ValueError("a similarity takes two points at least")
    share = weights[:, None] / total
    here, there = (source * share).sum(0), (target * share).sum(0)
    p, q = source - here, target - there
    spread = float((share * p * p).sum())
    if spread < 1e-9:
        raise ValueError("the points lie all in one place")
    a = float((share * p * q).sum()) / spread
    b = float((share[:, 0] * (p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0])).sum()) / spread
    return Similarity(a, b, float(there[0] - a * here[0] + b * here[1]), float(there[1] - b * here[0] - a * here[1]))
