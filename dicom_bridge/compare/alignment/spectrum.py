"""Turn, scale and shift from the spectra of both photos, for what has few points: smooth skin, a body before a wall."""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np

from dicom_bridge.compare.alignment.picture import Grey, Picture
from dicom_bridge.compare.alignment.similarity import Similarity

_SIDE = 512
_RADII = 320
_ANGLES = 360
_INNER, _OUTER = 4.0, 200.0


def proposals(moving: Picture, fixed: Picture) -> Iterator[Similarity]:
    """Similarities that the spectra tell (Reddy and Chatterji 1996): the turn is known but for half a turn."""
    here, by = _square(moving.even)
    there, to = _square(fixed.even)
    (x, y), _ = cv2.phaseCorrelate(_polar(here), _polar(there))
    scale = math.exp(-x * math.log(_OUTER / _INNER) / _RADII)
    angle = y * 180 / _ANGLES
    angle = (angle + 90) % 180 - 90
    middle = _SIDE / 2
    for turn in (angle,):
        for size in (scale, 1 / scale):
            for way in (turn, -turn):
                a, b = size * math.cos(math.radians(way)), size * math.sin(math.radians(way))
                about = Similarity(a, b, middle - a * middle + b * middle, middle - b * middle - a * middle)
                moved = cv2.warpAffine(here, about.matrix, (_SIDE, _SIDE))
                (dx, dy), _ = cv2.phaseCorrelate(moved, there, _window())
                yield Similarity(about.a, about.b, about.dx + dx, about.dy + dy).sized(1 / by, 1 / to)


def _square(grey: Grey) -> tuple[Grey, float]:
    """The photo in the corner of a square, and the factor."""
    factor = _SIDE / max(grey.shape)
    small = cv2.resize(grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    square = np.zeros((_SIDE, _SIDE), np.float32)
    square[: small.shape[0], : small.shape[1]] = small[:_SIDE, :_SIDE]
    return square, factor


def _window() -> Grey:
    return np.asarray(cv2.createHanningWindow((_SIDE, _SIDE), cv2.CV_32F))


def _polar(square: Grey) -> Grey:
    """The magnitude of the spectrum by the logarithm of the frequency and the angle."""
    spectrum = np.fft.fftshift(np.abs(np.fft.fft2(square * _window())))
    level = np.log1p(spectrum).astype(np.float32)
    radii = _INNER * np.exp(np.arange(_RADII) * math.log(_OUTER / _INNER) / _RADII)
    angles = np.arange(_ANGLES) * math.pi / _ANGLES
    x = (_SIDE / 2 + radii[None, :] * np.cos(angles[:, None])).astype(np.float32)
    y = (_SIDE / 2 + radii[None, :] * np.sin(angles[:, None])).astype(np.float32)
    found = cv2.remap(level, x, y, cv2.INTER_LINEAR)
    return np.asarray(found - found.mean(0, keepdims=True), dtype=np.float32)
