"""The record of the database behind the pages. What shows a photo was decided, and recorded before it is returned."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Engine, and_, exists, func, or_, select

from consent.audit.shelf import AuditUnavailable
from consent.codec import photo_from_json
from consent.service import DecisionPoint
from consent.sets import Permitted
from consent.site import Site
from consent.store.clock import instant
from consent.store.engine import reading
from consent.store.load import LINKED
from consent.store.tables import patient as patient_table
from consent.store.tables import photo, photo_facts, photo_patient
from consent.store.versions import group
from consent.store.write import among
from consent.types import Laterality, Obligation, Request
from dicom_bridge.objects.vocabulary import terms
from dicom_bridge.query.tables import dicom_instance
from fhir_mapping import dates, references
from fhir_mapping.search.values import FIRST, LAST, folded, indexed, micros
from fhir_mapping.store.record import RecordStore
from fhir_mapping.tables import fhir_date, fhir_resource, fhir_string, fhir_token
from orthanc_plugin.workspace.record import OTHER, Area, Course, Gallery, Outcome, People, Person, Photo
from orthanc_plugin.workspace.treatments import human_name, region_name, sessions, titles, treatments

_LOG = logging.getLogger(__name__)

#: What these pages can do with a photo: show its pixels, with a watermark where one is owed.
CHART_FULFILS = frozenset({Obligation.WATERMARK})
PUBLISHING_FULFILS = frozenset({Obligation.NO_IDENTIFIERS, Obligation.WATERMARK})

_OUTCOMES = 24  # on one page of the gallery
_WORDS = 8  # of a search; further ones are not looked at
_BETWEEN = " -'"  # what stands between the words of a name: "van der Berg", "Tanaka-Lindqvist", "O'Brien"
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
    dicom_instance.c.attributes,
)


class StoredRecord:
    """Reads FHIR, the photo table and the DICOM index; asks the decision point for every photo."""

    def __init__(
        self, engine: Engine, point: DecisionPoint, site: Callable[[], Site], *, page: int = _OUTCOMES
    ) -> None:
        self._engine = engine
        self._point = point
        self._site = site
        self._page = page

    # --- people -----------------------------------------------------------------------------------------------------

    def search(self, text: str, limit: int) -> People:
        """Patients that match every word; the ones written last where no word is given."""
        if not _could_be(text):
            return People()
        zone = self._site().zone
        merged = select(patient_table.c.patient).where(patient_table.c.survivor != patient_table.c.patient)
        query = select(fhir_resource.c.id).where(fhir_resource.c.type == "Patient", fhir_resource.c.id.not_in(merged))
        for word in _words(text):
            query = query.where(_matches(word, zone))
        with reading(self._engine) as connection:
            ids = list(connection.execute(query.order_by(fhir_resource.c.updated.desc()).limit(limit + 1)).scalars())
            people = self._people(connection, ids[:limit])
        people.sort(key=lambda person: (-(person.last_visit.timestamp() if person.last_visit else 0), person.name))
        return People(tuple(people), len(ids) > limit)

    def person(self, patient: str) -> Person | None:
        """One patient."""
        if not _could_be(patient):
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
        for stored in self._store().read_many(connection, "Patient", ids):
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
        store = self._store()
        with reading(self._engine) as connection:
            everyone = group(connection, [patient])
            shown = select(photo_patient.c.photo).where(among(connection, photo_patient.c.patient, everyone))
            may = self._point.permitted(connection, request, fulfils=CHART_FULFILS)
            rows = self._rows(connection, may, photo.c.photo.in_(shown))
            held = connection.execute(
                select(func.count()).select_from(photo).where(photo.c.photo.in_(shown), photo.c.state == LINKED)
            ).scalar_one()
            photos = self._photos(connection, store, rows)
            done = treatments(connection, store, everyone, self._site().zone)
        if not self._recorded(request, route, photos, held - len(photos), subject=f"Patient/{patient}"):
            photos = []
        return Course(tuple(done), tuple(photos))

    def patients_of(self, key: str) -> Sequence[str]:
        """The patients in whose records a photo is, its subject first; merged records are one."""
        if not _could_be(key):
            return []
        with reading(self._engine) as connection:
            subject = connection.execute(select(photo.c.patient).where(photo.c.document == key)).scalar_one_or_none()
            shown = select(photo_patient.c.patient).join(photo, photo.c.photo == photo_patient.c.photo)
            everyone = group(connection, connection.execute(shown.where(photo.c.document == key)).scalars())
        return [] if subject is None else [subject, *sorted(everyone - {subject})]

    def sop_uid(self, *, key: str | None = None, number: int | None = None) -> str | None:
        """The SOP Instance UID behind a key or a number."""
        if not _could_be(key or ""):
            return None
        condition = photo.c.document == key if key is not None else photo.c.photo == number
        with reading(self._engine) as connection:
            return connection.execute(select(photo.c.sop_uid).where(condition)).scalar_one_or_none()

    # --- what may be published --------------------------------------------------------------------------------------

    def gallery(self, request: Request, route: str, area: str | None, page: int) -> Gallery:
        """One page of outcomes: photos of one patient and area, the newest result first."""
        store = self._store()
        with reading(self._engine) as connection:
            may = self._point.permitted(connection, request, fulfils=PUBLISHING_FULFILS)
            counts = may.counts(photo.c.area)
            wanted = [may.clause(photo.c.photo)]
            if area is not None:
                area = area if _could_be(area) else ""
                wanted.append(photo.c.area.is_(None) if area == OTHER else photo.c.area == area)
            groups = connection.execute(
                select(photo.c.patient, photo.c.area)
                .where(*wanted)
                .group_by(photo.c.patient, photo.c.area)
                .order_by(func.max(photo.c.taken).desc(), photo.c.patient, photo.c.area)
                .limit(self._page + 1)
                .offset((page - 1) * self._page)
            ).all()
            more, groups = len(groups) > self._page, groups[: self._page]
            rows = self._rows(connection, may, _in_groups(groups)) if groups else []
            photos = self._photos(connection, store, rows)
            named = titles(connection, store, [entry.treatment for entry in photos if entry.treatment])
        if not self._recorded(request, route, photos, None, counted=sum(counts.values())):
            return Gallery()
        outcomes = []
        for patient, code in groups:
            own = tuple(entry for entry in photos if entry.patient == patient and entry.area == _area(code))
            title = next((named[entry.treatment] for entry in own if entry.treatment in named), "")
            outcomes.append(Outcome(own, title))
        areas = sorted(((_area(code), count) for code, count in counts.items()), key=lambda entry: entry[0].name)
        return Gallery(tuple(outcomes), tuple(areas), more)

    def companions(self, request: Request, route: str, number: int) -> Sequence[Photo]:
        """The photos of its patient and area that may be published."""
        store = self._store()
        with reading(self._engine) as connection:
            may = self._point.permitted(connection, request, fulfils=PUBLISHING_FULFILS)
            own = connection.execute(
                select(photo.c.patient, photo.c.area).where(photo.c.photo == number, may.clause(photo.c.photo))
            ).all()
            rows = self._rows(connection, may, _in_groups(own)) if own else []
            photos = self._photos(connection, store, rows)
        return photos if self._recorded(request, route, photos, None) else []

    # --- what these share -------------------------------------------------------------------------------------------

    def _store(self) -> RecordStore:
        return RecordStore(self._site())

    def _rows(self, connection: Connection, may: Permitted, *where: ColumnElement[bool]) -> Sequence[Any]:
        return connection.execute(
            select(*_COLUMNS)
            .select_from(photo.join(photo_facts, photo_facts.c.photo == photo.c.photo))
            .outerjoin(dicom_instance, dicom_instance.c.photo == photo.c.photo)
            .where(may.clause(photo.c.photo), *where)
            .order_by(photo.c.taken, photo.c.photo)
        ).all()

    def _photos(self, connection: Connection, store: RecordStore, rows: Sequence[Any]) -> list[Photo]:
        by_procedure = sessions(connection, store, "Procedure", [row.procedure for row in rows if row.procedure])
        alone = [row.document for row in rows if row.document and row.procedure not in by_procedure]
        by_document = sessions(connection, store, "DocumentReference", alone)
        return [
            _photo(row, by_procedure.get(row.procedure or "") or by_document.get(row.document or "")) for row in rows
        ]

    def _recorded(
        self,
        request: Request,
        route: str,
        photos: Collection[Photo],
        refused: int | None,
        **details: object,
    ) -> bool:
        try:
            self._point.record_set(request, route, [entry.number for entry in photos], refused, details=details)
        except AuditUnavailable:
            _LOG.exception("an answer cannot be recorded")
            return False
        return True


def _could_be(text: str) -> bool:
    """Whether anything may be named so: no text of the record holds a NUL, and PostgreSQL fails where one is asked."""
    return "\x00" not in text


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
    """View and expression in words, from View Code Sequence and Acquisition Context Sequence."""
    words = []
    view = _named("view", _coded(_first(attributes, "00540220", dict)))
    if view:
        words.append(view)
    for item in (attributes.get("00400555") or {}).get("Value") or ():
        expression = _named("expression", _coded(_first(item, "0040A168", dict)))
        if expression:
            words.append(expression)
    return ", ".join(words)


def _coded(item: Mapping[str, Any] | None) -> str | None:
    return _first(item, "00080100", str) if item else None


def _named(kind: str, value: str | None) -> str:
    return next((term.name.replace("-", " ") for term in terms(kind) if term.value == value), "") if value else ""


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


def _words(text: str) -> list[str]:
    """The words of a search as people type them (``Berg, Anna``); an accent alone is none."""
    words = (word.strip(",;") for word in text.split())
    return [word for word in words if folded(word)][:_WORDS]


def _matches(word: str, zone: Any) -> ColumnElement[bool]:
    """One word of a search: the beginning of a word of a name, or of an identifier, or a birth date."""
    here, name = fhir_resource.c.id, folded(word)
    conditions = [
        exists().where(
            *_at(fhir_string, here, "name"),
            or_(
                fhir_string.c.value.startswith(name, autoescape=True),
                *(fhir_string.c.value.contains(mark + name, autoescape=True) for mark in _BETWEEN),
            ),
        ),
        exists().where(
            *_at(fhir_token, here, "identifier"),
            or_(*(fhir_token.c.value.startswith(each, autoescape=True)
                  for each in sorted({indexed(word), word.lower(), word.upper()}))),
        ),
    ]  # fmt: skip
    born = _birth(word)
    if born is not None:
        try:
            span = dates.span(born, zone)
        except (ValueError, OverflowError):
            span = None
        if span is not None:
            conditions.append(
                exists().where(
                    *_at(fhir_date, here, "birthdate"),
                    fhir_date.c.start >= micros(span.start, FIRST),
                    fhir_date.c.end <= micros(span.end, LAST),
                )
            )
    return or_(*conditions)


def _at(table: Any, here: Column[str], name: str) -> list[ColumnElement[bool]]:
    return [table.c.type == "Patient", table.c.id == here, table.c.name == name]


def _birth(word: str) -> str | None:
    """A birth date as people type it (``1984``, ``1984-03``, ``12.3.1984``, ``12/03/1984``) as a FHIR date."""
    parts = word.replace(".", "-").replace("/", "-").split("-")
    if not all(part.isascii() and part.isdigit() for part in parts) or len(parts) > 3:
        return None
    if len(parts) == 3 and len(parts[2]) == 4:
        parts.reverse()
    if len(parts[0]) != 4:
        return None
    try:
        year, month, day = (*map(int, parts), 1, 1)[:3]
        return "-".join([f"{year:04d}", f"{month:02d}", f"{day:02d}"][: len(parts)]) if date(year, month, day) else None
    except ValueError:
        return None
