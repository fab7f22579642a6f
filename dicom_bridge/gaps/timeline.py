"""What gaps are found in: the courses of treatment of a patient, and the photos that whoever asks may see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
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

    time: str
    shot: str
    """Names within the protocol."""


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

    What a plan holds together is one course; the others of a protocol are one as long as they are less than
    :data:`APART` apart.

    Parameters
    ----------
    going_on
        ``CarePlan/…`` that want more sessions than are on record.
    """
    known = tuple(protocols)
    groups: dict[tuple[str, str | None, int], list[Treatment]] = {}
    latest: dict[str, tuple[int, date]] = {}
    by_name = {each.name: each for each in known}
    for each in sorted(treatments, key=lambda one: (one.day, one.reference)):
        for protocol in concerning(known, each.title, each.places):
            run = 0
            if each.plan is None:
                run, before = latest.get(protocol.name, (0, each.day))
                run += (each.day - before).days > APART
                latest[protocol.name] = (run, each.day)
            groups.setdefault((protocol.name, each.plan, run), []).append(each)
    return tuple(
        Course(by_name[name], tuple(sessions), more=plan in going_on) for (name, plan, _), sessions in groups.items()
    )
