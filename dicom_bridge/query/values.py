"""Attribute matching (PS3.4 C.2.2.2) of values in DICOM JSON: what a key asks, as a question to one entry.

The index holds the attributes that are asked for every day in columns, matched by the database
(:mod:`dicom_bridge.query.matching`); all others are matched here, with the same rules.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import Any

Entry = Mapping[str, Any]
"""One attribute in the DICOM JSON Model: ``{"vr": "LO", "Value": ["…"]}`` (PS3.18 F.2.2)."""

Test = Callable[[Entry], bool]

EMPTY = '""'
"""The value that asks for what is empty, where the question says so (PS3.4 C.2.2.2.7)."""

STARS = 8
"""Most ``*`` in one value: what a pattern costs grows with each."""

LONGEST = 1024
"""Characters of one pattern. A database ends with an error at longer ones, but only where there is a row to compare:
the error would tell of rows that nobody is shown."""

SEVERAL, UIDS = 500, 10_000
"""Most patterns or numbers, and most UIDs, that one value may list."""

NUMBERS = frozenset({"IS", "DS", "US", "SS", "UL", "SL", "UV", "SV", "FL", "FD"})
_TEXTS = frozenset({"AE", "AS", "CS", "LO", "LT", "SH", "ST", "UC", "UR", "UT"})
_DATE = re.compile(r"\d{8}")
_TIME = re.compile(r"\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?")
_MOMENT = r"\d{4}(?:\d\d){0,5}(?:(?<=\d{14})\.\d{1,6})?(?:[+-](?:0\d|1[0-4])[0-5]\d)?"
_SINGLE, _RANGE = re.compile(_MOMENT), re.compile(f"({_MOMENT})?-({_MOMENT})?")
_PARTS = re.compile(r"(\d{4}(?:\d\d){0,5})(?:\.(\d{1,6}))?([+-]\d{4})?")


class BadValue(ValueError):
    """A value cannot be of the attribute's kind; the text names the keyword alone."""


def universal(value: str) -> bool:
    """Whether a key matches everything (PS3.4 C.2.2.2.3), and what has no value too."""
    return value.strip(" ") in ("", "*")


def matched_vr(vr: str) -> bool:
    """Whether values of this VR can be matched; sequences are, by their items."""
    return vr in NUMBERS or vr in _TEXTS or vr in ("PN", "UI", "DA", "TM", "DT")


def matcher(keyword: str, vr: str, value: str, zone: str = "") -> Test:
    """What an entry must fulfil.

    Parameters
    ----------
    value
        As the client sent it, several separated by a backslash; not universal.
    zone
        TimezoneOffsetFromUTC of the object, for moments that state none.

    Raises
    ------
    BadValue
        For a date, time, number or pattern that is none.
    """
    value = value.strip(" ")
    if vr == "UI":
        wanted = uids(keyword, value)
        return lambda entry: any(str(each) in wanted for each in _values(entry))
    if vr == "DA":
        low, high = date_range(keyword, value)
        return lambda entry: any(low <= str(each) <= high for each in _values(entry))
    if vr == "TM":
        low, high = time_range(keyword, value)
        return lambda entry: any(low <= str(each) <= high for each in _values(entry))
    if vr == "DT":
        span = _Span.read(keyword, value)
        return lambda entry: any(span.holds(str(each), zone) for each in _values(entry))
    if vr in NUMBERS:
        wanted_numbers = numbers(keyword, value)
        return lambda entry: any(_number(each) in wanted_numbers for each in _values(entry))
    if vr == "PN":
        patterns = [_pattern(each) for each in name_patterns(keyword, value)]
        return lambda entry: any(pattern(name_of(each)) for each in _values(entry) for pattern in patterns)
    patterns = [_pattern(each) for each in choices(keyword, value)]
    return lambda entry: any(pattern(str(each).strip(" ")) for each in _values(entry) for pattern in patterns)


def is_empty(entry: Entry | None) -> bool:
    """Whether an attribute is absent or has no value."""
    return entry is None or not _values(entry)


def _values(entry: Entry) -> Sequence[Any]:
    values = entry.get("Value") or ()
    return [each for each in values if each is not None and each != "" and each != {}]


# --- what both ways of matching share ------------------------------------------------------------------------------


def uids(keyword: str, value: str) -> frozenset[str]:
    """A list of UIDs (PS3.4 C.2.2.2.2); QIDO separates them by commas too (PS3.18 8.3.4.1)."""
    parts = _several(keyword, re.split(r"[,\\]", value), UIDS)
    return frozenset(uid.strip(" \0") for uid in parts if uid.strip(" \0"))


def date_range(keyword: str, value: str) -> tuple[str, str]:
    """First and last day asked for, for texts compared by code points; no empty date lies between."""
    low, high = _bounds(keyword, value, _DATE)
    return low or "0", high or "99999999"


def time_range(keyword: str, value: str) -> tuple[str, str]:
    """Between which a time must lie; they are stored with any precision, and a bound covers the whole of its last unit.

    ``~`` stands behind every digit and the point, so that it closes a prefix: 1015 covers 101530.25.
    """
    low, high = _bounds(keyword, value.replace(":", ""), _TIME)
    return low or "0", (high or "99") + "~"


def _bounds(keyword: str, value: str, shape: re.Pattern[str]) -> tuple[str, str]:
    low, dash, high = (part.strip(" ") for part in value.partition("-"))
    if not (low or high) or any(bound and not shape.fullmatch(bound) for bound in (low, high)):
        raise BadValue(keyword)
    return (low, high) if dash else (low, low)


def numbers(keyword: str, value: str) -> frozenset[Decimal]:
    """The numbers that are asked for."""
    return frozenset(_asked_number(keyword, each) for each in _several(keyword, value.split("\\"), SEVERAL))


def _asked_number(keyword: str, value: str) -> Decimal:
    found = _number(value) if re.fullmatch(r"\s*[+-]?[\d.]{1,16}(?:[eE][+-]?\d{1,2})?\s*", value) else None
    if found is None:
        raise BadValue(keyword)
    return found


def choices(keyword: str, value: str) -> list[str]:
    """The texts asked for, each with or without wildcards (PS3.4 C.2.2.2.4, C.2.2.2.8)."""
    parts = _several(keyword, value.split("\\"), SEVERAL)
    return [_bounded(keyword, choice) for choice in parts if choice.strip(" ")] or [value]


def _several(keyword: str, parts: list[str], most: int) -> list[str]:
    if len(parts) > most:
        raise BadValue(keyword)
    return parts


def name_patterns(keyword: str, value: str) -> list[str]:
    """The patterns that a folded person name is compared with (PS3.4 C.2.2.2.1.1).

    Each component group is a text of its own; one that is given matches any group. A given name of which everything
    will do may be absent: ``Doe^*`` meets ``Doe``.
    """
    found: list[str] = []
    for choice in choices(keyword, value):
        folded = fold_name(choice)
        shorter = [folded]
        while shorter[-1].endswith("^*"):
            shorter.append(shorter[-1][:-2].rstrip("^ "))
        for each in shorter:
            found += [each] if "=" in each else [each, f"{each}=*", f"*={each}", f"*={each}=*"]
    return _several(keyword, found, SEVERAL)


def fold_name(name: str) -> str:
    """A person name as it is compared: case folded, empty components at the end of each group left out."""
    return "=".join(group.rstrip("^ ").casefold() for group in name.split("="))


def name_of(value: Any) -> str:
    """A person name of DICOM JSON, folded."""
    if not isinstance(value, Mapping):
        return fold_name(str(value))
    groups = (value.get(part, "") for part in ("Alphabetic", "Ideographic", "Phonetic"))
    return fold_name("=".join(groups).rstrip("="))


def _bounded(keyword: str, choice: str) -> str:
    pattern = re.sub(r"\*+", "*", choice.strip(" "))
    if pattern.count("*") > STARS or len(pattern) > LONGEST:
        raise BadValue(keyword)
    return pattern


def _pattern(text: str) -> Callable[[str], bool]:
    if "*" not in text and "?" not in text:
        return text.__eq__
    compiled = re.compile(fnmatch.translate(text.replace("[", "[[]")))
    return lambda value: compiled.match(value) is not None


def _number(value: Any) -> Decimal | None:
    try:
        return Decimal(str(value).strip())
    except InvalidOperation:
        return None


# --- moments -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Moment:
    """A DT value: the first and last microsecond that it may mean, and where its clock stands, if it says so."""

    first: datetime
    last: datetime
    zone: timezone | None

    @classmethod
    def read(cls, text: str) -> _Moment:
        match = _PARTS.fullmatch(text)
        if match is None:
            raise ValueError
        whole, fraction, zone = match[1], match[2] or "", match[3]
        parts = [int(whole[:4]), *(int(whole[start : start + 2]) for start in range(4, len(whole), 2))]
        year, month, day, hour, minute, second = (*parts, *(1, 1, 1, 0, 0, 0)[len(parts) :])
        first = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001  # its zone is kept beside it
        first += timedelta(microseconds=int(fraction.ljust(6, "0")) if fraction else 0)
        return cls(first, _after(first, len(parts), len(fraction)) - timedelta(microseconds=1), _zone(zone))

    def at(self, moment: datetime, *, absolute: bool) -> datetime:
        """A moment of this value's clock, in UTC where both sides say where their clocks stand."""
        return (moment.replace(tzinfo=self.zone) if absolute else moment.replace(tzinfo=UTC)).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class _Span:
    """A range of moments (PS3.4 C.2.2.2.5). Offsets count where both sides have one; else clocks are compared."""

    low: _Moment | None
    high: _Moment | None

    @classmethod
    def read(cls, keyword: str, value: str) -> _Span:
        single, pair = _SINGLE.fullmatch(value), _RANGE.fullmatch(value)
        try:
            if single:
                return cls(_Moment.read(value), _Moment.read(value))
            if pair is None or not any(pair.groups()):
                raise BadValue(keyword)
            return cls(*(_Moment.read(each) if each else None for each in pair.groups()))
        except (ValueError, OverflowError):
            raise BadValue(keyword) from None

    def holds(self, text: str, zone: str) -> bool:
        """Whether a stored value begins within the range."""
        text = text.strip(" ")
        if not _SINGLE.fullmatch(text):
            return False
        try:
            stored = _Moment.read(text if "+" in text or "-" in text else text + zone)
            for bound, low in ((self.low, True), (self.high, False)):
                if bound is None:
                    continue
                absolute = bound.zone is not None and stored.zone is not None
                begins = stored.at(stored.first, absolute=absolute)
                limit = bound.at(bound.first if low else bound.last, absolute=absolute)
                if begins < limit if low else begins > limit:
                    return False
        except (ValueError, OverflowError):
            return False
        return True


def _after(first: datetime, parts: int, fraction: int) -> datetime:
    """The first microsecond after a value of this precision."""
    if fraction:
        return first + timedelta(microseconds=10 ** (6 - fraction))
    if parts == 1:
        return first.replace(year=first.year + 1)
    if parts == 2:
        return (first.replace(day=28) + timedelta(days=4)).replace(day=1)
    return first + (timedelta(days=1), timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1))[parts - 3]


def _zone(text: str | None) -> timezone | None:
    if text is None:
        return None
    distance = timedelta(hours=int(text[1:3]), minutes=int(text[3:]))
    return timezone(distance if text[0] == "+" else -distance)
