"""A second reading of attribute matching (PS3.4 C.2.2.2), as plain as it can be; it shares no code with the product.

Objects are mappings of keywords to values: texts, lists of texts, lists of mappings for sequences. Keys are texts, or
mappings for sequences. Nothing is prepared: each key looks at each value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

DATES = {"StudyDate", "PatientBirthDate", "ContentDate", "PerformedProcedureStepStartDate"}
TIMES = {"StudyTime", "PerformedProcedureStepStartTime"}
NAMES = {"PatientName", "ReferringPhysicianName"}
UIDS = {"StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"}
INTEGERS = {"SeriesNumber", "InstanceNumber"}
_RANGE = re.compile(r"(\d{8,14}(?:[+-]\d{4})?)?(-)?(\d{8,14}(?:[+-]\d{4})?)?")


def matches(photo: Mapping[str, Any], keys: Mapping[str, Any]) -> bool:
    """Whether an object, or an item of a sequence, matches every key."""
    return all(_key(keyword, photo.get(keyword), asked) for keyword, asked in keys.items())


def _key(keyword: str, value: Any, asked: Any) -> bool:
    if isinstance(asked, Mapping):  # C.2.2.2.6: one item that matches is enough
        sought = {name: key for name, key in asked.items() if key not in ("", "*")}
        return not sought or any(matches(item, sought) for item in value or [])
    if asked in ("", "*"):  # C.2.2.2.3
        return True
    values = value if isinstance(value, list) else [] if value in (None, "") else [value]
    return any(_value(keyword, each, one) for each in values for one in asked.split("\\"))


def _value(keyword: str, value: str, asked: str) -> bool:
    if keyword in UIDS:
        return value == asked
    if keyword in DATES or keyword in TIMES:
        first, dash, last = asked.partition("-")
        # a bound of a time stands for all of its last unit
        width = 8 if keyword in DATES else 13
        low, high = _pad(first, "0", width), _pad((last or "9") if dash else first, "9", width)
        return low <= _pad(value, "0", width) <= high
    if keyword == "AcquisitionDateTime":
        return _moment_matches(value, asked)
    if keyword in INTEGERS:
        return int(value) == int(asked)
    if keyword in NAMES:
        return _name(value, asked)
    return wild(value, asked)


def _pad(text: str, with_: str, width: int) -> str:
    if width == 13 and len(text) >= 6 and "." not in text:
        text += "."
    if width == 13 and len(text) < 6:
        text = text.ljust(6, with_) + "."
    return text.ljust(width, with_)


def _name(value: str, asked: str) -> bool:
    """C.2.2.2.1.1: without regard to case; a key without ``=`` is looked for in each component group."""
    groups = [_bare(group) for group in value.lower().split("=")]
    wanted = asked.lower()
    if "=" in wanted:
        return wild("=".join(groups), "=".join(_bare(group) for group in wanted.split("=")))
    return any(wild(group, _bare(wanted)) or (wanted.endswith("^*") and group == wanted[:-2]) for group in groups)


def _bare(group: str) -> str:
    while group.endswith("^"):
        group = group[:-1]
    return group


def wild(text: str, pattern: str) -> bool:
    """C.2.2.2.4: ``*`` is any characters or none, ``?`` one."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return wild(text, pattern[1:]) or (bool(text) and wild(text[1:], pattern))
    return bool(text) and pattern[0] in ("?", text[0]) and wild(text[1:], pattern[1:])


def _moment_matches(value: str, asked: str) -> bool:
    """C.2.2.2.5: the values drawn here state an offset on either side, or on neither."""
    found = _RANGE.fullmatch(asked)
    assert found is not None, asked
    first, dash, last = found.groups()
    at, until = _moment(value)[0], last if dash else first
    return not (first and at < _moment(first)[0]) and not (until and at >= _moment(until)[1])


def _moment(text: str) -> tuple[datetime, datetime]:
    """The beginning of a moment, and of what follows it; in UTC where an offset is stated."""
    place = max(text.find("+"), text.find("-"))
    digits, offset = (text, "") if place < 0 else (text[:place], text[place:])
    shapes = {4: "%Y", 6: "%Y%m", 8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
    begin = datetime.strptime(digits, shapes[len(digits)])  # noqa: DTZ007
    if len(digits) == 4:
        end = datetime(begin.year + 1, 1, 1)  # noqa: DTZ001
    elif len(digits) == 6:
        end = datetime(begin.year + begin.month // 12, begin.month % 12 + 1, 1)  # noqa: DTZ001
    else:
        unit = {8: {"days": 1}, 10: {"hours": 1}, 12: {"minutes": 1}, 14: {"seconds": 1}}[len(digits)]
        end = begin + timedelta(**unit)
    shift = timedelta()
    if offset:
        shift = timedelta(hours=int(offset[1:3]), minutes=int(offset[3:])) * (1 if offset[0] == "+" else -1)
    return begin - shift, end - shift
