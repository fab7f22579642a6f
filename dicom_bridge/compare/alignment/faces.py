"""Photos of a face laid upon each other by the face: what stands behind it may not move with it.

The landmark models say where the face is and how the head is held. They propose, and say whether both photos show one
view; whether they fit, the blocks within the face say, as of any photo.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dicom_bridge.compare.alignment.align import Alignment, Cannot, align
from dicom_bridge.compare.alignment.picture import LONGEST, Picture, made, picture
from dicom_bridge.compare.alignment.similarity import Points, Similarity, fitted
from dicom_bridge.judging.landmarks import EYE_OUTER_LEFT, EYE_OUTER_RIGHT, Landmarks

FOREHEAD, CHIN = 10, 152
"""Landmarks: the upper end of the face's oval, and the lower one."""

_AROUND = 1.5
"""Sides of what is looked at, in sides of the face."""

_LEAST = 0.3
"""Part of the photo's shorter side that a face takes at least; a smaller one is not what the photo is about."""

_VIEW = 15.0
"""Degrees that the head may be turned or tilted apart: beyond, it is another view."""

_WORST = 1.2
"""Per cent of the diagonal that an alignment by the face may be off: the view is known to be one, and its error told.
A head that was turned by a few degrees is no flat thing, and no similarity lays it better."""

_ALIKE = 0.38
"""Share of the blocks that fit at least: of two people's faces, laid eye on eye, up to a third do."""

_HELD = (*range(6, 10), 33, 133, 263, 362, 168, 197, 195, 5, 4, 1, 98, 327, 234, 454, 127, 356, 10, 151, 67, 297)
"""Landmarks that keep their place while the face moves: eyes' corners, bridge and tip of the nose, forehead, ears."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A face, and the part of the photo around it."""

    points: NDArray[np.float64]
    """(468, 3), pixels of the photo."""

    part: Picture
    left: float
    top: float
    """Where the part begins, in pixels of the photo."""

    @property
    def held(self) -> tuple[float, float]:
        """How the head is held: turned, and tilted up or down, in degrees."""
        across = self.points[EYE_OUTER_LEFT] - self.points[EYE_OUTER_RIGHT]
        down = self.points[CHIN] - self.points[FOREHEAD]
        return _away(across), _away(down)

    def within(self, points: Points) -> Points:
        """Points of the photo in pixels of the part."""
        return np.asarray((points - [self.left, self.top]) * self.part.factor, dtype=np.float64)


def aligned(moving: bytes, fixed: bytes, landmarks: Landmarks | None) -> tuple[Alignment | Cannot, Picture, Picture]:
    """The similarity that lays one photo upon the other, by the face where both are about one, and both photos.

    Parameters
    ----------
    moving, fixed
        Renditions (JPEG or PNG, upright, sRGB).
    landmarks
        None: faces are not looked for.
    """
    pictures = picture(moving), picture(fixed)
    here, there = (None, None) if landmarks is None else (seen(moving, landmarks), seen(fixed, landmarks))
    if here is None or there is None:
        return align(*pictures), *pictures
    if any(abs(a - b) > _VIEW for a, b in zip(here.held, there.held, strict=True)):
        return Cannot.DIFFERENT, *pictures
    return by_face(here, there, pictures[1].diagonal / pictures[1].factor), *pictures


def by_face(moving: Seen, fixed: Seen, diagonal: float) -> Alignment | Cannot:
    """The similarity that lays one face upon the other; ``diagonal``: of the fixed photo, in its pixels."""
    chosen = list(_HELD)
    start = fitted(
        moving.within(moving.points[chosen, :2]), fixed.within(fixed.points[chosen, :2]), np.ones(len(chosen))
    )
    part = fixed.part.diagonal / fixed.part.factor / diagonal
    found = align(moving.part, fixed.part, proposed=(start,), worst=_WORST / part, least=_ALIKE)
    if isinstance(found, Cannot):
        return found
    lies = found.similarity
    shifted = Similarity(
        lies.a,
        lies.b,
        lies.dx + fixed.left - lies.a * moving.left + lies.b * moving.top,
        lies.dy + fixed.top - lies.b * moving.left - lies.a * moving.top,
    )
    return Alignment(shifted, found.error * part, found.fitting)


def seen(photo: bytes, landmarks: Landmarks) -> Seen | None:
    """The face that a photo is about; None where it is about none."""
    with Image.open(io.BytesIO(photo)) as stored:
        image = stored.convert("RGB")
    face = landmarks.find(np.asarray(image))
    if face is None:
        return None
    low, high = face.points[:, :2].min(axis=0), face.points[:, :2].max(axis=0)
    side = float((high - low).max())
    if side < _LEAST * min(image.size):
        return None
    middle, half = (low + high) / 2, _AROUND * side / 2
    left, top = (max(0, math.floor(each - half)) for each in middle)
    right, bottom = (min(end, math.ceil(each + half)) for each, end in zip(middle, image.size, strict=True))
    part = image.crop((left, top, right, bottom)).convert("L")
    factor = LONGEST / max(part.size)
    small = part.resize([max(1, round(each * factor)) for each in part.size], Image.Resampling.LANCZOS)
    return Seen(face.points, made(np.asarray(small), small.width / part.width), left, top)


def _away(line: NDArray[np.float64]) -> float:
    """How far a line points away from the camera, in degrees."""
    return math.degrees(math.atan2(float(line[2]), math.hypot(float(line[0]), float(line[1]))))
