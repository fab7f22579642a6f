"""A photo is linked, or linked anew: what a person says of it is held against what it says now, and carried out.

What an object says is never changed in place. Where it says something wrong, another instance is made that says it
right, and the former one is rejected (DICOM 113037, Rejected for Patient Safety Reasons): it stays in the archive, and
nobody sees it any more. Where only the record is to know more, only the record is written.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from consent.audit.record import AuditRecord, Kind
from consent.store import photos
from consent.store.engine import reading, rehearsal, transaction
from consent.store.photos import PhotoState, StoredPhoto
from consent.store.versions import lock
from consent.wording import worded
from dicom_bridge import ledger
from dicom_bridge.announcing import announce
from dicom_bridge.belonging import series_of, study_of
from dicom_bridge.brought import RecordRefused
from dicom_bridge.delivery import Delivery
from dicom_bridge.depiction import taken_of
from dicom_bridge.ledger import AnnouncedAlready, Entry, State
from dicom_bridge.linking import Fresh
from dicom_bridge.objects import uids
from dicom_bridge.objects.anew import MadeObject
from dicom_bridge.objects.inside import tells
from dicom_bridge.placing import Place
from dicom_bridge.plan import Plan
from dicom_bridge.proposing import By, Proposal, Proposals
from dicom_bridge.relinking import Relinker
from dicom_bridge.replacing import Facts, Replacing, held_of, orthanc_id_of
from dicom_bridge.said import Said, attributes_of
from dicom_bridge.way import Way
from fhir_mapping import references
from fhir_mapping.resources.document_reference import ORIGINAL_HASH
from fhir_mapping.store.record import RecordStore

_TRIES = 20
_CLEANED = "Its picture told more than pixels; this one does not."


@dataclass(frozen=True, slots=True)
class Linked:
    """What was done."""

    sop_uid: str
    document: str
    rejected: tuple[str, ...]
    """SOP Instance UIDs of what nobody sees any more: the former instance, and copies that were made from it."""


class Corrections:
    """Links photos, and links them anew. One for each process."""

    def __init__(
        self, way: Way, store: RecordStore, site_key: bytes, ids: Callable[[], str] = lambda: str(uuid.uuid4())
    ) -> None:
        """Put it together.

        Parameters
        ----------
        site_key
            Key that the UIDs of photos are made with.
        ids
            Makes ids of batches.
        """
        self._way, self._store, self._key, self._ids = way, store, site_key, ids
        self._proposals, self._replacing, self._delivery = Proposals(store, site_key), Replacing(way), Delivery(way)

    def propose(self, connection: Connection, photo: StoredPhoto, wanted: Said, by: By) -> Proposal:
        """What would be done; see :meth:`dicom_bridge.proposing.Proposals.propose`."""
        return self._proposals.propose(connection, photo, wanted, by)

    # --- what is done -----------------------------------------------------------------------------------------------

    def carry_out(self, proposal: Proposal) -> Linked:
        """Do what was proposed.

        Raises
        ------
        RecordRefused, ObjectRefused, DescriptionRefused, OriginalDiffers, fhir_mapping.errors.MappingError
            Nothing was changed.
        ArchiveUnavailable, AuditUnavailable
            It is announced or not; where it is, the worker goes on with it.
        """
        if not proposal.anew and self._tells(proposal.photo):
            proposal = self._proposals.anew(proposal)
        if not proposal.anew:
            return self._record(proposal)
        for attempt in range(_TRIES):
            try:
                return self._replace(proposal)
            except AnnouncedAlready:  # others of the same view were numbered meanwhile, or somebody corrects this one
                if attempt == _TRIES - 1:
                    raise
        raise AssertionError

    def place(self, place: Place, sop_uid: str) -> bool:
        """Link an object that arrived and tells more than it should at the place that is known; whether that was done.

        Raises
        ------
        As :meth:`carry_out`.
        """
        with reading(self._way.engine) as connection:
            photo = photos.by_sop(connection, sop_uid)
            if photo is None or photo.state is not PhotoState.EXAMINED:
                return False
            wanted = Said(patient=place.patient, visit=place.encounter, procedure=place.procedure)
            proposal = self.propose(connection, photo, wanted, By(self._way.door, "", None, _CLEANED))
        self.carry_out(proposal)
        return True

    def _tells(self, photo: StoredPhoto) -> bool:
        """Whether an object that waits tells more than its pixels; what we have made does not."""
        if photo.state is PhotoState.LINKED:
            return False
        with reading(self._way.engine) as connection:
            if ledger.entry(connection, photo.sop_uid) is not None:
                return False
        return tells(self._replacing.former_file(self._ids(), photo.orthanc_id))

    def _replace(self, proposal: Proposal) -> Linked:
        way, plan, batch = self._way, proposal.plan, self._ids()
        with reading(way.engine) as connection:
            facts = self._replacing.facts(connection, plan)
            self._require_same(connection, proposal.photo)
            sha256 = self._hash_of(connection, facts.former)
        file = self._replacing.former_file(batch, facts.former.orthanc_id)
        original = self._replacing.original(batch, facts, file, sha256)
        with reading(way.engine) as connection:
            entries = self._entries(connection, batch, plan, facts, hashlib.sha256(original).hexdigest())
        made = self._replacing.objects(plan, facts, file, entries)
        entries = [
            replace(entry, orthanc_id=orthanc_id_of(object_)) for entry, object_ in zip(entries, made, strict=True)
        ]
        self._rehearse(plan, entries, made)
        way.archive.changes(batch, 0, 1)  # an archive that does not answer is found out before anything is kept
        intent = announce(way, batch, plan, entries, lambda now: self._require_still(now, proposal))
        with reading(way.engine) as connection:
            copies = _copies(connection, plan)
        self._replacing.deliver(plan, intent, entries, made, original)
        mine = entries[0].sop_uid
        return Linked(mine, uids.fhir_id(mine), (plan.corrects or "", *copies))

    def _require_same(self, connection: Connection, photo: StoredPhoto) -> None:
        """What was proposed is about the photo as it is, and nobody is correcting it."""
        announced = ledger.entry(connection, uids.rejection_uid(self._key, photo.sop_uid)) is not None
        if announced or photos.by_sop(connection, photo.sop_uid) != photo:
            raise RecordRefused(worded("the photo is corrected already, or about to be; look again what is said of it"))

    def _require_still(self, connection: Connection, proposal: Proposal) -> None:
        """What was asked of the record before the objects were made holds still."""
        self._require_same(connection, proposal.photo)
        self._replacing.facts(connection, proposal.plan)

    def _hash_of(self, connection: Connection, photo: StoredPhoto) -> str | None:
        """SHA-256 of its original as the record or the ledger says it; None: neither has it yet."""
        entry = ledger.entry(connection, photo.sop_uid)
        if photo.facts.document is None:
            return None if entry is None else entry.sha256
        document = self._store.read(connection, "DocumentReference", references.id_of(photo.facts.document)).json()
        stated = (each for each in document["identifier"] if each.get("system") == ORIGINAL_HASH)
        return next((str(each["value"]) for each in stated), None)

    def _entries(self, connection: Connection, batch: str, plan: Plan, facts: Facts, sha256: str) -> list[Entry]:
        """The rows of the corrected instance and of the document that rejects the former one."""
        former, key = facts.former, self._key
        uid = uids.sop_instance_uid(key, plan.patient, sha256)
        if uid == former.sop_uid or _is_taken(connection, uid):
            uid = uids.corrected_instance_uid(key, plan.patient, sha256, former.sop_uid)
        # Whom a visit is of may have been corrected in the record since: the visit is the same, and its patient is not.
        same = former.facts.encounter == f"Encounter/{plan.visit}" and former.facts.patients[:1] == (plan.patient,)
        study = former.study_uid if same else study_of(connection, self._store, key, plan)
        series = series_of(key, plan, study)
        about = uids.rejection_series_uid(key, former.study_uid)
        mine = Entry(
            sop_uid=uid,
            sha256=sha256,
            patient=plan.patient,
            study_uid=study,
            series_uid=series,
            state=State.INTENT,
            orthanc_id="",
            batch=batch,
            instance_number=ledger.next_instance_number(connection, series),
        )
        return [
            mine,
            replace(
                mine,
                sop_uid=plan.rejection or "",
                sha256=hashlib.sha256(f"rejection of {former.sop_uid}".encode()).hexdigest(),
                study_uid=former.study_uid,
                series_uid=about,
                instance_number=ledger.next_instance_number(connection, about),
            ),
        ]

    def _rehearse(self, plan: Plan, entries: list[Entry], made: tuple[MadeObject, MadeObject]) -> None:
        """Write the record and take it back: what the commit would refuse is refused before anything is kept."""
        (mine, about), (photo, document) = entries, made
        with rehearsal(self._way.engine) as connection:
            fresh = Fresh(mine, plan.taken, photo.attributes)
            self._delivery.write(connection, plan, (), [fresh], held_of(about, document))

    # --- only the record --------------------------------------------------------------------------------------------

    def _record(self, proposal: Proposal) -> Linked:
        """Link an object that waits as it is, or write another treatment into the record of a photo."""
        way, plan, photo = self._way, proposal.plan, proposal.photo
        intent = AuditRecord(
            Kind.INTENT,
            way.door,
            "link",
            account=plan.account,
            os_user=plan.os_user,
            photo=photo.sop_uid,
            patient=plan.patient,
            subject=f"Encounter/{plan.visit}",
            digest=hashlib.sha256(plan.dumps().encode()).hexdigest(),
            details={"reason": plan.reason or ""},
        )
        waiting = None if photo.state is PhotoState.LINKED else self._waiting(photo, plan)
        with way.chain.written(intent), transaction(way.engine) as connection:
            lock(connection)
            self._require_same(connection, photo)
            link = way.treatments.begin(connection, plan, ())
            if waiting is None:
                Relinker(way.linker).treat(connection, plan, link, photo)
            else:
                Relinker(way.linker).place_by_hand(connection, plan, link, waiting)
            way.tasks.settled(connection, photo.sop_uid)
        return Linked(photo.sop_uid, uids.fhir_id(photo.sop_uid), ())

    def _waiting(self, photo: StoredPhoto, plan: Plan) -> Fresh:
        """An object that waits, as it becomes part of the record."""
        way, job = self._way, self._ids()
        with reading(way.engine) as connection:
            sha256 = self._hash_of(connection, photo)
            attributes = attributes_of(connection, photo)
        if sha256 is None:
            sha256 = hashlib.sha256(self._replacing.former_file(job, photo.orthanc_id)).hexdigest()
        entry = Entry(
            sop_uid=photo.sop_uid,
            sha256=sha256,
            patient=plan.patient,
            study_uid=photo.study_uid,
            series_uid=photo.series_uid,
            state=State.DONE,
            orthanc_id=photo.orthanc_id,
            batch=job,
            instance_number=0,
        )
        return Fresh(entry, plan.taken or taken_of(attributes, way.site.zone), attributes)


def _is_taken(connection: Connection, sop_uid: str) -> bool:
    return photos.by_sop(connection, sop_uid) is not None or ledger.entry(connection, sop_uid) is not None


def _copies(connection: Connection, plan: Plan) -> list[str]:
    return [each.sop_uid for each in photos.copies_of(connection, plan.corrects or "")]
