"""Times of questions, and how they are told."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds."""

    median: float
    p95: float
    slowest: float

    @classmethod
    def of(cls, measured: Sequence[float]) -> Times:
        """Of at least one measurement."""
        ordered = sorted(measured)
        return cls(statistics.median(ordered), ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))], ordered[-1])


@dataclass(frozen=True, slots=True)
class Told:
    """A part of a page."""

    text: str
    """Markdown."""

    slowest: float
    """Milliseconds."""


def milliseconds(question: Callable[[], object]) -> float:
    """How long one question takes."""
    started = time.perf_counter()
    question()
    return (time.perf_counter() - started) * 1000
