"""Timelines drawn at random, with the gaps that follow from how they were drawn. Nothing here is the product's.

A protocol is drawn as the text of its file; sessions, and for each photo that the protocol asks for a fate: taken in
time, late, never, with another expression, with another camera, excused. The gaps are written down beside the fates.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import product

_AREAS = (
    ("glabella", "both"),
    ("lips", "both"),
    ("chin", "both"),
    ("neck", "both"),
    ("cheek", "left"),
    ("cheek", "right"),
)
_VIEWS = ("frontal", "left-oblique", "right-oblique", "left-lateral", "right-lateral", "basal")
_ASKED = ("rest", "smile", "frown", "open-mouth")
_OTHERS = ("squint", "pucker", "jaw-forward", "")
_JUDGED = ("other-distance", "other-light")
_FATES = ("fine",) * 8 + ("never",) * 4 + ("late", "late", "expression", "other-device", *_JUDGED, "excused")


@dataclass(frozen=True, slots=True)
class Shot:
    """What a photo is to show, by names; without an expression any does."""

    name: str
    region: str
    side: str
    view: str
    expression: str


@dataclass(frozen=True, slots=True)
class Time:
    """A time point in days from the sessions that it is counted from."""

    name: str
    since: str
    days: int
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Picture:
    """A photo that was taken."""

    day: date
    shot: Shot
    expression: str
    camera: str = "one"
    judged: str = ""


@dataclass(slots=True)
class Case:
    """One patient."""

    protocol: str
    """The text of the file."""

    area: str
    sessions: tuple[date, ...]
    pictures: list[Picture] = field(default_factory=list)
    excused: list[tuple[date, str, str]] = field(default_factory=list)
    """Session, time point, shot."""

    asked: date = date.min
    gaps: set[tuple[str, str, str, str, str, str]] = field(default_factory=set)
    """Time point, session, kind, shot, state, last day: as ``sentences.Expected``."""


@dataclass(frozen=True, slots=True)
class _Span:
    time: Time
    session: date
    opens: date
    closes: date
    ends: date


def case(seed: int) -> Case:
    """A patient; what would be met by photos of two time points at once is drawn anew."""
    chance = random.Random(seed)
    while (made := _drawn(chance)) is None:
        pass
    return made


def _drawn(chance: random.Random) -> Case | None:
    shots, times = _shots(chance), _times(chance)
    day = date(2023, 1, 1) + timedelta(days=chance.randrange(1000))
    sessions = [day]
    for _ in range(chance.choice((0, 0, 1, 1, 2, 3))):
        sessions.append(sessions[-1] + timedelta(days=chance.randrange(5, 200)))
    made = Case(_text(shots, times), shots[0].region, tuple(sessions))
    last = sessions[-1] + timedelta(days=times[-1].days + times[-1].after * 3)
    made.asked = day + timedelta(days=chance.randrange(-10, (last - day).days + 30))
    spans = _spans(times, sessions)
    based: set[str] = set()
    for span in spans:
        if not _fated(chance, made, span, spans, shots, based):
            return None
    chance.shuffle(made.pictures)
    return made


def _fated(
    chance: random.Random, made: Case, span: _Span, spans: list[_Span], shots: list[Shot], based: set[str]
) -> bool:
    """Draw the fates of the photos of a time point; False where a photo would be at another one too."""
    others = [each for each in spans if each is not span]
    session, label = span.session.isoformat(), span.time.name
    rows: list[tuple[str, Shot]] = []
    whole, none_at_all = chance.random(), True
    for shot in shots:
        fate = "never" if whole < 0.2 else "fine" if whole > 0.7 else chance.choice(_FATES)
        if fate == "late" and span.ends <= span.closes:
            fate = "never"
        if fate == "expression" and not shot.expression:
            fate = "never"
        if fate in ("other-device", *_JUDGED) and shot.name not in based:
            fate = "fine"
        if fate == "excused":
            made.excused.append((span.session, label, shot.name))
            continue
        if fate == "never":
            rows.append(("missing-view", shot))
            continue
        first, final = (span.closes + timedelta(days=1), span.ends) if fate == "late" else (span.opens, span.closes)
        day = first + timedelta(days=chance.randrange((final - first).days + 1))
        if any(each.opens <= day <= each.ends for each in others):
            return False
        expression = chance.choice(_OTHERS) if fate == "expression" else shot.expression
        made.pictures.append(
            Picture(day, shot, expression, "two" if fate == "other-device" else "one", fate if fate in _JUDGED else "")
        )
        if day > made.asked:
            rows.append(("missing-view", shot))
            continue
        none_at_all = False
        if label == "baseline" and fate != "expression":
            based.add(shot.name)
        kind = {"late": "late", "expression": "wrong-expression", "fine": ""}.get(fate, fate)
        if kind:
            rows.append((kind, shot))
    views = {(shot.region, shot.side, shot.view) for kind, shot in rows if kind == "wrong-expression"}
    if any(kind == "missing-view" and (shot.region, shot.side, shot.view) in views for kind, shot in rows):
        return False  # which of the two the photo with another expression stands for cannot be told
    if made.asked < span.opens:
        return True
    state, until = "lost", ""
    if made.asked <= span.ends:
        state, until = (
            ("due", span.closes.isoformat()) if made.asked <= span.closes else ("overdue", span.ends.isoformat())
        )
    if none_at_all and rows:
        made.gaps.add((label, session, "missing-time-point", "", state, until))
    elif not none_at_all:
        for kind, shot in rows:
            made.gaps.add(
                (label, session, kind, shot.name, "" if kind == "late" else state, "" if kind == "late" else until)
            )
    return True


def _spans(times: list[Time], sessions: list[date]) -> list[_Span]:
    found: list[_Span] = []
    for time, (place, session) in product(times, enumerate(sessions)):
        wanted = {"first-session": place == 0, "each-session": True, "last-session": place == len(sessions) - 1}
        if not wanted[time.since]:
            continue
        opens, closes = (session + timedelta(days=time.days + each) for each in (-time.before, time.after))
        ends = closes
        if time.days + time.after > 0:
            ends = closes + timedelta(days=(closes - opens).days + 1)
            if time.since == "each-session" and place + 1 < len(sessions):
                if opens > sessions[place + 1]:
                    continue
                closes, ends = min(closes, sessions[place + 1]), min(ends, sessions[place + 1])
        found.append(_Span(time, session, opens, closes, ends))
    found.sort(key=lambda each: each.opens)
    made = []
    for each in found:
        ends = each.ends
        for other in found:
            if other.opens > each.closes and other.opens <= ends:
                ends = other.opens - timedelta(days=1)
        made.append(_Span(each.time, each.session, each.opens, each.closes, ends))
    return made


def _shots(chance: random.Random) -> list[Shot]:
    area = chance.choice(_AREAS)
    views = chance.sample(_VIEWS, chance.randint(1, 3))
    made: list[Shot] = []
    for view in views:
        expressions = chance.sample(_ASKED, chance.randint(1, 2)) if chance.random() < 0.7 else [""]
        for expression in expressions:
            made.append(Shot(f"shot-{len(made) + 1}", area[0], area[1], view, expression))
    return made


def _times(chance: random.Random) -> list[Time]:
    made = [Time("baseline", "first-session", 0, chance.randrange(40), 0)]
    at = 0
    for number in range(chance.randint(1, 3)):
        at += chance.randrange(8, 90)
        since = chance.choice(("first-session", "each-session", "last-session"))
        made.append(Time(f"check-{number + 1}", since, at, chance.randrange(8), chance.randrange(15)))
        at += made[-1].after
    return made


def _text(shots: list[Shot], times: list[Time]) -> str:
    lines = [
        'version = "drawn"',
        'title = "Drawn"',
        "[applies]",
        'words = ["drawn"]',
        f'regions = ["{shots[0].region}"]',
        "[[source]]",
        'citation = "Drawn at random"',
        "[conditions]",
        'ratio = 10\nlighting = "even"\nbackground = "blue"\nlens = "the same"\nposture = "upright"',
    ]
    for shot in shots:
        lines += ["[[shot]]", f'name = "{shot.name}"', f'region = "{shot.region}"', f'view = "{shot.view}"']
        lines += [f'side = "{shot.side}"'] if shot.side != "both" else []
        lines += [f'expression = "{shot.expression}"'] if shot.expression else []
    for time in times:
        lines += ["[[time]]", f'name = "{time.name}"', f'since = "{time.since}"']
        lines += [f"days = {time.days}", f"before = {time.before}", f"after = {time.after}"]
    return "\n".join(lines) + "\n"
