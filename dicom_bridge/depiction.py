"""What an object says of its picture: region, side, view, expression and time, read from its DICOM JSON Model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from consent.regions import BodyRegion, regions
from consent.types import Laterality
from dicom_bridge.objects.vocabulary import Term, terms
from dicom_bridge.query.index import text_of
from fhir_mapping import dates

_REGION, _VIEW, _CODE, _SCHEME = "00082218", "00540220", "00080100", "00080102"
_CONTEXT, _CONCEPT = "00400555", "0040A168"
_SIDES = ("00200062", "00200060")  # Image Laterality, Laterality
_OFFSET = "00080201"
_OFFSET_FORM = re.compile(r"[+-][0-9]{4}", re.ASCII)
_DATE_TIME = re.compile(r"(?P<digits>[0-9]{8,14})(?:\.[0-9]{1,6})?(?P<offset>[+-][0-9]{4})?", re.ASCII)
FIRST_YEAR = 1900
"""No photo of a patient is older."""

#: Attributes that say when a photo was taken, the best first: date and time, or both in one.
_TAKEN = (("0008002A", None), ("00080022", "00080032"), ("00080023", "00080033"))


def region_of(attributes: Mapping[str, Any]) -> BodyRegion | None:
    """The region it shows, where it is one of the tree."""
    coded = _coded(attributes, _REGION)
    return next((each for each in regions() if (each.scheme, each.value) == coded), None)


def side_of(attributes: Mapping[str, Any]) -> Laterality | None:
    """The side it shows, where it says one."""
    said = next((text for name in _SIDES if (text := text_of(attributes, name))), "")
    return Laterality(said) if said in set(Laterality) else None


def view_of(attributes: Mapping[str, Any]) -> Term | None:
    """The view, where it is one of the vocabulary."""
    return _term("view", _coded(attributes, _VIEW))


def expression_of(attributes: Mapping[str, Any]) -> Term | None:
    """The expression, where the acquisition context (PS3.3 C.7.6.14) has one of the vocabulary."""
    items = (attributes.get(_CONTEXT) or {}).get("Value") or ()
    stated = (_term("expression", _coded(item, _CONCEPT)) for item in items if isinstance(item, Mapping))
    return next((each for each in stated if each is not None), None)


def taken_of(attributes: Mapping[str, Any], zone: ZoneInfo) -> str | None:
    """When it was taken, as FHIR writes it; a date alone where no time is told."""
    offset = text_of(attributes, _OFFSET)
    for date, time in _TAKEN:
        text = text_of(attributes, date) + (text_of(attributes, time) if time is not None else "")
        found = _DATE_TIME.fullmatch(text.strip())
        moment = None if found is None else _moment(found["digits"], found["offset"] or offset, zone)
        if moment is not None:
            return moment
    return None


def _moment(digits: str, offset: str, zone: ZoneInfo) -> str | None:
    """A day, or a day and a time to the minute or second; a time that is none leaves the day."""
    day, clock = digits[: len("20260503")], digits[len("20260503") :]
    try:
        started = datetime.strptime(day, "%Y%m%d")  # noqa: DTZ007  # a date has no zone
    except ValueError:
        return None
    # Before, and after: what senders write who must write something, and know no date; or a clock that was never set.
    # A clock in another zone may be a day ahead.
    if started.year < FIRST_YEAR or started.date() > (datetime.now(zone) + timedelta(days=1)).date():
        return None
    if len(clock) in (len("1000"), len("100000")):
        text = day + clock.ljust(len("100000"), "0")
        try:
            if _OFFSET_FORM.fullmatch(offset):
                return dates.date_time(datetime.strptime(text + offset, "%Y%m%d%H%M%S%z"))
            return dates.date_time(datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=zone))
        except (ValueError, OverflowError):
            return started.date().isoformat()
    return started.date().isoformat()


def _term(kind: str, coded: tuple[str, str]) -> Term | None:
    return next((each for each in terms(kind) if (each.scheme, each.value) == coded), None)


def _coded(attributes: Mapping[str, Any], name: str) -> tuple[str, str]:
    items = (attributes.get(name) or {}).get("Value") or ()
    if not items or not isinstance(items[0], Mapping):
        return "", ""
    scheme = text_of(items[0], _SCHEME)
    return "SCT" if scheme in ("SCT", "SRT", "SNM3") else scheme, text_of(items[0], _CODE)
