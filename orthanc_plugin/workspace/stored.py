"""The record of the database behind the pages. What shows a photo was decided, and recorded before it is returned."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, and_, func, or_, select

from consent.codec import photo_from_json
from consent.service import DecisionPoint
from consent.sets import Permitted
from consent.store.clock import instant
from consent.store.engine import reading
from consent.store.load import LINKED
from consent.store.tables import patient as patient_table
from consent.store.tables import photo, photo_facts, photo_patient
from consent.store.versions import group
from consent.store.write import among
from consent.types import Laterality, Obligation, Request
from dicom_bridge.depiction import expression_of, view_of
from dicom_bridge.query.tables import dicom_attributes
from fhir_mapping import references
from fhir_mapping.search.values import FIRST
from fhir_mapping.store.reader import RecordReader
from fhir_mapping.tables import fhir_date, fhir_resource
from orthanc_plugin.workspace.finding import could_be, matches, words
from orthanc_plugin.workspace.record import OTHER, Area, Course, Gallery, Outcome, People, Person, Photo
from orthanc_plugin.workspace.treatments import human_name, region_name, sessions, titles, treatments

#: What these pages can do with a photo: show its pixels, with a watermark where one is owed.
CHART_FULFILS = frozenset({Obligation.WATERMARK})
PUBLISHING_FULFILS = frozenset({Obligation.NO_IDENTIFIERS, Obligation.WATERMARK})

_OUTCOMES = 24  # on one page of the gallery
_UNNAMED = Area(OTHER, "Other")
_COLUMNS = (
    photo.c.photo,
    photo.c.document,
    photo.c.patient,
    photo.c.taken,
    photo.c.area,
    photo.c.procedure,
    photo.c.study_uid,
    photo_facts.c.body,
    dicom_attributes.c.attributes,
)


class StoredRecord:
    """Reads FHIR, the photo table and the DICOM index; asks the decision point for every photo."""

    def __init__(self, engine: Engine, point: DecisionPoint, store: RecordReader) -> None:
        self._engine = engine
        self._point = point
        self._store = store

    # --- people -----------------------------------------------------------------------------------------------------

    def search(self, text: str, limit: int) -> People:
        """Patients that match every word; the ones written last where no word is given."""
        if not could_be(text):
            return People()
        zone = self._store.site.zone
        merged = select(patient_table.c.patient).where(patient_table.c.survivor != patient_table.c.patient)
        query = select(fhir_resource.c.id).where(fhir_resource.c.type == "Patient", fhir_resource.c.id.not_in(merged))
        for word in words(text):
            query = query.where(matches(word, zone))
        with reading(self._engine) as connection:
            ids = list(connection.execute(query.order_by(fhir_resource.c.updated.desc()).limit(limit + 1)).scalars())
            people = self._people(connection, ids[:limit])
        people.sort(key=lambda person: (-(person.last_visit.timestamp() if person.last_visit else 0), person.name))
        return People(tuple(people), len(ids) > limit)

    def person(self, patient: str) -> Person | None:
        """One patient."""
        if not could_be(patient):
            return None
        with reading(self._engine) as connection:
            found = self._people(connection, [patient])
        return found[0] if found else None

    def _people(self, connection: Connection, ids: Sequence[str]) -> list[Person]:
        if not ids:
            return []
        rows = connection.execute(
            select(fhir_resource.c.patient, func.max(fhir_date.c.start))
            .join(fhir_date, and_(fhir_date.c.type == fhir_resource.c.type, fhir_date.c.id == fhir_resource.c.id))
            .where(
                fhir_resource.c.type.in_(("Encounter", "Procedure")),
                among(connection, fhir_resource.c.patient, set(ids)),
                fhir_date.c.name == "date",
                fhir_date.c.start > FIRST,
            )
            .group_by(fhir_resource.c.patient)
        )
        visits = {row[0]: row[1] for row in rows}
        made = []
        for stored in self._store.read_many(connection, "Patient", ids):
            resource = stored.json()
            made.append(
                Person(
                    id=stored.id,
                    name=human_name(resource) or "Name not recorded",
                    birth=resource.get("birthDate") if isinstance(resource.get("birthDate"), str) else None,
                    identifiers=tuple(
                        str(entry["value"]) for entry in resource.get("identifier") or () if entry.get("value")
                    )[:3],
                    last_visit=instant(visits[stored.id]) if stored.id in visits else None,
                )
            )
        return made

    # --- a course ---------------------------------------------------------------------------------------------------

    def course(self, request: Request, patient: str, route: str) -> Course:
        """Her treatments, and her photos that this request may see."""
        with reading(self._engine) as connection:
            everyone = group(connection, [patient])
            shown = select(photo_patient.c.photo).where(among(connection, photo_patient.c.patient, everyone))
            may = self._point.permitted(connection, request, fulfils=CHART_FULFILS)
            rows = self._rows(connection, may, photo.c.photo.in_(shown))
            held = connection.execute(
                select(func.count()).select_from(photo).where(photo.c.photo.in_(shown), photo.c.state == LINKED)
            ).scalar_one()
            photos = self._photos(connection, rows)
            done = treatments(connection, self._store, everyone, self._store.site.zone)
        self._record(request, route, photos, held - len(photos), subject=f"Patient/{patient}")
        return Course(tuple(done), tuple(photos))

    def patients_of(self, key: str) -> Sequence[str]:
        """The patients in whose records a photo is, its subject first; merged records are one."""
        if not could_be(key):
            return []
        with reading(self._engine) as connection:
            subject = connection.execute(select(photo.c.patient).where(photo.c.document == key)).scalar_one_or_none()
            shown = select(photo_patient.c.patient).join(photo, photo.c.photo == photo_patient.c.photo)
            everyone = group(connection, connection.execute(shown.where(photo.c.document == key)).scalars())
        return [] if subject is None else [subject, *sorted(everyone - {subject})]

    def sop_uid(self, *, key: str | None = None, number: int | None = None) -> str | None:
        """The SOP Instance UID behind a key or a number."""
        if not could_be(key or ""):
            return None
        condition = photo.c.document == key if key is not None else photo.c.photo == number
        with reading(self._engine) as connection:
            return connection.execute(select(photo.c.sop_uid).where(condition)).scalar_one_or_none()

    # --- what may be published --------------------------------------------------------------------------------------

    def gallery(self, request: Request, route: str, area: str | None, page: int) -> Gallery:
        """One page of outcomes: photos of one patient and area, the newest result first."""
        with reading(self._engine) as connection:
            may = self._point.permitted(connection, request, fulfils=PUBLISHING_FULFILS)
            counts = may.counts(photo.c.area)
            wanted = [may.clause(photo.c.photo)]
            if area is not None:
                area = area if could_be(area) else ""
                wanted.append(photo.c.area.is_(None) if area == OTHER else photo.c.area == area)
            groups = connection.execute(
                select(photo.c.patient, photo.c.area)
                .where(*wanted)
                .group_by(photo.c.patient, photo.c.area)
                .order_by(func.max(photo.c.taken).desc(), photo.c.patient, photo.c.area)
                .limit(_OUTCOMES + 1)
                .offset((page - 1) * _OUTCOMES)
            ).all()
            more, groups = len(groups) > _OUTCOMES, groups[:_OUTCOMES]
            rows = self._rows(connection, may, _in_groups(groups)) if groups else []
            photos = self._photos(connection, rows)
            named = titles(connection, self._store, [entry.treatment for entry in photos if entry.treatment])
        self._record(request, route, photos, None, counted=sum(counts.values()))
        outcomes = []
        for patient, code in groups:
            own = tuple(entry for entry in photos if entry.patient == patient and entry.area == _area(code))
            title = next(filter(None, (named.get(entry.treatment or "") for entry in own)), "")
            outcomes.append(Outcome(own, title))
        areas = sorted(((_area(code), count) for code, count in counts.items()), key=lambda entry: entry[0].name)
        return Gallery(tuple(outcomes), tuple(areas), more)

    def companions(self, request: Request, route: str, number: int) -> Sequence[Photo]:
        """The photos of its patient and area that may be published."""
        with reading(self._engine) as connection:
            may = self._point.permitted(connection, request, fulfils=PUBLISHING_FULFILS)
            own = connection.execute(
                select(photo.c.patient, photo.c.area).where(photo.c.photo == number, may.clause(photo.c.photo))
            ).all()
            rows = self._rows(connection, may, _in_groups(own)) if own else []
            photos = self._photos(connection, rows)
        self._record(request, route, photos, None)
        return photos

    # --- what these share -------------------------------------------------------------------------------------------

    def _rows(self, connection: Connection, may: Permitted, *where: ColumnElement[bool]) -> Sequence[Any]:
        return connection.execute(
            select(*_COLUMNS)
            .select_from(photo.join(photo_facts, photo_facts.c.photo == photo.c.photo))
            .outerjoin(dicom_attributes, dicom_attributes.c.photo == photo.c.photo)
            .where(may.clause(photo.c.photo), *where)
            .order_by(photo.c.taken, photo.c.photo)
        ).all()

    def _photos(self, connection: Connection, rows: Sequence[Any]) -> list[Photo]:
        by_procedure = sessions(connection, self._store, "Procedure", [row.procedure for row in rows if row.procedure])
        alone = [row.document for row in rows if row.document and row.procedure not in by_procedure]
        by_document = sessions(connection, self._store, "DocumentReference", alone)
        return [
            _photo(row, by_procedure.get(row.procedure or "") or by_document.get(row.document or "")) for row in rows
        ]

    def _record(
        self, request: Request, route: str, photos: Collection[Photo], refused: int | None, **details: object
    ) -> None:
        """Before anything of it leaves. Raises :class:`consent.audit.shelf.AuditUnavailable`: then nothing leaves."""
        self._point.record_set(request, route, [entry.number for entry in photos], refused, details=details)


def _photo(row: Any, session: int | None) -> Photo:
    facts = photo_from_json(row.body)
    attributes = json.loads(row.attributes) if row.attributes else {}
    side = facts.regions[0].laterality if facts.regions else Laterality.BOTH
    return Photo(
        number=row.photo,
        key=row.document or "",
        patient=row.patient,
        at=instant(row.taken) if row.taken is not None else None,
        area=_area(row.area),
        side="" if side is Laterality.BOTH else side.value,
        view=_view(attributes),
        session=session,
        treatment=row.procedure,
        visit=references.id_of(facts.encounter) if facts.encounter else None,
        study=row.study_uid,
        width=_first(attributes, "00280011", int) or 0,
        height=_first(attributes, "00280010", int) or 0,
    )


def _area(code: str | None) -> Area:
    return Area(code, region_name(code)) if code else _UNNAMED


def _view(attributes: Mapping[str, Any]) -> str:
    """View and expression in words."""
    stated = (view_of(attributes), expression_of(attributes))
    return ", ".join(term.name.replace("-", " ") for term in stated if term is not None)


def _first(attributes: Mapping[str, Any], tag: str, kind: type[Any]) -> Any:
    values = (attributes.get(tag) or {}).get("Value") or [None]
    return values[0] if isinstance(values[0], kind) else None


def _in_groups(groups: Sequence[Any]) -> ColumnElement[bool]:
    return or_(
        *(
            and_(photo.c.patient == patient, photo.c.area.is_(None) if code is None else photo.c.area == code)
            for patient, code in groups
        )
    )
