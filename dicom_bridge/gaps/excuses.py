"""Photos that nobody is asked for any more, since a person closed the visit and said why they are missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from dicom_bridge.gaps.timeline import Course, Excused
from dicom_bridge.gaps.windows import windows
from dicom_bridge.protocols import closing
from fhir_mapping.treatment.elements import Json

HERS = frozenset({"patient-declined", "not-applicable", "not-possible"})
"""Reasons that lie with the patient: the photo was never to be had. Any other one is the clinic's, and counts."""


@dataclass(frozen=True, slots=True)
class Closing:
    """One photo that was missing when a visit was closed."""

    day: date
    """Of the visit."""

    protocol: str
    shot: str
    """Names of the protocol, and of the shot within it."""

    reason: str
    """Its code in ``reasons.toml``."""


def missing(resource: Json) -> Iterator[tuple[str, str, str]]:
    """Protocol, shot and reason of each photo that was missing when a visit was closed; none where it is open again."""
    said = closing.read(resource)
    for code, why in said.why.items() if not said.open else ():
        protocol, _, shot = code.partition("/")
        yield protocol, shot, why.reason


def excused(courses: Iterable[Course], closings: Iterable[Closing]) -> frozenset[Excused]:
    """What the closings excuse: each the photo of every time point that was open, or late, on the visit's day."""
    known = tuple(closings)
    return frozenset(
        Excused(window.session.reference, each.protocol, window.time.name, each.shot, each.reason, each.reason in HERS)
        for course in courses
        for window in windows(course)
        for each in known
        if each.protocol == course.protocol.name and window.opens <= each.day <= window.ends
    )
