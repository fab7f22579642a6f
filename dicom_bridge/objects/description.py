"""What an object says beside its pixels: plain facts, given by whoever knows the record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from consent.regions import BodyRegion
from consent.types import Laterality
from dicom_bridge.objects.vocabulary import Term


@dataclass(frozen=True, slots=True)
class PatientModule:
    """PS3.3 C.7.1.1, the part that viewers show."""

    id: str
    """Patient ID (0010,0020): the identifier that the hospital's systems know."""

    issuer: str | None = None
    """Issuer of Patient ID (0010,0021)."""

    name: str = ""
    """Patient's Name (0010,0010) as PN: family^given^middle^prefix^suffix."""

    birth_date: date | None = None
    sex: str = ""
    """M, F, O or empty."""

    unknown: bool = False
    """Nobody knows whose photo it is: no identifier is asked for."""


@dataclass(frozen=True, slots=True)
class VisitModule:
    """PS3.3 C.7.2.1 and C.7.2.2: one visit's photos are one study."""

    study_instance_uid: str
    started: datetime | date | None = None
    """Aware, in the site's zone; a day where no time is told."""

    accession_number: str = ""
    admission_id: str | None = None
    study_id: str = ""
    description: str | None = None
    institution: str | None = None


@dataclass(frozen=True, slots=True)
class PhotoDescription:
    """What one photo shows, and how."""

    sop_instance_uid: str
    series_instance_uid: str
    region: BodyRegion | None
    """None where nobody knows it, as with old photos."""

    laterality: Laterality | None
    view: Term | None
    expression: Term | None = None
    session: int | None = None
    """Number of the session within its course; the record holds the truth, the object a copy in its acquisition
    context."""

    days_since_baseline: float | None = None
    """Days from the course's first photos to this one, where the record tells; negative before them."""

    taken: datetime | date | None = None
    """Aware, in the camera's or the site's zone; a day where no time is told."""

    instance_number: int | None = None


def days_between(baseline: str | None, taken: date | None) -> float | None:
    """Days from the course's first photos to this one; None where either day is not told."""
    if baseline is None or taken is None:
        return None
    day = taken.date() if isinstance(taken, datetime) else taken
    return float((day - date.fromisoformat(baseline)).days)
