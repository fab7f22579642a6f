"""What can be done with which resource type: routes and CapabilityStatement are both made from this table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from fhir_mapping.store.kinds import CLINICAL


class Interaction(StrEnum):
    """R4 restful-interaction."""

    READ = "read"
    VREAD = "vread"
    CREATE = "create"
    UPDATE = "update"
    SEARCH = "search-type"


@dataclass(frozen=True, slots=True)
class Row:
    """One resource type."""

    type: str
    interactions: tuple[Interaction, ...]
    photos: bool = False
    """Each answer is decided by the consent of the patients shown."""

    documentation: str = ""
    explained: bool = False
    """Whether ``$explain`` tells why somebody may or may not see one."""

    questioned: bool = False
    """Whether ``$photos`` finds them by their facets."""


_WHOLE = (Interaction.READ, Interaction.VREAD, Interaction.CREATE, Interaction.UPDATE, Interaction.SEARCH)
_LOOK = (Interaction.READ, Interaction.SEARCH)

TABLE: tuple[Row, ...] = (
    *(Row(kind, _WHOLE) for kind in CLINICAL),
    Row(
        "DocumentReference",
        _LOOK,
        True,
        "One photo. Those that consent refuses are answered as if they did not exist.",
        explained=True,
        questioned=True,
    ),
    Row("ImagingStudy", _LOOK, True, "The photos of one visit that consent permits, with counts of these alone."),
    Row("Task", _LOOK, False, "Work for a person, such as a Consent that could not be honoured."),
)
