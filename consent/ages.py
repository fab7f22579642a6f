"""Ages, read narrowly: where only a year or a month of birth is known, the possible days are all kept in mind."""

from __future__ import annotations

from datetime import MAXYEAR, UTC, date, datetime, timedelta

from consent.directive import Span
from consent.site import Site


def majority(birth: Span | None, site: Site) -> Span | None:
    """When the day of majority begins: the earliest possible instant, and the latest.

    Parameters
    ----------
    birth
        Span of the birth date in the site's zone; None: unknown.

    Returns
    -------
    Span or None
        ``start`` is the earliest instant at which the person may be of age, ``end`` the one from which she surely is;
        both UTC. Born on 29 February: the day begins on 1 March. None where no birth date is known.
    """
    if birth is None or birth.start is None or birth.end is None:
        return None
    earliest = birth.start.astimezone(site.zone).date()
    latest = (birth.end - timedelta(microseconds=1)).astimezone(site.zone).date()
    return Span(_of_age(earliest, site), _of_age(latest, site))


def _of_age(born: date, site: Site) -> datetime:
    year = born.year + site.majority_age
    if year > MAXYEAR:  # a birth date that somebody mistyped: she is under age for good
        return datetime(MAXYEAR, 12, 30, tzinfo=UTC)
    try:
        day = born.replace(year=year)
    except ValueError:
        day = date(year, 3, 1)
    return datetime(day.year, day.month, day.day, tzinfo=site.zone).astimezone(UTC)
