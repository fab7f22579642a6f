"""The steps of a batch after its announcement: its objects and originals into Orthanc, then the commit.

Each may be taken again, by any process, and finds out what is done already.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection

from consent.audit.chain import outcome
from consent.identity.tickets import MOST_BODIES
from consent.store import jobs
from consent.store.engine import transaction
from dicom_bridge import ledger
from dicom_bridge.batch import RECOVER, announcement
from dicom_bridge.errors import FileRefused
from dicom_bridge.held import Held, keep_unseen
from dicom_bridge.intake import IncomingPhoto, Jpeg, read_jpeg
from dicom_bridge.intake.picture import Picture
from dicom_bridge.ledger import Entry, State
from dicom_bridge.linking import Fresh
from dicom_bridge.plan import Plan
from dicom_bridge.query.folded import fold
from dicom_bridge.relinking import Relinker
from dicom_bridge.way import Arrow, Way
from fhir_mapping.store.prepared import Entry as RecordEntry

_BYTES_AT_ONCE = 16 * 2**20
"""Of objects in one request: Orthanc holds them in memory several times."""

Parcel = tuple[Entry, bytes, IncomingPhoto]
"""Entry and object of a photo, and the file that it was made of."""


class Delivery:
    """Takes these steps."""

    def __init__(self, way: Way) -> None:
        self._way = way

    def deliver(self, entry: Entry, file: bytes, original: bytes) -> None:
        """An object and its original, which may be of any kind, into Orthanc.

        Parameters
        ----------
        file
            The object, a DICOM file.
        """
        way = self._way
        way.archive.store(entry.batch, entry.orthanc_id, file)
        way.at(Arrow.SENT)
        self._rise(entry, State.STORED)
        way.at(Arrow.STORED)
        try:
            folded = _folded(original, entry.sha256, read_jpeg(original, way.limits), file)
        except FileRefused:  # it is of another format, or came as a DICOM object
            folded = None
        way.archive.attach_original(entry.batch, entry.orthanc_id, original, folded)
        way.at(Arrow.ADDED)
        self._rise(entry, State.ATTACHED)
        way.at(Arrow.ATTACHED)

    def deliver_all(self, photos: Sequence[Parcel]) -> None:
        """A batch's objects and their originals into Orthanc; the ledger is told of all of them at once."""
        way = self._way
        mine = [entry.sop_uid for entry, _, _ in photos]
        for some in _at_once(photos):
            way.archive.store_all(some[0][0].batch, [file for _, file, _ in some])
            for _ in some:
                way.at(Arrow.SENT)
        with transaction(way.engine) as connection:  # from now on the wall knows whose UIDs these are
            ledger.rise_all(connection, mine, State.STORED)
        way.at(Arrow.STORED)
        for entry, file, photo in photos:
            folded = _folded(photo.data, photo.sha256, photo.source, file)
            way.archive.attach_original(entry.batch, entry.orthanc_id, photo.data, folded)
            way.at(Arrow.ADDED)
        with transaction(way.engine) as connection:
            ledger.rise_all(connection, mine, State.ATTACHED)
        way.at(Arrow.ATTACHED)

    def deliver_alone(self, entry: Entry, file: bytes) -> None:
        """An object that has no original, into Orthanc."""
        way = self._way
        way.archive.store(entry.batch, entry.orthanc_id, file)
        way.at(Arrow.TOLD)
        self._rise(entry, State.ATTACHED)
        way.at(Arrow.NOTED)

    def _rise(self, entry: Entry, state: State) -> None:
        with transaction(self._way.engine) as connection:
            ledger.rise(connection, entry.sop_uid, state)

    def commit(self, plan: Plan, intent: str, photos: Sequence[Fresh], rejection: Held | None = None) -> None:
        """Commit a batch whose photos are all in Orthanc, and clear up behind it.

        Parameters
        ----------
        intent
            Id of the audit record that announced it.
        rejection
            Where a photo is corrected: the document about the instance that is rejected.
        """
        way = self._way
        record = way.treatments.prepare(plan)
        with transaction(way.engine) as connection:
            rows = ledger.of_batch(connection, photos[0].entry.batch, lock=True)
            # A batch is committed whole; another process may have done so while this one was on its way here.
            already = bool(rows) and all(row.state is State.DONE for row in rows)
            if not already:
                self.write(connection, plan, record, photos, rejection)
                ledger.rise_all(connection, [entry.sop_uid for entry in rows], State.DONE)
            way.at(Arrow.WRITTEN)
        way.at(Arrow.COMMITTED)
        if not already:
            self.clear(rows, plan, intent)
        way.at(Arrow.CLEARED)

    def write(
        self,
        connection: Connection,
        plan: Plan,
        record: tuple[RecordEntry, ...],
        photos: Sequence[Fresh],
        rejection: Held | None = None,
    ) -> None:
        """The record, the index and the photos' rows, on one connection.

        Parameters
        ----------
        record
            What :meth:`dicom_bridge.treatment.Treatments.prepare` gave.
        """
        way = self._way
        if not plan.linked:
            for photo in photos:
                entry = photo.entry
                held = Held(entry.sop_uid, entry.series_uid, entry.study_uid, entry.orthanc_id, photo.attributes)
                keep_unseen(connection, held)
                way.tasks.of_another_patient(connection, entry)
            return
        link = way.treatments.begin(connection, plan, record)
        if rejection is None:
            way.linker.link(connection, plan, link, photos)
            return
        (photo,) = photos
        assert plan.corrects is not None
        Relinker(way.linker).replace(connection, plan, link, photo, rejection)
        way.tasks.settled(connection, plan.corrects)

    def clear(self, entries: Sequence[Entry], plan: Plan, intent: str) -> None:
        """After the commit: its record of outcome, then nothing is left to do but what may be done twice."""
        way = self._way
        way.chain.append([outcome(announcement(entries, plan, way.door), intent, "done")])
        way.at(Arrow.CONCLUDED)
        for entry in entries:
            way.spool.drop(entry.sop_uid)
        with transaction(way.engine) as connection:
            way.tasks.goes_on(connection, entries[0].batch)
            jobs.cancel(connection, RECOVER, entries[0].batch)


def _at_once(photos: Sequence[Parcel]) -> Iterator[list[Parcel]]:
    """What one request stores."""
    some: list[Parcel] = []
    size = 0
    for each in photos:
        if some and (len(some) == MOST_BODIES or size + len(each[1]) > _BYTES_AT_ONCE):
            yield some
            some, size = [], 0
        some.append(each)
        size += len(each[1])
    yield some


def _folded(original: bytes, sha256: str, source: Jpeg | Picture, file: bytes) -> bytes | None:
    """What is attached in the original's stead, where the object holds its picture bit for bit; else None."""
    return fold(original, sha256, source.kept, file) if isinstance(source, Jpeg) else None
