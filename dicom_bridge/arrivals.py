"""Objects that reach Orthanc by another way than ``ingest``: found by ``/changes``, examined, and then settled.

Until an object is examined and linked, nobody sees it. A full comparison with the ledger finds what a lost callback,
a kill or an older Orthanc left behind.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, insert, select, update

from consent.audit.chain import Chain
from consent.store import clock, photos
from consent.store.clock import micros
from consent.store.engine import glancing, transaction
from consent.store.load import OTHER
from consent.store.photos import PhotoState
from consent.store.tables import photo
from dicom_bridge import ledger
from dicom_bridge.archive import Archive
from dicom_bridge.errors import ObjectRefused
from dicom_bridge.held import Held, forget_others, keep_other
from dicom_bridge.ledger import State
from dicom_bridge.linking import Linker
from dicom_bridge.objects.read import read_object
from dicom_bridge.placing import Place
from dicom_bridge.query.classes import PHOTO_CLASSES
from dicom_bridge.query.known import data_set_digest
from dicom_bridge.query.tables import dicom_attributes
from dicom_bridge.settling import FAULTS, Settling, Step, examination
from dicom_bridge.tables import archive_cursor
from dicom_bridge.tables import ledger as ledger_table
from dicom_bridge.tasks import Tasks

NEW_INSTANCE = "NewInstance"
COMPARE_EVERY = timedelta(hours=24)
_PAGE, _PAGES = 200, 5
_RECORDED = 1000
"""So many objects are named in one audit record."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Examined:
    """What a look at the archive brought."""

    examined: int
    """Objects that were not known."""

    linked: int
    """Those of them whose place was found."""

    refused: int
    """Objects that cannot be read or kept; nobody sees them."""

    others: int = 0
    """Objects that are no photos, as their SOP Class tells."""

    @property
    def waiting(self) -> int:
        """Those that wait, unseen, until their visit is told or a person places them."""
        return self.examined - self.linked - self.refused - self.others


class Arrivals:
    """Looks at what arrived."""

    def __init__(
        self,
        engine: Engine,
        chain: Chain,
        archive: Archive,
        linker: Linker,
        tasks: Tasks,
        *,
        door: str,
        place_clean: Callable[[Place, str], bool],
        at: Callable[[Step], None] = lambda _: None,
    ) -> None:
        """Put it together; ``at`` is called at each step, ``place_clean`` as :class:`Settling` says."""
        self._at = at
        self._engine, self._chain, self._archive, self._door = engine, chain, archive, door
        self._tasks = tasks
        self._settling = Settling(engine, chain, archive, linker, tasks, door=door, at=at, place_clean=place_clean)
        self._after = 0
        self._told: Callable[[], None] = lambda: None

    def outstanding(self) -> int:
        """How many objects of Orthanc nobody has looked at yet."""
        with glancing(self._engine) as connection:
            known = set(connection.execute(select(photo.c.orthanc_id)).scalars())
        return len(self._archive.instances(str(uuid.uuid4())) - known)

    def look(self, *, everything: bool = False, told: Callable[[], None] = lambda: None) -> Examined:
        """Examine what arrived since the last look; with ``everything`` hold all objects against the ledger.

        What was examined stays so when this is ended halfway, and is not examined again; ``told`` is called after each
        object.
        """
        self._told = told
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
            self._at(Step.ADVANCED)
            if page.done:
                break
            page = self._archive.changes(job, since)
        with glancing(self._engine) as connection:
            now = clock.now(connection)
        if everything or behind or compared is None or now - compared >= COMPARE_EVERY:
            total = _plus(total, self._compare(job, anew=behind))
            self._advance(page.last if behind else since, compared=now)
        return total

    def relink(self) -> int:
        """Look again for the places of objects that wait, since the record grows; how many were found.

        Up to five pages are looked at in one call; the next call goes on behind them.
        """
        job = str(uuid.uuid4())
        linked = 0
        for _ in range(_PAGES):
            query = (
                select(photo.c.photo, photo.c.sop_uid, photo.c.series_uid, photo.c.study_uid, photo.c.orthanc_id)
                .add_columns(dicom_attributes.c.attributes)
                .join(dicom_attributes, dicom_attributes.c.photo == photo.c.photo)
                .outerjoin(ledger_table, ledger_table.c.sop_uid == photo.c.sop_uid)  # a person decides about those
                .where(photo.c.state == PhotoState.EXAMINED.value, ledger_table.c.sop_uid.is_(None))
                .where(photo.c.photo > self._after)
            )
            with glancing(self._engine) as connection:
                rows = connection.execute(query.order_by(photo.c.photo).limit(_PAGE)).all()
            for row in rows:
                attributes = json.loads(row.attributes)
                held = Held(row.sop_uid, row.series_uid, row.study_uid, row.orthanc_id, attributes)
                linked += self._settling.settle(job, held, None)
            self._after = rows[-1].photo if len(rows) == _PAGE else 0
            if self._after == 0:
                break
        return linked

    def collided(self, sop_uid: str, orthanc_id: str, digest: str) -> None:
        """Tell a person of an object with a known UID that was not stored, where it is not the very same one.

        Parameters
        ----------
        orthanc_id
            Which the object would have, or has.
        digest
            Of its data set, where it was sent to the place of the one that is known; empty where it was not.
        """
        if digest:
            job = str(uuid.uuid4())
            self._chain.append([examination(job, [orthanc_id], self._door)])
            kept = self._archive.file(job, orthanc_id)
            if kept is None or data_set_digest(kept) == digest:
                return
        with transaction(self._engine) as connection:
            self._tasks.uid_taken(connection, sop_uid, orthanc_id)

    # --- one object -------------------------------------------------------------------------------------------------

    def _examine_all(self, job: str, orthanc_ids: list[str]) -> Examined:
        """Examine those that are not known; a fault of one does not stop the others."""
        unknown = self._unknown(orthanc_ids)
        total = Examined(0, 0, 0)
        for start in range(0, len(unknown), _RECORDED):
            page = unknown[start : start + _RECORDED]
            self._chain.append([examination(job, page, self._door)])
            self._at(Step.RECORDED)
            for orthanc_id in page:
                total = _plus(total, self._examine(job, orthanc_id))
                self._told()
        return total

    def _examine(self, job: str, orthanc_id: str) -> Examined:
        data = self._archive.file(job, orthanc_id)
        if data is None:
            return Examined(0, 0, 0)
        self._at(Step.READ)
        try:
            read = read_object(data)
        except ObjectRefused as error:
            return self._set_aside(orthanc_id, f"It cannot be read: {error}.")
        except Exception as error:  # noqa: BLE001  # an object by a stranger must not keep all later ones out
            _LOG.warning("an object could not be read: %s", type(error).__name__)
            return self._set_aside(orthanc_id, "It cannot be read.")
        held = Held(
            read.sop_instance_uid, read.series_instance_uid, read.study_instance_uid, orthanc_id, read.attributes
        )
        with glancing(self._engine) as connection:
            known = photos.by_sop(connection, held.sop_uid)
        if known is not None and known.orthanc_id != orthanc_id:
            # The hook refuses those; this one came before there was a hook, or while it could not ask.
            return self._set_aside(orthanc_id, "Its SOP Instance UID is another photo's.")
        try:
            if read.sop_class_uid not in PHOTO_CLASSES:
                with transaction(self._engine) as connection:
                    keep_other(connection, held)
                return Examined(1, 0, 0, others=1)
            return Examined(1, int(self._settling.settle(job, held, data)), 0)
        except FAULTS as error:
            _LOG.warning("an object could not be kept: %s", type(error).__name__)
            return self._set_aside(orthanc_id, "It cannot be kept: a value of it is none.")

    def _set_aside(self, orthanc_id: str, why: str) -> Examined:
        with transaction(self._engine) as connection:
            self._tasks.refused(connection, orthanc_id, why)
        return Examined(1, 0, 1)

    def _unknown(self, orthanc_ids: list[str]) -> list[str]:
        """Objects without a photo's row, those of the pipeline's open batches left out: it finishes them itself."""
        found = []
        with glancing(self._engine) as connection:
            for orthanc_id in orthanc_ids:
                state = connection.execute(
                    select(photo.c.state).where(photo.c.orthanc_id == orthanc_id)
                ).scalar_one_or_none()
                entry = ledger.by_orthanc_id(connection, orthanc_id) if state is None else None
                if state == PhotoState.ARRIVED.value or (
                    state is None and (entry is None or entry.state is State.DONE)
                ):
                    found.append(orthanc_id)
        return found

    # --- all objects ------------------------------------------------------------------------------------------------

    def _compare(self, job: str, *, anew: bool) -> Examined:
        """Hold all objects against what is known, in both directions; ``anew`` reads those set aside once more."""
        query = select(photo.c.photo, photo.c.orthanc_id, photo.c.sop_uid, photo.c.state)
        with glancing(self._engine) as connection:
            known = {row.orthanc_id: row for row in connection.execute(query)}
        present = self._archive.instances(job)
        if not known.keys() <= present:  # a page moves up where something before it is removed meanwhile
            present |= self._archive.instances(job)
        missing = sorted(
            row.sop_uid
            for orthanc_id, row in known.items()
            if orthanc_id not in present and row.state not in (PhotoState.ARRIVED.value, OTHER)
        )
        if missing:
            _LOG.error("%d photos of the record are missing in Orthanc", len(missing))
            with transaction(self._engine) as connection:
                self._tasks.missing(connection, missing)
        gone = [row.photo for row in known.values() if row.state == OTHER and row.orthanc_id not in present]
        if gone:
            with transaction(self._engine) as connection:
                forget_others(connection, gone)
        strange = sorted(present - known.keys())
        if anew:
            strange += sorted(each for each in present & known.keys() if known[each].state == PhotoState.ARRIVED.value)
        else:
            with glancing(self._engine) as connection:
                strange = [each for each in strange if not self._tasks.is_refused(connection, each)]
        return self._examine_all(job, strange)

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
    return Examined(
        one.examined + other.examined,
        one.linked + other.linked,
        one.refused + other.refused,
        one.others + other.others,
    )
