"""A gap: one photo, or a whole time point, that is not as the protocol asks for, and until when it can be mended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from consent.wording import Wording, worded
from dicom_bridge.protocols.protocol import Shot
from fhir_mapping.treatment.elements import region_name
from fhir_mapping.treatment.session import Named, Place


class Kind(StrEnum):
    """What is wrong."""

    TIME_POINT = "missing-time-point"
    """None of the photos that are due at a time point is there."""

    VIEW = "missing-view"
    """Some are there, this one is not."""

    EXPRESSION = "wrong-expression"
    """The view is there, with another expression: as it is stated, or as it was judged."""

    LATE = "late"
    """It was taken after its window."""

    DISTANCE = "other-distance"
    """Taken from another distance than the baseline's, as it was judged."""

    LIGHT = "other-light"
    DEVICE = "other-device"
    """Taken with another camera than the baseline's."""


COMPARED = (Kind.EXPRESSION, Kind.DISTANCE, Kind.LIGHT, Kind.DEVICE)
"""What makes a photo hard to compare with the baseline's."""


class State(StrEnum):
    """Whether it can still be mended."""

    DUE = "due"
    """Within the window: a photo now is in time."""

    OVERDUE = "overdue"
    """The window is over; a photo now is late, and better than none."""

    LOST = "lost"
    """It cannot be mended any more."""


class Severity(StrEnum):
    """How much a later comparison suffers."""

    HIGH = "high"
    MIDDLE = "middle"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class Gap:
    """One gap."""

    patient: str
    """Id."""

    course: str
    """``Procedure/…`` of the course's first session."""

    session: str
    """``Procedure/…`` that the time point is counted from."""

    treatment: str
    """As people call it."""

    protocol: str
    """Name of the protocol."""

    time: str
    """Name of the time point: ``follow-up-2-weeks``."""

    kind: Kind
    state: State
    severity: Severity
    shots: tuple[Shot, ...]
    """The photos that it is about; of a missing time point all that are due there, else one."""

    due: date
    since: date
    """The first day of its state; where a photo is there and is the matter, that photo's day."""

    until: date | None
    """The last day on which it can be mended, in time while it is due, else late; None: it cannot be."""

    photo: int | None = None
    """Number of the photo that is the matter, where one is there."""

    @property
    def text(self) -> str:
        """In plain words: ``No photo of glabella, frontal, frown at follow-up 2 weeks (due 17 March 2026)``."""
        what = "; ".join(shot_name(each) for each in self.shots)
        when = f"{time_name(self.time)} (due {spoken(self.due)})"
        on = spoken(self.since)
        said = {
            Kind.TIME_POINT: f"No photos at {when}: {what}",
            Kind.VIEW: f"No photo of {what} at {when}",
            Kind.EXPRESSION: f"Not the expression asked for at {when}: {what}; one of {on} has another or none",
            Kind.LATE: f"Late at {when}: {what} was taken on {on}",
            Kind.DISTANCE: f"Another distance than the baseline's at {when}: {what}, {on}",
            Kind.LIGHT: f"Another light than the baseline's at {when}: {what}, {on}",
            Kind.DEVICE: f"Another camera than the baseline's at {when}: {what}, {on}",
        }[self.kind]
        return f"{said}. {self._remedy}"

    @property
    def _remedy(self) -> str:
        if self.until is None:
            return "It cannot be mended any more."
        late = "" if self.state is State.DUE else ", late"
        return f"Photograph by {spoken(self.until)}{late}."


def shot_name(shot: Shot) -> str:
    """``Glabella, frontal, frown``."""
    area = region_name(Place(Named(shot.region.display, shot.region.code), shot.side))
    expression = shot.expression.meaning if shot.expression is not None else ""
    return ", ".join(filter(None, (area, shot.view.meaning, expression)))


def time_name(time: str) -> Wording:
    """``follow-up 2 weeks`` of ``follow-up-2-weeks``."""
    return worded(time.replace("-", " ").replace("follow up", "follow-up"))


def spoken(day: date) -> str:
    """``17 March 2026``."""
    return f"{day.day} {day:%B %Y}"
