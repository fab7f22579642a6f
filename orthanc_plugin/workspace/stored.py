"""The record of the database behind the pages. What shows a photo was decided, and recorded before it is returned."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Engine, and_, func, or_, select

from consent.codec import photo_from_json
from consent.service import DecisionPoint
from consent.sets import Permitted
from consent.store.clock import instant, now
from consent.store.engine import reading
from consent.store.tables import patient as patient_table
from consent.store.tables import photo, photo_facts, photo_patient
from consent.store.versions import group
from consent.store.write import among
from consent.types import Laterality, Obligation, Request
from dicom_bridge.compare.conditions import Conditions
from dicom_bridge.compare.prepared import THUMBNAIL
from dicom_bridge.compare.reading import conditions
from dicom_bridge.depiction import expression_of, view_of
from dicom_bridge.publish.exporting import FULFILS as PUBLISHING_FULFILS
from dicom_bridge.query.tables import dicom_attributes
from dicom_bridge.tables import rendition
from fhir_mapping import references
from fhir_mapping.course.upcoming import Upcoming, upcoming
from fhir_mapping.projections.written import Setting
from fhir_mapping.question.answer import Found, Portion
from fhir_mapping.question.asking import ask, in_turn
from fhir_mapping.question.cases import of_case
from fhir_mapping.question.page import Place
from fhir_mapping.question.question import Question
from fhir_mapping.search.values import FIRST
from fhir_mapping.store.reader import RecordReader
from fhir_mapping.tables import fhir_date, fhir_resource
from fhir_mapping.treatment.people import person_name
from orthanc_plugin.workspace.filters import CHART_FACETS, GALLERY_FACETS, values_by_name
from orthanc_plugin.workspace.finding import could_be, matches, words
from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.language import noted
from orthanc_plugin.workspace.naming import known_region, names_of
from orthanc_plugin.workspace.record import (
    OTHER,
    Answer,
    Area,
    Course,
    Gallery,
    Outcome,
    People,
    Person,
    Photo,
)
from orthanc_plugin.workspace.treatments import area_of, sessions, titles, treatments

#: What these pages can do with a photo: show its pixels, with a watermark where one is owed.
CHART_FULFILS = frozenset({Obligation.WATERMARK})

_OUTCOMES = 24  # on one page of the gallery
_PHOTOS = 3000  # of one course, or of one outcome
_KEPT = 4
_THUMBNAILS = 60  # of a page; photos after these bring theirs when they come into the window
_UNNAMED = Area(OTHER, noted("Other"))
_COLUMNS = (
    photo.c.photo,
    photo.c.document,
    photo.c.patient,
    photo.c.taken,
    photo.c.area,
    photo.c.procedure,
    photo.c.study_uid,
    photo.c.series_uid,
    photo_facts.c.body,
    dicom_attributes.c.attributes,
    rendition.c.jpeg,
)


class StoredRecord:
    """Reads FHIR, the photo table and the DICOM index; asks the decision point for every photo."""

    def __init__(self, engine: Engine, point: DecisionPoint, store: RecordReader) -> None:
        self._engine = engine
        self._point = point
        self._store = store
        self._setting = Setting(store.site, store.base)

    # --- people -----------------------------------------------------------------------------------------------------

    def search(self, text: str, limit: int) -> People:
        """Patients of whom one record matches every word; the ones written last where no word is given."""
        if not could_be(text):
            return People()
        zone = self._store.site.zone
        merged = select(patient_table.c.patient).where(patient_table.c.merged_into.is_not(None))
        query = select(fhir_resource.c.id).where(fhir_resource.c.type == "Patient", fhir_resource.c.id.not_in(merged))
        typed = words(text)
        if typed:  # a merged record leads to the one that it was merged into
            own = and_(*(matches(word, zone, fhir_resource.c.id) for word in typed))
            former = patient_table.alias()
            led = select(former.c.survivor).where(
                former.c.merged_into.is_not(None), *(matches(word, zone, former.c.patient) for word in typed)
            )
            query = query.where(or_(own, fhir_resource.c.id.in_(led)))
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

    def persons(self, patients: Sequence[str]) -> Sequence[Person]:
        """Several patients."""
        with reading(self._engine) as connection:
            return self._people(connection, patients)

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
                    name=person_name(resource) or _("Name not recorded"),
                    birth=resource.get("birthDate") if isinstance(resource.get("birthDate"), str) else None,
                    identifiers=tuple(
                        str(entry["value"]) for entry in resource.get("identifier") or () if entry.get("value")
                    )[:3],
                    last_visit=instant(visits[stored.id]) if stored.id in visits else None,
                )
            )
        return made

    # --- a course ---------------------------------------------------------------------------------------------------

    def course(
        self,
        request: Request,
        patient: str,
        question: Question,
        route: str,
        kept: Sequence[str] = (),
        *,
        at_hand: str | None = None,
        thumbnails: bool = False,
    ) -> Course:
        """Her treatments, and those of her photos that are asked for and that this request may see."""
        hers = replace(question, patient=frozenset({patient}))
        portion = Portion(_PHOTOS, None, CHART_FACETS)

        def read(connection: Connection) -> Course:
            found = self._ask(connection, request, hers, portion, route, CHART_FULFILS)
            photos = self._photos(connection, found.numbers, found.may if thumbnails else None)
            missing = {each for each in kept if could_be(each)} - {entry.key for entry in photos}
            also: list[Photo] = []
            if missing:
                named = select(photo.c.photo).where(among(connection, photo.c.document, missing))
                numbers = connection.execute(named).scalars().all()
                alone = Question(patient=hers.patient)
                chosen = self._ask(connection, request, alone, Portion(_KEPT), route, CHART_FULFILS, of=numbers)
                also = self._photos(connection, chosen.numbers)
            everyone = group(connection, [patient])
            done = treatments(connection, self._store, everyone, self._store.site.zone)
            answer = self._answer(connection, found, typed=True)
            coming = None if at_hand is None else self._upcoming(connection, request, patient, at_hand, found)
            return Course(tuple(done), tuple(photos), answer, tuple(also), found.following is not None, coming)

        return in_turn(self._engine, self._setting, read)

    def _upcoming(self, connection: Connection, request: Request, patient: str, route: str, found: Found) -> Upcoming:
        return upcoming(
            self._point, connection, self._store, request, patient, now(connection),
            brief=True, may=found.may, route=route,
        )  # fmt: skip

    def patients_of(self, key: str) -> Sequence[str]:
        """The patients in whose records a photo is, its subject first; merged records are one."""
        if not could_be(key):
            return []
        with reading(self._engine) as connection:
            subject = connection.execute(select(photo.c.patient).where(photo.c.document == key)).scalar_one_or_none()
            shown = select(photo_patient.c.patient).join(photo, photo.c.photo == photo_patient.c.photo)
            everyone = group(connection, connection.execute(shown.where(photo.c.document == key)).scalars())
        return [] if subject is None else [subject, *sorted(everyone - {subject})]

    def conditions(self, request: Request, numbers: Sequence[int]) -> Mapping[int, Conditions]:
        """How photos that the request was permitted were taken."""
        with reading(self._engine) as connection:
            return conditions(connection, self._store, self._point, request, numbers, fulfils=CHART_FULFILS)

    def alone(self, patient: str, keys: Sequence[str]) -> frozenset[str]:
        """Those of the photos that show the patient and nobody else; merged records are one person."""
        with reading(self._engine) as connection:
            hers = group(connection, [patient])
            shown = select(photo.c.document, photo_patient.c.patient)
            rows = connection.execute(
                shown.join(photo_patient, photo_patient.c.photo == photo.c.photo).where(
                    among(connection, photo.c.document, {key for key in keys if could_be(key)})
                )
            ).all()
        others = {row.document for row in rows if row.patient not in hers}
        return frozenset(row.document for row in rows) - others

    def exported(self, request: Request, numbers: Sequence[int], route: str, told: Mapping[str, str]) -> None:
        """Record that photos leave as one file."""
        self._point.record_set(request, route, numbers, 0, details=told)

    def sop_uid(self, *, key: str | None = None, number: int | None = None) -> str | None:
        """The SOP Instance UID behind a key or a number."""
        if not could_be(key or ""):
            return None
        condition = photo.c.document == key if key is not None else photo.c.photo == number
        with reading(self._engine) as connection:
            return connection.execute(select(photo.c.sop_uid).where(condition)).scalar_one_or_none()

    # --- what may be published --------------------------------------------------------------------------------------

    def gallery(self, request: Request, route: str, question: Question, after: int | None) -> Gallery:
        """One page of outcomes: photos of one patient and area, the newest result first."""

        def read(connection: Connection) -> Gallery:
            portion = Portion(_OUTCOMES, place_of(connection, after), GALLERY_FACETS, cases=True)
            found = self._ask(connection, request, question, portion, route, PUBLISHING_FULFILS)
            photos = {entry.number: unnamed(entry) for entry in self._photos(connection, found.numbers)}
            named = titles(connection, self._store, [each.treatment for each in photos.values() if each.treatment])
            outcomes = []
            for case in found.cases:
                own = tuple(photos[number] for number in case)
                outcomes.append(Outcome(own, next(filter(None, (named.get(each.treatment or "") for each in own)), "")))
            following = found.cases[-1][-1] if found.cases and found.following is not None else None
            return Gallery(tuple(outcomes), self._answer(connection, found, typed=False), following)

        return in_turn(self._engine, self._setting, read)

    def companions(self, request: Request, route: str, number: int) -> Sequence[Photo]:
        """The photos of its patient and area that may be published; none where it may not."""

        def read(connection: Connection) -> Sequence[Photo]:
            case = of_case(connection, number)
            found = self._ask(
                connection, request, Question(), Portion(_PHOTOS), route, PUBLISHING_FULFILS, of={number, *case}
            )
            photos = [unnamed(entry) for entry in self._photos(connection, found.numbers)]
            return photos if number in found.numbers else []

        return in_turn(self._engine, self._setting, read)

    # --- what these share -------------------------------------------------------------------------------------------

    def _ask(
        self,
        connection: Connection,
        request: Request,
        question: Question,
        portion: Portion,
        route: str,
        fulfils: frozenset[Obligation],
        of: Collection[int] | None = None,
    ) -> Found:
        """Recorded before anything of it leaves."""
        point = self._point
        return ask(point, connection, self._setting, request, question, portion, route=route, fulfils=fulfils, of=of)

    def _answer(self, connection: Connection, found: Found, *, typed: bool) -> Answer:
        values = {
            facet: values_by_name(counts, names_of(connection, self._store, facet, counts, typed=typed))
            for facet, counts in found.counts.items()
            if counts is not None
        }
        return Answer(found.total, found.whole, values)

    def _photos(self, connection: Connection, numbers: Sequence[int], may: Permitted | None = None) -> list[Photo]:
        """Photos that a question has found, the oldest first.

        Parameters
        ----------
        may
            What the question was answered by. Where it is given and no watermark is owed, the first photos bring their
            thumbnails: their pixels are as much part of the answer as their dates.
        """
        if not numbers:
            return []
        bare = may is not None and Obligation.WATERMARK not in may.obligations
        small = and_(
            rendition.c.photo == photo.c.photo,
            rendition.c.orthanc_id == photo.c.orthanc_id,
            rendition.c.width == THUMBNAIL,
            among(connection, photo.c.photo, numbers[: _THUMBNAILS if bare else 0]),
        )
        rows = connection.execute(
            select(*_COLUMNS)
            .select_from(photo.join(photo_facts, photo_facts.c.photo == photo.c.photo))
            .outerjoin(dicom_attributes, dicom_attributes.c.photo == photo.c.photo)
            .outerjoin(rendition, small)
            .where(among(connection, photo.c.photo, numbers))
            .order_by(photo.c.taken, photo.c.photo)
        ).all()
        by_procedure = sessions(connection, self._store, "Procedure", [row.procedure for row in rows if row.procedure])
        alone = [row.document for row in rows if row.document and row.procedure not in by_procedure]
        by_document = sessions(connection, self._store, "DocumentReference", alone)
        return [
            _photo(row, by_procedure.get(row.procedure or "") or by_document.get(row.document or "")) for row in rows
        ]


def place_of(connection: Connection, number: int | None) -> Place | None:
    """Where a photo stands among the others."""
    query = select(photo.c.taken, photo.c.document).where(photo.c.photo == number)
    row = None if number is None else connection.execute(query).one_or_none()
    return None if row is None or row.document is None else Place(row.taken, row.document)


def unnamed(entry: Photo) -> Photo:
    """A photo as publishing shows it: a region that is not of the tree could be called anything."""
    return entry if known_region(entry.area.code) else replace(entry, area=_UNNAMED)


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
        series_uid=row.series_uid,
        width=_first(attributes, "00280011", int) or 0,
        height=_first(attributes, "00280010", int) or 0,
        thumbnail=row.jpeg or b"",
    )


def _area(code: str | None) -> Area:
    return area_of(code) if code else _UNNAMED


def _view(attributes: Mapping[str, Any]) -> str:
    """View and expression in words."""
    stated = (view_of(attributes), expression_of(attributes))
    return ", ".join(term.name.replace("-", " ") for term in stated if term is not None)


def _first(attributes: Mapping[str, Any], tag: str, kind: type[Any]) -> Any:
    values = (attributes.get(tag) or {}).get("Value") or [None]
    return values[0] if isinstance(values[0], kind) else None
