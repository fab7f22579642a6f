"""Subjects drawn for the tests of alignment: faces, scalps and bodies, each from a seed; nobody who lives.

A pair of one subject is drawn twice: what changes between two sessions (expression, hair, lesions that fade, light,
noise) is drawn anew, and the second is turned, scaled and shifted by a transform that the test knows.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dicom_bridge.compare.alignment.similarity import Similarity

Colour = NDArray[np.float32]
"""Rows x columns x 3, 0 to 1."""

ROWS, COLUMNS = 900, 720
_SKINS = (
    (0.95, 0.80, 0.70),
    (0.90, 0.72, 0.58),
    (0.80, 0.60, 0.45),
    (0.66, 0.46, 0.33),
    (0.48, 0.32, 0.23),
    (0.30, 0.20, 0.15),
)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two photos of one subject, and where a point of the second lies in the first."""

    fixed: bytes
    moving: bytes
    truth: Similarity
    """From the moved photo to the fixed one, in pixels."""

    columns: int
    rows: int


def noise(draws: np.random.Generator, rows: int, columns: int, size: float) -> NDArray[np.float32]:
    """Smooth noise of one deviation, ``size`` pixels wide."""
    small = draws.standard_normal((max(2, int(rows / size) + 3), max(2, int(columns / size) + 3))).astype(np.float32)
    large = cv2.resize(small, (columns, rows), interpolation=cv2.INTER_CUBIC)
    return np.asarray(large / max(float(large.std()), 1e-6), dtype=np.float32)


def skin(draws: np.random.Generator, rows: int, columns: int, tone: int) -> Colour:
    """Skin: its tone, blotches, pores, moles."""
    level = (
        1
        + 0.03 * noise(draws, rows, columns, 90)
        + 0.025 * noise(draws, rows, columns, 25)
        + 0.02 * noise(draws, rows, columns, 5)
    )
    made = np.asarray(_SKINS[tone], np.float32) * level[:, :, None]
    for _ in range(int(draws.integers(14, 40))):
        spot(made, draws.uniform(0, columns), draws.uniform(0, rows), draws.uniform(2, 6), 0.35)
    return np.asarray(made, dtype=np.float32)


def spot(picture: Colour, x: float, y: float, radius: float, depth: float) -> None:
    """A mole or a lesion, drawn into a picture."""
    rows, columns = picture.shape[:2]
    reach = int(radius * 3) + 1
    top, left = max(0, int(y) - reach), max(0, int(x) - reach)
    bottom, right = min(rows, int(y) + reach), min(columns, int(x) + reach)
    if bottom <= top or right <= left:
        return
    down, across = np.mgrid[top:bottom, left:right]
    shape = np.exp(-((((across - x) ** 2 + (down - y) ** 2) / (2 * radius**2)) ** 2))
    picture[top:bottom, left:right] *= 1 - depth * shape[:, :, None].astype(np.float32)


def scalp(subject: int, session: int) -> Colour:
    """A crown from above: hair that grows about a whorl, each hair a stroke; a third of them new in each session."""
    draws, now = np.random.default_rng(subject), np.random.default_rng([subject, session, 1])
    picture = skin(draws, ROWS, COLUMNS, int(draws.integers(6)))
    dark = draws.uniform(0.05, 0.4)
    centre = draws.uniform([0.4, 0.4], [0.6, 0.6]) * [COLUMNS, ROWS]
    twist, thin = draws.uniform(0.3, 1.2), draws.uniform(60, 200)
    for number in range(2600):
        source = draws if number % 3 else now
        x, y = source.uniform(0, COLUMNS), source.uniform(0, ROWS)
        far = math.hypot(x - centre[0], y - centre[1])
        length, width, shade = (
            source.uniform(30, 80),
            int(source.integers(1, 4)),
            float(dark * source.uniform(0.7, 1.3)),
        )
        if source.uniform() < 0.8 * math.exp(-((far / thin) ** 2)):
            continue
        way = math.atan2(y - centre[1], x - centre[0]) + twist + source.normal(0, 0.15)
        end = (int(x + length * math.cos(way)), int(y + length * math.sin(way)))
        cv2.line(picture, (int(x), int(y)), end, (shade * 1.1, shade, shade * 0.9), width, cv2.LINE_AA)
    return picture


def body(subject: int, session: int) -> Colour:
    """A trunk before a wall: outline, navel, folds, moles; lesions that fade."""
    draws, now = np.random.default_rng(subject), np.random.default_rng([subject, session, 2])
    wall = draws.uniform(0.25, 0.85) * np.ones((ROWS, COLUMNS, 3), np.float32)
    flesh = skin(draws, ROWS, COLUMNS, int(draws.integers(6)))
    down = np.arange(ROWS) / ROWS
    middle, waist, hip = draws.uniform(0.46, 0.54), draws.uniform(0.2, 0.27), draws.uniform(0.28, 0.36)
    half = waist + (hip - waist) * (np.cos(2 * math.pi * (down - draws.uniform(0.0, 0.2))) * 0.5 + 0.5)
    half = half * (1 + now.normal(0, 0.004))  # breath
    across = np.arange(COLUMNS) / COLUMNS
    inside = np.clip((half[:, None] - np.abs(across[None, :] - middle)) * 120, 0, 1)
    round_ = np.sqrt(np.clip(1 - ((across[None, :] - middle) / half[:, None]) ** 2, 0, 1))
    flesh = flesh * (0.45 + 0.55 * round_[:, :, None]).astype(np.float32)
    spot(flesh, middle * COLUMNS, draws.uniform(0.45, 0.65) * ROWS, 9, 0.6)
    for _ in range(int(draws.integers(3, 7))):
        top, bend = draws.uniform(0.1, 0.95) * ROWS, draws.uniform(-60, 60)
        line = [(int(x), int(top + bend * math.sin(x / COLUMNS * math.pi))) for x in range(0, COLUMNS, 8)]
        shade = np.ones_like(flesh)
        cv2.polylines(shade, [np.array(line)], False, (0.6, 0.6, 0.6), int(draws.integers(2, 6)), cv2.LINE_AA)
        flesh *= cv2.GaussianBlur(shade, (0, 0), 3)
    for _ in range(10):
        fading = draws.uniform(0.1, 0.3) * (1 if session == 0 else now.uniform(0, 1))
        spot(flesh, draws.uniform(0.25, 0.75) * COLUMNS, draws.uniform(0, ROWS), draws.uniform(4, 12), fading)
    return np.asarray(wall * (1 - inside[:, :, None]) + flesh * inside[:, :, None], dtype=np.float32)


@lru_cache(maxsize=1)
def _portrait(path: Path) -> Colour:
    with Image.open(path) as image:
        part = image.convert("RGB").crop((70, 0, 390, 400)).resize((COLUMNS, ROWS), Image.Resampling.LANCZOS)
    return np.asarray(np.asarray(part) / 255, dtype=np.float32)


def face(subject: int, session: int, portrait: Path) -> Colour:
    """A face: the one that is at hand, made another by a smooth bend, with spots and tone of its own."""
    draws, now = np.random.default_rng(subject), np.random.default_rng([subject, session, 3])
    bend = [14 * noise(draws, ROWS, COLUMNS, 220) for _ in range(2)]
    # The mouth and the brows move from one session to the next.
    down, across = np.mgrid[0:ROWS, 0:COLUMNS].astype(np.float32)
    for x, y, wide in ((0.48, 0.62, 70), (0.38, 0.33, 50), (0.58, 0.33, 50)):
        near = np.exp(-(((across - x * COLUMNS) ** 2 + (down - y * ROWS) ** 2) / (2 * wide**2)))
        bend[0] += np.asarray(now.normal(0, 5) * near, dtype=np.float32)
        bend[1] += np.asarray(now.normal(0, 7) * near, dtype=np.float32)
    bent = cv2.remap(
        _portrait(portrait), across + bend[0], down + bend[1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    tone = np.asarray(_SKINS[int(draws.integers(6))], np.float32) / np.asarray(_SKINS[1], np.float32)
    picture: Colour = np.asarray(np.clip(bent, 0, 1) * (0.4 + 0.6 * tone), dtype=np.float32)
    for _ in range(12):
        fading = draws.uniform(0.1, 0.4) * (1 if session == 0 else now.uniform(0, 1))
        spot(picture, draws.uniform(0.2, 0.8) * COLUMNS, draws.uniform(0.2, 0.8) * ROWS, draws.uniform(3, 9), fading)
    return picture


def photographed(picture: Colour, seed: list[int], similarity: Similarity | None = None) -> bytes:
    """A JPEG of it: another light, sharpness, noise and compression in each; moved where a transform is given."""
    now = np.random.default_rng(seed)
    rows, columns = picture.shape[:2]
    if similarity is not None:
        moved = cv2.warpAffine(
            picture, similarity.matrix, (columns, rows), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
        )
        picture = np.asarray(moved, dtype=np.float32)
    across, down = np.meshgrid(np.linspace(-1, 1, columns), np.linspace(-1, 1, rows))
    light = 2 ** (now.normal(0, 0.3) + now.normal(0, 0.25) * across + now.normal(0, 0.2) * down)
    lit = np.asarray(picture * light[:, :, None] * (1 + now.normal(0, 0.05, 3)), dtype=np.float32)
    seen = cv2.GaussianBlur(lit, (0, 0), float(now.uniform(0.4, 1.2)))
    noisy = np.clip(seen, 0, 1) ** float(now.uniform(0.85, 1.15)) + now.normal(0, now.uniform(0.005, 0.02), lit.shape)
    out = io.BytesIO()
    Image.fromarray((np.clip(noisy, 0, 1) * 255).astype(np.uint8)).save(out, "JPEG", quality=int(now.integers(70, 95)))
    return out.getvalue()


def pair(draw: Callable[[int, int], Colour], subject: int) -> Pair:
    """Two sessions of one subject: turned to 15 degrees, scaled to 20 per cent, shifted by a tenth."""
    draws = np.random.default_rng([subject, 9])
    scale, angle = 1 + draws.uniform(-0.2, 0.2), math.radians(draws.uniform(-15, 15))
    a, b = scale * math.cos(angle), scale * math.sin(angle)
    middle = np.array([COLUMNS / 2, ROWS / 2])
    to = middle + draws.uniform(-0.1, 0.1, 2) * [COLUMNS, ROWS]
    there = Similarity(a, b, to[0] - a * middle[0] + b * middle[1], to[1] - b * middle[0] - a * middle[1])
    back = Similarity(a / scale**2, -b / scale**2, 0, 0)
    shift = -back.applied(np.array([[there.dx, there.dy]]))[0]
    return Pair(
        photographed(draw(subject, 0), [subject, 11]),
        photographed(draw(subject, 1), [subject, 12], there),
        Similarity(back.a, back.b, float(shift[0]), float(shift[1])),
        COLUMNS,
        ROWS,
    )


def tilted(picture: Colour, degrees: float) -> Colour:
    """What the camera sees that was tilted upwards or downwards and kept the subject in the middle."""
    rows, columns = picture.shape[:2]
    away = rows / 2 / math.tan(math.radians(20))  # a lens that sees 40 degrees
    lens = np.array([[away, 0, columns / 2], [0, away, rows / 2], [0, 0, 1]])
    turn, _ = cv2.Rodrigues(np.array([math.radians(degrees), 0.0, 0.0]))
    seen = lens @ turn @ np.linalg.inv(lens)
    middle = seen @ np.array([columns / 2, rows / 2, 1])
    back = np.array([[1, 0, columns / 2 - middle[0] / middle[2]], [0, 1, rows / 2 - middle[1] / middle[2]], [0, 0, 1]])
    return np.asarray(
        cv2.warpPerspective(picture, back @ seen, (columns, rows), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    )


def turned(picture: Colour, degrees: float) -> Colour:
    """A head as it is seen from aside, as if the picture lay on a cylinder: another view of the same subject."""
    rows, columns = picture.shape[:2]
    across = np.linspace(-0.98, 0.98, columns)
    angle = np.arcsin(across) + math.radians(degrees)
    place = (angle / math.pi + 0.5) * columns
    down, _ = np.mgrid[0:rows, 0:columns].astype(np.float32)
    here = np.broadcast_to(place.astype(np.float32), (rows, columns))
    return np.asarray(
        cv2.remap(picture, np.ascontiguousarray(here), down, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    )
