"""FHIR dates and times as spans: half-open, in UTC, of the length of their last unit (R4 date, dateTime, instant)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from consent.directive import Span

_TEXT = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?:T(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d{1,12}))?)?"
    r"(?P<zone>Z|[+-]\d\d:\d\d)?)?)?)?"
)

#: Spans keep clear of the ends of Python's calendar, so that 9999-12-31, which people write for "always", is a day like
#: any other, and no zone leads past the calendar.
_FIRST, _LAST = datetime(MINYEAR, 1, 2, tzinfo=UTC), datetime(MAXYEAR, 12, 30, tzinfo=UTC)


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
    moment = _within(
        datetime(year, month, day, int(match["hour"]), int(match["minute"]), min(second, 59), micros, offset)
    )
    length = timedelta(minutes=1) if match["second"] is None else timedelta(microseconds=10 ** (6 - len(fraction)))
    return Span(moment, moment + length)


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
