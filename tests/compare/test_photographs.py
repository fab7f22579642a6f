"""Photographs that a package ships for its own examples: of one person on several occasions, and of many persons.

They are looked at by these tests alone; nothing of them is kept in this project. Of photos that were not taken for
comparison many cannot be aligned, and are told to be so: how many, the report says.
"""

from __future__ import annotations

import functools
import io
import itertools
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dicom_bridge.compare.alignment.align import Alignment, align
from dicom_bridge.compare.alignment.picture import picture
from dicom_bridge.compare.alignment.similarity import Points, Similarity
from dicom_bridge.judging.landmarks import open_landmarks
from tests.counts import count, report

_FOLDER = Path(__file__).parents[2] / ".run" / "faces"
_SPEAKER = (1829, 2045, 2159, 2221, 2683, 2888, 3909, 3979, 4000, 4035, 4117)
_SEVERAL = (
    tuple(f"franck_0{each}.jpg" for each in _SPEAKER),
    ("cage.jpg", "cage2_crop.jpg"),
    ("bieber_small.jpg", "Justin-Bieber2_crop.jpg"),
    ("SeanConnery.jpg", "sean_guru2_crop.jpg"),
)
"""Of one person each: a speaker who turns and laughs before one wall, and people on two occasions."""

_NEAR = ("franck_02045.jpg", "franck_02221.jpg")
"""Two of one person that can be aligned."""

_ALONE = (
    "audrey.jpg", "bill-murray-snl_crop.jpg", "chuck_crop.jpg", "fragrance-George-Clooney-main_crop.jpg",
    "joconde_crop.jpg", "kim1_crop.jpg", "obama4_crop.jpg", "queen20_crop.jpg", "ri_1_crop.jpg", "walter2_crop.jpg",
)  # fmt: skip


@functools.cache
def _photo(name: str) -> bytes:
    path = _FOLDER / name
    if not path.is_file():
        pytest.fail(f"{path} is missing: make .run/faces.stamp")
    with Image.open(path) as image:
        out = io.BytesIO()
        image.convert("RGB").save(out, "JPEG", quality=93)
    return out.getvalue()


def _points(name: str) -> tuple[Points, float, float]:
    """Landmarks in pixels, and the photo's columns and rows."""
    photo = _photo(name)
    face = open_landmarks().find(np.asarray(Image.open(io.BytesIO(photo))))
    assert face is not None
    with Image.open(io.BytesIO(photo)) as image:
        return face.points[:, :2], float(image.width), float(image.height)


def _apart(moving: str, fixed: str, lies: Similarity | None) -> float:
    """Mean distance of the landmarks: per cent of the fixed photo's width. Without alignment both are as wide."""
    (here, width, _), (there, columns, _) = _points(moving), _points(fixed)
    laid = here * columns / width if lies is None else lies.applied(here)
    return float(100 * np.hypot(*(laid - there).T).mean() / columns)


def _chosen(pairs: list[tuple[str, str]], number: int) -> list[tuple[str, str]]:
    order = np.random.default_rng(5).permutation(len(pairs))
    return [pairs[each] for each in order[:number]]


def test_of_one_person_landmarks_lie_nearer_after_than_before() -> None:
    pairs = [pair for names in _SEVERAL for pair in itertools.permutations(names, 2) if pair != _NEAR]
    number, started = count("photographs of one person", small=4, full=len(pairs) + 1), time.monotonic()
    nearer, refused, after = 0, [], []
    for moving, fixed in [_NEAR, *_chosen(pairs, number - 1)]:
        found = align(picture(_photo(moving)), picture(_photo(fixed)))
        if not isinstance(found, Alignment):
            refused.append((moving, fixed, found.value))
            continue
        before = _apart(moving, fixed, None)
        after.append(_apart(moving, fixed, found.similarity))
        nearer += after[-1] < before
    report(
        "photographs of one person", asked=number, run=number, failures=len(after) - nearer, started=started,
        measured=f"{nearer} of {len(after)} that were aligned are nearer after than before; {len(refused)} of {number} "
        "not aligned",
    )  # fmt: skip
    assert after
    assert nearer >= 0.95 * len(after)


def test_another_person_is_not_aligned() -> None:
    everyone = [names[0] for names in _SEVERAL] + list(_ALONE)
    pairs = list(itertools.combinations(everyone, 2))
    number, started = count("photographs of two persons", small=4, full=len(pairs)), time.monotonic()
    accepted = []
    for moving, fixed in _chosen(pairs, number):
        found = align(picture(_photo(moving)), picture(_photo(fixed)))
        if isinstance(found, Alignment):
            accepted.append((moving, fixed, round(found.error, 2), round(found.fitting, 2)))
    report(
        "photographs of two persons", asked=number, run=number, failures=len(accepted), started=started,
        measured=f"{len(accepted)} of {number} accepted",
    )  # fmt: skip
    assert len(accepted) <= 0.01 * number, accepted
