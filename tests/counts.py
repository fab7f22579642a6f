"""How often a counted test runs: small by default, whole under ``make test-full``, and never thinned out in silence.

Every counted test asks here for its count and reports what it really ran; ``make test-full`` gathers the reports
into ``benchmarks/ACCEPTANCE.md``.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

FULL = os.environ.get("PHOTOSPINE_TEST_FULL") == "1"
_REPORT = os.environ.get("PHOTOSPINE_TEST_REPORT")


@dataclass(frozen=True, slots=True)
class Counted:
    """One counted test: what was asked for, what ran, how many of them failed."""

    name: str
    asked: int
    run: int
    failures: int
    seed: int | None
    seconds: float
    measured: str = ""
    """A figure that the test is about, in words: ``99 % within 12 ms``."""


def count(name: str, *, small: int, full: int) -> int:
    """The number of times that the test ``name`` is to run in this kind of run."""
    if small > full:
        raise ValueError(f"{name}: the small count is larger than the full one")
    return full if FULL else small


def report(
    name: str,
    *,
    asked: int,
    run: int,
    failures: int,
    seed: int | None = None,
    started: float = 0.0,
    measured: str = "",
) -> None:
    """Record what ran. ``started`` is ``time.monotonic()`` at the start of the test."""
    if _REPORT is None:
        return
    seconds = round(time.monotonic() - started, 1) if started else 0.0
    line = json.dumps(asdict(Counted(name, asked, run, failures, seed, seconds, measured)))
    with Path(_REPORT).open("a", encoding="utf-8") as file:
        file.write(line + "\n")
