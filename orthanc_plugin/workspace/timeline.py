"""A patient's course as the timeline shows it: days, what was done on them, and the photos taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo

from orthanc_plugin.workspace.record import OTHER, Area, Course, Photo, Treatment


@dataclass(frozen=True, slots=True)
class Block:
    """What belongs together on one day: a treatment with its photos, or photos alone."""

    treatment: Treatment | None
    photos: tuple[Photo, ...]
    follows: Treatment | None = None
    """For photos alone: the treatment of another day that they belong to."""


@dataclass(frozen=True, slots=True)
class Day:
    """One day of a course; ``date`` None holds what bears no date."""

    date: date | None
    blocks: tuple[Block, ...]

    @property
    def sessions(self) -> list[int]:
        """Session numbers of the day."""
        numbers = {block.treatment.session for block in self.blocks if block.treatment and block.treatment.session}
        numbers |= {photo.session for block in self.blocks for photo in block.photos if photo.session}
        return sorted(numbers)


@dataclass(frozen=True, slots=True)
class Pair:
    """The first and the latest photo of one view."""

    first: Photo
    latest: Photo
    between: int
    """Photos of that view in all."""


def area_counts(photos: Iterable[Photo]) -> list[tuple[Area, int]]:
    """Areas with the number of photos, most first."""
    counts = Counter(photo.area for photo in photos)
    return sorted(counts.items(), key=lambda entry: (-entry[1], entry[0].name))


def areas(course: Course) -> list[Area]:
    """The areas that a course is told by, one for each code: those photographed, most first, then those treated."""
    found = {area.code: area for area, _ in area_counts(course.photos)}
    for entry in course.treatments:
        for area in entry.areas:
            if area.code != OTHER:
                found.setdefault(area.code, area)
    named = [area for code, area in found.items() if code != OTHER]
    other = narrowed(course, area=OTHER, session=None)
    return [*named, Area(OTHER, "Other")] if other.photos or other.treatments else named


def narrowed(course: Course, *, area: str | None, session: int | None) -> Course:
    """The part of a course that concerns one area, one session, or both."""
    photos = tuple(
        photo
        for photo in course.photos
        if (area is None or photo.area.code == area) and (session is None or _session(course, photo) == session)
    )
    pictured = {photo.treatment for photo in photos}
    treatments = tuple(
        entry
        for entry in course.treatments
        if (session is None or entry.session == session)
        and (area is None or entry.id in pictured or area in _treated(entry, course))
    )
    return Course(treatments=treatments, photos=photos)


def _treated(entry: Treatment, course: Course) -> set[str]:
    """Codes of the areas that a treatment names; one that names none and has no photos is not left out for that."""
    named = {place.code for place in entry.areas}
    return named or (set() if any(photo.treatment == entry.id for photo in course.photos) else {OTHER})


def sessions(course: Course) -> list[int]:
    """All session numbers of a course."""
    found = {entry.session for entry in course.treatments} | {photo.session for photo in course.photos}
    return sorted(number for number in found if number)


def days(course: Course, whole: Course, zone: tzinfo) -> list[Day]:
    """The days of a course, newest first.

    Parameters
    ----------
    whole
        The course before it was narrowed: a photo may belong to a treatment that a filter leaves out.
    """
    dates = {_day(entry.at, zone) for entry in course.treatments} | {_day(photo.at, zone) for photo in course.photos}
    made = []
    for day in sorted(dates, key=lambda value: (value is not None, value or date.min), reverse=True):
        treatments = [entry for entry in course.treatments if _day(entry.at, zone) == day]
        photos = [photo for photo in course.photos if _day(photo.at, zone) == day]
        made.append(Day(date=day, blocks=tuple(_blocks(treatments, photos, whole))))
    return made


def pairs(photos: Sequence[Photo], zone: tzinfo) -> list[Pair]:
    """First and latest of every view that was taken on two days or more, the most photographed view first."""
    series: dict[tuple[str, str, str], list[Photo]] = {}
    for photo in photos:
        if photo.at is not None:
            series.setdefault(photo.series, []).append(photo)
    made = [
        Pair(first=entry[0], latest=entry[-1], between=len(entry))
        for entry in series.values()
        if _day(entry[0].at, zone) != _day(entry[-1].at, zone)
    ]
    return sorted(made, key=lambda pair: -pair.between)


def _blocks(treatments: list[Treatment], photos: list[Photo], whole: Course) -> Iterable[Block]:
    shown: set[int] = set()
    for entry in treatments:
        own = tuple(photo for photo in photos if photo.treatment == entry.id)
        shown |= {photo.number for photo in own}
        yield Block(treatment=entry, photos=own)
    rest: dict[str | None, list[Photo]] = {}
    for photo in photos:
        if photo.number not in shown:
            rest.setdefault(photo.treatment, []).append(photo)
    for group in rest.values():
        yield Block(treatment=None, photos=tuple(group), follows=whole.treatment(group[0]))


def _session(course: Course, photo: Photo) -> int | None:
    treatment = course.treatment(photo)
    return photo.session or (treatment.session if treatment else None)


def _day(moment: datetime | None, zone: tzinfo) -> date | None:
    return moment.astimezone(zone).date() if moment else None
