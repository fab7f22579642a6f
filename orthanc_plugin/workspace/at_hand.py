"""What stands at hand on a patient's page: her plan, the last session, and what the protocol still wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from dicom_bridge.protocols.protocol import Protocol
from fhir_mapping.course.upcoming import Upcoming
from orthanc_plugin.workspace import photographs
from orthanc_plugin.workspace.photographs import Still
from orthanc_plugin.workspace.record import Treatment
from orthanc_plugin.workspace.shown_names import view_name
from orthanc_plugin.workspace.treatment_names import told_treatment
from orthanc_plugin.workspace.treatments import shown


@dataclass(frozen=True, slots=True)
class AtHand:
    """What a clinician asks first about a course."""

    title: str
    """Of the plan; empty: there is none."""

    goals: tuple[str, ...]
    done: int
    """Sessions of the course that took place."""

    planned: int | None
    due: date | None
    """When the plan's rhythm wants the next one."""

    last: Treatment | None
    still: Still
    views: tuple[str, ...]
    """What today's visit lacks of the views of the last one, by name."""


def at_hand(found: Upcoming, protocols: Sequence[Protocol], zone: ZoneInfo) -> AtHand | None:
    """What is shown of it; None where there is neither plan nor session."""
    plan, last = found.plan, found.last
    if plan is None and last is None:
        return None
    return AtHand(
        title="" if plan is None else plan.title or told_treatment(plan.treatment.text),
        goals=() if plan is None else plan.goals,
        done=len(found.sessions),
        planned=None if plan is None else plan.sessions,
        due=found.due,
        last=None if last is None else shown(last, zone),
        still=photographs.still(protocols, found),
        views=tuple(map(view_name, found.missing)),
    )
