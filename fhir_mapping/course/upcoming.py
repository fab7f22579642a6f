"""The next session: plan, last session and its photos, what was given, the outcome noted, what is still to photograph.

One function answers all of it, in one snapshot and one audit record, in a number of statements that does not grow with
what there is. Photos are those that the request may see; what names others does not name them here.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import Connection, and_, func, select

from consent.service import DecisionPoint, for_one_patient
from consent.sets import Permitted
from consent.store.tables import photo
from consent.store.versions import group
from consent.store.write import among
from consent.types import Request
from fhir_mapping.course import machines, visits
from fhir_mapping.course import plan as plans
from fhir_mapping.course.plan import OPEN, Plan
from fhir_mapping.course.seeing import ends_of, judged_within, maps_of, within
from fhir_mapping.course.shots import missing, seen
from fhir_mapping.course.suggested import suggested
from fhir_mapping.course.views import Shot, View
from fhir_mapping.outcome.outcome import Outcome, is_outcome
from fhir_mapping.outcome.outcome import read as read_outcome
from fhir_mapping.outcome.tables import outcome as outcomes_table
from fhir_mapping.store.reader import RecordReader
from fhir_mapping.tables import fhir_date, fhir_resource
from fhir_mapping.treatment import moments
from fhir_mapping.treatment.read import Treated, treatments
from fhir_mapping.treatment.session import UNNAMED, Lot, Machine, Session
from fhir_mapping.treatment.surroundings import Surroundings

SESSIONS = 60
"""Sessions that are read where no plan says which belong together; as many plans."""

OUTCOMES = 12


class LeftOut(StrEnum):
    """Of what there is more than is told."""

    PLANS = "plans"
    SESSIONS = "sessions"
    """Sessions, or what was given and set in them."""

    OUTCOMES = "outcomes"
    MACHINES = "machines"


@dataclass(frozen=True, slots=True)
class Upcoming:
    """What a clinician wants to see before the next session."""

    patient: str
    plan: Plan | None = None
    plans: tuple[Plan, ...] = ()
    """Plans that could be meant, the newest first."""

    sessions: tuple[Treated, ...] = ()
    """Of the course, in order; those that did not take place are left out. Of photos they name those in ``shown``."""

    known: int = 0
    """Treatments of hers on record, whichever they are."""

    due: date | None = None
    """When the plan's rhythm wants the next one."""

    baseline: tuple[Shot, ...] = ()
    """The photos that the plan was decided on, else those of the first session."""

    latest: tuple[Shot, ...] = ()
    """Photos of the last session."""

    mapped: tuple[Shot, ...] = ()
    """Photos on which its injection points are marked."""

    today: tuple[Shot, ...] = ()
    """Photos of today's visit."""

    visit: str | None = None
    """``Encounter/…`` of today."""

    missing: tuple[View, ...] = ()
    """Views of the baseline or the last session that today's visit lacks."""

    outcomes: tuple[Outcome, ...] = ()
    """The newest first; a photo that may not be seen is not named."""

    form: Session = field(default_factory=lambda: Session(""))
    """Today, as the last session suggests it."""

    expired: tuple[Lot, ...] = ()
    """Lots of the last session that have expired since: the form leaves them empty."""

    machines: tuple[Machine, ...] = ()
    """Machines that a session can be done with."""

    more: frozenset[LeftOut] = frozenset()
    record: str = ""
    """Id of the audit record of this reading."""

    @property
    def last(self) -> Treated | None:
        """The last session."""
        return self.sessions[-1] if self.sessions else None

    @property
    def shown(self) -> tuple[Shot, ...]:
        """Every photo in it, each once."""
        found = {each.document: each for each in (*self.baseline, *self.latest, *self.mapped, *self.today)}
        return tuple(found.values())


def upcoming(
    point: DecisionPoint,
    connection: Connection,
    reader: RecordReader,
    request: Request,
    patient: str,
    now: datetime,
    *,
    plan: str | None = None,
    brief: bool = False,
    may: Permitted | None = None,
    route: str,
) -> Upcoming:
    """Answer it; what it shows is recorded before this returns.

    Parameters
    ----------
    connection
        In one snapshot (:func:`consent.store.engine.reading`).
    patient
        Id; records merged with hers count.
    plan
        Id of a CarePlan of hers; None: the newest that is open. One that is not hers is as if absent.
    brief
        Without outcomes, machines and ``known``, which only the form of the next session needs.
    may
        As :func:`fhir_mapping.course.shots.seen` takes it.

    Raises
    ------
    consent.audit.shelf.AuditUnavailable
        Nothing may leave.
    """
    everyone = group(connection, [patient])
    question = for_one_patient(connection, request, among(connection, photo.c.patient, everyone))
    more = set[LeftOut]()
    known = _plans(connection, reader, everyone, more)
    chosen = next((each for each in known if plan is not None and each.reference == f"CarePlan/{plan}"), None)
    if plan is None:
        chosen = next((each for each in known if each.status in OPEN), None)
    sessions, around = _sessions(connection, reader, everyone, chosen, more)
    if chosen is not None:
        body = around.resources.get(chosen.reference or "", {})
        chosen = plans.read(body, reader.base, around.resources, version=chosen.version)
        sessions = _of_plan(chosen, sessions)
    elif sessions:
        sessions = [each for each in sessions if each.session.title == sessions[-1].session.title]
    first, last = (sessions[0], sessions[-1]) if sessions else (None, None)
    visit = visits.today(connection, reader, everyone, now)
    noted = [] if brief else _outcomes(connection, reader, everyone, more)
    decided_on = chosen.photos if chosen is not None else ()
    maps = [each.photo for each in maps_of(last)]
    found = seen(
        connection,
        reader,
        point,
        question,
        everyone,
        documents={*decided_on, *maps, *_photos_of(first), *_photos_of(last), *ends_of(noted)},
        linked=_centres(first) | _centres(last) | ({visit} if visit is not None else set()),
        may=may,
    )
    latest, today = found.of_session(last), found.of_visit(visit)
    if last is not None and visit is not None and last.session.encounter == visit:
        latest = today = latest or today
    baseline = found.named(decided_on) or found.of_session(first)
    form, expired = suggested(patient, chosen, last, visit, len(sessions), now, reader.site.zone)
    at_hand, more_machines = ((), False) if brief else machines.machines(connection, reader)
    more |= {LeftOut.MACHINES} if more_machines else set()
    made = Upcoming(
        patient=patient,
        plan=chosen,
        plans=tuple(known),
        sessions=tuple(within(each, found) for each in sessions),
        known=0 if brief else treatments_of(connection, everyone),
        due=_due(chosen, last, len(sessions), reader),
        baseline=tuple(baseline),
        latest=tuple(latest),
        mapped=tuple(found.named(maps)),
        today=tuple(today),
        visit=visit,
        missing=missing((*baseline, *latest), today),
        outcomes=tuple(judged_within(each, found) for each in noted),
        form=form,
        expired=expired,
        machines=at_hand,
        more=frozenset(more),
    )
    record = point.record_set(
        question,
        route,
        [each.number for each in made.shown],
        found.refused,
        details={"subject": f"Patient/{patient}", "plan": chosen.reference if chosen is not None else ""},
    )
    return replace(made, record=record)


def treatments_of(connection: Connection, everyone: Collection[str]) -> int:
    """How many Procedures of a patient are on record."""
    hers = (fhir_resource.c.type == "Procedure", among(connection, fhir_resource.c.patient, everyone))
    return connection.execute(select(func.count()).select_from(fhir_resource).where(*hers)).scalar_one()


def _plans(connection: Connection, reader: RecordReader, everyone: Collection[str], more: set[LeftOut]) -> list[Plan]:
    """Her plans, the newest first."""
    query = (
        select(fhir_resource.c.id)
        .where(fhir_resource.c.type == "CarePlan", among(connection, fhir_resource.c.patient, everyone))
        .order_by(fhir_resource.c.updated.desc(), fhir_resource.c.id)
        .limit(SESSIONS + 1)
    )
    ids = list(connection.execute(query).scalars())
    more |= {LeftOut.PLANS} if len(ids) > SESSIONS else set()
    found = reader.read_many(connection, "CarePlan", ids[:SESSIONS])
    made = [plans.read(each.json(), reader.base, version=each.version) for each in found]
    real = [each for each in made if each.status != "entered-in-error"]
    return sorted(real, key=lambda each: (each.status in OPEN, each.start), reverse=True)


def _sessions(
    connection: Connection, reader: RecordReader, everyone: Collection[str], plan: Plan | None, more: set[LeftOut]
) -> tuple[list[Treated], Surroundings]:
    """The sessions of a plan; without one, or before its first, those of the last kind of treatment."""
    if plan is not None and plan.reference is not None:
        around = Surroundings(connection, reader.base, [plan.reference])
        found = [each for each in treatments(around, others=is_outcome) if each.took_place]
        if found:
            more |= {LeftOut.SESSIONS} if around.more else set()
            return found, around
    begun = and_(
        fhir_date.c.type == fhir_resource.c.type, fhir_date.c.id == fhir_resource.c.id, fhir_date.c.name == "date"
    )
    latest = (
        select(fhir_resource.c.id)
        .outerjoin(fhir_date, begun)
        .where(fhir_resource.c.type == "Procedure", among(connection, fhir_resource.c.patient, everyone))
        .order_by(fhir_date.c.start.desc().nulls_last(), fhir_resource.c.id)
        .limit(SESSIONS + 1)
    )
    ids = list(connection.execute(latest).scalars())
    anchors = [f"Procedure/{each}" for each in ids[:SESSIONS]]
    anchors += [] if plan is None or plan.reference is None else [plan.reference]
    around = Surroundings(connection, reader.base, anchors)
    more |= {LeftOut.SESSIONS} if around.more or len(ids) > SESSIONS else set()
    return [each for each in treatments(around, others=is_outcome) if each.took_place], around


def _of_plan(plan: Plan, sessions: Sequence[Treated]) -> list[Treated]:
    """The sessions that belong to a plan: by either end's reference; else by treatment, where none is linked."""
    named = [each for each in sessions if each.reference in plan.done or plan.reference in each.session.plans]
    if named:
        return named
    return [each for each in sessions if plan.treatment != UNNAMED and each.session.title == plan.treatment]


def _due(plan: Plan | None, last: Treated | None, done: int, reader: RecordReader) -> date | None:
    """The day that the plan's rhythm wants after the last session; None where it wants no other, says no rhythm, or
    that session's day is not known."""
    if plan is None or last is None or (plan.sessions is not None and done >= plan.sessions):
        return None
    begun = moments.begun(last.session, reader.site.zone)
    if begun is None or moments.roughly(last.session):
        return None
    return plan.after(begun.astimezone(reader.site.zone).date())


def _outcomes(
    connection: Connection, reader: RecordReader, everyone: Collection[str], more: set[LeftOut]
) -> list[Outcome]:
    """The outcomes noted, the newest first; photos undecided."""
    row = outcomes_table.c
    query = (
        select(row.observation)
        .where(among(connection, row.patient, everyone))
        .order_by(row.end.desc().nulls_last(), row.observation)
        .limit(OUTCOMES + 1)
    )
    ids = list(connection.execute(query).scalars())
    more |= {LeftOut.OUTCOMES} if len(ids) > OUTCOMES else set()
    found = reader.read_many(connection, "Observation", ids[:OUTCOMES])
    return [made for each in found if (made := read_outcome(each.json(), reader.base)) is not None]


def _photos_of(treated: Treated | None) -> tuple[str, ...]:
    return treated.photos if treated is not None else ()


def _centres(treated: Treated | None) -> set[str]:
    if treated is None:
        return set()
    return {treated.reference, *([treated.session.encounter] if treated.session.encounter else [])}
