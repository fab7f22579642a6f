"""A photo becomes part of the record: DocumentReference, ImagingStudy, Provenance, index, its own row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from consent.facts import PhotoFacts
from consent.regions import BodyRegion
from consent.store import clock, jobs, photos
from consent.store.photos import PhotoRow, PhotoState
from consent.types import Laterality
from consent.wording import worded
from dicom_bridge.brought import RecordRefused
from dicom_bridge.depiction import expression_of, region_of, side_of, taken_of, view_of
from dicom_bridge.gaps.requests import shot_of
from dicom_bridge.gaps.worklist import codes_in
from dicom_bridge.held import Held
from dicom_bridge.ledger import Entry
from dicom_bridge.objects import fitting
from dicom_bridge.objects.photo import VL_PHOTOGRAPHIC
from dicom_bridge.objects.uids import fhir_id
from dicom_bridge.objects.vocabulary import Term, find_expression, find_region, find_view
from dicom_bridge.placing import Place, Waits, place_of
from dicom_bridge.plan import Plan
from dicom_bridge.protocols.closing import reopen
from dicom_bridge.protocols.protocol import Protocol, Shot
from dicom_bridge.protocols.reading import all_protocols
from dicom_bridge.query.classes import ENCAPSULATED_PDF
from dicom_bridge.query.index import save_instances, text_of
from dicom_bridge.treatment import Link
from fhir_mapping import references
from fhir_mapping.errors import NotFound
from fhir_mapping.projections.photo import all_facts, area_of, procedure_of
from fhir_mapping.projections.written import Setting
from fhir_mapping.resources.document_reference import (
    Concept,
    PhotoDocument,
    document_reference,
)
from fhir_mapping.resources.imaging_study import StudyInstance, with_instances
from fhir_mapping.resources.people import VisitFacts
from fhir_mapping.resources.provenance import provenance
from fhir_mapping.store.kinds import SOURCE
from fhir_mapping.store.reader import existing
from fhir_mapping.store.record import Made, RecordStore

_PERFORMED, _REQUESTS, _SCHEDULED = "00400260", "00400275", "00400008"
"""Performed Protocol Code Sequence; Request Attributes Sequence, with Scheduled Protocol Code Sequence in it."""

_SOP_CLASS, _SERIES_DESCRIPTION, _INSTANCE_NUMBER, _MODALITY = "00080016", "0008103E", "00200013", "00080060"


@dataclass(frozen=True, slots=True)
class Fresh:
    """A photo that is about to become part of the record."""

    entry: Entry
    taken: str | None
    """FHIR dateTime."""

    attributes: Mapping[str, Any]
    """DICOM JSON Model."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What is written of one photo."""

    document: PhotoDocument
    instance: StudyInstance
    held: Held
    photographer: str | None
    view: str | None


class Linker:
    """Writes what a photo means into the record, on the connection that it is given."""

    def __init__(
        self, store: RecordStore, public_url: str, protocols: Callable[[], Iterable[Protocol]] = all_protocols
    ) -> None:
        """Put a linker together.

        Parameters
        ----------
        public_url
            How browsers reach ``serve``; DocumentReferences point there.
        protocols
            Those of the site, whose shots a camera names that took its work from the worklist.
        """
        self.store, self._site, self._public_url = store, store.site, public_url.rstrip("/")
        self._protocols = protocols

    def check(self, plan: Plan, visit: VisitFacts, batch: Sequence[Fresh], now: datetime) -> None:
        """Check what :meth:`link` writes, as far as it does not depend on the record that comes with the photos.

        Raises
        ------
        fhir_mapping.errors.MappingError
        """
        for each in batch:
            piece = self.piece(plan, Link(visit, None, plan.session), each)
            self.store.prepare("DocumentReference", document_reference(piece.document, now))
            self.store.prepare("Provenance", provenance_of(piece, now))

    def link(self, connection: Connection, plan: Plan, link: Link, batch: Sequence[Fresh]) -> None:
        """Write the photos of a batch."""
        self.keep(connection, [self.piece(plan, link, each) for each in batch], ours=True)

    def there(self, connection: Connection, batch: Sequence[Fresh]) -> set[str]:
        """SOP Instance UIDs of those photos that the record or the table of photos has already."""
        sop_uids = [each.entry.sop_uid for each in batch]
        documents = {f"DocumentReference/{fhir_id(each)}": each for each in sop_uids}
        found = {documents[each] for each in existing(connection, documents)}
        return found | photos.known_among(connection, sop_uids)

    def is_of(self, connection: Connection, entry: Entry, procedure: str) -> bool:
        """Whether the record says that a photo is of this treatment, ``Procedure/…``."""
        try:
            document = self.store.read(connection, "DocumentReference", fhir_id(entry.sop_uid)).json()
        except NotFound:
            return False
        return procedure in references.of(document, "context", "related")

    def piece(self, plan: Plan, link: Link, photo: Fresh) -> Piece:
        """What is written of a photo, as its plan says it; what the plan leaves empty is not said."""
        entry = photo.entry
        plan = plan.of(entry.sha256)
        view = find_view(plan.view) if plan.view else None
        expression = None if plan.expression is None else find_expression(plan.expression)
        region = find_region(plan.region) if plan.region else None
        side = Laterality(plan.laterality) if plan.laterality else None
        sop_class = text_of(photo.attributes, _SOP_CLASS)
        document = PhotoDocument(
            id=fhir_id(entry.sop_uid),
            sop_uid=entry.sop_uid,
            sha256=entry.sha256,
            patient=f"Patient/{plan.patient}",
            encounter=f"Encounter/{plan.visit}",
            custodian=self.custodian,
            url=self._url(entry.study_uid, entry.series_uid, entry.sop_uid),
            region=region,
            laterality=side,
            view=None if view is None else _concept(view),
            also=tuple(map(also_shown, plan.also)),
            expression=None if expression is None else _concept(expression),
            procedure=link.procedure,
            session=link.session,
            author=plan.clinician,
            taken=photo.taken,
            taken_from=plan.taken_from,
            known_since=plan.known_since,
            content_type=_shown_as(sop_class),
        )
        instance = StudyInstance(
            study_id=fhir_id(entry.study_uid),
            study_uid=entry.study_uid,
            series_uid=entry.series_uid,
            sop_uid=entry.sop_uid,
            sop_class=sop_class or str(VL_PHOTOGRAPHIC),
            number=entry.instance_number,
            patient=f"Patient/{plan.patient}",
            encounter=f"Encounter/{plan.visit}",
            procedure=link.procedure,
            started=link.visit.started_text,
            description=text_of(photo.attributes, _SERIES_DESCRIPTION) or ("" if view is None else view.meaning),
            region=region,
            laterality=side,
            title="" if view is None else view.meaning,
            modality=text_of(photo.attributes, _MODALITY) or "XC",
        )
        held = Held(entry.sop_uid, entry.series_uid, entry.study_uid, entry.orthanc_id, photo.attributes)
        return Piece(document, instance, held, plan.photographer, None if view is None else view.code)

    def link_arrived(self, connection: Connection, place: Place, held: Held, sha256: str) -> None:
        """Write an object that arrived as DICOM at the place where it belongs.

        Parameters
        ----------
        sha256
            Of the object, which is its own original.
        """
        self.keep(connection, [self._arrived_piece(place, held, sha256)], ours=False)

    def _arrived_piece(self, place: Place, held: Held, sha256: str) -> Piece:
        attributes = held.attributes
        sop_class = text_of(attributes, _SOP_CLASS)
        region, side, view = region_of(attributes), side_of(attributes), view_of(attributes)
        expression = expression_of(attributes)
        wanted = self._wanted(attributes)
        if wanted is not None:  # what the object says itself goes before what it was asked for
            side = side or (wanted.side if region is None else None)
            region, view, expression = region or wanted.region, view or wanted.view, expression or wanted.expression
        procedure = None if place.procedure is None else f"Procedure/{place.procedure}"
        document = PhotoDocument(
            id=fhir_id(held.sop_uid),
            sop_uid=held.sop_uid,
            sha256=sha256,
            patient=f"Patient/{place.patient}",
            encounter=f"Encounter/{place.encounter}",
            custodian=self.custodian,
            url=self._url(held.study_uid, held.series_uid, held.sop_uid),
            region=region,
            laterality=side,
            view=None if view is None else _concept(view),
            expression=None if expression is None else _concept(expression),
            procedure=procedure,
            taken=taken_of(attributes, self._site.zone),
            content_type=_shown_as(sop_class),
        )
        instance = StudyInstance(
            study_id=fhir_id(held.study_uid),
            study_uid=held.study_uid,
            series_uid=held.series_uid,
            sop_uid=held.sop_uid,
            sop_class=sop_class,
            number=number_of(attributes),
            patient=f"Patient/{place.patient}",
            encounter=f"Encounter/{place.encounter}",
            procedure=procedure,
            started=place.visit.started_text,
            description=fitting.text(text_of(attributes, _SERIES_DESCRIPTION)),
            region=region,
            laterality=side,
            title="" if view is None else view.meaning,
            modality=text_of(attributes, _MODALITY) or "OT",
        )
        return Piece(document, instance, held, None, None if view is None else view.code)

    def _wanted(self, attributes: Mapping[str, Any]) -> Shot | None:
        """The shot of a protocol that an object says it is, by the one code that the worklist gave."""
        items = list((attributes.get(_PERFORMED) or {}).get("Value") or ())
        for request in (attributes.get(_REQUESTS) or {}).get("Value") or ():
            items += (request.get(_SCHEDULED) or {}).get("Value") or () if isinstance(request, Mapping) else ()
        codes = set(codes_in(items))
        return shot_of(codes.pop(), self._protocols()) if len(codes) == 1 else None

    def keep(self, connection: Connection, pieces: Sequence[Piece], *, ours: bool) -> None:
        """The record of photos of one study, their rows and their places in the index.

        Parameters
        ----------
        ours
            The objects are of our own making, so that what is written of them needs no check.
        """
        now = clock.now(connection)
        documents = [piece.document for piece in pieces]
        study = pieces[0].instance
        ready = self.store.own if ours else self.store.prepare
        made = [Made(ready("DocumentReference", document_reference(each, now)), each.id) for each in documents]
        made.append(Made(ready("ImagingStudy", self.study(connection, pieces)), study.study_id, new=False))
        made += [Made(ready("Provenance", provenance_of(piece, now))) for piece in pieces]
        self.store.write_all(connection, made, source=SOURCE)
        reopen(connection, self.store, [references.id_of(each.encounter) for each in documents])
        self.show(connection, pieces, now)

    def show(self, connection: Connection, pieces: Sequence[Piece], now: datetime) -> None:
        """The rows and the places in the index of photos whose record is written.

        Parameters
        ----------
        now
            By the database.
        """
        documents = [piece.document.id for piece in pieces]
        facts = all_facts(connection, Setting(self._site, self.store.base), documents)
        rows = [self._row(piece, facts[piece.document.id]) for piece in pieces]
        numbers = photos.save_photos(connection, rows)
        shown = {patient for row in rows for patient in row.facts.patients}
        jobs.put_all(connection, (jobs.JUDGE, jobs.RENDER), shown, now)
        save_instances(
            connection,
            [
                (number, piece.held.sop_uid, piece.held.attributes)
                for number, piece in zip(numbers, pieces, strict=True)
            ],
        )

    @staticmethod
    def _row(piece: Piece, facts: PhotoFacts) -> PhotoRow:
        return PhotoRow(
            facts,
            series_uid=piece.held.series_uid,
            study_uid=piece.held.study_uid,
            orthanc_id=piece.held.orthanc_id,
            state=PhotoState.LINKED,
            area=area_of(facts),
            view=piece.view,
            procedure=procedure_of(facts),
        )

    def study(self, connection: Connection, pieces: Sequence[Piece]) -> dict[str, Any]:
        """The study of the photos, with them in it."""
        instances = [piece.instance for piece in pieces]
        try:
            former: Mapping[str, Any] | None = self.store.read(connection, "ImagingStudy", instances[0].study_id).json()
        except NotFound:
            former = None
        if former is not None and instances[0].encounter not in references.of(former, "encounter"):
            raise RecordRefused(worded("the object's study is another visit's; one visit's photos are one study"))
        if former is not None and instances[0].patient not in references.local_of(former, self.store.base, "subject"):
            raise RecordRefused(worded("the object's study is another patient's; one study's photos are one patient's"))
        return with_instances(without_meta(former), instances)

    def place(self, connection: Connection, attributes: Mapping[str, Any]) -> Place | Waits:
        """Where an object that arrived belongs; see :func:`dicom_bridge.placing.place_of`."""
        return place_of(connection, self.store, attributes)

    @property
    def custodian(self) -> str:
        """The organisation that holds the photos, as a reference."""
        return f"Organization/{self._site.organization}"

    def _url(self, study: str, series: str, instance: str) -> str:
        return f"{self._public_url}/dicom-web/studies/{study}/series/{series}/instances/{instance}/rendered"


def provenance_of(piece: Piece, now: datetime) -> dict[str, Any]:
    """Where a photo comes from."""
    document = piece.document
    return provenance(
        document=f"DocumentReference/{document.id}",
        study=f"ImagingStudy/{piece.instance.study_id}",
        sha256=document.sha256,
        custodian=document.custodian,
        photographer=piece.photographer,
        author=document.author,
        occurred=document.taken,
        now=now,
    )


def _shown_as(sop_class: str) -> str:
    """Content type of what an object is shown as."""
    return "application/pdf" if sop_class == ENCAPSULATED_PDF else "image/jpeg"


def number_of(attributes: Mapping[str, Any]) -> int | None:
    """Instance Number where FHIR holds it (R4 unsignedInt); some senders write a date and time there."""
    said = text_of(attributes, _INSTANCE_NUMBER)
    whole = said.isascii() and said.isdigit() and len(said) <= len("2147483647")
    return int(said) if whole and int(said) < 1 << 31 else None


def also_shown(said: str) -> tuple[BodyRegion, Laterality | None]:
    """A further region as a plan says it, ``system|code#R``. Raises UnknownCode."""
    code, _, side = said.partition("#")
    return find_region(code), Laterality(side) if side else None


def _concept(term: Term) -> Concept:
    return Concept(term.system, term.value, term.meaning)


def without_meta(resource: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A resource without what the server adds to it."""
    return None if resource is None else {key: value for key, value in resource.items() if key != "meta"}
