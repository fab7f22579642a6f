"""A photo becomes part of the record: DocumentReference, ImagingStudy, Provenance, index, its own row."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from consent.facts import PhotoFacts
from consent.store import clock, photos
from consent.store.photos import PhotoRow, PhotoState, StoredPhoto
from consent.types import Laterality
from dicom_bridge.brought import RecordRefused
from dicom_bridge.depiction import region_of, side_of, taken_of, view_of
from dicom_bridge.held import Held, keep_rejected
from dicom_bridge.ledger import Entry
from dicom_bridge.objects import fitting
from dicom_bridge.objects.photo import VL_PHOTOGRAPHIC
from dicom_bridge.objects.uids import fhir_id
from dicom_bridge.objects.vocabulary import Term, find_expression, find_region, find_view
from dicom_bridge.placing import Place, Waits, place_of
from dicom_bridge.plan import Plan
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
    corrected_document,
    document_reference,
    rejected_document,
    with_procedure,
)
from fhir_mapping.resources.imaging_study import StudyInstance, with_instances, without_instance
from fhir_mapping.resources.people import VisitFacts
from fhir_mapping.resources.provenance import CorrectionFacts, of_correction, origin_of, provenance
from fhir_mapping.store.kinds import SOURCE
from fhir_mapping.store.record import Made, RecordStore

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
class _Piece:
    document: PhotoDocument
    instance: StudyInstance
    held: Held
    photographer: str | None
    view: str | None


class Linker:
    """Writes what a photo means into the record, on the connection that it is given."""

    def __init__(self, store: RecordStore, public_url: str) -> None:
        """Put a linker together.

        Parameters
        ----------
        public_url
            How browsers reach ``serve``; DocumentReferences point there.
        """
        self._store, self._site, self._public_url = store, store.site, public_url.rstrip("/")

    def check(self, plan: Plan, visit: VisitFacts, batch: Sequence[Fresh], now: datetime) -> None:
        """Check what :meth:`link` writes, as far as it does not depend on the record that comes with the photos.

        Raises
        ------
        fhir_mapping.errors.MappingError
        """
        for each in batch:
            piece = self._piece(plan, Link(visit, None, plan.session), each)
            self._store.prepare("DocumentReference", document_reference(piece.document, now))
            self._store.prepare("Provenance", _provenance(piece, now))

    def link(self, connection: Connection, plan: Plan, link: Link, batch: Sequence[Fresh]) -> None:
        """Write the photos of a batch."""
        self._keep_linked(connection, [self._piece(plan, link, each) for each in batch], ours=True)

    def is_of(self, connection: Connection, entry: Entry, procedure: str) -> bool:
        """Whether the record says that a photo is of this treatment, ``Procedure/…``."""
        try:
            document = self._store.read(connection, "DocumentReference", fhir_id(entry.sop_uid)).json()
        except NotFound:
            return False
        return procedure in references.of(document, "context", "related")

    def _piece(self, plan: Plan, link: Link, photo: Fresh) -> _Piece:
        entry = photo.entry
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
            custodian=self._custodian,
            url=self._url(entry.study_uid, entry.series_uid, entry.sop_uid),
            region=region,
            laterality=side,
            view=None if view is None else _concept(view),
            expression=None if expression is None else _concept(expression),
            procedure=link.procedure,
            session=link.session,
            author=plan.clinician,
            taken=photo.taken,
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
        return _Piece(document, instance, held, plan.photographer, None if view is None else view.code)

    def link_arrived(self, connection: Connection, place: Place, held: Held, sha256: str) -> None:
        """Write an object that arrived as DICOM at the place where it belongs.

        Parameters
        ----------
        sha256
            Of the object, which is its own original.
        """
        self._keep_linked(connection, [self._arrived_piece(place, held, sha256)], ours=False)

    def place_by_hand(self, connection: Connection, plan: Plan, link: Link, photo: Fresh) -> None:
        """Write an object that waited at the place that a person says; what it is of is what the plan says."""
        piece = self._piece(plan, link, photo)
        instance = dataclasses.replace(piece.instance, number=_number_of(photo.attributes))
        self._keep_linked(connection, [dataclasses.replace(piece, instance=instance)], ours=False)

    def treat(self, connection: Connection, plan: Plan, link: Link, photo: StoredPhoto) -> None:
        """Write into the record of a photo that it is of another treatment of its visit."""
        document = self._document_of(connection, photo) or {}
        made = with_procedure(_without_version(document), link.procedure, link.session)
        now = clock.now(connection)
        told = CorrectionFacts(plan.account, plan.corrector, plan.reason or "", None)
        origin = origin_of(f"DocumentReference/{document['id']}", self._custodian, now)
        self._store.write_all(
            connection,
            [
                Made(self._store.prepare("DocumentReference", made), document["id"], new=False),
                Made(self._store.prepare("Provenance", of_correction(origin, told))),
            ],
            source=SOURCE,
        )

    def _arrived_piece(self, place: Place, held: Held, sha256: str) -> _Piece:
        attributes = held.attributes
        sop_class = text_of(attributes, _SOP_CLASS)
        region, side, view = region_of(attributes), side_of(attributes), view_of(attributes)
        procedure = None if place.procedure is None else f"Procedure/{place.procedure}"
        document = PhotoDocument(
            id=fhir_id(held.sop_uid),
            sop_uid=held.sop_uid,
            sha256=sha256,
            patient=f"Patient/{place.patient}",
            encounter=f"Encounter/{place.encounter}",
            custodian=self._custodian,
            url=self._url(held.study_uid, held.series_uid, held.sop_uid),
            region=region,
            laterality=side,
            view=None if view is None else _concept(view),
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
            number=_number_of(attributes),
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
        return _Piece(document, instance, held, None, None if view is None else view.code)

    def _keep_linked(self, connection: Connection, pieces: Sequence[_Piece], *, ours: bool) -> None:
        """The record of photos of one study, their rows and their places in the index.

        Parameters
        ----------
        ours
            The objects are of our own making, so that what is written of them needs no check.
        """
        now = clock.now(connection)
        documents = [piece.document for piece in pieces]
        study = pieces[0].instance
        ready = self._store.own if ours else self._store.prepare
        made = [Made(ready("DocumentReference", document_reference(each, now)), each.id) for each in documents]
        made.append(Made(ready("ImagingStudy", self._study(connection, pieces)), study.study_id, new=False))
        made += [Made(ready("Provenance", _provenance(piece, now))) for piece in pieces]
        self._store.write_all(connection, made, source=SOURCE)
        self._show(connection, pieces)

    def _show(self, connection: Connection, pieces: Sequence[_Piece]) -> None:
        """The rows and the places in the index of photos whose record is written."""
        documents = [piece.document.id for piece in pieces]
        facts = all_facts(connection, Setting(self._site, self._store.base), documents)
        rows = [self._row(piece, facts[piece.document.id]) for piece in pieces]
        numbers = photos.save_photos(connection, rows)
        save_instances(
            connection,
            [
                (number, piece.held.sop_uid, piece.held.attributes)
                for number, piece in zip(numbers, pieces, strict=True)
            ],
        )

    def replace(self, connection: Connection, plan: Plan, link: Link, photo: Fresh, rejection: Held) -> list[str]:
        """Put a photo's corrected instance in the place of the one that is rejected, all of it in this transaction.

        The rejected one, and copies that were made from it, are nobody's to see any more; what was recorded of the
        photo and is not corrected goes on.

        Parameters
        ----------
        rejection
            The document that says that it is rejected.

        Returns
        -------
        list[str]
            SOP Instance UIDs of the copies that are rejected with it.

        Raises
        ------
        RecordRefused
            Somebody else corrected it meanwhile.
        """
        former = photos.by_sop(connection, plan.corrects or "")
        if former is None or former.state not in (PhotoState.LINKED, PhotoState.EXAMINED):
            raise RecordRefused("the photo is not there any more as it was; somebody corrected it meanwhile")
        now = clock.now(connection)
        if former.facts.document is None and photo.taken is None:
            photo = dataclasses.replace(photo, taken=taken_of(photo.attributes, self._site.zone))
        piece = self._piece(plan, link, photo)
        copies = photos.copies_of(connection, former.sop_uid)
        rejected = {each.sop_uid: each for each in (former, *copies)}
        documents = {uid: self._document_of(connection, each) for uid, each in rejected.items()}
        for each in rejected.values():
            photos.reject(connection, each)
        keep_rejected(connection, rejection)
        mine = documents[former.sop_uid]
        made = (
            document_reference(piece.document, now) if mine is None else corrected_document(mine, piece.document, now)
        )
        told = CorrectionFacts(
            plan.account, plan.corrector, plan.reason or "", None if mine is None else f"DocumentReference/{mine['id']}"
        )
        written = [Made(self._store.prepare("DocumentReference", made), piece.document.id)]
        written += [
            Made(self._store.prepare("DocumentReference", rejected_document(each)), each["id"], new=False)
            for each in documents.values()
            if each is not None
        ]
        written += self._studies(connection, piece, rejected.values())
        written.append(Made(self._store.prepare("Provenance", of_correction(_provenance(piece, now), told))))
        self._store.write_all(connection, written, source=SOURCE)
        self._show(connection, [piece])
        return [each.sop_uid for each in copies]

    def _document_of(self, connection: Connection, photo: StoredPhoto) -> dict[str, Any] | None:
        """The DocumentReference of a photo; None where it was never linked."""
        if photo.facts.document is None:
            return None
        return self._store.read(connection, "DocumentReference", references.id_of(photo.facts.document)).json()

    def _studies(self, connection: Connection, piece: _Piece, rejected: Iterable[StoredPhoto]) -> list[Made]:
        """The study of a corrected instance with it, and those of the rejected ones without them."""
        gone: dict[str, list[str]] = {}
        for each in rejected:
            if each.facts.imaging_study is not None:
                gone.setdefault(references.id_of(each.facts.imaging_study), []).append(each.sop_uid)
        made = []
        for study, uids in {piece.instance.study_id: [], **gone}.items():
            if study == piece.instance.study_id:
                resource = self._study(connection, [piece])
            else:
                resource = _without_meta(self._store.read(connection, "ImagingStudy", study).json()) or {}
            for uid in uids:
                resource = without_instance(resource, uid)
            made.append(Made(self._store.prepare("ImagingStudy", resource), study, new=False))
        return made

    @staticmethod
    def _row(piece: _Piece, facts: PhotoFacts) -> PhotoRow:
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

    def _study(self, connection: Connection, pieces: Sequence[_Piece]) -> dict[str, Any]:
        """The study of the photos, with them in it."""
        instances = [piece.instance for piece in pieces]
        try:
            former: Mapping[str, Any] | None = self._store.read(
                connection, "ImagingStudy", instances[0].study_id
            ).json()
        except NotFound:
            former = None
        if former is not None and instances[0].encounter not in references.of(former, "encounter"):
            raise RecordRefused("the object's study is another visit's; one visit's photos are one study")
        return with_instances(_without_meta(former), instances)

    def place(self, connection: Connection, attributes: Mapping[str, Any]) -> Place | Waits:
        """Where an object that arrived belongs; see :func:`dicom_bridge.placing.place_of`."""
        return place_of(connection, self._store, attributes)

    @property
    def _custodian(self) -> str:
        return f"Organization/{self._site.organization}"

    def _url(self, study: str, series: str, instance: str) -> str:
        return f"{self._public_url}/dicom-web/studies/{study}/series/{series}/instances/{instance}/rendered"


def _provenance(piece: _Piece, now: datetime) -> dict[str, Any]:
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


def _number_of(attributes: Mapping[str, Any]) -> int | None:
    """Instance Number where FHIR holds it (R4 unsignedInt); some senders write a date and time there."""
    said = text_of(attributes, _INSTANCE_NUMBER)
    whole = said.isascii() and said.isdigit() and len(said) <= len("2147483647")
    return int(said) if whole and int(said) < 1 << 31 else None


def _concept(term: Term) -> Concept:
    return Concept(term.system, term.value, term.meaning)


def _without_version(resource: Mapping[str, Any]) -> dict[str, Any]:
    """A resource as it was kept: what the server adds is left out, and its labels stay."""
    meta = {
        key: value for key, value in (resource.get("meta") or {}).items() if key not in ("versionId", "lastUpdated")
    }
    rest = _without_meta(resource) or {}
    return rest | ({"meta": meta} if meta else {})


def _without_meta(resource: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if resource is None else {key: value for key, value in resource.items() if key != "meta"}
