"""The portraits that generated people are made from, and where the face is in each: read off the pictures by eye.

All three are in the public domain (works of the United States' government), and come with packages: scikit-image,
matplotlib and the source of face_recognition. The judge's limits were chosen looking at people made from the first one
alone; the others, one with glasses and a cap and one whose own skin is brown, are held out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Place = tuple[float, float]
_RUN = Path(__file__).parents[2] / ".run"


@dataclass(frozen=True, slots=True)
class Portrait:
    """One portrait; places in its own pixels, the patient's right first."""

    file: Path
    pupils: tuple[Place, Place]
    mouth: tuple[Place, Place]
    """Its corners."""

    skin: tuple[int, int, int]
    """Its own, in sRGB."""

    smiles: tuple[float, float]
    """How far each corner of the mouth is from where it rests, at least and at most, in pixels of the first portrait:
    what a generated person is calmed by."""


COLLINS = Portrait(
    _RUN / "portrait.png",
    pupils=((203.8, 101.4), (247.0, 104.0)),
    mouth=((204.5, 142.0), (246.6, 141.5)),
    skin=(222, 176, 146),
    smiles=(2.0, 3.4),
)
HOPPER = Portrait(
    _RUN / "portraits" / "hopper.jpg",
    pupils=((221.0, 189.3), (305.6, 186.9)),
    mouth=((227.4, 281.4), (307.5, 278.4)),
    skin=(198, 122, 82),
    smiles=(0.0, 0.8),
)
OBAMA = Portrait(
    _RUN / "portraits" / "obama.jpg",
    pupils=((444.0, 213.0), (547.0, 212.0)),
    mouth=((437.0, 319.6), (554.7, 318.9)),
    skin=(207, 150, 115),
    smiles=(2.0, 3.4),
)
HELD_OUT = (HOPPER, OBAMA)


@cache
def to_first(portrait: Portrait) -> NDArray[Any]:
    """(2, 3): from a portrait's pixels to the first one's; turned, enlarged and moved, so that the face keeps its
    proportions."""
    rows, wanted = [], []
    for (x, y), (to_x, to_y) in zip(_places(portrait), _places(COLLINS), strict=True):
        rows += [(x, -y, 1, 0), (y, x, 0, 1)]
        wanted += [to_x, to_y]
    (a, b, right, down), *_ = np.linalg.lstsq(np.array(rows), np.array(wanted), rcond=None)
    return np.array([[a, -b, right], [b, a, down]])


def corners(portrait: Portrait) -> tuple[Place, Place]:
    """The corners of its mouth, in the first one's pixels."""
    matrix = to_first(portrait)
    right, left = (matrix @ (x, y, 1) for x, y in portrait.mouth)
    return (float(right[0]), float(right[1])), (float(left[0]), float(left[1]))


def held(portrait: Portrait, box: tuple[int, int, int, int], size: tuple[int, int]) -> NDArray[np.uint8]:
    """(height, width, 3) uint8: what of a portrait is in a box (left, top, right, bottom) of the first one's pixels."""
    with Image.open(portrait.file) as opened:
        whole = opened.convert("RGB")
    if portrait is COLLINS:
        return np.asarray(whole.crop(box).resize(size, Image.Resampling.BICUBIC))
    up = size[0] / (box[2] - box[0])
    into = np.array([[up, 0.0, -up * box[0]], [0.0, up, -up * box[1]], [0.0, 0.0, 1.0]])
    matrix = (into @ np.vstack([to_first(portrait), (0.0, 0.0, 1.0)]))[:2]
    made = cv2.warpAffine(np.asarray(whole), matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(made, dtype=np.uint8)


def _places(portrait: Portrait) -> tuple[Place, ...]:
    return (*portrait.pupils, *portrait.mouth)
