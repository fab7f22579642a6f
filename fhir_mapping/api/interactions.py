"""What can be done with which resource type: routes and CapabilityStatement are both made from this table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from fhir_mapping.store.kinds import CLINICAL, LASTING


class Interaction(StrEnum):
    """R4 restful-interaction."""

    READ = "read"
    VREAD = "vread"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    HISTORY = "history-instance"
    HISTORY_TYPE = "history-type"
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


_HISTORY = (Interaction.VREAD, Interaction.HISTORY, Interaction.HISTORY_TYPE)
_LOOK = (Interaction.READ, Interaction.SEARCH)
_LASTING = (*_LOOK, *_HISTORY, Interaction.CREATE, Interaction.UPDATE)
_WHOLE = (*_LASTING, Interaction.DELETE)

TABLE: tuple[Row, ...] = (
    *(
        Row(kind, _LASTING, documentation="It is marked entered-in-error, and never deleted.")
        if kind in LASTING
        else Row(kind, _WHOLE)
        for kind in CLINICAL
    ),
    Row(
        "DocumentReference",
        (*_LOOK, *_HISTORY),
        True,
        "One photo. Those that consent refuses are answered as if they did not exist.",
        explained=True,
        questioned=True,
    ),
    Row(
        "ImagingStudy",
        (*_LOOK, Interaction.VREAD),
        True,
        "The photos of one visit that consent permits, with counts of these alone. It is made for each answer, so its "
        "version is of what is answered, and former ones are not kept.",
    ),
    Row(
        "Provenance",
        _LOOK,
        False,
        "Where a photo comes from, how it was corrected, and what was looked at when a session or plan was decided. "
        "That of a photo is answered as the photo is.",
    ),
    Row(
        "AuditEvent",
        _LOOK,
        False,
        "The records of the audit, newest first: for compliance, and for a patient of what was shown of hers. A page "
        "looks at a bounded number of records and may hold less than was asked for.",
    ),
    Row("Task", (*_LOOK, *_HISTORY), False, "Work for a person, such as a Consent that could not be honoured."),
)
