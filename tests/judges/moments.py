"""Dates and times of FHIR, for the judges: every one is a stretch from its first instant to the first one after it."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

_FORM = re.compile(
    r"(?P<y>\d{4})(-(?P<m>\d\d)(-(?P<d>\d\d)(T(?P<h>\d\d):(?P<i>\d\d)(:(?P<s>\d\d)(\.(?P<f>\d{1,6}))?)?"
    r"(?P<z>Z|[+-]\d\d:\d\d)?)?)?)?"
)

BEGINNING = datetime(1, 1, 2, tzinfo=UTC)
"""Stands for "no beginning"."""

END = datetime(9999, 12, 30, tzinfo=UTC)
"""Stands for "no end"."""


@dataclass(frozen=True)
class Stretch:
    """From ``first`` (in it) to ``after`` (not in it)."""

    first: datetime = BEGINNING
    after: datetime = END

    def holds(self, instant: datetime) -> bool:
        """Whether the instant lies in it."""
        return self.first <= instant < self.after

    def includes(self, other: Stretch) -> bool:
        """Whether the other lies wholly in it."""
        return self.first <= other.first and other.after <= self.after

    def meets(self, other: Stretch) -> bool:
        """Whether they share any instant."""
        return max(self.first, other.first) < min(self.after, other.after)


@lru_cache(maxsize=4096)
def stretch(text: str, zone: ZoneInfo) -> Stretch:
    """The stretch that a FHIR date or dateTime names; without an offset it is in the site's zone."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(text)
    part = found.groupdict()
    year = int(part["y"])
    if part["m"] is None:
        return _days(date(year, 1, 1), date(year, 12, 31), zone)
    month = int(part["m"])
    if part["d"] is None:
        return _days(date(year, month, 1), date(year, month, monthrange(year, month)[1]), zone)
    day = date(year, month, int(part["d"]))
    if part["h"] is None:
        return _days(day, day, zone)
    digits = part["f"] or ""
    second = int(part["s"] or 0)
    fraction = int(digits.ljust(6, "0") or 0)
    wall = datetime(day.year, day.month, day.day, int(part["h"]), int(part["i"]), second, fraction, tzinfo=UTC)
    if part["z"] is None:
        first = wall.replace(tzinfo=zone).astimezone(UTC)
    elif part["z"] == "Z":
        first = wall.replace(tzinfo=UTC)
    else:
        sign = -1 if part["z"][0] == "-" else 1
        hours, minutes = part["z"][1:].split(":")
        first = wall.replace(tzinfo=UTC) - sign * timedelta(hours=int(hours), minutes=int(minutes))
    unit = timedelta(minutes=1) if part["s"] is None else timedelta(microseconds=10 ** (6 - len(digits)))
    return Stretch(first, first + unit)


def window(period: dict[str, Any] | None, zone: ZoneInfo) -> Stretch:
    """A FHIR Period: bounds are inclusive and cover the whole of their last unit."""
    period = period or {}
    return Stretch(
        stretch(period["start"], zone).first if "start" in period else BEGINNING,
        stretch(period["end"], zone).after if "end" in period else END,
    )


@lru_cache(maxsize=4096)
def majority(birth: str | None, years: int, zone: ZoneInfo) -> Stretch | None:
    """Between which instants the day of majority begins: the earliest that is possible, and the latest.

    A birthday that the year lacks (29 February) is the day after, 1 March.
    """
    if birth is None:
        return None
    bits = [int(bit) for bit in birth.split("-")]
    if len(bits) == 1:
        earliest, latest = date(bits[0], 1, 1), date(bits[0], 12, 31)
    elif len(bits) == 2:
        earliest, latest = date(bits[0], bits[1], 1), date(bits[0], bits[1], monthrange(bits[0], bits[1])[1])
    else:
        earliest = latest = date(bits[0], bits[1], bits[2])
    return Stretch(_midnight(_birthday(earliest, years), zone), _midnight(_birthday(latest, years), zone))


def _birthday(born: date, years: int) -> date:
    try:
        return born.replace(year=born.year + years)
    except ValueError:
        return date(born.year + years, 3, 1)


def _days(first: date, last: date, zone: ZoneInfo) -> Stretch:
    return Stretch(_midnight(first, zone), _midnight(last + timedelta(days=1), zone))


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
