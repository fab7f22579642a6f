"""Timelines written as sentences, read into what the product is asked with, and the gaps that they are to have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from consent.regions import regions
from consent.types import Laterality
from dicom_bridge.gaps.gap import Gap, Kind
from dicom_bridge.gaps.timeline import Excused, Photo, Treatment
from dicom_bridge.objects.vocabulary import find_expression, find_view
from dicom_bridge.protocols.protocol import Protocol
from dicom_bridge.protocols.reading import load_file
from fhir_mapping.course.views import View
from fhir_mapping.treatment.session import Named, Place

FOLDER = Path(__file__).parent
_DAY = r"\d{1,2} [A-Z][a-z]+(?: \d{4})?"
_KINDS = {
    "missing": Kind.VIEW,
    "with another expression": Kind.EXPRESSION,
    "late": Kind.LATE,
    "from another distance": Kind.DISTANCE,
    "in another light": Kind.LIGHT,
    "with another camera": Kind.DEVICE,
}
_SHOTS = {
    # words: region, side, view, expression
    "rest": ("glabella", "B", "frontal", "rest"),
    "frown": ("glabella", "B", "frontal", "frown"),
    "unstated": ("glabella", "B", "frontal", ""),
    "brow-raise": ("glabella", "B", "frontal", "brow-raise"),
    "relaxed": ("lips", "B", "frontal", "lips-relaxed"),
    "closed": ("lips", "B", "frontal", "lips-closed"),
    "open": ("lips", "B", "frontal", "open-mouth"),
    "left smiling": ("lips", "B", "left-oblique", "smile"),
    "right cheek from the left": ("cheek", "R", "left-lateral", ""),
}
#: Words that mean another photo where lips or cheeks are treated.
_OF = {
    ("toxin", "smile"): ("glabella", "B", "frontal", "smile"),
    ("filler", "smile"): ("lips", "B", "frontal", "smile"),
    ("filler", "left"): ("lips", "B", "left-oblique", ""),
    ("filler", "right"): ("lips", "B", "right-oblique", ""),
    ("laser", "left"): ("cheek", "L", "left-lateral", ""),
    ("laser", "right"): ("cheek", "R", "right-lateral", ""),
}

Expected = tuple[str, str, str, str, str, str]
"""Time point, the session's day, kind, shot (empty for all), state, last day to mend it (empty: none)."""


@dataclass(slots=True)
class Timeline:
    """One of the file."""

    title: str
    treatments: list[Treatment] = field(default_factory=list)
    photos: list[Photo] = field(default_factory=list)
    excused: list[Excused] = field(default_factory=list)
    going_on: set[str] = field(default_factory=set)
    asked: date = date.min
    expected: set[Expected] = field(default_factory=set)


def protocols() -> tuple[Protocol, ...]:
    """Those of the folder."""
    return tuple(load_file(each) for each in sorted((FOLDER / "protocols").glob("*.toml")))


def timelines() -> list[Timeline]:
    """All of the file."""
    text = (FOLDER / "timelines.txt").read_text("utf-8")
    blocks = [each for each in text.split("\n\n") if re.match(r"\d+\. ", each)]
    return [_timeline(each) for each in blocks]


def told(gap: Gap) -> Expected:
    """A gap as the file tells it."""
    shot = "" if gap.kind is Kind.TIME_POINT else gap.shots[0].name
    state = "" if gap.kind is Kind.LATE else gap.state.value
    until = "" if gap.until is None else gap.until.isoformat()
    return gap.time, gap.session.rpartition("/")[2], gap.kind.value, shot, state, until


def _timeline(block: str) -> Timeline:
    title, sentences, *expected = block.strip().splitlines()
    made = Timeline(title)
    for sentence in filter(None, (each.strip() for each in sentences.split("."))):
        _read(made, sentence)
    made.expected = {_expected(each) for each in expected}
    assert len(made.expected) == len(expected), title
    return made


def _read(made: Timeline, sentence: str) -> None:
    if found := re.fullmatch(rf"Asked on ({_DAY})", sentence):
        made.asked = _day(found[1])
    elif found := re.fullmatch(rf"(\w+) (\w+)( planned)? on ({_DAY})(, more planned)?", sentence):
        area = regions().by_name(found[2])
        assert area is not None, sentence
        day = _day(found[4])
        plan = "CarePlan/goes-on" if found[5] else None
        made.going_on |= {plan} if plan else set()
        places = (Place(Named(area.display, area.code)),)
        made.treatments.append(
            Treatment(f"Procedure/{day}", "anna", day, Named(found[1].lower()), places, plan, planned=bool(found[3]))
        )
    elif found := re.fullmatch(rf"Excused at (.+) of ({_DAY}): (.+)", sentence):
        for shot in found[3].split(", "):
            made.excused.append(
                Excused(f"Procedure/{_day(found[2])}", "toxin-glabella", found[1].replace(" ", "-"), shot)
            )
    elif found := re.fullmatch(rf"Photos (?:on ({_DAY})|without a date)(.*?): (.+)", sentence):
        day_of = _day(found[1]) if found[1] else None
        for shot in found[3].split(", "):
            made.photos.append(_photo(made, day_of, found[2], shot))
    else:
        raise AssertionError(f"{made.title}: not understood: {sentence}")


def _photo(made: Timeline, day: date | None, said: str, shot: str) -> Photo:
    differs = set()
    device = "Maker One"
    region = ""
    for part in filter(None, (each.strip() for each in said.split(" and "))):
        if part == "with another camera":
            device = "Maker Two"
        elif part == "judged to show another expression":
            differs.add(Kind.EXPRESSION)
        elif part in _KINDS:
            differs.add(_KINDS[part])
        elif found := re.fullmatch(r"of the (\w+)", part):
            region = found[1]
        else:
            raise AssertionError(f"{made.title}: not understood: {part}")
    treated = [each.title.text for each in made.treatments]
    several = [_OF[each, shot] for each in treated if (each, shot) in _OF]
    area, side, view, expression = several[0] if several else _SHOTS[shot]
    place = regions().by_name(region or area)
    assert place is not None
    key = (place.code, side, find_view(view).code, find_expression(expression).code if expression else "")
    shown = View(Place(Named(place.display, place.code), Laterality(side)), view, expression, key)
    return Photo(len(made.photos) + 1, day, shown, device, frozenset(differs))


def _expected(line: str) -> Expected:
    found = re.fullmatch(rf"- (.+) of ({_DAY}): (.+?)(?:, (due|overdue|lost)(?: until ({_DAY}))?)?", line)
    assert found is not None, line
    kind, shot = Kind.TIME_POINT, ""
    if found[3] != "no photos":
        words = next(each for each in _KINDS if found[3].endswith(each))
        kind, shot = _KINDS[words], found[3].removesuffix(words).strip()
    until = _day(found[5]).isoformat() if found[5] else ""
    return found[1].replace(" ", "-"), _day(found[2]).isoformat(), kind.value, shot, found[4] or "", until


def _day(text: str) -> date:
    whole = text if re.search(r"\d{4}$", text) else f"{text} 2026"
    return datetime.strptime(whole, "%d %B %Y").date()  # noqa: DTZ007  # a day has no zone


def misses(found: set[Expected], expected: set[Expected]) -> Iterator[str]:
    """What differs, for people."""
    yield from (f"not found: {each}" for each in sorted(expected - found))
    yield from (f"not expected: {each}" for each in sorted(found - expected))
