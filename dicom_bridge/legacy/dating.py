"""When a photo from before was taken: what its sources say, which of them is believed, and how far."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from dicom_bridge.depiction import FIRST_YEAR
from dicom_bridge.intake import CameraFacts
from fhir_mapping import dates

_FIRST_CAMERA_YEAR = 1995
"""Cameras that write EXIF are younger (Exif 1.0 is of 1995): an earlier year is a clock that nobody set."""

_IN_NAMES = re.compile(
    r"(?<![0-9])(?P<year>(?:19|20)[0-9]{2})(?P<part>[-_. ]?)(?P<month>0[1-9]|1[0-2])"
    r"(?P=part)(?P<day>0[1-9]|[12][0-9]|3[01])"
    r"(?:[-_ T]+(?P<hour>[01][0-9]|2[0-3])[-.:h]?(?P<minute>[0-5][0-9])(?:[-.:m]?(?P<second>[0-5][0-9]))?)?(?![0-9])"
)
"""A day as names have it, the year first; a time behind it."""


class Source(StrEnum):
    """Where a date is from, the best first."""

    MANIFEST = "manifest"
    PATTERN = "pattern"
    """The path, as its pattern reads it."""

    CAMERA_ZONED = "camera-zoned"
    """EXIF DateTimeOriginal with its offset."""

    CAMERA = "camera"
    """EXIF DateTimeOriginal, in the site's zone."""

    OBJECT = "object"
    """Attributes of a DICOM object."""

    FILE_NAME = "file-name"
    FOLDER_NAME = "folder-name"
    FILE_TIME = "file-time"
    """When the file was last written: often when it was copied."""

    NONE = "none"


CERTAINTY = {
    Source.MANIFEST: "stated",
    Source.PATTERN: "stated",
    Source.CAMERA_ZONED: "high",
    Source.CAMERA: "good",
    Source.OBJECT: "good",
    Source.FILE_NAME: "fair",
    Source.FOLDER_NAME: "fair",
    Source.FILE_TIME: "poor",
    Source.NONE: "unknown",
}
"""How far each is believed, in a word."""

_ORDER = tuple(Source)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one source says."""

    source: Source
    day: date
    taken: str
    """FHIR dateTime: a day, or a time with its zone."""


@dataclass(frozen=True, slots=True)
class Dated:
    """When a photo was taken, as far as that is known."""

    day: date | None
    taken: str | None
    """FHIR dateTime; the time is of the best source that agrees on the day."""

    source: Source
    others: tuple[Evidence, ...] = ()
    """Sources that say another day."""

    @property
    def certainty(self) -> str:
        """How far it is believed."""
        return CERTAINTY[self.source]


def dated(evidence: Sequence[Evidence], least: Source = Source.FOLDER_NAME) -> Dated:
    """The best of what is said; what is worse than ``least`` is not believed, and told all the same."""
    ranked = sorted(evidence, key=lambda each: _ORDER.index(each.source))
    believed = [each for each in ranked if _ORDER.index(each.source) <= _ORDER.index(least)]
    if not believed:
        return Dated(None, None, Source.NONE, tuple(ranked))
    best = believed[0]
    precise = next((each.taken for each in believed if each.day == best.day and "T" in each.taken), best.taken)
    return Dated(best.day, precise, best.source, tuple(each for each in ranked if each.day != best.day))


def of_moment(source: Source, moment: datetime, *, timed: bool, zone: ZoneInfo, now: datetime) -> Evidence | None:
    """What a source says, a clock's reading in the site's zone where it has none; None for a day of no photo."""
    if not possible(moment, zone, now):
        return None
    local = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
    day = local.date()
    return Evidence(source, day, dates.date_time(local) if timed else day.isoformat())


def possible(moment: datetime, zone: ZoneInfo, now: datetime) -> bool:
    """Whether a photo can be of this day."""
    return moment.year >= FIRST_YEAR and not to_come(moment, zone, now)


def to_come(moment: datetime, zone: ZoneInfo, now: datetime) -> bool:
    """Whether a day is still to come, by the clock of the site."""
    return moment.date() > now.astimezone(zone).date()


def of_camera(camera: CameraFacts, zone: ZoneInfo, now: datetime) -> Evidence | None:
    """What the camera says; None for a clock that was never set, or that stands in the future."""
    local, span = camera.taken_local, camera.taken
    if local is None or span is None or local.year < _FIRST_CAMERA_YEAR:
        return None
    zoned = Source.CAMERA if isinstance(local.tzinfo, ZoneInfo) else Source.CAMERA_ZONED
    return of_moment(zoned, local, timed=True, zone=zone, now=now)


def of_path(path: str, zone: ZoneInfo, now: datetime) -> list[Evidence]:
    """What a file's name says, and what the innermost folder says whose name has a date."""
    *folders, name = path.split("/")
    found = [_in_name(Source.FILE_NAME, name, zone, now)]
    found.append(
        next((said for each in folders[::-1] if (said := _in_name(Source.FOLDER_NAME, each, zone, now))), None)
    )
    return [each for each in found if each is not None]


def _in_name(source: Source, name: str, zone: ZoneInfo, now: datetime) -> Evidence | None:
    found = _IN_NAMES.search(name)
    if found is None:
        return None
    timed = found["hour"] is not None
    try:
        moment = datetime(
            int(found["year"]),
            int(found["month"]),
            int(found["day"]),
            int(found["hour"] or 0),
            int(found["minute"] or 0),
            int(found["second"] or 0),
            tzinfo=zone,
        )
    except ValueError:
        return None
    return of_moment(source, moment, timed=timed, zone=zone, now=now)
