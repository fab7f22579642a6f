"""Objects that reach Orthanc by another way than ``ingest``: found by ``/changes``, examined, linked or left waiting.

Until an object is examined and linked, nobody sees it. A full comparison with the ledger finds what a lost callback,
a kill or an older Orthanc left behind.
"""

from __future__ import annotations

import hashlib
import json
import logging
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, insert, select, update

from consent.audit.chain import Chain
from consent.audit.record import AuditRecord, Kind
from consent.store import clock, photos
from consent.store.clock import micros
from consent.store.engine import glancing, reading, transaction
from consent.store.photos import PhotoState
from consent.store.tables import photo
from dicom_bridge import ledger
from dicom_bridge.archive import Archive
from dicom_bridge.errors import BridgeError, ObjectRefused
from dicom_bridge.ledger import State
from dicom_bridge.linking import Held, Linker
from dicom_bridge.objects.read import PHOTO_CLASSES, ReadObject, read_object
from dicom_bridge.query.tables import dicom_instance
from dicom_bridge.tables import archive_cursor
from dicom_bridge.tables import ledger as ledger_table
from fhir_mapping.errors import MappingError

NEW_INSTANCE = "NewInstance"
COMPARE_EVERY = timedelta(hours=24)
_PAGE = 200
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Examined:
    """What a look at the archive brought."""

    examined: int
    """Objects that were not known."""

    linked: int
    """Those of them whose place was found."""

    refused: int
    """Objects that are no photos, or cannot be read; nobody sees them."""


class Arrivals:
    """Looks at what arrived."""

    def __init__(self, engine: Engine, chain: Chain, archive: Archive, linker: Linker, *, door: str) -> None:
        self._engine, self._chain, self._archive, self._linker, self._door = engine, chain, archive, linker, door

    def look(self, *, everything: bool = False) -> Examined:
        """Examine what arrived since the last look; with ``everything`` hold all objects against the ledger."""
        job = str(uuid.uuid4())
        since, compared = self._cursor()
        total = Examined(0, 0, 0)
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
            total = _plus(total, self._compare(job))
            self._advance(page.last if behind else since, compared=now)
        return total

    def relink(self) -> int:
        """Look again for the places of objects that wait, since the record grows; how many were found."""
        linked, after = 0, 0
        while True:
            query = (
                select(photo.c.photo, photo.c.sop_uid, photo.c.series_uid, photo.c.study_uid, photo.c.orthanc_id)
                .add_columns(dicom_instance.c.attributes)
                .join(dicom_instance, dicom_instance.c.photo == photo.c.photo)
                .outerjoin(ledger_table, ledger_table.c.sop_uid == photo.c.sop_uid)  # a person decides about those
                .where(photo.c.state == PhotoState.EXAMINED.value, ledger_table.c.sop_uid.is_(None))
                .where(photo.c.photo > after)
            )
            with glancing(self._engine) as connection:
                rows = connection.execute(query.order_by(photo.c.photo).limit(_PAGE)).all()
            for row in rows:
                attributes = json.loads(row.attributes)
                held = Held(row.sop_uid, row.series_uid, row.study_uid, row.orthanc_id, attributes)
                linked += self._link(held, None)
            if len(rows) < _PAGE:
                return linked
            after = rows[-1].photo

    # --- one object -------------------------------------------------------------------------------------------------

    def _examine_all(self, job: str, orthanc_ids: list[str]) -> Examined:
        unknown = self._unknown(orthanc_ids)
        if not unknown:
            return Examined(0, 0, 0)
        record = AuditRecord(
            Kind.TASK, self._door, "examine", details={"job": job, "objects": unknown[:1000], "count": len(unknown)}
        )
        self._chain.append([record])
        linked = refused = 0
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
            linked += self._keep(orthanc_id, read, data)
        return Examined(len(unknown), linked, refused)

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

    def _keep(self, orthanc_id: str, read: ReadObject, data: bytes) -> bool:
        """An examined object: linked where its place is known, else in the index, unseen."""
        held = Held(
            read.sop_instance_uid, read.series_instance_uid, read.study_instance_uid, orthanc_id, read.attributes
        )
        if self._link(held, data):
            return True
        with transaction(self._engine) as connection:
            if photos.by_sop(connection, held.sop_uid) is None:
                self._linker.wait(connection, held)
        return False

    def _link(self, held: Held, data: bytes | None) -> bool:
        """Link an object whose place is known; False where it has to wait."""
        with reading(self._engine) as connection:
            place = self._linker.place(connection, held.attributes)
            known = photos.by_sop(connection, held.sop_uid)
        if place is None or (
            known is not None and (known.state is PhotoState.LINKED or known.orthanc_id != held.orthanc_id)
        ):
            return False
        if data is None:
            data = self._archive.file(held.orthanc_id, held.orthanc_id)
            if data is None:
                return False
        digest = hashlib.sha256(data).hexdigest()
        intent = AuditRecord(
            Kind.INTENT,
            self._door,
            "link",
            photo=held.sop_uid,
            patient=place.patient,
            subject=f"Encounter/{place.encounter}",
            digest=digest,
        )
        try:
            with self._chain.written(intent), transaction(self._engine) as connection:
                if self._linker.place(connection, held.attributes) == place and not _linked(connection, held.sop_uid):
                    self._linker.link_arrived(connection, place, held, digest)
        except (BridgeError, MappingError) as error:
            _LOG.warning("an object was not linked: %s", type(error).__name__)
            return False
        return True

    # --- all objects ------------------------------------------------------------------------------------------------

    def _compare(self, job: str) -> Examined:
        """Hold all objects against what is known, in both directions."""
        with glancing(self._engine) as connection:
            known = {
                row.orthanc_id: row.sop_uid for row in connection.execute(select(photo.c.orthanc_id, photo.c.sop_uid))
            }
        present = self._archive.instances(job)
        missing = sorted(sop for orthanc_id, sop in known.items() if orthanc_id not in present)
        if missing:
            _LOG.error("%d photos of the record are missing in Orthanc", len(missing))
            with transaction(self._engine) as connection:
                self._linker.ask_for_missing(connection, missing)
        return self._examine_all(job, sorted(present))

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


def _linked(connection: Connection, sop_uid: str) -> bool:
    row = photos.by_sop(connection, sop_uid)
    return row is not None and row.state is PhotoState.LINKED


def _plus(one: Examined, other: Examined) -> Examined:
    return Examined(one.examined + other.examined, one.linked + other.linked, one.refused + other.refused)
