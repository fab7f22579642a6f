"""Small line drawings of how a shot is framed and posed, for cards on paper and pages on a screen.

A drawing is strokes in a square of 64 x 64 with its origin at the upper left; what the patient's right is, is on the
left of a view from the front, as on the photo.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from consent.regions import BodyRegion, regions
from consent.types import Laterality
from dicom_bridge.protocols.protocol import Shot

SIZE = 64
_ROUND = 0.5523  # of a quarter of a circle, as the handles of a cubic Bézier curve
_RULER = (14, 48, 10)

Step = tuple[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Stroke:
    """One line: ``M``, ``L`` and ``C`` with absolute coordinates, as SVG knows them."""

    steps: tuple[Step, ...]
    filled: bool = False
    strong: bool = False
    """What the shot is about: drawn thicker."""

    @property
    def path(self) -> str:
        """As the attribute ``d`` of an SVG path."""
        return " ".join(f"{word}{' '.join(f'{each:g}' for each in numbers)}" for word, numbers in self.steps)


def pictogram(shot: Shot) -> tuple[Stroke, ...]:
    """The drawing of a shot."""
    mirrored = shot.view.name.startswith("left-")
    if (shot.view.name, shot.side) in (("dorsal", Laterality.RIGHT), ("palmar", Laterality.LEFT)):
        mirrored = True  # the thumb is drawn on the right
    view = shot.view.name.removeprefix("left-").removeprefix("right-")
    drawn: Iterable[Stroke]
    if view == "close-up" or (view == "45-degree" and _part(shot.region) != "head"):
        drawn = _close()
    else:
        drawn = _DRAWN[_part(shot.region)](view, shot.expression.name if shot.expression is not None else "")
    return tuple(map(_mirror, drawn)) if mirrored else tuple(drawn)


def _part(region: BodyRegion) -> str:
    tree = regions()
    for name, part in (("head-and-neck", "head"), ("hand", "hand"), ("leg", "legs"), ("buttock", "legs")):
        whole = tree.by_name(name)
        if whole is not None and tree.includes(whole.code, region.code):
            return part
    return "trunk"


def _mirror(stroke: Stroke) -> Stroke:
    steps = tuple(
        (word, tuple(SIZE - value if place % 2 == 0 else value for place, value in enumerate(numbers)))
        for word, numbers in stroke.steps
    )
    return Stroke(steps, stroke.filled, stroke.strong)


def _line(*points: float, strong: bool = False) -> Stroke:
    return Stroke((("M", points[:2]), *(("L", points[at : at + 2]) for at in range(2, len(points), 2))), strong=strong)


def _curve(*points: float, strong: bool = False) -> Stroke:
    return Stroke((("M", points[:2]), *(("C", points[at : at + 6]) for at in range(2, len(points), 6))), strong=strong)


def _oval(x: float, y: float, rx: float, ry: float, *, filled: bool = False, strong: bool = False) -> Stroke:
    a, b = rx * _ROUND, ry * _ROUND
    steps: tuple[Step, ...] = (
        ("M", (x - rx, y)),
        ("C", (x - rx, y - b, x - a, y - ry, x, y - ry)),
        ("C", (x + a, y - ry, x + rx, y - b, x + rx, y)),
        ("C", (x + rx, y + b, x + a, y + ry, x, y + ry)),
        ("C", (x - a, y + ry, x - rx, y + b, x - rx, y)),
    )
    return Stroke(steps, filled, strong)


# --- the head ---------------------------------------------------------------------------------------------------------


def _head(view: str, expression: str) -> list[Stroke]:
    draw = _HEADS.get(view)
    return _face(expression, _TURNED if view in _OBLIQUE else 0) if draw is None else draw(expression)


def _face(expression: str, turn: float) -> list[Stroke]:
    """From the front, or turned towards the right of the picture by ``turn``."""
    x = 32 + turn
    made = [_oval(32, 28, 15, 20), *_neck()]
    made += [_curve(17, 25, 13, 24, 13, 33, 18, 34)]
    made += [] if turn else [_curve(47, 25, 51, 24, 51, 33, 46, 34)]
    made += [_line(x + turn / 2, 27, x + 2 + turn / 2, 35, x - 1 + turn / 2, 35)]
    return made + _eyes(x, expression) + _brows(x, expression) + _mouth(x, expression)


def _neck() -> list[Stroke]:
    return [_curve(25, 46, 25, 54, 20, 55, 10, 58), _curve(39, 46, 39, 54, 44, 55, 54, 58)]


def _eyes(x: float, expression: str) -> list[Stroke]:
    if expression == "squint":
        folds = [_line(x + d, y, x + d * 1.35, y + (y - 26) / 2, strong=True) for d in (-10, 10) for y in (24, 26, 28)]
        return [*(_oval(x + d, 26, 3, 0.8, strong=True) for d in (-6, 6)), *folds]
    if expression == "eyes-closed":
        return [_curve(x + d - 3, 26, x + d - 1, 28, x + d + 1, 28, x + d + 3, 26, strong=True) for d in (-6, 6)]
    shift = {"up-gaze": -1.6, "down-gaze": 1.6}.get(expression, 0)
    strong = bool(shift)
    return [
        each
        for d in (-6, 6)
        for each in (_oval(x + d, 26, 3, 2, strong=strong), _oval(x + d, 26 + shift, 0.9, 0.9, filled=True))
    ]


def _brows(x: float, expression: str) -> list[Stroke]:
    if expression == "frown":
        folds = [_line(x - 1.2, 18, x - 1.2, 22, strong=True), _line(x + 1.2, 18, x + 1.2, 22, strong=True)]
        return [_line(x - 9, 20, x - 3, 23, strong=True), _line(x + 9, 20, x + 3, 23, strong=True), *folds]
    if expression == "brow-raise":
        arches = [_curve(x + d - 4, 20, x + d - 2, 16, x + d + 2, 16, x + d + 4, 20, strong=True) for d in (-6, 6)]
        return [*arches, _line(x - 6, 13.5, x + 6, 13.5, strong=True), _line(x - 5, 11, x + 5, 11, strong=True)]
    if expression == "nasal-scrunch":
        return [_line(x - 4, 29, x - 1, 27, strong=True), _line(x + 4, 29, x + 1, 27, strong=True)]
    return [_curve(x + d - 4, 22, x + d - 2, 20.5, x + d + 2, 20.5, x + d + 4, 22) for d in (-6, 6)]


def _mouth(x: float, expression: str) -> list[Stroke]:
    if expression == "smile":
        return [
            _curve(x - 7, 38, x - 4, 44, x + 4, 44, x + 7, 38, strong=True),
            _line(x - 7, 38, x + 7, 38, strong=True),
        ]
    if expression == "pucker":
        return [_oval(x, 40, 2.4, 2.6, strong=True)]
    if expression in ("open-mouth", "mouth-partially-open"):
        return [_oval(x, 40.5, 3.5, 3 if expression == "open-mouth" else 1.6, strong=True)]
    if expression == "clench":
        jaw = [_curve(x - 14, 34, x - 13, 39, x - 11, 41, x - 9, 43, strong=True)]
        jaw += [_curve(x + 14, 34, x + 13, 39, x + 11, 41, x + 9, 43, strong=True)]
        return [_line(x - 4, 40, x + 4, 40), *jaw]
    if expression == "platysma":
        bands = [_line(x + d, 48, x + d * 1.6, 56, strong=True) for d in (-5, -2, 2, 5)]
        return [_curve(x - 6, 43, x - 3, 39, x + 3, 39, x + 6, 43, strong=True), *bands]
    return [_curve(x - 4, 40, x - 1, 39.2, x + 1, 39.2, x + 4, 40)]


def _profile(expression: str) -> list[Stroke]:
    """From the right side: the nose points to the right of the picture."""
    face = _curve(
        30, 8, 42, 8, 45, 14, 45.5, 22, 45.5, 24, 46, 25, 50, 32, 50.5, 33.5, 48, 34.5, 46, 34.5,
        47.5, 36, 47.5, 37, 46, 38, 47.5, 39.5, 47, 41, 45, 42, 46, 45, 44, 48, 39, 47, 37, 46.8, 35, 46, 34, 45,
    )  # fmt: skip
    made = [face, _curve(30, 8, 17, 8, 13, 20, 17, 32, 18, 38, 20, 48, 14, 57), _curve(34, 45, 33, 50, 34, 54, 38, 58)]
    made += [_curve(28, 27, 24, 24, 23, 33, 28, 35)]
    made += [_line(40, 25, 44, 24.5, 44, 27)] if expression != "eyes-closed" else [_line(40, 26.5, 44.5, 26.5)]
    if expression == "smile":
        made.append(_curve(46, 38, 43, 39, 41, 37, 40, 36, strong=True))
    if expression == "chin-down":
        made.append(_curve(54, 40, 56, 46, 53, 52, 48, 54, strong=True))
        made.append(_line(51, 51, 48, 54, 52, 56, strong=True))
    return made


def _nape(_: str) -> list[Stroke]:
    ears = [_curve(17, 25, 13, 24, 13, 33, 18, 34), _curve(47, 25, 51, 24, 51, 33, 46, 34)]
    return [_oval(32, 28, 15, 20), *_neck(), *ears, _curve(22, 41, 28, 45, 36, 45, 42, 41)]


def _from_below(_: str) -> list[Stroke]:
    made = [_curve(14, 34, 14, 12, 50, 12, 50, 34, 50, 48, 40, 54, 32, 54, 24, 54, 14, 48, 14, 34)]
    made += [_curve(25, 34, 26, 26, 30, 20, 32, 20, 34, 20, 38, 26, 39, 34, strong=True), _line(25, 34, 39, 34)]
    made += [_oval(29, 30, 1.6, 2.6, strong=True), _oval(35, 30, 1.6, 2.6, strong=True)]
    return [*made, _curve(26, 42, 30, 40, 34, 40, 38, 42), _curve(26, 42, 30, 45, 34, 45, 38, 42)]


def _from_above(_: str) -> list[Stroke]:
    made = [_curve(14, 30, 14, 6, 50, 6, 50, 30, 50, 42, 42, 50, 32, 50, 22, 50, 14, 42, 14, 30)]
    made += [_curve(22, 38, 25, 35, 27, 36, 29, 38), _curve(42, 38, 39, 35, 37, 36, 35, 38)]
    made += [_curve(29.5, 38, 29, 46, 28, 52, 32, 54, 36, 52, 35, 46, 34.5, 38, strong=True)]
    return [*made, _curve(18, 18, 26, 12, 38, 12, 46, 18)]


def _crown(_: str) -> list[Stroke]:
    made = [_oval(32, 32, 17, 21), _curve(15, 30, 11, 29, 11, 37, 16, 37), _curve(49, 30, 53, 29, 53, 37, 48, 37)]
    return [*made, _line(30, 53, 32, 57, 34, 53), _oval(32, 26, 7, 7, strong=True), _oval(32, 26, 1, 1, filled=True)]


def _parting(_: str) -> list[Stroke]:
    made = [_oval(32, 32, 17, 21), _curve(15, 30, 11, 29, 11, 37, 16, 37), _curve(49, 30, 53, 29, 53, 37, 48, 37)]
    made += [_line(30, 53, 32, 57, 34, 53), _line(32, 13, 32, 51, strong=True)]
    return made + [
        _curve(32 + d, y, 32 + 2 * d, y - 2, 32 + 3 * d, y, 32 + 3.4 * d, y + 4) for d in (-3, 3) for y in (22, 32, 42)
    ]


_TURNED = 5
_OBLIQUE = ("oblique", "lateral-oblique", "45-degree")
_HEADS: Mapping[str, Callable[[str], list[Stroke]]] = {
    "lateral": _profile,
    "posterior": _nape,
    "posterior-oblique": _nape,
    "basal": _from_below,
    "inferior": _from_below,
    "cephalic": _from_above,
    "vertex": _crown,
    "midline": _parting,
}

# --- the rest of the body ---------------------------------------------------------------------------------------------


def _trunk(view: str, expression: str) -> list[Stroke]:
    if view == "lateral":
        return _trunk_side()
    made = [
        _curve(26, 4, 26, 9, 22, 10, 14, 13, 10, 15, 9, 22, 8, 38),
        _curve(38, 4, 38, 9, 42, 10, 50, 13, 54, 15, 55, 22, 56, 38),
    ]
    made += [
        _curve(17, 20, 18, 32, 22, 36, 20, 44, 18, 50, 17, 54, 17, 60),
        _curve(47, 20, 46, 32, 42, 36, 44, 44, 46, 50, 47, 54, 47, 60),
    ]
    if expression == "arms-raised":
        made[:2] = [
            _curve(26, 4, 25, 9, 21, 12, 17, 20, 10, 14, 8, 8, 9, 2),
            _curve(38, 4, 39, 9, 43, 12, 47, 20, 54, 14, 56, 8, 55, 2),
        ]
    if expression == "arms-folded":
        made += [_line(10, 30, 22, 36, 44, 32, strong=True), _line(54, 30, 42, 36, 20, 32, strong=True)]
    turn = 5 if "oblique" in view else 0
    if view.startswith("posterior"):
        made += [
            _line(32 + turn, 14, 32 + turn, 46),
            _curve(24, 18, 27, 22, 27, 26, 24, 28),
            _curve(40, 18, 37, 22, 37, 26, 40, 28),
        ]
        return [*made, _curve(32 + turn, 50, 31 + turn, 54, 31 + turn, 57, 32 + turn, 60)]
    made += [
        _curve(20 + turn, 26, 22 + turn, 31, 29 + turn, 31, 31 + turn, 27),
        _curve(33 + turn, 27, 35 + turn, 31, 42 + turn, 31, 44 + turn, 26),
    ]
    made += [_oval(32 + turn, 42, 1, 1.3, filled=True)]
    if expression == "contracted":
        made += [_line(32 + turn, 33, 32 + turn, 40, strong=True)] + [
            _line(28 + turn, y, 36 + turn, y, strong=True) for y in (35, 38)
        ]
    return made


def _trunk_side() -> list[Stroke]:
    made = [
        _curve(36, 4, 37, 10, 44, 18, 45, 24, 47, 28, 42, 30, 42, 34, 45, 40, 44, 46, 40, 52, 40, 56, 41, 58, 41, 61)
    ]
    made += [_curve(26, 4, 24, 12, 19, 18, 21, 30, 23, 38, 25, 38, 20, 46, 17, 52, 19, 57, 22, 61)]
    return [*made, _curve(30, 14, 26, 20, 27, 30, 30, 40), _curve(36, 16, 37, 22, 36, 30, 35, 40)]


def _legs(view: str, expression: str) -> list[Stroke]:
    if view == "lateral":
        made = [_curve(40, 3, 42, 12, 42, 24, 38, 36, 37, 46, 37, 54, 37, 61)]
        return [
            *made,
            _curve(26, 3, 22, 8, 19, 14, 24, 20, 28, 28, 27, 42, 28, 61),
            _curve(24, 20, 27, 21, 29, 20, 30, 18),
        ]
    made = [
        _curve(20, 3, 15, 14, 14, 24, 18, 38, 19, 46, 20, 54, 20, 61),
        _curve(44, 3, 49, 14, 50, 24, 46, 38, 45, 46, 44, 54, 44, 61),
    ]
    made += [_curve(32, 22, 31, 36, 29, 46, 29, 61), _curve(32, 22, 33, 36, 35, 46, 35, 61)]
    turn = 4 if "oblique" in view else 0
    if view.startswith("posterior"):
        strong = expression == "contracted"
        made += [_line(32 + turn, 6, 32 + turn, 20)]
        made += [
            _curve(17, 20, 21, 25, 28, 25, 32 + turn, 20, strong=strong),
            _curve(47, 20, 43, 25, 36, 25, 32 + turn, 20, strong=strong),
        ]
        return made + ([_oval(24, 14, 1, 1, strong=True), _oval(40, 14, 1, 1, strong=True)] if strong else [])
    return [
        *made,
        _curve(20, 14, 24, 20, 28, 22, 32 + turn, 22),
        _curve(44, 14, 40, 20, 36, 22, 32 + turn, 22),
        _oval(32 + turn, 6, 1, 1.2, filled=True),
    ]


def _hand(view: str, _: str) -> list[Stroke]:
    made = [
        _curve(
            22, 60, 21, 50, 18, 44, 18, 36, 18, 26, 18, 20, 18, 14, 18, 10, 22.5, 10, 22.5, 14, 23, 22, 23, 26, 24, 30
        )
    ]
    for left, top in ((25, 7), (32, 6), (39, 10)):
        made.append(
            _curve(
                left - 1,
                31,
                left,
                24,
                left,
                16,
                left,
                top + 3,
                left,
                top,
                left + 5,
                top,
                left + 5,
                top + 3,
                left + 5,
                16,
                left + 5,
                24,
                left + 5,
                31,
            )
        )
    made.append(
        _curve(44, 31, 46, 36, 47, 38, 52, 32, 54, 29, 58, 31, 56, 35, 52, 42, 48, 46, 44, 50, 42, 54, 42, 57, 42, 60)
    )
    if view == "palmar":
        return [
            *made,
            _curve(20, 38, 28, 34, 36, 36, 42, 34, strong=True),
            _curve(24, 40, 30, 42, 34, 48, 34, 56, strong=True),
        ]
    return made + [_line(x, 34, x + (30 - x) / 5, 46, strong=True) for x in (21, 27, 33, 39)]


def _close() -> list[Stroke]:
    low, high, top = _RULER
    made = [_line(8, top, 56, top, 56, 54, 8, 54, 8, top), _oval(32, 28, 12, 11, strong=True), _line(12, 48, 52, 48)]
    return made + [_line(x, 48, x, 45 if (x - low) % 12 else 43) for x in range(low, high + 4, 4)]


_DRAWN: Mapping[str, Callable[[str, str], Iterable[Stroke]]] = {
    "head": _head,
    "trunk": _trunk,
    "legs": _legs,
    "hand": _hand,
}


@cache
def svg_paths(shot: Shot) -> tuple[tuple[str, str], ...]:
    """For SVG: class (``line``, ``strong`` or ``dot``) and path of each stroke."""
    return tuple(("dot" if each.filled else "strong" if each.strong else "line", each.path) for each in pictogram(shot))
