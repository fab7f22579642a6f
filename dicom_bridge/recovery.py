"""Batches that a process left behind: gone on with from wherever it stopped, or taken back where that cannot be."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta

from consent.audit.chain import outcome
from consent.store import clock, jobs
from consent.store.engine import glancing, reading, transaction
from dicom_bridge import ledger
from dicom_bridge.batch import RECOVER, Item, announcement
from dicom_bridge.brought import RecordRefused
from dicom_bridge.delivery import Delivery
from dicom_bridge.errors import DescriptionRefused
from dicom_bridge.intake import read_photo
from dicom_bridge.ledger import Entry, State
from dicom_bridge.objects.read import read_object
from dicom_bridge.plan import Plan
from dicom_bridge.query.orthanc_ids import orthanc_ids
from dicom_bridge.replacing import Replacing
from dicom_bridge.spool import SpoolRefused
from dicom_bridge.way import Arrow, Way
from fhir_mapping.errors import NotFound
from fhir_mapping.resources.people import PatientFacts

_UNANNOUNCED = timedelta(days=1)
_CANNOT_BE = (RecordRefused, DescriptionRefused, NotFound)
"""The record changed since a correction was announced: its visit is another patient's, or the photo is rejected."""


class Recovery:
    """Sees to batches that were left behind, by their ids."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self._delivery = Delivery(way)
        self._replacing = Replacing(way)

    def recover(self, batch: str) -> None:
        """Go on with a batch that a process left behind, from wherever it stopped.

        Raises
        ------
        SpoolRefused
            An original is gone before Orthanc had it: the batch cannot go on; see :meth:`abandon`.
        """
        way = self._way
        with glancing(way.engine) as connection:
            found = ledger.plan_of(connection, batch)
            entries = ledger.of_batch(connection, batch)
        if found is None:
            return
        plan, intent = Plan.loads(found[0]), found[1]
        if all(entry.state is State.DONE for entry in entries):
            self._delivery.clear(entries, plan, intent)
            return
        if any(entry.state is State.ABANDONED for entry in entries):
            self.abandon(batch)
            return
        if plan.corrects is not None:
            try:
                self._replacing.go_on(plan, intent, entries)
            except _CANNOT_BE as error:  # the former instance is seen on, and may be corrected otherwise
                self.abandon(batch, str(error))
            return
        with reading(way.engine) as connection:
            patient, visit = way.treatments.read(connection, plan)
        photos = []
        for entry in entries:
            original = self._original(entry)
            photo = read_photo(original, way.limits, way.site.zone, way.kept)
            stored = way.archive.file(batch, entry.orthanc_id)
            item = Item(photo, entry if stored is not None else self._placed(entry, patient))
            if stored is None:
                wrapped = item.wrapped(plan, patient, visit, way.site.zone)
                file, attributes = wrapped.file(), wrapped.attributes
            else:
                file, attributes = stored, read_object(stored).attributes
            self._delivery.deliver_all([(item.entry, file, photo)])  # one in memory at a time
            photos.append(item.fresh(plan, attributes))
        self._delivery.commit(plan, intent, photos)

    def _placed(self, entry: Entry, patient: PatientFacts) -> Entry:
        """The entry with the id that its object will have in Orthanc now."""
        orthanc_id = orthanc_ids(patient.id, entry.study_uid, entry.series_uid, entry.sop_uid).instance
        if orthanc_id == entry.orthanc_id or entry.orthanc_id in self._way.archive.instances(entry.batch):
            return entry
        with transaction(self._way.engine) as connection:
            ledger.move(connection, entry.sop_uid, orthanc_id)
        return replace(entry, orthanc_id=orthanc_id)

    def abandon(self, batch: str, why: str | None = None) -> None:
        """Take a batch back that cannot go on: an original is gone, or what a correction says does not fit any more.

        Nobody ever saw its photos; a person is told. The ledger says first that the objects are to be removed; a batch
        that was committed meanwhile stays.

        Parameters
        ----------
        why
            Of a correction: one sentence.
        """
        way = self._way
        with transaction(way.engine) as connection:
            found = ledger.plan_of(connection, batch)
            entries = ledger.of_batch(connection, batch)
            if found is None or not ledger.give_up(connection, batch):
                return
        way.at(Arrow.GIVEN_UP)
        for entry in entries:
            way.archive.remove(batch, entry.orthanc_id)
            way.at(Arrow.REMOVED)
        plan, intent = Plan.loads(found[0]), found[1]
        way.chain.append([outcome(announcement(entries, plan, way.door), intent, "failed")])
        way.at(Arrow.REGRETTED)
        with transaction(way.engine) as connection:
            if plan.corrects is None:
                way.tasks.originals_lost(connection, plan.patient, entries)
            else:
                way.tasks.correction_given_up(connection, plan.corrects, plan.patient, why)
            way.tasks.goes_on(connection, batch)
            ledger.forget(connection, batch)
            jobs.cancel(connection, RECOVER, batch)
        way.at(Arrow.FORGOTTEN)

    def stands_still(self, batch: str) -> None:
        """Tell a person of a batch that was tried often and does not get through; it is tried on."""
        way = self._way
        with transaction(way.engine) as connection:
            found = ledger.plan_of(connection, batch)
            if found is not None:
                entries = ledger.of_batch(connection, batch)
                way.tasks.stands_still(connection, batch, Plan.loads(found[0]).patient, entries)

    def sweep(self) -> int:
        """Remove originals that were spooled and never announced, a day later; how many there were."""
        with glancing(self._way.engine) as connection:
            return self._way.spool.sweep(ledger.unfinished(connection), clock.now(connection) - _UNANNOUNCED)

    def _original(self, entry: Entry) -> bytes:
        """From the spool, else from Orthanc where it is attached already."""
        try:
            return self._way.spool.read(entry.sop_uid, entry.sha256)
        except SpoolRefused:
            attached = self._way.archive.original(entry.batch, entry.orthanc_id)
            if attached is not None and hashlib.sha256(attached).hexdigest() == entry.sha256:
                return attached
            raise
