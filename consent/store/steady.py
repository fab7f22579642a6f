"""Whether the clock that decisions are made by goes on as clocks do.

Periods, birthdays and signatures are compared with it. Where it is put back, what has ended would hold again; where it
jumps ahead, what has yet to begin would hold already. A process cannot know which of two times is right, so it refuses
until somebody has looked at the clock and started it anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from consent.errors import ConsentError
from consent.store.clock import instant, micros

TOLERANCE = timedelta(seconds=60)
"""A clock that is corrected by less does no harm that anybody would notice."""


class ClockJumped(ConsentError):
    """The clock was put ahead or back. See that it is right, then start the node's processes anew.

    Where it is right, and was wrong when records were made: ``photospine doctor --accept-clock``.
    """


def _ticks() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)  # goes on while the machine sleeps


class Steady:
    """Compares a clock with one that nobody can put back. Safe for any number of threads.

    Parameters
    ----------
    ticks
        Seconds by that other clock.
    """

    def __init__(self, ticks: Callable[[], float] = _ticks) -> None:
        self._ticks = ticks
        self._offset: float | None = None

    def see(self, moment: datetime) -> datetime:
        """The moment, where the clock has not jumped since the first that was seen.

        A small correction is taken over, so that many of them are not one jump.

        Raises
        ------
        ClockJumped
            The text says how far and in which direction.
        """
        offset = micros(moment) / 1_000_000 - self._ticks()
        jump = 0.0 if self._offset is None else offset - self._offset
        if abs(jump) > TOLERANCE.total_seconds():
            way = "ahead" if jump > 0 else "back"
            raise ClockJumped(f"the clock was put {way} by {_words(abs(jump))} since this process began")
        self._offset = offset
        return moment


def require_after(recorded: int, moment: datetime) -> None:
    """Refuse a clock that stands before what was recorded by it already.

    Parameters
    ----------
    recorded
        Microseconds since 1970 of the newest record; 0: there is none.

    Raises
    ------
    ClockJumped
        The text says by how much.
    """
    behind = (instant(recorded) - moment).total_seconds()
    if behind > TOLERANCE.total_seconds():
        raise ClockJumped(f"the clock stands {_words(behind)} before the newest record of the audit")


def _words(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
