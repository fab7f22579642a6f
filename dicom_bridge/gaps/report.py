"""What is missing: of one patient, and of a clinic, today's visitors first.

One function answers each, in one snapshot and one audit record, in a number of statements that does not grow with what
there is. The answer rests on the photos that the request may see, and on no other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Connection, and_, select

from consent.service import DecisionPoint
from consent.store.clock import micros
from consent.types import Obligation, Request
from dicom_bridge.gaps import arrivals, reading
from dicom_bridge.gaps.arrivals import Arrival
from dicom_bridge.gaps.convergence import Month, months
from dicom_bridge.gaps.excuses import excused
from dicom_bridge.gaps.finding import Taken, asked, gaps
from dicom_bridge.gaps.gap import Gap, Severity, State
from dicom_bridge.gaps.reading import Records
from dicom_bridge.gaps.timeline import Excused, Treatment, courses
from dicom_bridge.protocols.protocol import Protocol
from fhir_mapping.course.plan import Plan
from fhir_mapping.store.reader import RecordReader
from fhir_mapping.tables import fhir_date, fhir_resource
from fhir_mapping.treatment.session import UNNAMED

PATIENTS = 600
"""Patients of one answer about a clinic: who is here, then who was treated last."""

FULFILS = frozenset({Obligation.WATERMARK})
_AT_ONCE = 100
_EARLY = 7
"""Days before a plan's rhythm wants the next session on which a visit may be that session."""


@dataclass(frozen=True, slots=True)
class Hers:
    """What is missing of one patient."""

    patient: str
    gaps: tuple[Gap, ...] = ()
    months: tuple[Month, ...] = ()
    """How her photos came to what was asked for."""

    arrival: Arrival | None = None
    """Her visit of today."""

    excused: frozenset[Excused] = frozenset()
    """Photos that are missing for a reason that somebody gave."""

    @property
    def open(self) -> tuple[Gap, ...]:
        """Those that can still be mended."""
        return tuple(each for each in self.gaps if each.state is not State.LOST)


@dataclass(frozen=True, slots=True)
class Report:
    """The answer."""

    today: date
    people: tuple[Hers, ...] = ()
    """Who is here first, then who is expected, then by the gravest gap and its last day."""

    months: tuple[Month, ...] = ()
    """Of all of them together."""

    more: bool = False
    """Whether there is more on record than was looked at."""

    record: str = ""
    """Id of the audit record."""


def of_patient(
    point: DecisionPoint,
    connection: Connection,
    reader: RecordReader,
    request: Request,
    patient: str,
    protocols: Collection[Protocol],
    now: datetime,
    *,
    route: str,
) -> Report:
    """What is missing of one patient, under all her records; recorded before this returns.

    Parameters
    ----------
    connection
        In one snapshot (:func:`consent.store.engine.reading`).

    Raises
    ------
    consent.audit.shelf.AuditUnavailable
        Nothing may leave.
    """
    everyone = reading.persons(connection, [patient])
    day = arrivals.day(connection, reader, now, everyone)
    return _report(point, connection, reader, request, [patient], protocols, now, day.arrivals, route, more=False)


def of_clinic(
    point: DecisionPoint,
    connection: Connection,
    reader: RecordReader,
    request: Request,
    protocols: Collection[Protocol],
    now: datetime,
    *,
    route: str,
    today_alone: bool = False,
) -> Report:
    """What is missing of everybody who is here or expected today, and of who was treated last; recorded.

    Parameters
    ----------
    today_alone
        Leave out who is not here and not expected.

    Raises
    ------
    consent.audit.shelf.AuditUnavailable
        Nothing may leave.
    """
    day = arrivals.day(connection, reader, now)
    treated, more = ([], False) if today_alone else _treated(connection, protocols, now)
    patients = list(dict.fromkeys([*(each.patient for each in day.arrivals), *treated]))
    more = more or day.more or len(patients) > PATIENTS
    return _report(
        point, connection, reader, request, patients[:PATIENTS], protocols, now, day.arrivals, route, more=more
    )


def _report(
    point: DecisionPoint,
    connection: Connection,
    reader: RecordReader,
    request: Request,
    patients: Sequence[str],
    protocols: Collection[Protocol],
    now: datetime,
    visits: Iterable[Arrival],
    route: str,
    *,
    more: bool,
) -> Report:
    today = now.astimezone(reader.site.zone).date()
    may = point.permitted(connection, request, fulfils=FULFILS)
    persons = reading.persons(connection, patients)
    first: dict[str, Arrival] = {}
    for each in visits:
        first.setdefault(persons.get(each.patient, each.patient), each)
    made: dict[str, Hers] = {}
    taken: list[Taken] = []
    shown: set[int] = set()
    refused = 0
    for start in range(0, len(patients), _AT_ONCE):
        found = reading.read(connection, reader, may, patients[start : start + _AT_ONCE])
        more, refused = more or found.more, refused + found.refused
        for records in found.records:
            person = persons.get(records.patient, records.patient)
            if person in made:  # under another of her records
                continue
            made[person], met = of_records(records, protocols, today, first.get(person))
            taken += met
            shown.update(each.number for each in records.photos)
    people = sorted(made.values(), key=_order)
    record = point.record_set(
        request,
        route,
        shown,
        refused,
        details={"patients": len(people), "gaps": sum(len(each.gaps) for each in people)},
    )
    return Report(today, tuple(people), months(taken, today), more, record)


def of_records(
    records: Records, protocols: Collection[Protocol], today: date, arrival: Arrival | None
) -> tuple[Hers, list[Taken]]:
    """What is missing of one patient, and how what was asked for was met."""
    done = [each for each in records.treatments if each.day <= today]
    treatments = [*done, *_planned(records, today, arrival)]
    found = courses(treatments, protocols, records.going_on)
    why = excused(found, records.closings)
    met = [one for course in found for one in asked(course, records.photos, today, why)]
    hers = gaps(found, records.photos, today, why)
    return Hers(records.patient, hers, months(met, today), arrival, why), met


def _planned(records: Records, today: date, arrival: Arrival | None) -> Iterator[Treatment]:
    """The sessions that today's visit may be, by her open plans."""
    if arrival is None:
        return
    for plan in records.plans:
        done = [each for each in records.treatments if each.plan == plan.reference]
        if plan.treatment == UNNAMED or plan.reference is None or not _wants(plan, done, today):
            continue
        yield Treatment(
            reference=arrival.reference,
            patient=records.patient,
            day=today,
            title=plan.treatment,
            places=plan.places,
            plan=plan.reference,
            planned=True,
            visit=arrival.reference if arrival.reference.startswith("Encounter/") else None,
        )


def _wants(plan: Plan, done: Sequence[Treatment], today: date) -> bool:
    """Whether a plan wants a session on a day: its first one, or the next where its rhythm and number want one."""
    if not done:
        return True
    if plan.sessions is None or len(done) >= plan.sessions:
        return False
    last = max(each.day for each in done)
    following = plan.after(last)
    return last < today and (following is None or today >= following - timedelta(days=_EARLY))


def _treated(connection: Connection, protocols: Collection[Protocol], now: datetime) -> tuple[list[str], bool]:
    """Who was treated so lately that a photo could still be due, the last one first; whether there are more."""
    days = max((time.days + 2 * time.after + time.before + 1 for each in protocols for time in each.times), default=0)
    query = (
        select(fhir_resource.c.patient)
        .join(
            fhir_date,
            and_(fhir_date.c.type == fhir_resource.c.type, fhir_date.c.id == fhir_resource.c.id,
                 fhir_date.c.name == "date"),
        )
        .where(
            fhir_resource.c.type == "Procedure",
            fhir_resource.c.patient.is_not(None),
            fhir_date.c.start >= micros(now - timedelta(days=days + 1)),
            fhir_date.c.start <= micros(now + timedelta(days=1)),
        )
        .order_by(fhir_date.c.start.desc(), fhir_resource.c.id)
        .limit(reading.TREATMENTS)
    )  # fmt: skip
    found = list(connection.execute(query).scalars())
    return list(dict.fromkeys(found)), len(found) == reading.TREATMENTS


def _order(hers: Hers) -> tuple[int, float, int, date, str]:
    arrival, still = hers.arrival, hers.open
    here = list(arrivals.Presence).index(arrival.presence) if arrival is not None else len(arrivals.Presence)
    at = arrival.at.timestamp() if arrival is not None and arrival.at is not None else 0.0
    gravest = min((list(Severity).index(each.severity) for each in still), default=len(Severity))
    until = min((each.until for each in still if each.until is not None), default=date.max)
    return here, at, gravest, until, hers.patient
