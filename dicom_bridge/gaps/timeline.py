"""What gaps are found in: the courses of treatment of a patient, and the photos that whoever asks may see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from dicom_bridge.gaps.gap import Kind
from dicom_bridge.protocols.choosing import concerning
from dicom_bridge.protocols.protocol import Protocol
from fhir_mapping.course.views import View
from fhir_mapping.treatment.session import Named, Place

APART = 365
"""Days between two sessions from which on the later one begins another course, where no plan says otherwise."""


@dataclass(frozen=True, slots=True)
class Treatment:
    """One session, done or planned for a day."""

    reference: str
    """``Procedure/…``; of a planned one what plans it."""

    patient: str
    """Id."""

    day: date
    """In the site's time zone."""

    title: Named
    places: tuple[Place, ...] = ()
    plan: str | None = None
    """``CarePlan/…`` that it belongs to."""

    planned: bool = False
    """It has not taken place yet."""

    visit: str | None = None
    """``Encounter/…``."""


@dataclass(frozen=True, slots=True)
class Photo:
    """One photo of the patient."""

    number: int
    day: date | None
    """When it was taken, in the site's time zone; None: not known, and so it is at no time point."""

    view: View
    device: str = ""
    """Maker and model of the camera; empty: not known."""

    differs: frozenset[Kind] = frozenset()
    """In what it was judged to differ from the baseline's: expression, distance, light."""


@dataclass(frozen=True, slots=True)
class Excused:
    """A photo that is missing for a reason which somebody gave when the session was closed."""

    session: str
    """``Procedure/…`` that the time point is counted from."""

    protocol: str
    time: str
    shot: str
    """Names of the protocol, and of time point and shot within it."""

    reason: str = ""
    """Its code."""

    hers: bool = True
    """Whether it lies with the patient (she declined, it cannot be done): then the photo was never asked for. Else it
    is nobody's task any more, and counts as missing all the same."""


@dataclass(frozen=True, slots=True)
class Course:
    """Sessions of one treatment by one protocol, in order of time."""

    protocol: Protocol
    sessions: tuple[Treatment, ...]
    more: bool = False
    """Whether its plan wants more sessions than are on record."""


def courses(
    treatments: Iterable[Treatment], protocols: Iterable[Protocol], going_on: frozenset[str] = frozenset()
) -> tuple[Course, ...]:
    """The courses that the treatments of one patient make up, one for each protocol that concerns them.

    What a plan holds together is one course. A session that names none belongs to the one before it, unless that was
    more than :data:`APART` days ago; and the first that names a plan takes those with it that were done before there
    was one.

    Parameters
    ----------
    going_on
        ``CarePlan/…`` that want more sessions than are on record.
    """
    known = tuple(protocols)
    made: list[_Run] = []
    for each in sorted(treatments, key=lambda one: (one.day, one.reference)):
        for protocol in concerning(known, each.title, each.places):
            runs = [one for one in made if one.protocol is protocol]
            run = _run_of(each, runs)
            if run is None:
                run = _Run(protocol)
                made.append(run)
            run.plan = run.plan or each.plan
            run.sessions.append(each)
    return tuple(Course(each.protocol, tuple(each.sessions), more=each.plan in going_on) for each in made)


@dataclass(slots=True)
class _Run:
    protocol: Protocol
    plan: str | None = None
    sessions: list[Treatment] = field(default_factory=list)


def _run_of(session: Treatment, runs: list[_Run]) -> _Run | None:
    """The course that a session goes on with; None: it begins one."""
    if session.plan is not None:
        named = next((each for each in runs if each.plan == session.plan), None)
        if named is not None:
            return named
    latest = max(runs, key=lambda each: each.sessions[-1].day, default=None)
    if latest is None or (session.day - latest.sessions[-1].day).days > APART:
        return None
    return latest if session.plan is None or latest.plan is None else None
