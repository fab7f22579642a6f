"""Spans of dates and times, in every zone and to the ends of the calendar."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest

from consent.ages import majority
from consent.site import Site
from fhir_mapping import dates

pytestmark = pytest.mark.fast

ZONES = ("Europe/Athens", "America/New_York", "Pacific/Kiritimati", "UTC")


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    "text",
    ["9999-12-31", "9999-12", "9999", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00", "9999-12-31T23:59:59.999Z",
     "0001-01-01", "0001-01", "0001", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"],
)  # fmt: skip
def test_the_ends_of_the_calendar_are_times_like_any_other_in_every_zone(text: str, zone: str) -> None:
    found = dates.span(text, ZoneInfo(zone))
    assert found.start is not None
    assert found.end is not None
    assert found.start < found.end
    for each in ZONES:
        for moment in (found.start, found.end - timedelta(microseconds=1)):
            assert abs(moment.astimezone(ZoneInfo(each)).year - int(text[:4])) <= 1


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2024-02-28", "2024-02-27T22:00:00+00:00", "2024-02-28T22:00:00+00:00"),
        ("2024-02", "2024-01-31T22:00:00+00:00", "2024-02-29T22:00:00+00:00"),
        ("2024-12", "2024-11-30T22:00:00+00:00", "2024-12-31T22:00:00+00:00"),
        ("2024", "2023-12-31T22:00:00+00:00", "2024-12-31T22:00:00+00:00"),
        ("2024-03-31", "2024-03-30T22:00:00+00:00", "2024-03-31T21:00:00+00:00"),
        ("2024-06-01T10:00:00.5Z", "2024-06-01T10:00:00.500000+00:00", "2024-06-01T10:00:00.600000+00:00"),
    ],
)
def test_a_span_is_as_long_as_its_last_unit(text: str, start: str, end: str) -> None:
    found = dates.span(text, ZoneInfo("Europe/Athens"))
    assert found.start is not None
    assert found.end is not None
    assert (found.start.isoformat(), found.end.isoformat()) == (start, end)


@pytest.mark.parametrize("text", ["2023-02-29", "2024-13", "0000", "2024-02-30T10:00:00Z", "2024-1-1", "x", ""])
def test_what_does_not_exist_is_no_date(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        dates.span(text, ZoneInfo("UTC"))


@pytest.mark.parametrize(
    ("birth", "day"),
    [("1984-02-29", date(2002, 3, 1)), ("2008-02-29", date(2026, 3, 1)), ("1985-06", date(2003, 6, 1)),
     ("9985-01-01", None), ("9982", None), ("9999-12-31", None)],
)  # fmt: skip
def test_a_birth_date_of_the_far_future_tells_no_age(birth: str, day: date | None) -> None:
    site = Site(time_zone="America/New_York")
    found = majority(dates.span(birth, site.zone), site)
    began = None if found is None or found.start is None else found.start.astimezone(site.zone).date()
    assert began == day
