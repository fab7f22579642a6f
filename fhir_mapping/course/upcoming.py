"""The next session: plan, last session and its photos, what was given, the outcome noted, what is still to photograph.

One function answers all of it, in one snapshot and one audit record. Photos are those that the request may see; what
names others does not name them here.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, select

from consent.service import DecisionPoint, for_one_patient
from consent.store.clock import instant
from consent.store.tables import photo, photo_patient
from consent.store.versions import group
from consent.store.write import among
from consent.types import Obligation, Request
from fhir_mapping import dates, references
from fhir_mapping.course import plan as plans
from fhir_mapping.course.plan import OPEN, Plan
from fhir_mapping.course.views import Shot, View, view_of
from fhir_mapping.outcome.outcome import Outcome, is_outcome
from fhir_mapping.outcome.outcome import read as read_outcome
from fhir_mapping.outcome.tables import outcome as outcomes_table
from fhir_mapping.search.values import FIRST
from fhir_mapping.store.reader import RecordReader
from fhir_mapping.tables import fhir_date, fhir_resource
from fhir_mapping.treatment.read import Treated, treatments
from fhir_mapping.treatment.session import UNNAMED, Given, Lot, Session, Use
from fhir_mapping.treatment.surroundings import Surroundings

FULFILS = frozenset({Obligation.WATERMARK})

_SESSIONS = 60
"""Sessions that are read where no plan says which belong together."""

_PHOTOS = 1_500
_OUTCOMES = 12


@dataclass(frozen=True, slots=True)
class Upcoming:
    """What a clinician wants to see before the next session."""

    patient: str
    plan: Plan | None = None
    plans: tuple[Plan, ...] = ()
    """Plans that could be meant, the newest first."""

    sessions: tuple[Treated, ...] = ()
    """Of the course, in order; those that did not take place are left out."""

    baseline: tuple[Shot, ...] = ()
    """The photos that the plan was decided on, else those of the first session."""

    latest: tuple[Shot, ...] = ()
    """Photos of the last session."""

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

    record: str = ""
    """Id of the audit record of this reading."""

    @property
    def last(self) -> Treated | None:
        """The last session."""
        return self.sessions[-1] if self.sessions else None

    @property
    def shown(self) -> tuple[Shot, ...]:
        """Every photo in it, each once."""
        found = {each.document: each for each in (*self.baseline, *self.latest, *self.today)}
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

    Raises
    ------
    consent.audit.shelf.AuditUnavailable
        Nothing may leave.
    """
    everyone = group(connection, [patient])
    question = for_one_patient(connection, request, among(connection, photo.c.patient, everyone))
    known = _plans(connection, reader, everyone)
    chosen = next((each for each in known if plan is not None and each.reference == f"CarePlan/{plan}"), None)
    if plan is None:
        chosen = next((each for each in known if each.status in OPEN), None)
    sessions, around = _sessions(connection, reader, everyone, chosen)
    if chosen is not None:
        body = around.resources.get(chosen.reference or "", {})
        chosen = plans.read(body, reader.base, around.resources, version=chosen.version)
        sessions = _of_plan(chosen, sessions)
    elif sessions:
        sessions = [each for each in sessions if each.session.title == sessions[-1].session.title]
    shots, refused = _shots(connection, reader, point, question, everyone)
    visit = _visit(connection, reader, everyone, now)
    last = sessions[-1] if sessions else None
    first = sessions[0] if sessions else None
    baseline = _those(shots, chosen.photos if chosen is not None else ()) or _of_session(shots, first)
    latest, today = _of_session(shots, last), [each for each in shots if visit is not None and each.visit == visit]
    if last is not None and visit is not None and last.session.encounter == visit:
        latest = today = _of_session(shots, last) or today
    form, expired = _form(patient, chosen, last, visit, len(sessions), now, reader)
    made = Upcoming(
        patient=patient,
        plan=chosen,
        plans=tuple(known),
        sessions=tuple(sessions),
        baseline=tuple(baseline),
        latest=tuple(latest),
        today=tuple(today),
        visit=visit,
        missing=_missing((*baseline, *latest), today),
        outcomes=_outcomes(connection, reader, everyone, {each.reference for each in shots}),
        form=form,
        expired=expired,
    )
    record = point.record_set(
        question,
        route,
        [each.number for each in made.shown],
        refused,
        details={"subject": f"Patient/{patient}", "plan": chosen.reference if chosen is not None else ""},
    )
    return replace(made, record=record)


def _plans(connection: Connection, reader: RecordReader, everyone: Collection[str]) -> list[Plan]:
    """Her plans, the newest first."""
    query = (
        select(fhir_resource.c.id)
        .where(fhir_resource.c.type == "CarePlan", among(connection, fhir_resource.c.patient, everyone))
        .order_by(fhir_resource.c.updated.desc(), fhir_resource.c.id)
        .limit(_SESSIONS)
    )
    found = reader.read_many(connection, "CarePlan", list(connection.execute(query).scalars()))
    made = [plans.read(each.json(), reader.base, version=each.version) for each in found]
    real = [each for each in made if each.status != "entered-in-error"]
    return sorted(real, key=lambda each: (each.status in OPEN, each.start), reverse=True)


def _sessions(
    connection: Connection, reader: RecordReader, everyone: Collection[str], plan: Plan | None
) -> tuple[list[Treated], Surroundings]:
    """The sessions of a plan; without one, or before its first, those of the last kind of treatment."""
    if plan is not None and plan.reference is not None:
        around = Surroundings(connection, reader.base, [plan.reference])
        found = [each for each in treatments(around, others=is_outcome) if _took_place(each)]
        if found:
            return found, around
    latest = (
        select(fhir_resource.c.id)
        .join(
            fhir_date,
            (fhir_date.c.type == fhir_resource.c.type)
            & (fhir_date.c.id == fhir_resource.c.id)
            & (fhir_date.c.name == "date"),
        )
        .where(
            fhir_resource.c.type == "Procedure",
            among(connection, fhir_resource.c.patient, everyone),
            fhir_date.c.start > FIRST,
        )
        .order_by(fhir_date.c.start.desc(), fhir_resource.c.id)
        .limit(_SESSIONS)
    )
    anchors = [f"Procedure/{each}" for each in connection.execute(latest).scalars()]
    anchors += [] if plan is None or plan.reference is None else [plan.reference]
    around = Surroundings(connection, reader.base, anchors)
    return [each for each in treatments(around, others=is_outcome) if _took_place(each)], around


def _of_plan(plan: Plan, sessions: Sequence[Treated]) -> list[Treated]:
    """The sessions that belong to a plan: by either end's reference; else by treatment, where none is linked."""
    named = [each for each in sessions if each.reference in plan.done or plan.reference in each.session.plans]
    if named:
        return named
    return [each for each in sessions if plan.treatment != UNNAMED and each.session.title == plan.treatment]


def _took_place(treated: Treated) -> bool:
    return not treated.void and treated.status not in ("preparation", "unknown")


def _shots(
    connection: Connection, reader: RecordReader, point: DecisionPoint, request: Request, everyone: Collection[str]
) -> tuple[list[Shot], int]:
    """Her photos that the request may see, in order of time, and how many it may not."""
    hers = photo.c.photo.in_(select(photo_patient.c.photo).where(among(connection, photo_patient.c.patient, everyone)))
    may = point.permitted(connection, request, fulfils=FULFILS)
    columns = (photo.c.photo, photo.c.document, photo.c.taken, photo.c.procedure)
    rows = connection.execute(
        select(*columns)
        .where(hers, may.clause(photo.c.photo), photo.c.document.is_not(None))
        .order_by(photo.c.taken.desc().nulls_last(), photo.c.photo.desc())
        .limit(_PHOTOS)
    ).all()
    refused = connection.execute(select(photo.c.photo).where(hers, may.refused(photo.c.photo))).all()
    bodies = {
        each.id: each for each in reader.read_many(connection, "DocumentReference", [row.document for row in rows])
    }
    made = []
    for row in rows:
        stored = bodies.get(row.document)
        if stored is None:
            continue
        document = stored.json()
        visits = references.local_of(document, reader.base, "context", "encounter")
        made.append(
            Shot(
                number=row.photo,
                document=row.document,
                version=stored.version,
                at=None if row.taken is None else instant(row.taken),
                view=view_of(document),
                visit=next(iter(visits), None),
                procedure=row.procedure,
            )
        )
    return made[::-1], len(refused)


def _those(shots: Sequence[Shot], wanted: Collection[str]) -> list[Shot]:
    return [each for each in shots if each.reference in wanted]


def _of_session(shots: Sequence[Shot], treated: Treated | None) -> list[Shot]:
    """Photos of a session: linked to it, else of its visit; of one view the newest."""
    if treated is None:
        return []
    linked = _those(shots, treated.photos)
    linked += [each for each in shots if each.procedure == references.id_of(treated.reference) and each not in linked]
    visit = treated.session.encounter
    chosen = linked or [each for each in shots if visit is not None and each.visit == visit]
    newest = {each.view.key: each for each in chosen}  # shots come in order of time
    return [each for each in chosen if newest[each.view.key] is each]


def _missing(wanted: Sequence[Shot], today: Sequence[Shot]) -> tuple[View, ...]:
    have = {each.view.key for each in today}
    lacking = {each.view.key: each.view for each in wanted if each.view.key not in have}
    return tuple(lacking.values())


def _visit(connection: Connection, reader: RecordReader, everyone: Collection[str], now: datetime) -> str | None:
    """Today's visit: one that is under way, or that begins today."""
    query = (
        select(fhir_resource.c.id)
        .where(fhir_resource.c.type == "Encounter", among(connection, fhir_resource.c.patient, everyone))
        .order_by(fhir_resource.c.updated.desc(), fhir_resource.c.id)
        .limit(_SESSIONS)
    )
    found = reader.read_many(connection, "Encounter", list(connection.execute(query).scalars()))
    bodies = [(each.id, each.json()) for each in found]
    day = now.astimezone(reader.site.zone).date()
    for identity, body in bodies:
        if _begins_on(body, day, reader) and body.get("status") not in ("cancelled", "entered-in-error"):
            return f"Encounter/{identity}"
    return next(
        (f"Encounter/{each}" for each, body in bodies if body.get("status") in ("in-progress", "arrived")), None
    )


def _begins_on(encounter: dict[str, Any], day: date, reader: RecordReader) -> bool:
    period = encounter.get("period")
    begun = period.get("start") if isinstance(period, dict) else None
    if not isinstance(begun, str):
        return False
    known = dates.known(begun, reader.site.zone)
    return known is not None and (known.date() if isinstance(known, datetime) else known) == day


def _outcomes(
    connection: Connection, reader: RecordReader, everyone: Collection[str], visible: Collection[str]
) -> tuple[Outcome, ...]:
    row = outcomes_table.c
    query = (
        select(row.observation)
        .where(among(connection, row.patient, everyone))
        .order_by(row.end.desc().nulls_last(), row.observation)
        .limit(_OUTCOMES)
    )
    found = reader.read_many(connection, "Observation", list(connection.execute(query).scalars()))
    made = [read_outcome(each.json(), reader.base) for each in found]
    return tuple(
        replace(
            each,
            before=each.before if each.before in visible else None,
            after=each.after if each.after in visible else None,
        )
        for each in made
        if each is not None
    )


def _form(
    patient: str,
    plan: Plan | None,
    last: Treated | None,
    visit: str | None,
    done: int,
    now: datetime,
    reader: RecordReader,
) -> tuple[Session, tuple[Lot, ...]]:
    """Today as the last session suggests it; a lot that has expired is not suggested."""
    before = last.session if last is not None else Session(patient)
    number = max(done, before.number or 0) + 1
    today = now.astimezone(reader.site.zone).date()
    given: list[Given] = []
    expired: list[Lot] = []
    for each in before.given:
        if each.use is Use.HOME:
            continue
        lot = each.product
        if _expired(lot, today, reader):
            expired.append(lot)
            lot = Lot(lot.name)
        given.append(replace(each, product=replace(lot, reference=None), maps=()))
    if not given and plan is not None:
        given = [Given(Lot(each)) for each in plan.products]
    title = before.title if before.title != UNNAMED else (plan.treatment if plan is not None else UNNAMED)
    where = before.places or (plan.places if plan is not None else ())
    made = Session(
        patient=patient,
        title=title,
        encounter=visit,
        number=number,
        plans=(plan.reference,) if plan is not None and plan.reference is not None else (),
        places=where,
        given=tuple(given),
        machines=before.machines,
    )
    return made, tuple(expired)


def _expired(lot: Lot, today: date, reader: RecordReader) -> bool:
    if not lot.expires:
        return False
    try:
        end = dates.span(lot.expires, reader.site.zone).end
    except ValueError:
        return False
    return end is not None and end.astimezone(reader.site.zone).date() <= today
