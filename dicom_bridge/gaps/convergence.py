"""How near a clinic's photos come to what its protocols ask for: a number from 0 to 1 for each month.

The index of a month is the share, of the photos whose window ended in it, that are there, were taken in time, and are
comparable with the baseline's. A photo that is late, shows another expression, or was judged or is known to be of
another distance, light or camera does not count; what was not judged is not held against it. A photo that is excused
with a reason is not asked for. A month counts once it cannot change any more for the better: the window's last day
decides, and not the day of the photo, so that nobody gains by photographing early.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from dicom_bridge.gaps.finding import Taken


@dataclass(frozen=True, slots=True)
class Month:
    """What the windows that ended in a month came to."""

    first: date
    """Its first day."""

    asked: int
    """Photos that were asked for."""

    there: int
    """That were taken at all, late ones too."""

    in_time: int
    good: int
    """In time, and comparable."""

    @property
    def index(self) -> float:
        """From 0 to 1."""
        return self.good / self.asked


def months(taken: Iterable[Taken], today: date) -> tuple[Month, ...]:
    """The months in which a window ended before today, in order; a month without one is left out."""
    counted: dict[date, list[int]] = {}
    for each in taken:
        closes = each.window.closes
        if closes >= today:
            continue
        sums = counted.setdefault(closes.replace(day=1), [0, 0, 0, 0])
        there = each.photo is not None
        for place, met in enumerate((True, there, there and not each.late, each.good)):
            sums[place] += met
    return tuple(Month(first, *counted[first]) for first in sorted(counted))


def together(each: Iterable[Month]) -> Month | None:
    """Several months as one; None where there is none."""
    found = tuple(each)
    if not found:
        return None
    sums = [sum(getattr(one, name) for one in found) for name in ("asked", "there", "in_time", "good")]
    return Month(found[0].first, *sums)
