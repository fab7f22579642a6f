"""One session of a course: when, what, where, by whom."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from benchmarks.generated.products import Kind
from consent.types import Laterality
from dicom_bridge.objects.vocabulary import find_region
from fhir_mapping import dates
from fhir_mapping.treatment.session import Named, Place

TREATMENTS = "urn:example:treatment"
"""Code system of the generated treatments."""


@dataclass(frozen=True, slots=True)
class Course:
    """Sessions of one treatment of one area."""

    key: str
    kind: Kind
    area: str
    """Name of the region."""

    side: Laterality | None
    clinician: str

    @property
    def place(self) -> Place:
        """The area, coded."""
        return Place(Named(self.area.replace("-", " "), find_region(self.area).code), self.side)

    @property
    def treatment(self) -> Named:
        """What is done, coded."""
        text, code = {
            Kind.TOXIN: ("Botulinum toxin", "toxin"),
            Kind.FILLER: ("Filler", "filler"),
            Kind.TOPICAL: ("Laser and aftercare", "laser"),
        }[self.kind]
        return Named(text, f"{TREATMENTS}|{code}")


@dataclass(frozen=True, slots=True)
class Visit:
    """One of them."""

    key: str
    """Patient and session: ``000012-03``. The ids of all that belongs to it end so."""

    number: int
    """Within the course."""

    at: datetime
    patient: str
    """Id."""

    course: Course

    @property
    def subject(self) -> dict[str, str]:
        """A Reference to the patient."""
        return {"reference": f"Patient/{self.patient}"}

    @property
    def encounter(self) -> dict[str, str]:
        """A Reference to the visit."""
        return {"reference": f"Encounter/v{self.key}"}

    @property
    def procedure(self) -> dict[str, str]:
        """A Reference to the treatment."""
        return {"reference": f"Procedure/t{self.key}"}

    @property
    def when(self) -> str:
        """FHIR dateTime of the treatment."""
        return dates.date_time(self.at)
