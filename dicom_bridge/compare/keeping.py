"""A comparison is kept: presentation states, key object selections, registrations into the archive and the record.

What is kept is decided as the photos that it names, at every door: in the record it is a copy of them. The same photos
seen in the same way are one comparison, however often they are kept. An object that is in the archive before its
record, because a process died between, is seen by nobody, and taken up when the comparison is kept again.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, Engine

from consent.audit.chain import Chain
from consent.audit.record import Kind, of_request
from consent.service import DecisionPoint
from consent.store import photos
from consent.store.clock import now
from consent.store.engine import reading, transaction
from consent.store.photos import PhotoRow, PhotoState, StoredPhoto
from consent.types import Obligation, Request
from dicom_bridge import ledger
from dicom_bridge.archive import Archive, ArchiveUnavailable
from dicom_bridge.compare.held import DESCRIPTION, Held
from dicom_bridge.errors import BridgeError
from dicom_bridge.ledger import Entry, State
from dicom_bridge.objects.anew import MadeObject
from dicom_bridge.objects.kept import Area, Named, Shown, presentation, presentation_class, selection
from dicom_bridge.objects.read import read_object
from dicom_bridge.objects.registration import Laid, Registration, registration
from dicom_bridge.objects.uids import comparison_series_uid, comparison_uid, fhir_id
from dicom_bridge.query.classes import KEY_OBJECT_SELECTION, SPATIAL_REGISTRATION
from dicom_bridge.query.index import save_instances, text_of, whole_text_of
from dicom_bridge.query.orthanc_ids import orthanc_ids
from dicom_bridge.settling import examination
from fhir_mapping.projections.photo import all_facts
from fhir_mapping.projections.written import Setting
from fhir_mapping.resources.kept import KeptObject, kept_document
from fhir_mapping.store.record import Made, RecordStore

_SAMPLES, _SOP_CLASS = "00280002", "00080016"


class NotKept(BridgeError):
    """One of the photos may not be seen, is not there, or is another patient's; nothing was kept."""


@dataclass(frozen=True, slots=True)
class Half:
    """One photo, and the part of it that is seen."""

    sop_uid: str
    area: Area


@dataclass(frozen=True, slots=True)
class _Object:
    """An object of ours on its way."""

    modality: str
    sop: str
    series: str
    study: str
    made: MadeObject
    photos: tuple[StoredPhoto, ...]

    @property
    def orthanc_id(self) -> str:
        patient = whole_text_of(self.made.attributes, "00100020")
        return orthanc_ids(patient, self.study, self.series, self.sop).instance


class Keeper:
    """Keeps comparisons."""

    def __init__(
        self,
        engine: Engine,
        chain: Chain,
        point: DecisionPoint,
        store: RecordStore,
        site_key: bytes,
        *,
        door: str,
        public_url: str,
    ) -> None:
        self._engine, self._chain, self._point, self._store = engine, chain, point, store
        self._key, self._door, self._public_url = site_key, door, public_url.rstrip("/")

    def keep(self, archive: Archive, request: Request, halves: Sequence[Half], held: Held, route: str) -> str:
        """Keep a comparison; the SOP Instance UID of its document in the last photo's study.

        Parameters
        ----------
        halves
            Left and right.

        Raises
        ------
        NotKept
        dicom_bridge.archive.ArchiveUnavailable, dicom_bridge.archive.ObjectDiscarded
            Orthanc does not have a photo, or took an object not in; trying again goes on.
        consent.audit.shelf.AuditUnavailable
        """
        stored, files, moment, job = self._taken(archive, request, [half.sop_uid for half in halves], route)
        comparison = _told(halves, held)
        shown = [
            self._shown(one, file, comparison, place)
            for place, (one, file) in enumerate(zip(stored, files, strict=True))
        ]
        objects = [
            _Object(
                "PR", each.seen.sop_instance_uid, each.seen.series_instance_uid, each.study,
                presentation(file, each.seen, half.area, label, moment), (one,),
            )
            for each, file, half, label, one in zip(shown, files, halves, ("LEFT", "RIGHT"), stored, strict=True)
        ]  # fmt: skip
        documents = {
            each.study: Named(
                comparison_uid(self._key, comparison, f"document {each.study}"),
                comparison_series_uid(self._key, each.study, "KO"),
                1,
            )
            for each in shown
        }
        in_study = dict(zip([each.study for each in shown], files, strict=True))
        for study, named in documents.items():
            others = [(each, name) for each, name in documents.items() if each != study]
            made = selection(in_study[study], named, shown, others, held.words, moment)
            objects.append(_Object("KO", named.sop_instance_uid, named.series_instance_uid, study, made, tuple(stored)))
        self._deliver(archive, request, route, job, objects)
        return documents[shown[-1].study].sop_instance_uid

    def register(self, archive: Archive, request: Request, laid: Laid, route: str) -> str:
        """Keep where one photo lies on another; the SOP Instance UID of the Spatial Registration in the study of the
        moved one.

        Raises
        ------
        As :meth:`keep`.
        """
        pair = (laid.fixed, laid.moved)
        stored, files, moment, job = self._taken(archive, request, pair, route)
        study, told = stored[1].study_uid, f"{SPATIAL_REGISTRATION} {laid}"
        named = Named(
            comparison_uid(self._key, told, "registration"), comparison_series_uid(self._key, study, "REG"), 1
        )
        frame = comparison_uid(self._key, f"{SPATIAL_REGISTRATION} {laid.fixed}", "frame")
        made = registration(files[0], files[1], Registration(named, frame, laid, moment))
        one = _Object("REG", named.sop_instance_uid, named.series_instance_uid, study, made, tuple(stored))
        self._deliver(archive, request, route, job, [one])
        return named.sop_instance_uid

    def _taken(
        self, archive: Archive, request: Request, uids: Sequence[str], route: str
    ) -> tuple[list[StoredPhoto], list[bytes], datetime, str]:
        """The photos of one patient that may be seen, with their files; the time at the site, and the job."""
        for uid in uids:
            if not self._point.photo(request, uid, route=route, fulfils=_FULFILS).permitted:
                raise NotKept("a photo of the comparison may not be seen")
        with reading(self._engine) as connection:
            found = [photos.by_sop(connection, uid) for uid in uids]
            moment = now(connection).astimezone(self._store.site.zone)
        stored = [each for each in found if each is not None and each.facts.document is not None]
        if len(stored) != len(uids) or not set.intersection(*(set(each.facts.patients) for each in stored)):
            raise NotKept("the photos are not of one patient")
        job = f"comparison {uuid.uuid4()}"
        self._chain.append([examination(job, [each.orthanc_id for each in stored], self._door)])
        return stored, [self._file(archive, job, each) for each in stored], moment, job

    def _deliver(self, archive: Archive, request: Request, route: str, job: str, objects: Sequence[_Object]) -> None:
        """Into the archive, then into the record."""
        intent = of_request(
            Kind.INTENT, self._door, route, request, subject=objects[0].photos[0].facts.document,
            details={"job": job, "objects": [each.sop for each in objects], "count": len(objects)},
        )  # fmt: skip
        with self._chain.written(intent):
            with transaction(self._engine) as connection:  # from now on the wall knows that they are ours
                ledger.announce_alone(connection, str(uuid.uuid4()), [self._entry(each) for each in objects])
            objects = [self._stored(archive, job, each) for each in objects]
            with transaction(self._engine) as connection:
                self._write(connection, objects)
                ledger.rise_all(connection, [each.sop for each in objects], State.DONE)

    @staticmethod
    def _entry(each: _Object) -> Entry:
        digest = hashlib.sha256(each.made.file).hexdigest()
        patient = each.photos[0].facts.patients[0]
        return Entry(each.sop, digest, patient, each.study, each.series, State.INTENT, each.orthanc_id, "", 1)

    @staticmethod
    def _stored(archive: Archive, job: str, each: _Object) -> _Object:
        """The object that is in the archive: this one, or the same of an earlier time."""
        there = archive.file(job, each.orthanc_id)
        if there is None:
            archive.store(job, each.orthanc_id, each.made.file)
            return each
        return replace(each, made=MadeObject(there, read_object(there).attributes))

    @staticmethod
    def _file(archive: Archive, job: str, photo: StoredPhoto) -> bytes:
        file = archive.file(job, photo.orthanc_id)
        if file is None:
            raise ArchiveUnavailable("Orthanc does not have a photo's object; see `photospine doctor`")
        return file

    def _shown(self, photo: StoredPhoto, file: bytes, comparison: str, place: int) -> Shown:
        attributes = read_object(file).attributes
        samples = text_of(attributes, _SAMPLES)
        named = Named(
            comparison_uid(self._key, comparison, f"state {place}"),
            comparison_series_uid(self._key, photo.study_uid, "PR"),
            place + 1,
        )
        return Shown(
            photo.study_uid,
            photo.series_uid,
            text_of(attributes, _SOP_CLASS),
            photo.sop_uid,
            presentation_class(int(samples) if samples.isdigit() else 1),
            named,
        )

    def _write(self, connection: Connection, objects: Sequence[_Object]) -> None:
        """The record, the rows and the places in the index; what is there already stays as it is."""
        fresh = [each for each in objects if not _is_linked(connection, each.sop)]
        if not fresh:
            return
        moment = now(connection)
        documents = [fhir_id(each.sop) for each in fresh]
        resources = [self._document(each) for each in fresh]
        made = [Made(self._store.own("DocumentReference", kept_document(each, moment)), each.id) for each in resources]
        self._store.write_all(connection, made, source=self._door)
        facts = all_facts(connection, Setting(self._store.site, self._store.base), documents)
        rows = [
            PhotoRow(
                facts[document],
                series_uid=each.series,
                study_uid=each.study,
                orthanc_id=each.orthanc_id,
                state=PhotoState.LINKED,
                area=None,
                view=None,
                procedure=None,
            )
            for each, document in zip(fresh, documents, strict=True)
        ]
        numbers = photos.save_photos(connection, rows)
        save_instances(
            connection,
            [(number, each.sop, each.made.attributes) for number, each in zip(numbers, fresh, strict=True)],
        )

    def _document(self, each: _Object) -> KeptObject:
        place = f"studies/{each.study}/series/{each.series}/instances/{each.sop}"
        return KeptObject(
            fhir_id(each.sop),
            each.sop,
            hashlib.sha256(each.made.file).hexdigest(),
            each.modality,
            f"Patient/{each.photos[0].facts.patients[0]}",
            f"Organization/{self._store.site.organization}",
            f"{self._public_url}/dicom-web/{place}",
            [photo.facts.document for photo in each.photos if photo.facts.document is not None],
        )


_FULFILS = frozenset({Obligation.WATERMARK})
"""The pages draw what is owed; what is kept holds no pixels."""


def _told(halves: Sequence[Half], held: Held) -> str:
    """What a comparison is, so that the same one has the same UIDs."""
    parts = [f"{each.sop_uid} {each.area.left} {each.area.top} {each.area.right} {each.area.bottom}" for each in halves]
    return f"{KEY_OBJECT_SELECTION} {held.words.removeprefix(DESCRIPTION)} {' '.join(parts)}"


def _is_linked(connection: Connection, sop_uid: str) -> bool:
    row = photos.by_sop(connection, sop_uid)
    return row is not None and row.state is PhotoState.LINKED
