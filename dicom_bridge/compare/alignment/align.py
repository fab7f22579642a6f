"""Lay one photo upon another: propose, refine by blocks, and say how far off it may be, or that it cannot be told.

A transform is only given where blocks all over the photo agree on it far beyond chance. A wrong one is worse than
none: a clinician would take the difference for the treatment's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from dicom_bridge.compare.alignment import blocks, features, spectrum
from dicom_bridge.compare.alignment.blocks import Blocks
from dicom_bridge.compare.alignment.picture import Picture
from dicom_bridge.compare.alignment.similarity import IDENTITY, Points, Similarity, fitted

METHOD = "2"
"""Version of the method: what was kept says by which it was found."""

_REACHES = (40, 24, 16, 16)
"""Pixels within which blocks look for their partners, round by round; the last is the one that is believed."""

_TIGHT = 2.5
"""Pixels, of the spread of the blocks that agree: beyond, a block shows what changed (IRLS, Tukey's biweight)."""

_NEAR = 4.0
"""Pixels within which a block fits."""

_CHANCE = 1e-8
"""A transform that as many blocks would fit by chance is none."""

_SHARE = 0.22
"""Least share of the blocks that show something, and fit."""

_OVERLAP = 0.35
_SCALES = (0.6, 1.7)
_TURN = 40.0
"""Degrees; photos are upright."""

_WORST = 0.4
"""Per cent of the diagonal. Beyond, the blocks disagree as those of a head do that was turned: it is another view."""

_BEND = 2.4
"""Pixels that blocks may lie apart, on average, by a bend that runs through the whole photo. A head or a limb that was
turned is shortened on one side and stretched on the other: a strip of it fits, the rest does not. Of 62 drawn heads
that were turned by 40 to 80 degrees and that all else lets pass 59 have more; turned by 2.5 degrees they have at most
1.7, and what a camera shows that was tilted by 2 degrees up to 2.3."""

_DRAWS = 120
_FLOOR = 0.06
"""Per cent of the diagonal: what blocks cannot tell (a pixel's grid, the lens)."""

_CORNERS = 7


class Cannot(StrEnum):
    """Why two photos cannot be laid upon each other."""

    PLAIN = "plain"
    """One of them shows too little that could be compared."""

    DIFFERENT = "different"
    """Too little of one is found in the other: another region, another view, or too much has changed."""

    UNSURE = "unsure"
    """A place is found, but it might as well be beside it."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """A transform, and how sure it is."""

    similarity: Similarity
    """From the moved photo to the other one, in pixels of the photos as they were given."""

    error: float
    """Per cent of the fixed photo's diagonal: in 95 of 100 photos the mean distance from the truth is smaller."""

    fitting: float
    """Share of the blocks that show something, and fit."""


def align(moving: Picture, fixed: Picture) -> Alignment | Cannot:
    """The similarity that lays ``moving`` upon ``fixed``."""
    best: tuple[int, Similarity, Blocks, NDArray[np.float64]] | None = None
    seen = 0
    for proposed in _proposals(moving, fixed):
        refined = _refined(moving, fixed, proposed)
        if refined is None:
            continue
        similarity, found, weights = refined
        seen = max(seen, found.textured)
        fitting = int((weights > 0).sum())
        if best is None or fitting > best[0]:
            best = (fitting, similarity, found, weights)
        if _believed(fitting, found) and fitting >= 0.5 * found.textured:
            break  # nothing that comes later fits better than half of all there is
    if best is None:
        return Cannot.DIFFERENT
    fitting, similarity, found, weights = best
    if found.textured < 10:
        return Cannot.PLAIN
    if not _believed(fitting, found) or not _plausible(similarity):
        return Cannot.DIFFERENT
    if _bend(found) > _BEND:
        return Cannot.DIFFERENT
    error = _error(found, weights, fixed)
    if error > _WORST:
        return Cannot.UNSURE
    return Alignment(similarity.sized(1 / moving.factor, 1 / fixed.factor), error, fitting / found.textured)


def _proposals(moving: Picture, fixed: Picture) -> Iterator[Similarity]:
    """What is tried, the likeliest first."""
    common = features.proposal(moving, fixed)
    if common is not None and _plausible(common.similarity):
        yield common.similarity
    yield from filter(_plausible, spectrum.proposals(moving, fixed))
    # The same camera at the same mark: as it stands, scaled where the photos are of different sizes.
    ratio = fixed.grey.shape[0] / moving.grey.shape[0]
    yield Similarity(ratio, 0.0, 0.0, 0.0) if ratio != 1 else IDENTITY


def _plausible(similarity: Similarity) -> bool:
    return _SCALES[0] <= similarity.scale <= _SCALES[1] and abs(similarity.angle) <= _TURN


def _refined(
    moving: Picture, fixed: Picture, similarity: Similarity
) -> tuple[Similarity, Blocks, NDArray[np.float64]] | None:
    """The transform that the blocks agree on, round by round; what they say of the last, with their weights."""
    for reach in _REACHES:
        found = blocks.measured(moving, fixed, similarity, reach)
        if found.agreeing.sum() < 6 or found.overlap < _OVERLAP or not _plausible(similarity):
            return None
        weights = _weights(found)
        if reach == _REACHES[-1] and weights is not None and _settled(found, weights):
            return similarity, found, weights
        if weights is None:
            return None
        # A point of the fixed photo shows what the moved one has at ``off`` beside it.
        here = _undone(similarity, found.at)
        similarity = fitted(here, found.at + found.off, weights)
    found = blocks.measured(moving, fixed, similarity, _REACHES[-1])
    weights = _weights(found)
    return None if weights is None else (similarity, found, weights)


def _settled(found: Blocks, weights: NDArray[np.float64]) -> bool:
    """Whether another round would move nothing by more than a small part of a pixel."""
    mean = (weights[:, None] * found.off).sum(0) / weights.sum()
    return float(np.hypot(*mean)) < 0.1


def _weights(found: Blocks) -> NDArray[np.float64] | None:
    """How far each block is believed, 0 to 1: those that move alike (Tukey's biweight about a fitted similarity)."""
    weights = found.agreeing.astype(np.float64)
    spread = 16.0
    for _ in range(8):
        if (weights > 0).sum() < 4:
            return None
        try:
            fit = fitted(found.at, found.at + found.off, weights)
        except ValueError:
            return None
        rest = np.hypot(*(fit.applied(found.at) - found.at - found.off).T)
        inside = weights > 0
        spread = max(0.4, min(spread, 1.4826 * float(np.median(rest[inside]))))
        limit = max(1.0, min(_NEAR, _TIGHT * spread)) if spread < _NEAR else _TIGHT * spread
        part = np.clip(1 - (rest / limit) ** 2, 0, 1) ** 2
        weights = np.where(found.agreeing, part, 0.0)
    return weights


def _undone(similarity: Similarity, points: Points) -> Points:
    """Where points come from."""
    turned = similarity.matrix[:, :2]
    return np.asarray(np.linalg.solve(turned, (points - similarity.matrix[:, 2]).T).T, dtype=np.float64)


def _believed(fitting: int, found: Blocks) -> bool:
    """Whether so many blocks do not fit by chance: each would in a share of its surroundings."""
    if found.textured < 10 or fitting < max(8, _SHARE * found.textured) or found.overlap < _OVERLAP:
        return False
    chance = min(1.0, math.pi * _NEAR**2 / (2 * _REACHES[-1] + 1) ** 2)
    # Blocks overlap each other: about every other one speaks for itself.
    return _tail(found.textured // 2, fitting // 2, chance) < _CHANCE


def _tail(number: int, least: int, chance: float) -> float:
    """The probability of at least so many of a number of coins."""
    return sum(
        math.comb(number, each) * chance**each * (1 - chance) ** (number - each) for each in range(least, number + 1)
    )


def _bend(found: Blocks) -> float:
    """Pixels, the root of the mean square: how far blocks lie apart by a curve of the second degree that runs through
    all of the photo, over those that lie on it. What changed here and there does not make one; and what a camera makes
    that was tilted (of a homography what is of the second degree) shows the same view still, and is left out."""
    x, y = ((found.at - found.at.mean(0)) / float(found.at.std(0).max().clip(1))).T
    flat = np.stack([np.ones_like(x), x, y], axis=1)
    curve = np.concatenate([flat, np.stack([x * x, x * y, y * y], axis=1)], axis=1)
    weights = found.agreeing.astype(np.float64)
    for _ in range(8):
        root = np.sqrt(weights)[:, None]
        bent = curve @ np.linalg.lstsq(curve * root, found.off * root, rcond=None)[0]
        rest = np.hypot(*(bent - found.off).T)
        limit = max(2.0, _TIGHT * 1.4826 * float(np.median(rest[found.agreeing])))
        weights = np.where(found.agreeing, np.clip(1 - (rest / limit) ** 2, 0, 1) ** 2, 0.0)
    on = weights > 0
    squares = curve[on, 3:] - flat[on] @ np.linalg.lstsq(flat[on], curve[on, 3:], rcond=None)[0]
    tilt = np.stack([squares[:, :2].T.reshape(-1), squares[:, 1:].T.reshape(-1)], axis=1)
    whole = bent[on].T.reshape(-1)
    left = whole - tilt @ np.linalg.lstsq(tilt, whole, rcond=None)[0]
    return float(np.sqrt((left**2).sum() / on.sum()))


def _error(found: Blocks, weights: NDArray[np.float64], fixed: Picture) -> float:
    """Per cent of the diagonal: how far transforms lie apart that other draws of the same blocks would give."""
    chosen = weights > 0
    at, to, weight = found.at[chosen], (found.at + found.off)[chosen], weights[chosen]
    rows, columns = fixed.grey.shape
    grid = np.stack(np.meshgrid(np.linspace(0, columns, _CORNERS), np.linspace(0, rows, _CORNERS)), axis=-1).reshape(
        -1, 2
    )
    middle = fitted(at, to, weight).applied(grid)
    # Drawn by neighbourhoods, since neighbours change together (a smile, a fold).
    region = np.floor(at / (3 * 40)).astype(np.int64)
    _, of = np.unique(region, axis=0, return_inverse=True)
    of = of.reshape(-1)
    several = int(of.max()) + 1
    draws = np.random.default_rng(7)
    apart = []
    for _ in range(_DRAWS):
        times = np.bincount(draws.integers(0, several, several), minlength=several)
        drawn = weight * times[of]
        if (drawn > 0).sum() < 3:
            continue
        try:
            other = fitted(at, to, drawn).applied(grid)
        except ValueError:
            continue
        apart.append(float(np.hypot(*(other - middle).T).mean()))
    if len(apart) < _DRAWS // 2:
        return math.inf
    left = float(np.hypot(*(middle - grid).T).mean())  # what the last round would still have moved
    widened = 1 + 4 / several
    return _FLOOR + 100 * (widened * float(np.quantile(apart, 0.95)) + left) / fixed.diagonal
