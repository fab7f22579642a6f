"""A patient's course as the timeline shows it: days, what was done on them, and the photos taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, tzinfo

from consent.regions import regions
from fhir_mapping.question.facets import UNPLACED, Facet
from fhir_mapping.question.question import Question
from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.record import OTHER, Area, Course, Photo, Treatment

_YEAR = timedelta(days=365)
_ABOUT = timedelta(days=92)
"""What was taken so long before or after a year ago counts as a year ago."""

_UNPLACED = f"{UNPLACED.system}|{UNPLACED.code}"


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
    stated: str = ""
    """The year or month that is known of what bears no day; ``date`` is the first day of it."""

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

    others: tuple[tuple[str, Photo], ...] = ()
    """What else the latest is compared with: words and photo, each another one than the first."""


def areas(course: Course) -> list[Area]:
    """The areas that a course is told by, one for each code: those photographed, most first, then those treated."""
    counts = Counter(photo.area for photo in course.photos)
    found = {area.code: area for area, _ in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0].name))}
    for entry in course.treatments:
        for area in entry.areas:
            if area.code != OTHER:
                found.setdefault(area.code, area)
    named = [area for code, area in found.items() if code != OTHER]
    other = narrowed(course, OTHER)
    return [*named, Area(OTHER, _("Other"))] if other.photos or other.treatments else named


def narrowed(course: Course, area: str) -> Course:
    """The part of a course that is told under one area."""
    photos = tuple(photo for photo in course.photos if photo.area.code == area)
    pictured = {photo.treatment for photo in photos}
    treatments = tuple(entry for entry in course.treatments if entry.id in pictured or area in _treated(entry, course))
    return Course(treatments=treatments, photos=photos)


def asked_for(course: Course, question: Question) -> Course:
    """A course without the treatments that are not asked for: those that no photo of it shows.

    Where area and session alone are asked for, a treatment is told of these whether it was photographed or not.
    """
    pictured = {photo.treatment for photo in course.photos}
    by_photos = any(facet not in (Facet.PATIENT, Facet.AREA, Facet.SESSION) for facet in question.asked())
    return replace(
        course,
        treatments=tuple(
            entry for entry in course.treatments if entry.id in pictured or (not by_photos and _meets(entry, question))
        ),
    )


def _meets(entry: Treatment, question: Question) -> bool:
    tree = regions()
    codes = {place.code for place in entry.areas if place.code != OTHER} or {_UNPLACED}
    at = not question.area or any(tree.includes(area, code) for area in question.area for code in codes)
    return at and (not question.session or entry.session in question.session)


def _treated(entry: Treatment, course: Course) -> set[str]:
    """Codes of the areas that a treatment names; one that names none and has no photos is not left out for that."""
    named = {place.code for place in entry.areas}
    return named or (set() if any(photo.treatment == entry.id for photo in course.photos) else {OTHER})


def days(course: Course, whole: Course, zone: tzinfo) -> list[Day]:
    """The days of a course, newest first.

    Parameters
    ----------
    whole
        The course with all treatments: a photo may belong to one that a filter leaves out.
    """
    dates = {(_day(entry.at, zone), entry.stated) for entry in course.treatments}
    dates |= {(_day(photo.at, zone), "") for photo in course.photos}
    made = []
    for day, stated in sorted(
        dates, key=lambda each: (each[0] is not None, each[0] or date.min, not each[1], each[1]), reverse=True
    ):
        treatments = [each for each in course.treatments if (_day(each.at, zone), each.stated) == (day, stated)]
        photos = [photo for photo in course.photos if _day(photo.at, zone) == day and not stated]
        made.append(Day(date=day, blocks=tuple(_blocks(treatments, photos, whole)), stated=stated))
    return made


def pairs(photos: Sequence[Photo], zone: tzinfo) -> list[Pair]:
    """First and latest of every view that was taken on two days or more, the most photographed view first."""
    series: dict[tuple[str, str, str], list[Photo]] = {}
    for photo in photos:
        if photo.at is not None:
            series.setdefault(photo.series, []).append(photo)
    made = [
        Pair(entry[0], entry[-1], len(entry), _others(entry, zone))
        for entry in series.values()
        if _day(entry[0].at, zone) != _day(entry[-1].at, zone)
    ]
    return sorted(made, key=lambda pair: -pair.between)


def _others(series: Sequence[Photo], zone: tzinfo) -> tuple[tuple[str, Photo], ...]:
    told: dict[int, tuple[str, Photo]] = {}
    for _key, words, photo in earlier_ones(series[-1], series, zone):
        if photo.number != series[0].number:
            told.setdefault(photo.number, (words, photo))
    return tuple(told.values())


def earlier_ones(photo: Photo, photos: Sequence[Photo], zone: tzinfo) -> list[tuple[str, str, Photo]]:
    """What a photo is compared with: the first of its view, that of the session before, that of a year before.

    Parameters
    ----------
    photos
        In order of time.

    Returns
    -------
    Name, words and photo of those that there are; each of another day than the photo.
    """
    taken = photo.at
    if taken is None:
        return []
    day = taken.astimezone(zone).date()
    earlier = [
        (entry, entry.at)
        for entry in photos
        if entry.series == photo.series and entry.at is not None and entry.at.astimezone(zone).date() < day
    ]
    if not earlier:
        return []
    found = [("first", _("First"), earlier[0][0]), ("previous", _("Previous session"), earlier[-1][0])]
    year_ago = taken - _YEAR
    nearest, at = min(earlier, key=lambda entry: abs(entry[1] - year_ago))
    if abs(at - year_ago) <= _ABOUT:
        found.append(("year", _("A year before"), nearest))
    return found


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


def _day(moment: datetime | None, zone: tzinfo) -> date | None:
    return moment.astimezone(zone).date() if moment else None
