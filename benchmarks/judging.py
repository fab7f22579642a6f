"""Judging photos of 12 and 24 megapixels against their reference: decode, find the face, measure, compare.

Two processes, one for each core, as two workers would; each photo is another person's, and its reference is measured
too, which a worker remembers. What the archive and the record take is not in it.
"""

from __future__ import annotations

import io
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
from PIL import Image

from dicom_bridge.judging.landmarks import open_landmarks
from dicom_bridge.judging.measure import measure
from dicom_bridge.judging.picture import decode
from dicom_bridge.judging.verdicts import judge
from tests.judging.people import FAULTS, PORTRAIT, faulty, kept, person, photograph

PROCESSES = 2
PEOPLE = 4
ROUNDS = 10
_SIZES = ((3000, 4000), (4000, 6000))
_LEAST = 8.0

_FILES: list[tuple[bytes, bytes]] = []


def main() -> int:
    """Print the rates; 1 where the portrait is missing."""
    if not PORTRAIT.is_file():
        print("the portrait is missing: make .run/portrait.png", file=sys.stderr)
        return 1
    print("## Judging a photo\n")
    print(f"{PROCESSES} processes, each one thread; {PEOPLE} people, every photo held against its reference.\n")
    print("| | file | of a core, a photo | photos a second | with its reference measured anew |")
    print("|---|---:|---:|---:|---:|")
    slowest = 0.0
    for size in _SIZES:
        files = [_pair(number, size) for number in range(PEOPLE)]
        with ProcessPoolExecutor(PROCESSES, get_context("spawn"), _begin, (files,)) as pool:
            list(pool.map(_judge, range(2 * PROCESSES)))  # models are read, and both processes are there
            started = time.perf_counter()
            times = list(pool.map(_judge, range(PEOPLE * ROUNDS)))
            took = time.perf_counter() - started
        looks = 2 * len(times)  # a photo and its reference: both are decoded and measured alike
        rate = looks / took
        slowest = min(slowest or rate, rate)
        weight = statistics.mean(len(photo) for photo, _ in files) / 1e6
        print(
            f"| {size[0] * size[1] / 1e6:.0f} megapixels | {weight:.1f} MB "
            f"| {statistics.median(times) / 2 * 1e3:.0f} ms | {rate:.1f} | {rate / 2:.1f} |"
        )
    print(f"\n**{slowest:.1f} photos a second** (to reach: {_LEAST:.0f}).")
    return 0


def _pair(number: int, size: tuple[int, int]) -> tuple[bytes, bytes]:
    """A photo with a fault, and its reference, at the size of a camera."""
    who = person(number)
    shots = faulty(FAULTS[number % len(FAULTS)], kept(number, again=True), 1), kept(number, again=False)
    chance = np.random.default_rng(number)
    made = []
    for shot in shots:
        with Image.open(io.BytesIO(photograph(who, shot))) as opened:
            large = np.asarray(opened.resize(size, Image.Resampling.BICUBIC), dtype=np.int16)
        grainy = np.clip(large + chance.integers(-6, 7, large.shape, dtype=np.int16), 0, 255).astype(np.uint8)
        out = io.BytesIO()
        Image.fromarray(grainy).save(out, "JPEG", quality=90, subsampling="4:2:0")
        made.append(out.getvalue())
    return made[0], made[1]


def _begin(files: list[tuple[bytes, bytes]]) -> None:
    import cv2

    cv2.setNumThreads(1)
    _FILES.extend(files)
    open_landmarks()


def _judge(number: int) -> float:
    """Seconds of a core that a photo and its reference take."""
    photo, reference = _FILES[number % len(_FILES)]
    started = time.process_time()
    looked = [measure(decode(each), open_landmarks()) for each in (photo, reference)]
    judge(looked[0], looked[1])
    return time.process_time() - started


if __name__ == "__main__":
    raise SystemExit(main())
