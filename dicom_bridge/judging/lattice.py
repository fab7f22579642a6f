"""Squares in rows and columns, wherever they are in a picture and however they are held."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SEEDS = 24
"""Squares that a lattice is begun from, at most."""

_LOOKS = ((1.0, 15, 40), (1.5, 25, 60))
"""Sigma of what smooths, and weak and strong edges: a look for faint edges, and one past the noise of a light photo."""

_SMALLEST, _LARGEST = 0.012, 0.14
"""Sides of a square, in parts of the picture's longer side."""

_FULL = 0.72
"""Share of the smallest rectangle around it that a square fills."""

_NEAR, _APART = 0.95, 2.0
"""From one square to the next, in sides."""

_ASIDE = 0.3
"""How far from its place a square may be, in distances between squares."""

_LEAST, _MOST = 0.34, 3.0
"""Share of the card's squares that must be seen, dark ones between dark bars are not; and of squares in all."""


@dataclass(frozen=True, slots=True)
class Lattice:
    """Squares that stand in rows and columns."""

    cells: NDArray[np.intp]
    """(n, 2): column and row of each square, from any one of them."""

    homography: NDArray[np.float64]
    """(3, 3): from column and row to pixels."""

    side: float
    """Of a square, in pixels."""

    def placed(self, columns: int, rows: int) -> Iterator[NDArray[np.float64]]:
        """(columns x rows, 2) pixels, row by row: in each way in which such a card may lie over enough of these.

        Some may be no squares of the card, and some of the card's may not be among them.
        """
        import cv2
        import numpy as np

        low, high = self.cells.min(axis=0), self.cells.max(axis=0)
        for quarter in range(4):
            wide, tall = (columns, rows) if quarter % 2 == 0 else (rows, columns)
            for left in range(low[0] - wide + 1, high[0] + 1):
                for top in range(low[1] - tall + 1, high[1] + 1):
                    from_first = self.cells - (left, top)
                    within = (from_first >= 0).all(axis=1) & (from_first < (wide, tall)).all(axis=1)
                    if within.sum() < _LEAST * columns * rows:
                        continue
                    grid = np.stack(np.meshgrid(np.arange(wide) + left, np.arange(tall) + top), axis=-1)
                    turned = np.rot90(grid, quarter).reshape(-1, 1, 2).astype(np.float64)
                    there = cv2.perspectiveTransform(turned, self.homography)
                    yield np.asarray(there, dtype=np.float64).reshape(-1, 2)


def lattices(pixels: NDArray[np.uint8], columns: int, rows: int) -> list[Lattice]:
    """The lattices of squares in a picture that a card of so many rows and columns may be; the fullest one first."""
    middles, sides = _squares(pixels)
    found: list[Lattice] = []
    used: set[int] = set()
    order = sorted(range(len(middles)), key=lambda each: -_company(each, middles, sides))
    for seed in order[:_SEEDS]:
        if seed in used:
            continue
        cells = _grown(seed, middles, sides)
        used |= set(cells)
        made = _lattice(cells, middles, sides, columns, rows)
        if made is not None:
            found.append(made)
    return sorted(found, key=lambda each: -len(each.cells))


def _squares(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n, 2) middles and (n,) sides of what is even, and as high as wide, between edges; each once."""
    import numpy as np

    middles: list[tuple[float, float]] = []
    sides: list[float] = []
    for sigma, low, high in _LOOKS:
        known = np.array(middles, dtype=np.float64).reshape(-1, 2)
        for middle, side in _between(pixels, sigma, low, high):
            if not len(known) or np.linalg.norm(known - middle, axis=1).min() > 0.5 * side:
                middles.append(middle)
                sides.append(side)
    return np.array(middles, dtype=np.float64).reshape(-1, 2), np.array(sides, dtype=np.float64)


def _between(
    pixels: NDArray[np.uint8], sigma: float, low: float, high: float
) -> Iterator[tuple[tuple[float, float], float]]:
    """Middle and side of each square between the edges that one look finds."""
    import cv2
    import numpy as np

    smooth = cv2.GaussianBlur(pixels, (0, 0), sigma)
    drawn = [cv2.Canny(np.ascontiguousarray(smooth[..., channel]), low, high) for channel in range(3)]
    edges = np.max(drawn, axis=0)
    between = (cv2.dilate(edges, np.ones((3, 3), np.uint8)) == 0).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(between, connectivity=4)
    long = max(pixels.shape[:2])
    for number in range(1, count):
        x, y, wide, tall, area = (int(each) for each in stats[number])
        if not (_SMALLEST * long) ** 2 <= area <= (_LARGEST * long) ** 2 or max(wide, tall) > 2 * min(wide, tall):
            continue
        part = (labels[y : y + tall, x : x + wide] == number).astype(np.uint8)
        outline, _ = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        (at_x, at_y), (one, other), _ = cv2.minAreaRect(max(outline, key=len))
        if min(one, other) < 0.6 * max(one, other) or area < _FULL * (one + 1) * (other + 1):
            continue
        yield (x + at_x, y + at_y), ((one + 1) * (other + 1)) ** 0.5


def _company(one: int, middles: NDArray[np.float64], sides: NDArray[np.float64]) -> int:
    return len(_beside(one, middles, sides))


def _beside(one: int, middles: NDArray[np.float64], sides: NDArray[np.float64]) -> list[int]:
    """Squares of about the same size next to a square, the nearest first."""
    import numpy as np

    far = np.linalg.norm(middles - middles[one], axis=1)
    like = (sides > 0.7 * sides[one]) & (sides < 1.4 * sides[one])
    near = like & (far > _NEAR * sides[one]) & (far < _APART * sides[one])
    return sorted(np.flatnonzero(near).tolist(), key=lambda each: float(far[each]))


def _grown(seed: int, middles: NDArray[np.float64], sides: NDArray[np.float64]) -> dict[int, tuple[int, int]]:
    """Column and row of each square that is reached from a seed, step by step along two directions."""
    import numpy as np

    beside = _beside(seed, middles, sides)
    if not beside:
        return {seed: (0, 0)}
    right = middles[beside[0]] - middles[seed]
    down = np.array([-right[1], right[0]])  # seen from the same side: a card is not read in a mirror
    cells = {seed: (0, 0)}
    taken = {(0, 0)}
    waiting = [(seed, right, down)]
    while waiting:
        here, along, across = waiting.pop(0)
        column, row = cells[here]
        for step, to in (
            ((1, 0), along), ((-1, 0), -along), ((0, 1), across), ((0, -1), -across),
        ):  # fmt: skip
            cell = column + step[0], row + step[1]
            if cell in taken:
                continue
            off = np.linalg.norm(middles - (middles[here] + to), axis=1)
            there = int(off.argmin())
            like = 0.6 * sides[here] < sides[there] < 1.6 * sides[here]
            if there in cells or not like or off[there] > _ASIDE * float(np.linalg.norm(to)):
                continue
            cells[there] = cell
            taken.add(cell)
            moved = middles[there] - middles[here]
            turned = moved * (step[0] + step[1])
            waiting.append((there, turned, across) if step[0] else (there, along, turned))
    return cells


def _lattice(
    cells: dict[int, tuple[int, int]],
    middles: NDArray[np.float64],
    sides: NDArray[np.float64],
    columns: int,
    rows: int,
) -> Lattice | None:
    """The lattice, where it has enough squares for the card, and not so many that it is a wall of tiles."""
    import cv2
    import numpy as np

    if not _LEAST * columns * rows <= len(cells) <= _MOST * columns * rows:
        return None
    numbers = list(cells)
    places = np.array([cells[each] for each in numbers])
    far = 0.1 * float(sides.max())
    found: Any = cv2.findHomography(places.astype(np.float64), middles[numbers], cv2.RANSAC, far)[0]  # or nothing
    if found is None:
        return None
    return Lattice(places, np.asarray(found), float(np.median(sides[numbers])))
