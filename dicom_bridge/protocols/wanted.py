"""Which photos a visit is asked for, by the protocols of what was done at it, and which of them are there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from consent.service import DecisionPoint, for_one_patient
from consent.store.clock import instant, micros
from consent.store.tables import photo, photo_patient
from consent.store.versions import group
from consent.store.write import among
from consent.types import Request
from dicom_bridge.protocols.choosing import concerning
from dicom_bridge.protocols.meeting import meets
from dicom_bridge.protocols.protocol import Protocol, Shot
from fhir_mapping import references
from fhir_mapping.course import plan as plans
from fhir_mapping.course import views
from fhir_mapping.course.shots import seen
from fhir_mapping.errors import NotFound
from fhir_mapping.resources.people import visit_facts
from fhir_mapping.store.reader import RecordReader
from fhir_mapping.treatment import moments
from fhir_mapping.treatment.read import Treated, treatments
from fhir_mapping.treatment.session import Place, Session
from fhir_mapping.treatment.surroundings import Surroundings

_MOST = 2000
"""Photos of one patient in the days before a visit."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One photo that a protocol asks for, and the one that is there."""

    protocol: Protocol
    shot: Shot
    photo: views.Shot | None
    baseline: bool
    """Whether it belongs to the set before the first treatment, and can never be made up for."""

    @property
    def code(self) -> str:
        """``toxin-glabella/frontal-rest``."""
        return f"{self.protocol.name}/{self.shot.name}"


@dataclass(frozen=True, slots=True)
class Visited:
    """A visit, and what it is asked for."""

    visit: str
    """Id of the Encounter."""

    patient: str
    """Id, as the Encounter names her."""

    asked: tuple[Asked, ...]
    photos: tuple[views.Shot, ...]
    """Those of the visit that the request may see, and earlier ones that count."""

    refused: int = 0


def places_of(session: Session) -> tuple[Place, ...]:
    """Every area of a session: its own, and those of its products."""
    own = [*session.places, *(each.place for each in session.given), *(each.place for each in session.implants)]
    return tuple(dict.fromkeys(each for each in own if each is not None))


def asked_of(
    protocols: Iterable[Protocol], sessions: Sequence[tuple[Treated, bool]], photos: Sequence[views.Shot], visit: str
) -> tuple[Asked, ...]:
    """What the sessions of a visit are asked for; a view that two protocols ask for is asked for once.

    Parameters
    ----------
    sessions
        Each with whether it is the first of its course.
    photos
        Those of other visits count for the baseline alone.
    visit
        ``Encounter/…``.
    """
    known = tuple(protocols)
    found: dict[tuple[str, str, str, str], Asked] = {}
    for treated, first in sessions:
        for protocol in concerning(known, treated.session.title, places_of(treated.session)):
            baseline = set(protocol.baseline.shots) if first else set()
            for shot in protocol.shots:
                if not shot.required and shot not in baseline:
                    continue
                early = shot in baseline
                met = [each for each in photos if (early or each.visit == visit) and meets(shot, each.view)]
                met.sort(key=lambda each: each.visit == visit)
                there = met[-1] if met else None
                former = found.get(shot.key)
                found[shot.key] = Asked(protocol, shot, there, early or (former is not None and former.baseline))
    return tuple(found.values())


def visited(
    point: DecisionPoint,
    connection: Connection,
    reader: RecordReader,
    request: Request,
    visit: str,
    protocols: Iterable[Protocol],
) -> tuple[Visited, Request]:
    """Read a visit. What it shows is recorded by the caller (:meth:`DecisionPoint.record_set`).

    Parameters
    ----------
    connection
        In one snapshot.
    visit
        Id of the Encounter. That it may be read was asked before.

    Returns
    -------
    The visit, and the question by which its photos were decided.

    Raises
    ------
    fhir_mapping.errors.NotFound
        There is no such visit, or it is of no patient.
    """
    known = tuple(protocols)
    encounter = reader.read(connection, "Encounter", visit).json()
    subjects = [each for each in references.local_of(encounter, reader.base, "subject") if each.startswith("Patient/")]
    if not subjects:
        raise NotFound
    patient = references.id_of(subjects[0])
    everyone = group(connection, [patient])
    question = for_one_patient(connection, request, among(connection, photo.c.patient, everyone))
    reference = f"Encounter/{visit}"
    around = Surroundings(connection, reader.base, [reference])
    done = [each for each in treatments(around) if each.took_place and each.session.encounter == reference]
    done = [each for each in done if concerning(known, each.session.title, places_of(each.session))]
    if not done:
        return Visited(visit, patient, (), ()), question
    sessions = [(each, _is_first(connection, reader, each)) for each in done]
    days = max((each.baseline.before for each, _ in _chosen(known, sessions)), default=0)
    start = visit_facts(encounter, reader.site.zone).started
    earlier: set[str] = set()
    if isinstance(start, datetime) and days:
        earlier = _taken_before(connection, everyone, start, days)
    found = seen(
        connection, reader, point, question, everyone,
        documents=earlier, linked={reference, *(each.reference for each in done)},
    )  # fmt: skip
    # What is linked to the session alone was taken for it, whatever visit it names.
    own = {each.reference for each in done}
    photos = tuple(
        replace(each, visit=reference) if f"Procedure/{each.procedure}" in own else each for each in found.shots
    )
    made = Visited(visit, patient, asked_of(known, sessions, photos, reference), photos, found.refused)
    return made, question


def _chosen(known: Sequence[Protocol], sessions: Sequence[tuple[Treated, bool]]) -> list[tuple[Protocol, Treated]]:
    return [
        (protocol, treated)
        for treated, first in sessions
        if first
        for protocol in concerning(known, treated.session.title, places_of(treated.session))
    ]


def _is_first(connection: Connection, reader: RecordReader, treated: Treated) -> bool:
    """Whether a session is the first of its course: by its number, else by the other sessions of its plan."""
    session = treated.session
    if session.number is not None:
        return session.number == 1
    if not session.plans:
        return True  # nothing says that there was one before
    around = Surroundings(connection, reader.base, session.plans[:1])
    plan = plans.read(around.resources.get(session.plans[0], {}), reader.base, around.resources)
    others = [
        each
        for each in treatments(around)
        if each.took_place and (each.reference in plan.done or session.plans[0] in each.session.plans)
    ]
    return all(moments.order(session) <= moments.order(each.session) for each in others)


def _taken_before(connection: Connection, everyone: Iterable[str], start: datetime, days: int) -> set[str]:
    """``DocumentReference/…`` of photos that were taken in the days before a visit, undecided."""
    hers = photo.c.photo.in_(
        select(photo_patient.c.photo).where(among(connection, photo_patient.c.patient, set(everyone)))
    )
    first = start - timedelta(days=days + 1)
    query = (
        select(photo.c.document, photo.c.taken)
        .where(hers, photo.c.document.is_not(None), photo.c.taken >= micros(first), photo.c.taken <= micros(start))
        .order_by(photo.c.taken.desc())
        .limit(_MOST)
    )
    day = start.date()
    zone = start.tzinfo
    return {
        f"DocumentReference/{row.document}"
        for row in connection.execute(query)
        if (day - instant(row.taken).astimezone(zone).date()).days <= days
    }
