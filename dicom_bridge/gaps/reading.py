"""What the record holds of some patients that gaps are found in, in a number of statements that is fixed.

Photos are those that the request may see. One that is refused is as if it had never been taken: it meets nothing, so
that the answer is the one that a record without it would give, and nothing told of it can be told from its absence.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, and_, select

from consent.sets import Permitted
from consent.store.clock import instant
from consent.store.tables import patient, photo, photo_patient
from consent.store.versions import group
from consent.store.write import among
from dicom_bridge.gaps.excuses import Closing, missing
from dicom_bridge.gaps.gap import Kind
from dicom_bridge.gaps.timeline import Photo, Treatment
from dicom_bridge.protocols import closing
from dicom_bridge.protocols.wanted import places_of
from dicom_bridge.query.matching import entry_of
from dicom_bridge.query.tables import dicom_attributes
from fhir_mapping import references
from fhir_mapping.course import plan as plans
from fhir_mapping.course.plan import OPEN, Plan
from fhir_mapping.course.views import view_of
from fhir_mapping.outcome.outcome import is_outcome
from fhir_mapping.resources import appraisal
from fhir_mapping.resources.appraisal import Aspect, Finding
from fhir_mapping.resources.people import visit_facts
from fhir_mapping.store.reader import RecordReader
from fhir_mapping.tables import fhir_date, fhir_resource, fhir_token
from fhir_mapping.treatment import moments
from fhir_mapping.treatment.read import Treated, treatments
from fhir_mapping.treatment.surroundings import Surroundings

TREATMENTS = 3_000
PHOTOS = 20_000
PLANS = 1_000
_POINTING = 60_000
_MAKER, _MODEL = "00080070", "00081090"

#: What a photo is judged by, and what it is that differs.
_ASPECTS: Mapping[Aspect, Kind] = {
    Aspect.EXPRESSION: Kind.EXPRESSION,
    Aspect.SCALE: Kind.DISTANCE,
    Aspect.DISTANCE: Kind.DISTANCE,
    Aspect.EXPOSURE: Kind.LIGHT,
    Aspect.WHITE_BALANCE: Kind.LIGHT,
    Aspect.LIGHT_DIRECTION: Kind.LIGHT,
    Aspect.FLASH: Kind.LIGHT,
}


@dataclass(frozen=True, slots=True)
class Records:
    """What is on record of one person, under all her records."""

    patient: str
    """Id of the record that was asked about."""

    treatments: tuple[Treatment, ...] = ()
    photos: tuple[Photo, ...] = ()
    plans: tuple[Plan, ...] = ()
    """Open ones."""

    closings: tuple[Closing, ...] = ()
    """Photos that were missing, for a reason, when visits were closed."""

    going_on: frozenset[str] = frozenset()
    """``CarePlan/…`` that want more sessions than were done."""


@dataclass(frozen=True, slots=True)
class Read:
    """The answer."""

    records: tuple[Records, ...]
    """In the order asked."""

    refused: int = 0
    """Photos of theirs that the request may not see."""

    more: bool = False
    """Whether there is more on record than was read."""


def read(connection: Connection, reader: RecordReader, may: Permitted, patients: Sequence[str]) -> Read:
    """Read treatments, plans and permitted photos of the patients.

    Parameters
    ----------
    may
        What the request may see (:meth:`consent.service.DecisionPoint.permitted`); its answer is recorded by whoever
        asks before anything leaves.
    """
    by_record = persons(connection, patients)
    everyone = set(by_record)
    done, more = _treated(connection, reader, everyone)
    open_plans = _plans(connection, reader, everyone)
    closings = _closings(connection, reader, everyone)
    shown, of_photo, cut = _photos(connection, reader, may, everyone)
    refused = len(
        connection.execute(
            select(photo.c.photo).where(_theirs(connection, everyone), may.refused(photo.c.photo)).limit(PHOTOS)
        ).all()
    )
    zone = reader.site.zone
    by_person: dict[str, list[Treatment]] = {}
    for each in done:
        begun = moments.begun(each.session, zone)
        who = by_record.get(each.session.patient)
        if who is None or begun is None:
            continue
        by_person.setdefault(who, []).append(_treatment(each, who, begun.astimezone(zone).date()))
    counted = {plan: sum(each.plan == plan for some in by_person.values() for each in some) for plan in
               (each.reference for each in open_plans)}  # fmt: skip
    made = []
    for asked in patients:
        who = by_record.get(asked, asked)
        hers = tuple(one for one in open_plans if by_record.get(one.patient) == who)
        made.append(
            Records(
                asked,
                tuple(by_person.get(who, ())),
                tuple(one for one in shown if who in of_photo[one.number]),
                hers,
                tuple(each for whose, each in closings if by_record.get(whose) == who),
                frozenset(
                    str(one.reference) for one in hers
                    if one.sessions is not None and counted[one.reference] < one.sessions
                ),
            )
        )  # fmt: skip
    return Read(tuple(made), refused, more or cut)


def persons(connection: Connection, patients: Collection[str]) -> dict[str, str]:
    """Record -> the record that stands for its person."""
    everyone = group(connection, patients)
    rows = connection.execute(
        select(patient.c.patient, patient.c.survivor).where(among(connection, patient.c.patient, everyone))
    )
    return {each: each for each in everyone} | {row.patient: row.survivor for row in rows}


def _treated(connection: Connection, reader: RecordReader, everyone: Collection[str]) -> tuple[list[Treated], bool]:
    dated = and_(
        fhir_date.c.type == fhir_resource.c.type, fhir_date.c.id == fhir_resource.c.id, fhir_date.c.name == "date"
    )
    query = (
        select(fhir_resource.c.id)
        .outerjoin(fhir_date, dated)
        .where(fhir_resource.c.type == "Procedure", among(connection, fhir_resource.c.patient, everyone))
        .order_by(fhir_date.c.start.desc().nulls_last(), fhir_resource.c.id)
        .limit(TREATMENTS + 1)
    )
    ids = list(dict.fromkeys(connection.execute(query).scalars()))
    anchors = [f"Procedure/{each}" for each in ids[:TREATMENTS]]
    around = Surroundings(connection, reader.base, anchors, most=_POINTING)
    found = [each for each in treatments(around, others=is_outcome) if each.took_place]
    return [each for each in found if each.reference.startswith("Procedure/")], around.more or len(ids) > TREATMENTS


def _treatment(done: Treated, person: str, day: date) -> Treatment:
    session = done.session
    return Treatment(
        reference=done.reference,
        patient=person,
        day=day,
        title=session.title,
        places=places_of(session),
        plan=session.plans[0] if session.plans else None,
        visit=session.encounter,
    )


def _plans(connection: Connection, reader: RecordReader, everyone: Collection[str]) -> tuple[Plan, ...]:
    query = (
        select(fhir_resource.c.id)
        .where(
            fhir_resource.c.type == "CarePlan",
            among(connection, fhir_resource.c.patient, everyone),
            fhir_resource.c.status.in_(sorted(OPEN)),
        )
        .order_by(fhir_resource.c.updated.desc(), fhir_resource.c.id)
        .limit(PLANS)
    )
    found = reader.read_many(connection, "CarePlan", list(connection.execute(query).scalars()))
    return tuple(plans.read(each.json(), reader.base) for each in found)


def _closings(connection: Connection, reader: RecordReader, everyone: Collection[str]) -> list[tuple[str, Closing]]:
    """What was missing when visits were closed, each with the patient's record."""
    found = _observations(connection, reader, everyone, closing.SYSTEM, "closed")
    visits = {
        visit
        for each in found
        for visit in references.local_of(each, reader.base, "encounter")
        if visit.startswith("Encounter/")
    }
    zone = reader.site.zone
    days: dict[str, date] = {}
    for stored in reader.read_many(connection, "Encounter", [references.id_of(each) for each in sorted(visits)]):
        started = visit_facts(stored.json(), zone).started
        if started is not None:
            days[stored.reference] = started.date() if isinstance(started, datetime) else started
    made = []
    for each in found:
        visit = next(iter(references.local_of(each, reader.base, "encounter")), "")
        subject = next(iter(references.local_of(each, reader.base, "subject")), "")
        if visit in days:
            made += [(references.id_of(subject), Closing(days[visit], *said)) for said in missing(each)]
    return made


def _observations(
    connection: Connection, reader: RecordReader, everyone: Collection[str], system: str, code: str
) -> list[dict[str, Any]]:
    """The patients' Observations with a code of ours."""
    query = (
        select(fhir_resource.c.id)
        .join(fhir_token, and_(fhir_token.c.type == fhir_resource.c.type, fhir_token.c.id == fhir_resource.c.id))
        .where(
            fhir_resource.c.type == "Observation",
            among(connection, fhir_resource.c.patient, everyone),
            fhir_token.c.name == "code",
            fhir_token.c.system == system,
            fhir_token.c.value == code,
        )
        .limit(PHOTOS)
    )
    stored = reader.read_many(connection, "Observation", list(connection.execute(query).scalars()))
    return [body for each in stored if (body := each.json()).get("status") != "entered-in-error"]


def _theirs(connection: Connection, everyone: Collection[str]) -> Any:
    shown = select(photo_patient.c.photo).where(among(connection, photo_patient.c.patient, everyone))
    return photo.c.photo.in_(shown)


def _photos(
    connection: Connection, reader: RecordReader, may: Permitted, everyone: Collection[str]
) -> tuple[list[Photo], dict[int, set[str]], bool]:
    """Permitted photos, in order of time; the persons whom each shows; whether there are more."""
    maker, model = (entry_of(connection.dialect.name, tag) for tag in (_MAKER, _MODEL))
    rows = connection.execute(
        select(photo.c.photo, photo.c.document, photo.c.taken, maker.label("maker"), model.label("model"))
        .select_from(photo.outerjoin(dicom_attributes, dicom_attributes.c.photo == photo.c.photo))
        .where(_theirs(connection, everyone), may.clause(photo.c.photo), photo.c.document.is_not(None))
        .order_by(photo.c.taken.desc().nulls_last(), photo.c.photo)
        .limit(PHOTOS + 1)
    ).all()
    kept = rows[:PHOTOS]
    documents = reader.read_many(connection, "DocumentReference", [row.document for row in kept])
    bodies = {each.id: body for each in documents if (body := each.json()).get("status") != "entered-in-error"}
    differs = _judged(connection, reader, everyone, {f"DocumentReference/{each}" for each in bodies})
    numbers = {row.photo for row in kept}
    by_record = persons(connection, everyone)
    of_photo: dict[int, set[str]] = {}
    links = select(photo_patient.c.photo, photo_patient.c.patient).where(
        among(connection, photo_patient.c.photo, numbers), among(connection, photo_patient.c.patient, everyone)
    )
    for row in connection.execute(links):
        of_photo.setdefault(row.photo, set()).add(by_record[row.patient])
    zone = reader.site.zone
    made = [
        Photo(
            number=row.photo,
            day=None if row.taken is None else instant(row.taken).astimezone(zone).date(),
            view=view_of(bodies[row.document]),
            device=" ".join(filter(None, (_value(row.maker), _value(row.model)))),
            differs=differs.get(f"DocumentReference/{row.document}", frozenset()),
        )
        for row in reversed(kept)
        if row.document in bodies
    ]
    return made, of_photo, len(rows) > PHOTOS


def _judged(
    connection: Connection, reader: RecordReader, everyone: Collection[str], visible: Collection[str]
) -> dict[str, frozenset[Kind]]:
    """In what photos differ from those that they were held against, where both may be seen."""
    made: dict[str, frozenset[Kind]] = {}
    for resource in _observations(connection, reader, everyone, appraisal.SYSTEM, appraisal.PHOTOGRAPH):
        found = appraisal.read(resource, reader.base)
        if found is None or found.photo not in visible:
            continue
        if found.reference is not None and found.reference not in visible:
            continue
        made[found.photo] = frozenset(
            _ASPECTS[each.aspect]
            for each in found.verdicts
            if each.finding is Finding.DIFFERS and each.aspect in _ASPECTS
        )
    return made


def _value(entry: str | None) -> str:
    """The first value of an attribute in the DICOM JSON Model."""
    values: Sequence[Any] = (json.loads(entry) or {}).get("Value") or () if entry else ()
    return str(values[0]).strip() if values and values[0] is not None else ""
