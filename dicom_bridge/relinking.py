"""A photo's record is written anew: by hand, in the place of a rejected instance, or with another treatment."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection

from consent.store import clock, jobs, photos
from consent.store.photos import PhotoState, StoredPhoto
from consent.wording import worded
from dicom_bridge.brought import RecordRefused
from dicom_bridge.depiction import taken_of
from dicom_bridge.held import Held, keep_rejected
from dicom_bridge.linking import Fresh, Linker, Piece, number_of, provenance_of, without_meta
from dicom_bridge.plan import Plan
from dicom_bridge.treatment import Link
from fhir_mapping import references
from fhir_mapping.resources.document_reference import (
    corrected_document,
    document_reference,
    rejected_document,
    with_procedure,
)
from fhir_mapping.resources.imaging_study import without_instance
from fhir_mapping.resources.provenance import CorrectionFacts, of_correction, origin_of
from fhir_mapping.store.kinds import SOURCE
from fhir_mapping.store.record import Made


class Relinker:
    """Writes it, on the connection that it is given."""

    def __init__(self, linker: Linker) -> None:
        self._linker, self._store = linker, linker.store

    def place_by_hand(self, connection: Connection, plan: Plan, link: Link, photo: Fresh) -> None:
        """Write an object that waited at the place that a person says; what it is of is what the plan says."""
        piece = self._linker.piece(plan, link, photo)
        instance = dataclasses.replace(piece.instance, number=number_of(photo.attributes))
        self._linker.keep(connection, [dataclasses.replace(piece, instance=instance)], ours=False)

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
            raise RecordRefused(worded("the photo is not there any more as it was; somebody corrected it meanwhile"))
        now = clock.now(connection)
        if former.facts.document is None and photo.taken is None:
            photo = dataclasses.replace(photo, taken=taken_of(photo.attributes, self._store.site.zone))
        piece = self._linker.piece(plan, link, photo)
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
        written.append(Made(self._store.prepare("Provenance", of_correction(provenance_of(piece, now), told))))
        self._store.write_all(connection, written, source=SOURCE)
        self._linker.show(connection, [piece], now)
        # What was held against the former one is judged anew, hers included.
        jobs.put_all(connection, (jobs.JUDGE, jobs.RENDER), former.facts.patients, now)
        return [each.sop_uid for each in copies]

    def _document_of(self, connection: Connection, photo: StoredPhoto) -> dict[str, Any] | None:
        """The DocumentReference of a photo; None where it was never linked."""
        if photo.facts.document is None:
            return None
        return self._store.read(connection, "DocumentReference", references.id_of(photo.facts.document)).json()

    def _studies(self, connection: Connection, piece: Piece, rejected: Iterable[StoredPhoto]) -> list[Made]:
        """The study of a corrected instance with it, and those of the rejected ones without them."""
        gone: dict[str, list[str]] = {}
        for each in rejected:
            if each.facts.imaging_study is not None:
                gone.setdefault(references.id_of(each.facts.imaging_study), []).append(each.sop_uid)
        made = []
        for study, uids in {piece.instance.study_id: [], **gone}.items():
            if study == piece.instance.study_id:
                resource = self._linker.study(connection, [piece])
            else:
                resource = without_meta(self._store.read(connection, "ImagingStudy", study).json()) or {}
            for uid in uids:
                resource = without_instance(resource, uid)
            made.append(Made(self._store.prepare("ImagingStudy", resource), study, new=False))
        return made

    def treat(self, connection: Connection, plan: Plan, link: Link, photo: StoredPhoto) -> None:
        """Write into the record of a photo that it is of another treatment of its visit."""
        document = self._document_of(connection, photo) or {}
        made = with_procedure(_without_version(document), link.procedure, link.session)
        now = clock.now(connection)
        told = CorrectionFacts(plan.account, plan.corrector, plan.reason or "", None)
        origin = origin_of(f"DocumentReference/{document['id']}", self._linker.custodian, now)
        self._store.write_all(
            connection,
            [
                Made(self._store.prepare("DocumentReference", made), document["id"], new=False),
                Made(self._store.prepare("Provenance", of_correction(origin, told))),
            ],
            source=SOURCE,
        )


def _without_version(resource: Mapping[str, Any]) -> dict[str, Any]:
    """A resource as it was kept: what the server adds is left out, and its labels stay."""
    meta = {
        key: value for key, value in (resource.get("meta") or {}).items() if key not in ("versionId", "lastUpdated")
    }
    rest = without_meta(resource) or {}
    return rest | ({"meta": meta} if meta else {})
