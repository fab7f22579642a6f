"""FHIR dates and times as spans: half-open, in UTC, of the length of their last unit (R4 date, dateTime, instant).

Many records write 9999-12-31 for "open" and 0001-01-01 for "unknown". What lies so far out is told as the last or the
first instant that can be told in every zone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from consent.directive import Span

_TEXT = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?:T(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d{1,12}))?)?"
    r"(?P<zone>Z|[+-]\d\d:\d\d)?)?)?)?"
)
_FIRST, _LAST = datetime(MINYEAR, 1, 2, tzinfo=UTC), datetime(MAXYEAR, 12, 30, tzinfo=UTC)

_MOST_OFFSET = timedelta(hours=14)


@lru_cache(maxsize=4096)
def span(text: str, zone: ZoneInfo) -> Span:
    """The span of a date or time; without an offset it is in ``zone``.

    Raises
    ------
    ValueError
        The text is no FHIR date or time, or names a day that does not exist.
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError("not a FHIR date or time")
    year, month, day = int(match["year"]), int(match["month"] or 1), int(match["day"] or 1)
    if match["hour"] is None:
        first = date(year, month, day)
        return _between(_midnight(first, zone), _midnight(_after(first, match), zone))
    offset = zone if match["zone"] is None else _offset(match["zone"])
    fraction = (match["fraction"] or "")[:6]
    second = int(match["second"] or 0)
    micros = int(fraction.ljust(6, "0"))
    hour, minute = int(match["hour"]), int(match["minute"])
    moment = _within(datetime(year, month, day, hour, minute, min(second, 59), micros, offset))
    length = timedelta(minutes=1) if match["second"] is None else timedelta(microseconds=10 ** (6 - len(fraction)))
    return _between(moment, min(moment + length, _LAST))


def known(text: str, zone: ZoneInfo) -> datetime | date | None:
    """What a date or time tells for certain: a moment, aware, in ``zone``; a day; None where not even the day is told.

    Raises
    ------
    ValueError
        As :func:`span`.
    """
    start = span(text, zone).start
    assert start is not None
    local = start.astimezone(zone)
    if "T" in text:
        return local
    return local.date() if len(text) == len("2026-05-03") else None


def period(value: Mapping[str, Any] | None, zone: ZoneInfo) -> Span:
    """A Period as a span; an open side is None (R4 Period: bounds are inclusive, to the end of their last unit)."""
    if not value:
        return Span()
    start, end = value.get("start"), value.get("end")
    return Span(
        span(start, zone).start if isinstance(start, str) else None,
        span(end, zone).end if isinstance(end, str) else None,
    )


def instant(moment: datetime) -> str:
    """A moment as a FHIR instant in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def date_time(moment: datetime, timespec: str = "seconds") -> str:
    """A moment as a FHIR dateTime in its own zone; in UTC where FHIR cannot write the offset (R4: whole minutes, up to
    14 hours), which old local times and strange clocks have."""
    offset = moment.utcoffset()
    if offset is None or offset % timedelta(minutes=1) or abs(offset) > _MOST_OFFSET:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec=timespec)


def _offset(text: str) -> Any:
    return UTC if text == "Z" else datetime.fromisoformat(f"2000-01-01T00:00:00{text}").tzinfo


def _after(first: date, match: re.Match[str]) -> date:
    """The day behind a day, month or year; where the calendar has none, its last."""
    if match["day"] is not None:
        return first + timedelta(days=1) if first < date.max else date.max
    year, month = (first.year + first.month // 12, first.month % 12 + 1) if match["month"] else (first.year + 1, 1)
    return date(year, month, 1) if year <= MAXYEAR else date.max


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """The beginning of a calendar day, whatever the clocks do on it."""
    return _within(datetime(day.year, day.month, day.day, tzinfo=zone))


def _within(moment: datetime) -> datetime:
    """The moment in UTC, clear of the ends of the calendar."""
    try:
        return min(max(moment.astimezone(UTC), _FIRST), _LAST)
    except OverflowError:
        return _FIRST if moment.year == MINYEAR else _LAST


def _between(start: datetime, end: datetime) -> Span:
    return Span(start, max(end, start + timedelta(microseconds=1)))
