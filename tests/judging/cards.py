"""A colour card held into a generated photo: drawn from its published colours, askew, in the scene's own light."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]

#: The published sRGB values of the 24 patches (BabelColor's averages, rounded), row by row.
_COLOURS = """
115 81 67  199 147 129  91 122 156  90 108 64  130 128 176  92 190 172
224 124 47  68 91 170  198 82 97  94 58 106  159 189 63  230 162 39
35 63 147  67 149 74  180 49 57  238 198 20  193 84 151  0 136 170
245 245 243  200 202 202  161 163 163  121 121 122  82 84 86  49 49 51
"""
_PATCH, _GAP = 40, 6
SIZE = (6 * _PATCH + 7 * _GAP, 4 * _PATCH + 5 * _GAP)


def drawn() -> Floats:
    """(height, width, 3) float32, linear light: the patches, and dark bars between them."""
    colours = np.array([int(each) for each in _COLOURS.split()], dtype=np.float32).reshape(4, 6, 3)
    card = np.full((SIZE[1], SIZE[0], 3), 38.0, dtype=np.float32)
    for row in range(4):
        for column in range(6):
            x, y = _GAP + column * (_PATCH + _GAP), _GAP + row * (_PATCH + _GAP)
            card[y : y + _PATCH, x : x + _PATCH] = colours[row, column]
    part = card / 255
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4).astype(np.float32)


def held_in(scene: Floats, seed: int, *, wide: float = 190.0) -> Floats:
    """The scene, in linear light, with a card before the chest of whoever is there, held askew and not quite upright.

    Parameters
    ----------
    wide
        Pixels that it takes in the mean.
    """
    chance = np.random.default_rng(9_000_000 + seed)
    size = wide * chance.uniform(0.9, 1.1)
    tall = size * SIZE[1] / SIZE[0]
    left, top = chance.uniform(20, scene.shape[1] - size - 20), scene.shape[0] - tall - chance.uniform(15, 35)
    turned = np.deg2rad(chance.uniform(-12, 12) + 180 * (chance.random() < 0.2))
    middle = np.array([left + size / 2, top + tall / 2])
    turn = np.array([[np.cos(turned), -np.sin(turned)], [np.sin(turned), np.cos(turned)]])
    places = np.array([(-size / 2, -tall / 2), (size / 2, -tall / 2), (size / 2, tall / 2), (-size / 2, tall / 2)])
    places = places * (1 + chance.uniform(-0.03, 0.03, (4, 1))) @ turn.T + middle  # a little of perspective
    own = np.array([(0, 0), (SIZE[0], 0), SIZE, (0, SIZE[1])], dtype=np.float32)
    matrix = cv2.getPerspectiveTransform(own, places.astype(np.float32))
    size_of = (scene.shape[1], scene.shape[0])
    card = cv2.warpPerspective(drawn(), matrix, size_of, flags=cv2.INTER_AREA)
    there = cv2.warpPerspective(np.ones((SIZE[1], SIZE[0]), np.float32), matrix, size_of)[..., None]
    made: Floats = (scene * (1 - there) + card * there).astype(np.float32)
    return made
