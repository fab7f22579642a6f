"""Two photos of one view held against each other: how far they differ, in numbers; None where that cannot be known.

Skin is compared with the same patient's skin and backdrop with the same backdrop, so that how dark either is does not
matter. Pose is what moves the flat picture of a face whose depth is known from the reference photo.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicom_bridge.judging.following import followed
from dicom_bridge.judging.landmarks import eyes_apart
from dicom_bridge.judging.measure import LEFT_CHEEK, MIDDLE, RIGHT_CHEEK, Measured

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Landmarks that no expression moves much: bridge and wings of the nose, corners of the eyes, upper cheeks.
_RIGID = (9, 8, 168, 6, 197, 195, 5, 4, 1, 19, 94, 2, 33, 133, 362, 263, 130, 359, 116, 345, 117, 346, 50, 280, 101,
          330, 123, 352, 98, 327, 48, 278, 45, 275, 220, 440, 122, 351, 193, 417, 107, 336, 55, 285)  # fmt: skip
_DEPTH = 0.8
"""The mesh makes faces deeper than they are: the landmarks of a head whose nose begins 85 mm before its ears and ends
110 mm before them (anthropometry) differ in depth by so much of what the mesh says."""

_SEEN_DEPTH = 0.63
"""The same, where landmarks are not followed: what the model sees follows a turn in part."""

_ROUNDS = 5

_MOUTH_RIGHT, _MOUTH_LEFT, _LIP_UP, _LIP_LOW = 61, 291, 13, 14
_BROWS, _LIDS = (105, 334), ((159, 145), (386, 374))
_WEIGHTS = (0.2126, 0.7152, 0.0722)
_LEAST = 3
"""Patches that must say something."""

_SPREAD = 0.3
"""Stops by which a backdrop may have changed unevenly and still be the same."""

_LOST = 5
"""Of so many patches of skin one may be burnt out."""

_AGREE = 0.14
"""By so much in log2(red/blue) skin and backdrop may have changed unlike each other."""

_NOMINAL = 5500.0

_FLAT = 1e-4
"""Of the face's area nothing else is left."""

_LOOSE = 0.06
"""Landmarks that are off by more, in distances between the eyes, are not one face's from two sides."""


@dataclass(frozen=True, slots=True)
class Pose:
    """How the head differs: degrees, and parts of the picture."""

    yaw: float
    """To the patient's left."""

    pitch: float
    """Chin up."""

    roll: float
    """To the patient's left shoulder."""

    scale: float
    """1: as large in the picture."""

    right: float
    down: float
    """Shares of the picture's width."""


@dataclass(frozen=True, slots=True)
class Expression:
    """How the face's parts differ, in shares of the distance between the eyes."""

    wider: float
    """Mouth; in shares of its own width."""

    lifted: float
    """Corners of the mouth, above its middle."""

    opened: float
    brows: float
    """Higher."""

    lids: float
    """Further open."""


@dataclass(frozen=True, slots=True)
class Light:
    """How the light differs."""

    stops: float | None
    """Of the subject: brighter."""

    kelvin: float | None
    """Cooler, at 5500 K; None: skin and backdrop do not tell, or not the same."""

    contradictory: bool
    """Skin and backdrop have changed colour unlike each other."""

    to_left: float | None
    """Stops that the patient's left cheek gained over her right one."""

    forward: float | None
    """Stops that the face gained over the backdrop; at least so many, where it is burnt."""

    burnt: bool
    """So much of the face is burnt out, here or in the reference, that the darker rest of it does not tell of all."""


def pose(photo: Measured, reference: Measured) -> Pose | None:
    """The pose, where both show a face."""
    import numpy as np

    if photo.face is None or reference.face is None:
        return None
    rough = _fitted(photo, reference)
    if rough is None:
        return None
    fine = _followed(photo, reference)
    fit, deep = (rough, _SEEN_DEPTH) if fine is None else (fine, _DEPTH)
    scale = math.sqrt(abs(float(np.linalg.det(fit[:, :2]))))
    roll = math.atan2(fit[1, 0] - fit[0, 1], fit[0, 0] + fit[1, 1])
    # What depth moves, upright: a face that turns to its left moves its nose to the picture's right.
    sideways = math.cos(roll) * fit[0, 2] + math.sin(roll) * fit[1, 2]
    downwards = -math.sin(roll) * fit[0, 2] + math.cos(roll) * fit[1, 2]
    size = scale * _long(reference) / _long(photo)
    here, there = (
        each.face.points[list(_RIGID), :2].mean(axis=0) / each.columns
        for each in (photo, reference)
        if each.face is not None
    )
    return Pose(
        yaw=-math.degrees(math.atan2(sideways, scale * deep)),
        pitch=math.degrees(math.atan2(downwards, scale * deep)),
        roll=math.degrees(roll),
        scale=size,
        right=float(here[0] - there[0]),
        down=float(here[1] - there[1]),
    )


def expression(photo: Measured, reference: Measured) -> Expression | None:
    """The expression, where both show a face."""
    import numpy as np

    if photo.face is None or reference.face is None:
        return None
    fit = _fitted(photo, reference)
    if fit is None:
        return None
    points, known = photo.face.points, reference.face.points
    middle, known_middle = points[list(_RIGID), :2].mean(axis=0), known[list(_RIGID)].mean(axis=0)
    back = np.linalg.inv(fit[:, :2])
    # Each point where it would be in the reference's pose, as far as its depth is that of the reference.
    moved = (points[:, :2] - middle - (known[:, 2:] - known_middle[2]) * fit[:, 2]) @ back.T + known_middle[:2]
    off = (moved - known[:, :2]) / eyes_apart(reference.face)
    width = float(np.linalg.norm(known[_MOUTH_LEFT, :2] - known[_MOUTH_RIGHT, :2])) / eyes_apart(reference.face)
    lips = (off[_LIP_UP, 1] + off[_LIP_LOW, 1]) / 2
    wider = _wider(photo, reference)
    return Expression(
        wider=float(off[_MOUTH_LEFT, 0] - off[_MOUTH_RIGHT, 0]) / width if wider is None else wider,
        lifted=float(lips - (off[_MOUTH_LEFT, 1] + off[_MOUTH_RIGHT, 1]) / 2),
        opened=float(off[_LIP_LOW, 1] - off[_LIP_UP, 1]),
        brows=-float(off[list(_BROWS), 1].mean()),
        lids=float(np.mean([off[low, 1] - off[up, 1] for up, low in _LIDS])),
    )


def light(photo: Measured, reference: Measured) -> Light:
    """The light on the same skin, before the same backdrop; without a face that of the same place in the picture."""
    import numpy as np

    skin = _told(photo.skin, reference.skin)
    beside = photo.backdrop & reference.backdrop
    behind = _even(_told(photo.around, reference.around, beside))
    subject = skin if len(skin) >= _LEAST else _even(_told(photo.around, reference.around))
    stops = _median(_stops(subject))
    right, left = (_median(_stops(_told(photo.skin[each], reference.skin[each]))) for each in _CHEEKS)
    to_left = None if right is None or left is None else left - right
    back_stops = _median(_stops(behind))
    forward = None if back_stops is None or len(skin) < _LEAST or stops is None else stops - back_stops
    kelvin, contradictory = _kelvin(subject, behind)
    lost = np.isnan(np.concatenate([photo.skin, reference.skin], axis=1)).any(axis=1)
    burnt = bool(np.mean(lost) * _LOST > 1)
    return Light(stops, kelvin, contradictory, to_left, forward, burnt)


_RIGHT, _LEFT = len(RIGHT_CHEEK), len(RIGHT_CHEEK) + len(LEFT_CHEEK)
_CHEEKS = (slice(0, _RIGHT), slice(_RIGHT, _LEFT))
assert len(MIDDLE) >= _LEAST


def _fitted(photo: Measured, reference: Measured) -> NDArray[np.float64] | None:
    """(2, 3): the flat picture of the photo's face as a linear image of the reference's in depth; None: it is none.

    Faces from the side are found by no model here, or with landmarks that do not hold together.
    """
    import numpy as np

    assert photo.face is not None
    assert reference.face is not None
    here, there = photo.face.points[list(_RIGID), :2], reference.face.points[list(_RIGID)]
    there, here = there - there.mean(axis=0), here - here.mean(axis=0)
    solved, *_ = np.linalg.lstsq(there, here, rcond=None)
    left = math.sqrt(float(((here - there @ solved) ** 2).sum(axis=1).mean())) / eyes_apart(photo.face)
    whole = abs(float(np.linalg.det(solved[:2]))) > _FLAT
    return np.asarray(solved.T) if whole and left < _LOOSE else None


def _followed(photo: Measured, reference: Measured) -> NDArray[np.float64] | None:
    """The same, by landmarks that were followed; those that do not fit in with most count less (Huber 1964)."""
    import numpy as np

    if photo.face is None or reference.face is None or photo.upright is None or reference.upright is None:
        return None
    found = followed(photo.upright, reference.upright, photo.face.points, reference.face.points, _RIGID)
    if found is None:
        return None
    here, there = found[0], reference.face.points[found[1]]
    weights = np.ones(len(here))
    solved = np.zeros((3, 2))
    for _ in range(_ROUNDS):
        shares = weights / weights.sum()
        at, from_ = here - shares @ here, there - shares @ there
        root = np.sqrt(weights)[:, None]
        solved, *_ = np.linalg.lstsq(from_ * root, at * root, rcond=None)
        off = np.linalg.norm(at - from_ @ solved, axis=1)
        most = 1.5 * max(float(np.median(off)), 1e-6)
        weights = np.minimum(1.0, most / np.maximum(off, 1e-9))
    whole = abs(float(np.linalg.det(solved[:2]))) > _FLAT
    loose = float(np.median(off)) / eyes_apart(photo.face) > _LOOSE
    return np.asarray(solved.T) if whole and not loose else None


def _wider(photo: Measured, reference: Measured) -> float | None:
    """By how much the mouth is wider, by its corners as they are followed; None where they are not found again."""
    import numpy as np

    fit = _followed(photo, reference)
    if fit is None or photo.face is None or reference.face is None or not (photo.upright and reference.upright):
        return None
    corners = (_MOUTH_RIGHT, _MOUTH_LEFT)
    found = followed(photo.upright, reference.upright, photo.face.points, reference.face.points, corners)
    if found is None:
        return None
    right, left = reference.face.points[list(corners)]
    apart = found[0][1] - found[0][0] - (left[2] - right[2]) * fit[:, 2]
    known = left[:2] - right[:2]
    return float((np.linalg.inv(fit[:, :2]) @ apart - known)[0] / np.linalg.norm(known))


def _long(measured: Measured) -> int:
    """The longer side of the decoded picture: a picture that is cropped otherwise is not compared here."""
    return max(measured.columns, measured.rows)


def _told(
    photo: NDArray[np.float64], reference: NDArray[np.float64], which: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """(n, 3): log2 of the light of those patches that say something in both, in parts of the reference's."""
    import numpy as np

    both = ~np.isnan(photo).any(axis=1) & ~np.isnan(reference).any(axis=1)
    both = both if which is None else both & which
    light_, known = np.maximum(photo[both], 1e-4), np.maximum(reference[both], 1e-4)
    weights = np.array(_WEIGHTS)
    stops = np.log2((light_ @ weights) / (known @ weights))
    warm = np.log2(light_[:, 0] / light_[:, 2]) - np.log2(known[:, 0] / known[:, 2])
    sure = (light_.min(axis=1) > 0.004) & (known.min(axis=1) > 0.004)
    return np.column_stack([stops, np.where(sure, warm, np.nan), known @ weights])


def _even(told: NDArray[np.float64]) -> NDArray[np.float64]:
    """The patches, where most of them have changed alike; else none: something else stands there now."""
    import numpy as np

    if len(told) < _LEAST:
        return told[:0]
    middle = np.median(told[:, 0])
    off = np.abs(told[:, 0] - middle)
    return told[off < _SPREAD] if np.median(off) < _SPREAD else told[:0]


def _stops(told: NDArray[np.float64]) -> NDArray[np.float64]:
    return told[:, 0]


def _median(values: NDArray[np.float64]) -> float | None:
    import numpy as np

    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else None


def _kelvin(subject: NDArray[np.float64], behind: NDArray[np.float64]) -> tuple[float | None, bool]:
    """How much cooler, and whether skin and backdrop contradict each other."""
    skin, back = _median(subject[:, 1]), _median(behind[:, 1])
    if skin is None and back is None:
        return None, False
    if skin is not None and back is not None:
        both = (skin + back) / 2
        # What is strongly coloured itself takes another part of the light's change than what is grey.
        return (None, True) if abs(skin - back) > _AGREE + 0.4 * abs(both) else (cooler(both), False)
    known = skin if skin is not None else back
    assert known is not None
    return cooler(known), False


def cooler(warmth: float) -> float:
    """The kelvin by which light is cooler that changes log2(red/blue) by so much.

    In linear sRGB the white points D50 and D65 (CIE 15) are 0.704 apart in log2(red/blue), and 46.2 in mired.
    """
    mired = 1e6 / _NOMINAL + warmth * 46.2 / 0.704
    return 1e6 / max(mired, 40.0) - _NOMINAL
