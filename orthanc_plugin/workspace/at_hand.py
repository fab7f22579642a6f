"""What stands at hand on a patient's page: her plan, the last session, and what the protocol still wants."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from consent.types import Request
from orthanc_plugin.workspace import photographs
from orthanc_plugin.workspace.photographs import Still
from orthanc_plugin.workspace.record import Treatment
from orthanc_plugin.workspace.session_book import SessionBook
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


def at_hand(book: SessionBook, question: Request, patient: str, route: str, zone: ZoneInfo) -> AtHand | None:
    """Read it; None where there is neither plan nor session."""
    found = book.upcoming(question, patient, None, route, brief=True)
    plan, last = found.plan, found.last
    if plan is None and last is None:
        return None
    return AtHand(
        title="" if plan is None else plan.title or plan.treatment.text,
        goals=() if plan is None else plan.goals,
        done=len(found.sessions),
        planned=None if plan is None else plan.sessions,
        due=found.due,
        last=None if last is None else shown(last, zone),
        still=photographs.still(book.protocols(), found),
        views=tuple(each.name for each in found.missing),
    )
