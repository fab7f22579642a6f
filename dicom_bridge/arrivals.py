"""Objects that reach Orthanc by another way than ``ingest``: found by ``/changes``, examined, linked or left waiting.

Until an object is examined and linked, nobody sees it. A full comparison with the ledger finds what a lost callback,
a kill or an older Orthanc left behind.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, insert, select, update

from consent.audit.chain import Chain
from consent.audit.record import AuditRecord, Kind
from consent.facts import PhotoFacts
from consent.store import clock, photos
from consent.store.clock import micros
from consent.store.engine import glancing, transaction
from consent.store.photos import PhotoState
from consent.store.tables import photo
from dicom_bridge import ledger
from dicom_bridge.archive import Archive
from dicom_bridge.errors import ObjectRefused
from dicom_bridge.ledger import State
from dicom_bridge.objects.read import PHOTO_CLASSES, ReadObject, read_object
from dicom_bridge.query.index import save_instance
from dicom_bridge.tables import archive_cursor

NEW_INSTANCE = "NewInstance"
COMPARE_EVERY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Examined:
    """What a look at the archive brought."""

    examined: int
    """Objects that were not known."""

    refused: int
    """Objects that are no photos, or cannot be read; nobody sees them."""


class Arrivals:
    """Looks at what arrived."""

    def __init__(self, engine: Engine, chain: Chain, archive: Archive, *, door: str) -> None:
        self._engine, self._chain, self._archive, self._door = engine, chain, archive, door

    def look(self, *, everything: bool = False) -> Examined:
        """Examine what arrived since the last look; with ``everything`` hold all objects against the ledger."""
        job = str(uuid.uuid4())
        since, compared = self._cursor()
        total = Examined(0, 0)
        page = self._archive.changes(job, since)
        # `Last` falls when objects are deleted or an older copy of the archive is put back: then nothing is known.
        behind = page.last < since
        while not behind:
            found = [change.id for change in page.changes if change.type == NEW_INSTANCE]
            total = _plus(total, self._examine_all(job, found))
            last = page.changes[-1].sequence if page.changes else since
            self._advance(max(last, since))
            since = max(last, since)
            if page.done:
                break
            page = self._archive.changes(job, since)
        with glancing(self._engine) as connection:
            now = clock.now(connection)
        if everything or behind or compared is None or now - compared >= COMPARE_EVERY:
            total = _plus(total, self._examine_all(job, sorted(self._archive.instances(job))))
            self._advance(page.last if behind else since, compared=now)
        return total

    def _examine_all(self, job: str, orthanc_ids: list[str]) -> Examined:
        unknown = self._unknown(orthanc_ids)
        if not unknown:
            return Examined(0, 0)
        record = AuditRecord(
            Kind.TASK, self._door, "examine", details={"job": job, "objects": unknown[:1000], "count": len(unknown)}
        )
        self._chain.append([record])
        refused = 0
        for orthanc_id in unknown:
            data = self._archive.file(job, orthanc_id)
            if data is None:
                continue
            try:
                read = read_object(data)
            except ObjectRefused:
                refused += 1
                continue
            if read.sop_class_uid not in PHOTO_CLASSES:
                refused += 1
                continue
            with transaction(self._engine) as connection:
                self._keep(connection, orthanc_id, read)
        return Examined(len(unknown), refused)

    def _unknown(self, orthanc_ids: list[str]) -> list[str]:
        """Objects without a photo's row, those of the pipeline's open batches left out: it finishes them itself."""
        found = []
        with glancing(self._engine) as connection:
            for orthanc_id in orthanc_ids:
                known = connection.execute(select(photo.c.photo).where(photo.c.orthanc_id == orthanc_id)).first()
                entry = None if known is not None else ledger.by_orthanc_id(connection, orthanc_id)
                if known is None and (entry is None or entry.state is State.DONE):
                    found.append(orthanc_id)
        return found

    def _keep(self, connection: Connection, orthanc_id: str, read: ReadObject) -> None:
        """An examined object: in the index, unseen, waiting to be linked."""
        if photos.by_sop(connection, read.sop_instance_uid) is not None:
            return
        number = photos.save_photo(
            connection,
            PhotoFacts(photo=read.sop_instance_uid),
            series_uid=read.series_instance_uid,
            study_uid=read.study_instance_uid,
            orthanc_id=orthanc_id,
            state=PhotoState.EXAMINED,
            area=None,
            view=None,
            procedure=None,
        )
        save_instance(connection, number, read.sop_instance_uid, read.attributes)

    def _cursor(self) -> tuple[int, datetime | None]:
        with glancing(self._engine) as connection:
            row = connection.execute(select(archive_cursor.c.last, archive_cursor.c.compared)).one_or_none()
        if row is None:
            return 0, None
        return row.last, clock.instant(row.compared)

    def _advance(self, last: int, compared: datetime | None = None) -> None:
        with transaction(self._engine) as connection:
            values = {"last": last} | ({} if compared is None else {"compared": micros(compared)})
            if connection.execute(update(archive_cursor).values(values)).rowcount == 0:
                connection.execute(insert(archive_cursor).values({"id": 1, "compared": 0} | values))


def _plus(one: Examined, other: Examined) -> Examined:
    return Examined(one.examined + other.examined, one.refused + other.refused)
