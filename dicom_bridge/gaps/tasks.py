"""Open gaps as work for a person: one Task for each time point of a patient's treatment (R4 Task).

It is opened when the patient comes, or the due day has come, changed where what is missing has changed, completed by
the photo that arrives, cancelled where somebody gave a reason, and failed where it is too late. Ids follow from what
a Task is about, so that any number of workers writes one, and what says the same already is not written again.

Tasks rest on the photos that the clinic may see for treatment, and on no Consent that names one of its people.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Engine, select

from consent.purposes import TREAT
from consent.service import DecisionPoint
from consent.site import CareTeamScope
from consent.store.clock import now
from consent.store.engine import reading, transaction
from consent.store.write import among
from consent.types import Request, Requester
from dicom_bridge.gaps.gap import Gap, Kind, State, shot_name, spoken, time_name
from dicom_bridge.gaps.report import Hers, of_clinic
from dicom_bridge.protocols.protocol import Protocol
from dicom_bridge.protocols.reasons import REASONS, reasons
from fhir_mapping import dates
from fhir_mapping.resources.task import PHOTOS_DUE, TASK_SYSTEM, photos_due
from fhir_mapping.store.kinds import SOURCE
from fhir_mapping.store.record import RecordStore
from fhir_mapping.tables import fhir_resource, fhir_token

ROUTE = "photos due"
_ASKED_FOR = (Kind.TIME_POINT, Kind.VIEW, Kind.EXPRESSION)
"""What a person is sent to photograph; what is there and is not comparable is told on the pages."""

_OPEN = ("requested", "in-progress")
_PASSING = ("authoredOn", "lastModified", "meta")
_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Written:
    """How many Tasks were opened or changed, and how many were closed."""

    opened: int = 0
    closed: int = 0


@dataclass(frozen=True, slots=True)
class _Matter:
    """The gaps of one time point that can still be mended."""

    hers: Hers
    gaps: tuple[Gap, ...]
    pressing: bool
    """Whether somebody has to see to it now: she is here or expected, or the due day has come."""


def task_id(session: str, time: str) -> str:
    """The id of the Task about a time point, counted from ``Procedure/…``."""
    return str(uuid.UUID(bytes=hashlib.sha256(f"photos-due {session} {time}".encode()).digest()[:16], version=4))


class GapTasks:
    """Keeps the Tasks of a clinic as its gaps are."""

    def __init__(self, engine: Engine, point: DecisionPoint, store: RecordStore) -> None:
        self._engine, self._point, self._store = engine, point, store

    def keep(self, protocols: Collection[Protocol], *, today_alone: bool = False) -> Written:
        """Look at today's visitors, and at who was treated lately, and write what has changed of them.

        Where only those see photos whom the record names as the care team, nobody can say for the clinic what is
        missing, and no Task is written.
        """
        if self._store.site.care_team is CareTeamScope.RECORD:
            return Written()
        asks = Request(Requester("worker", (TREAT,), reference=f"Organization/{self._store.site.organization}"), TREAT)
        with reading(self._engine) as connection:
            moment = now(connection)
            report = of_clinic(
                self._point, connection, self._store, asks, protocols, moment, route=ROUTE, today_alone=today_alone
            )
            matters = {name: each for hers in report.people for name, each in _matters(hers, report.today)}
            known = self._known(connection, matters)
            looked_at = {each.patient for each in report.people}
        open_now = {name for name, task in known.items() if task.get("status") in _OPEN}
        opened = {}
        for name, matter in matters.items():
            task = _task(matter, moment)
            if (matter.pressing or name in open_now) and (name not in known or _differs(known[name], task)):
                opened[name] = task
        lost = {name for hers in report.people for name, gap in _by_task(hers.gaps) if gap.state is State.LOST}
        why = {
            task_id(each.session, each.time): each.reason
            for hers in report.people
            for each in sorted(hers.excused, key=lambda one: one.shot)
        }
        closed = {
            name: _closed(known[name], why.get(name), lost=name in lost, moment=moment)
            for name in open_now - matters.keys()
            if _patient(known[name]) in looked_at
        }
        changes = [*opened.items(), *closed.items()]
        for start in range(0, len(changes), _AT_ONCE):
            with transaction(self._engine) as connection:
                for name, task in changes[start : start + _AT_ONCE]:
                    self._store.update(connection, "Task", name, {**task, "id": name}, source=SOURCE)
        return Written(len(opened), len(closed))

    def _known(self, connection: Connection, wanted: Collection[str]) -> dict[str, dict[str, Any]]:
        """The Tasks that are open, and those that are wanted, as they are."""
        coded = select(fhir_token.c.id).where(
            fhir_token.c.type == "Task",
            fhir_token.c.name == "code",
            fhir_token.c.system == TASK_SYSTEM,
            fhir_token.c.value == PHOTOS_DUE,
        )
        row = fhir_resource.c
        still = connection.execute(
            select(row.id).where(row.type == "Task", row.id.in_(coded), row.status.in_(_OPEN))
        ).scalars()
        ids = set(still) | set(
            connection.execute(select(row.id).where(row.type == "Task", among(connection, row.id, wanted))).scalars()
        )
        return {each.id: each.json() for each in self._store.read_many(connection, "Task", sorted(ids))}


def _matters(hers: Hers, today: date) -> Iterable[tuple[str, _Matter]]:
    grouped: dict[str, list[Gap]] = {}
    for name, gap in _by_task(hers.open):
        grouped.setdefault(name, []).append(gap)
    for name, gaps in grouped.items():
        yield name, _Matter(hers, tuple(gaps), hers.arrival is not None or any(today >= gap.due for gap in gaps))


def _by_task(gaps: Iterable[Gap]) -> Iterable[tuple[str, Gap]]:
    for gap in gaps:
        if gap.kind in _ASKED_FOR and gap.session.startswith("Procedure/"):
            yield task_id(gap.session, gap.time), gap


def _task(matter: _Matter, moment: datetime) -> dict[str, Any]:
    first, arrival = matter.gaps[0], matter.hers.arrival
    shots = dict.fromkeys(shot_name(each) for gap in matter.gaps for each in gap.shots)
    return photos_due(
        patient=matter.hers.patient,
        session=first.session,
        visit=arrival.reference if arrival is not None and arrival.reference.startswith("Encounter/") else None,
        what=f"{first.treatment}: photos of {time_name(first.time)} (due {spoken(first.due)})",
        shots=list(shots),
        due=first.due.isoformat(),
        until=(first.until or first.due).isoformat(),
        urgent=first.state is State.OVERDUE,
        now=moment,
    )


def _differs(known: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a Task says something else than it is to say; one that a person has begun stays begun."""
    if known.get("status") == "in-progress":
        known = {**known, "status": "requested"}
    return any(
        known.get(key) != wanted.get(key)
        for key in {*known, *wanted} - {*_PASSING, "id", "owner", "note", "businessStatus"}
    )


def _closed(task: Mapping[str, Any], reason: str | None, *, lost: bool, moment: datetime) -> dict[str, Any]:
    """The Task at its end: cancelled for a reason, failed where it is too late, else completed."""
    kept = {key: value for key, value in task.items() if key != "meta"}
    kept |= {"status": "failed" if lost else "completed", "lastModified": dates.instant(moment)}
    if reason is None:
        return kept
    coded = {"coding": [{"system": REASONS, "code": reason}], "text": reasons()[reason].name}
    return kept | {"status": "cancelled", "statusReason": coded}


def _patient(task: Mapping[str, Any]) -> str:
    return str((task.get("for") or {}).get("reference") or "").rpartition("/")[2]
