"""When which photos of a course are due: a time point of its protocol, counted from one of its sessions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta

from dicom_bridge.gaps.timeline import Course, Treatment
from dicom_bridge.protocols.protocol import Since, TimePoint


@dataclass(frozen=True, slots=True)
class Window:
    """A time point of one course on the calendar. All days belong to it."""

    time: TimePoint
    session: Treatment
    """That it is counted from."""

    opens: date
    due: date
    closes: date
    """The last day on which a photo is in time."""

    ends: date
    """The last day on which one is late, and better than none."""


def windows(course: Course) -> tuple[Window, ...]:
    """The windows of a course, in order of time.

    A time point that is counted from each session is over where the next one begins, since from then on a photo shows
    that one's work too; where it would open later only, it is not asked for at all. What lies before a treatment, or
    on its day, cannot be made up for. Any other is taken late for as many days again as its window has, and until the
    next time point opens.
    """
    made = sorted(_all(course), key=lambda each: (each.opens, each.closes, each.time.name))
    found = []
    for place, each in enumerate(made):
        later = [other.opens for other in made[place + 1 :] if other.opens > each.closes]
        ends = min([each.ends, *(opens - timedelta(days=1) for opens in later)])
        found.append(replace(each, ends=max(ends, each.closes)))
    return tuple(found)


def _all(course: Course) -> Iterator[Window]:
    sessions = course.sessions
    for time in course.protocol.times:
        for place, session in enumerate(sessions):
            following = sessions[place + 1].day if place + 1 < len(sessions) else None
            if time.since is Since.FIRST_SESSION and place > 0:
                continue
            if time.since is Since.LAST_SESSION and (following is not None or course.more):
                continue
            made = _window(time, session, following if time.since is Since.EACH_SESSION else None)
            if made is not None:
                yield made


def _window(time: TimePoint, session: Treatment, following: date | None) -> Window | None:
    try:
        due = session.day + timedelta(days=time.days)
        opens, closes = due - timedelta(days=time.before), due + timedelta(days=time.after)
        behind = time.days + time.after > 0
        ends = closes + timedelta(days=time.before + time.after + 1) if behind else closes
    except OverflowError:  # the calendar ends
        return None
    if following is not None and behind:
        if opens > following:
            return None
        closes, ends = min(closes, following), min(ends, following)
    return Window(time, session, opens, due, closes, ends)
