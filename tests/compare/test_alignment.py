"""Photos laid upon each other: drawn subjects, moved by a transform that is known, and pairs that must not align."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dicom_bridge.compare.alignment.align import Alignment, Cannot, align
from dicom_bridge.compare.alignment.picture import Picture, picture
from dicom_bridge.compare.alignment.similarity import Similarity, fitted
from tests.compare import drawn
from tests.compare.drawn import Colour, Pair
from tests.counts import count, report

_PORTRAIT = Path(__file__).parents[2] / ".run" / "portrait.png"
_DRAWERS: dict[str, Callable[[int, int], Colour]] = {
    "scalp": drawn.scalp,
    "body": drawn.body,
    "face": functools.partial(drawn.face, portrait=_PORTRAIT),
}


def _distance(found: Similarity, pair: Pair) -> float:
    """Mean distance from the truth all over the fixed photo: per cent of its diagonal."""
    grid = np.stack(np.meshgrid(np.linspace(0, pair.columns, 9), np.linspace(0, pair.rows, 9)), -1).reshape(-1, 2)
    turned, shift = pair.truth.matrix[:, :2], pair.truth.matrix[:, 2]
    source = np.asarray(np.linalg.solve(turned, (grid - shift).T).T, dtype=np.float64)
    apart = np.hypot(*(found.applied(source) - grid).T)
    return float(100 * apart.mean() / np.hypot(pair.columns, pair.rows))


@pytest.mark.parametrize("kind", list(_DRAWERS))
def test_a_known_transform_is_found_and_its_error_covers_the_truth(kind: str) -> None:
    number, started = count(f"alignment of drawn pairs: {kind}", small=3, full=120), time.monotonic()
    apart, covered, refused = [], 0, 0
    for subject in range(number):
        pair = drawn.pair(_DRAWERS[kind], subject)
        found = align(picture(pair.moving), picture(pair.fixed))
        if isinstance(found, Cannot):
            refused += 1
            continue
        apart.append(_distance(found.similarity, pair))
        covered += apart[-1] <= found.error
    median = float(np.median(apart))
    report(
        f"alignment of drawn pairs: {kind}", asked=number, run=number, failures=len(apart) - covered, started=started,
        measured=f"error: median {median:.3f} %, largest {max(apart):.3f} % of the diagonal; the stated one covers "
        f"{covered} of {len(apart)}; {refused} not aligned",
    )  # fmt: skip
    assert median <= 0.5
    assert covered >= 0.95 * len(apart)
    assert refused <= 0.05 * number


def _from_aside(subject: int, draws: np.random.Generator) -> tuple[Colour, Colour]:
    """A head from before, and the same from aside."""
    face = _DRAWERS["face"]
    way = float(draws.choice([-1, 1]) * draws.uniform(40, 80))
    return drawn.turned(face(subject, 0), 0), drawn.turned(face(subject, 1), way)


def _photographed(subject: int, pictures: tuple[Colour, Colour]) -> list[Picture]:
    return [picture(drawn.photographed(each, [subject, 30 + at])) for at, each in enumerate(pictures)]


@pytest.mark.parametrize("degrees", [10, 40, 50, 60])
def test_a_strip_that_fits_does_not_align_a_head_that_was_turned(degrees: float) -> None:
    heads = drawn.turned(_DRAWERS["face"](1, 0), 0), drawn.turned(_DRAWERS["face"](1, 1), degrees)
    before, after = _photographed(1, heads)
    assert isinstance(align(after, before), Cannot)


@pytest.mark.parametrize("subject", range(count("heads turned a little: people", small=2, full=24)))
def test_a_head_that_was_turned_by_two_degrees_is_aligned(subject: int) -> None:
    face = _DRAWERS["face"]
    heads = drawn.turned(face(subject, 0), 0), drawn.turned(face(subject, 1), 2 if subject % 2 else -2)
    before, after = _photographed(subject, heads)
    assert isinstance(align(after, before), Alignment)


@pytest.mark.parametrize("kind", list(_DRAWERS))
def test_a_camera_that_was_tilted_by_two_degrees_shows_the_same_view(kind: str) -> None:
    number, refused = count(f"cameras tilted: {kind}", small=2, full=24), []
    for subject in range(1, number + 1):
        draw = _DRAWERS[kind]
        before, after = _photographed(subject, (draw(subject, 0), drawn.tilted(draw(subject, 1), 2)))
        found = align(after, before)
        if isinstance(found, Cannot):
            refused.append((subject, found.value))
    report(f"cameras tilted: {kind}", asked=number, run=number, failures=len(refused), measured=str(refused or ""))
    assert len(refused) <= 0.1 * number, refused


def test_another_region_or_view_is_not_aligned() -> None:
    number, started = count("pairs that must not align", small=9, full=300), time.monotonic()
    accepted = []
    for subject in range(number):
        draws = np.random.default_rng([subject, 21])
        what = int(draws.integers(3))
        if what == 0:
            here, there = _from_aside(subject, draws)
        else:  # another region, or what looks alike of somebody else
            kinds = draws.choice(list(_DRAWERS), 2, replace=True)
            if kinds[0] == kinds[1] == "face":
                kinds[1] = "body"
            here, there = _DRAWERS[kinds[0]](subject, 0), _DRAWERS[kinds[1]](subject + 10_000, 0)
        before, after = _photographed(subject, (here, there))
        found = align(after, before)
        if isinstance(found, Alignment):
            accepted.append((subject, what))
    report(
        "pairs that must not align", asked=number, run=number, failures=len(accepted), started=started,
        measured=f"{len(accepted)} of {number} accepted",
    )  # fmt: skip
    assert len(accepted) <= 0.01 * number, accepted


def test_a_plain_photo_says_that_it_shows_too_little() -> None:
    plain = drawn.photographed(np.full((600, 480, 3), 0.6, np.float32), [1])
    pair = drawn.pair(drawn.body, 1)
    assert isinstance(align(picture(plain), picture(pair.fixed)), Cannot)
    assert isinstance(align(picture(pair.fixed), picture(plain)), Cannot)


def test_photos_of_other_sizes_are_measured_in_their_own_pixels() -> None:
    pair = drawn.pair(drawn.scalp, 4)
    small, whole = picture(pair.moving), picture(pair.fixed)
    found = align(small, whole)
    assert isinstance(found, Alignment)
    assert _distance(found.similarity, pair) < 0.1
    assert small.columns == pytest.approx(pair.columns)
    back = align(whole, small)
    assert isinstance(back, Alignment)
    assert back.similarity.scale * found.similarity.scale == pytest.approx(1, abs=0.005)
    assert back.similarity.angle + found.similarity.angle == pytest.approx(0, abs=0.3)


def test_the_same_pair_gives_the_same_answer() -> None:
    pair = drawn.pair(drawn.body, 2)
    photos = picture(pair.moving), picture(pair.fixed)
    assert align(*photos) == align(*photos)


def test_a_fitted_similarity_is_the_one_that_moved_the_points() -> None:
    truth = Similarity(0.9, 0.2, 12, -7)
    points = np.random.default_rng(1).uniform(0, 500, (20, 2))
    found = fitted(points, truth.applied(points), np.ones(20))
    assert found.matrix == pytest.approx(truth.matrix)
    with pytest.raises(ValueError, match="one place"):
        fitted(np.ones((5, 2)), np.ones((5, 2)), np.ones(5))
