"""Expiry dates as boxes, notices and people write them, as FHIR dates.

Years are of this century. Of 03/04/2027 nobody knows which is the month: it is no date here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from fhir_mapping.advisory import words
from fhir_mapping.udi.identifier import UdiError, day_of

#: The beginnings of the months' names, without accents: English, German, French, Spanish, Italian, Dutch.
_MONTHS = (
    ("jan", "ene", "gen"), ("feb", "fev"), ("mar", "mrz", "maa", "mae"), ("apr", "avr", "abr"),
    ("may", "mai", "mag", "mei"), ("jun", "juin", "giu"), ("jul", "juil", "lug"), ("aug", "aou", "ago"),
    ("sep", "set"), ("oct", "okt", "ott"), ("nov",), ("dec", "dez", "dic"),
)  # fmt: skip
_NAMES = "|".join(sorted({each for month in _MONTHS for each in month}, key=len, reverse=True))
_LONG = re.compile(
    r"(?<![\w/.-])(?:"
    r"(?P<iso>20\d\d)(?P<mark>[-/.])(?P<iso_month>\d\d)(?:(?P=mark)(?P<iso_day>\d\d))?"
    r"|(?P<first>\d{1,2})(?P<between>[/.-])(?P<second>\d{1,2})(?P=between)(?P<dmy>20\d\d)"
    r"|(?P<month>\d{1,2})[/.-](?P<my>20\d\d)"
    rf"|(?:(?P<day>\d{{1,2}})(?:\.|st|nd|rd|th)?[ -]?)?(?P<name>{_NAMES})[a-z]*\.?[ -]?(?:de )?(?P<year>20\d\d)"
    r")(?![\d/]|[-.]\d)",
    re.IGNORECASE,
)
_SHORT = re.compile(
    r"(?P<ymd>\d{6}|20\d{6})(?!\w)|(?P<month>\d\d)[/.-](?P<year>\d\d)(?![\d/]|[-.]\d)"
    rf"|(?P<name>{_NAMES})[a-z]*\.?[ -]?(?P<named>\d\d)(?!\d)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Printed:
    """A date and its place in the text, half-open."""

    start: int
    end: int
    value: str
    """FHIR date."""


def dates_in(text: str) -> Iterator[Printed]:
    """The dates that a levelled text (:func:`fhir_mapping.advisory.words.level`) writes with all digits of the year."""
    for match in _LONG.finditer(text):
        value = _long(match)
        if value is not None:
            yield Printed(match.start(), match.end(), value)


def date_at(text: str, at: int) -> Printed | None:
    """The date that begins at a place, also in a box's short forms: ``06/27``, ``270600``, ``JUN 27``.

    These are dates only where a word for "expiry" stands before them.
    """
    long = _LONG.match(text, at)
    if long is not None:
        value = _long(long)
        return None if value is None else Printed(at, long.end(), value)
    short = _SHORT.match(text, at)
    found = None if short is None else _short(short)
    return None if short is None or found is None else Printed(at, short.end(), found)


def expiry(text: str) -> str | None:
    """An expiry that is all there is in a text; None where it is no date that can be read."""
    plain = words.level(text).strip()
    label = words.EXPIRY.match(plain)
    at = 0 if label is None else label.end() + len(plain[label.end() :]) - len(plain[label.end() :].lstrip(" :=."))
    found = date_at(plain, at)
    return found.value if found is not None and found.end == len(plain) else None


def _long(match: re.Match[str]) -> str | None:
    if match["iso"]:
        return _date(match["iso"], match["iso_month"], match["iso_day"])
    if match["my"]:
        return _date(match["my"], match["month"], None)
    if match["name"]:
        return _date(match["year"], _month(match["name"]), match["day"])
    day, month = match["first"], match["second"]
    if int(month) > 12:
        day, month = month, day
    elif int(day) <= 12 and day != month and match["between"] != ".":
        return None
    return _date(match["dmy"], month, day)


def _short(match: re.Match[str]) -> str | None:
    if match["ymd"]:
        try:
            return day_of(match["ymd"][-6:], "ymd", "expiry", last=True)
        except UdiError:
            return None
    if match["named"]:
        return _date(f"20{match['named']}", _month(match["name"]), None)
    month, year = match["month"], match["year"]
    if int(month) > 12:
        month, year = year, month
    return _date(f"20{year}", month, None)


def _month(name: str) -> str:
    return next(str(number) for number, names in enumerate(_MONTHS, 1) if name.casefold() in names)


def _date(year: str, month: str, day: str | None) -> str | None:
    try:
        made = date(int(year), int(month), int(day or "1"))
    except ValueError:
        return None
    return made.isoformat() if day else f"{made:%Y-%m}"
