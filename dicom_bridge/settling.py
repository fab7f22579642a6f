"""An object that arrived finds its place: it is linked there, or waits unseen until its place is known."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from enum import StrEnum

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DataError

from consent.audit.chain import Chain
from consent.audit.record import AuditRecord, Kind
from consent.store import photos
from consent.store.engine import reading, rehearsal, transaction
from consent.store.photos import PhotoState
from dicom_bridge.archive import Archive
from dicom_bridge.brought import RecordRefused
from dicom_bridge.errors import BridgeError, DescriptionRefused, ObjectRefused
from dicom_bridge.held import Held, keep_unseen
from dicom_bridge.linking import Linker
from dicom_bridge.objects.inside import tells
from dicom_bridge.placing import NO_VALUE, Place, Waits, not_linked
from dicom_bridge.tasks import Tasks
from fhir_mapping.errors import MappingError

FAULTS = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, DataError)
"""What values by a stranger may raise that nobody thought of: one object must not keep all later ones out."""

_LOG = logging.getLogger(__name__)


class Step(StrEnum):
    """The places between two steps of an arrival, where a process may die."""

    RECORDED = "recorded"
    """The audit chain says which objects are about to be read."""

    READ = "read"
    INTENDED = "link-intended"
    WRITTEN = "link-written"
    """Within the commit: all is written, nothing committed."""

    COMMITTED = "link-committed"
    CONCLUDED = "link-concluded"
    """The audit chain has the outcome; the cursor still stands before the object."""

    ADVANCED = "advanced"


class Settling:
    """Settles objects, one by one."""

    def __init__(
        self,
        engine: Engine,
        chain: Chain,
        archive: Archive,
        linker: Linker,
        tasks: Tasks,
        *,
        door: str,
        at: Callable[[Step], None],
        place_clean: Callable[[Place, str], bool],
    ) -> None:
        """Put it together; ``at`` is called at each step.

        Parameters
        ----------
        place_clean
            Links an object whose picture tells more than pixels, by its SOP Instance UID, through another instance that
            does not (:meth:`dicom_bridge.corrections.Corrections.place`).
        """
        self._place_clean = place_clean
        self._engine, self._chain, self._archive = engine, chain, archive
        self._linker, self._tasks, self._door, self._at = linker, tasks, door, at

    def settle(self, job: str, held: Held, data: bytes | None) -> bool:
        """Link an object whose place is known, and let it wait unseen otherwise; whether it was linked.

        Parameters
        ----------
        data
            The object, where it was read already.
        """
        place = self._place(held)
        if isinstance(place, Waits):
            self._wait(held, place)
            return False
        if data is None:
            self._chain.append([examination(job, [held.orthanc_id], self._door)])
            data = self._archive.file(job, held.orthanc_id)
        if data is None:  # it was removed meanwhile; the comparison of everything tells so
            return False
        return self._link_as_it_may_be(place, held, data, stated=False) is True

    def link_at(self, place: Place, held: Held, data: bytes) -> bool | Waits:
        """Link an object at a place that is known otherwise than by what the object says.

        Whether it was linked now, or was already; or why it waits.
        """
        return self._link_as_it_may_be(place, held, data, stated=True)

    def _link_as_it_may_be(self, place: Place, held: Held, data: bytes, *, stated: bool) -> bool | Waits:
        """Link an object, or another instance of it where its picture tells what must not be served."""
        try:
            if not tells(data):
                return self._link(place, held, hashlib.sha256(data).hexdigest(), stated=stated)
            self._keep(held)
            return self._place_clean(place, held.sop_uid)
        except (ObjectRefused, DescriptionRefused, RecordRefused) as error:
            waits = not_linked(error)
            return waits if self._wait(held, waits) else False

    def _keep(self, held: Held) -> None:
        with transaction(self._engine) as connection:
            known = photos.by_sop(connection, held.sop_uid)
            if known is None or known.state is PhotoState.ARRIVED:
                keep_unseen(connection, held)

    def _wait(self, held: Held, waits: Waits) -> bool:
        """Have it wait; False where it is linked already."""
        with transaction(self._engine) as connection:
            known = photos.by_sop(connection, held.sop_uid)
            if known is None or known.state is PhotoState.ARRIVED:
                keep_unseen(connection, held)
            elif known.state is not PhotoState.EXAMINED:
                return False
            self._tasks.waits(connection, held, waits.why)
        return True

    def _place(self, held: Held) -> Place | Waits:
        """The place of an object, where it can be linked there: that is tried, and taken back."""
        with reading(self._engine) as connection:
            place = self._linker.place(connection, held.attributes)
        if isinstance(place, Waits):
            return place
        try:
            with rehearsal(self._engine) as connection:
                if not _linked(connection, held.sop_uid):
                    self._linker.link_arrived(connection, place, held, "0" * 64)
        except (BridgeError, MappingError) as error:
            return not_linked(error)
        except FAULTS as error:
            _LOG.warning("an object could not be linked: %s", type(error).__name__)
            return NO_VALUE
        return place

    def _link(self, place: Place, held: Held, digest: str, *, stated: bool = False) -> bool:
        intent = AuditRecord(
            Kind.INTENT,
            self._door,
            "link",
            photo=held.sop_uid,
            patient=place.patient,
            subject=f"Encounter/{place.encounter}",
            digest=digest,
        )

        class _Overtaken(BridgeError):
            pass

        try:
            with self._chain.written(intent):
                self._at(Step.INTENDED)
                with transaction(self._engine) as connection:
                    if _linked(connection, held.sop_uid):
                        raise _Overtaken
                    if not stated and self._linker.place(connection, held.attributes) != place:
                        raise _Overtaken
                    self._tasks.placed(connection, held)
                    self._linker.link_arrived(connection, place, held, digest)
                    self._at(Step.WRITTEN)
                self._at(Step.COMMITTED)
        except _Overtaken:
            return False
        self._at(Step.CONCLUDED)
        return True


def examination(job: str, orthanc_ids: Sequence[str], door: str) -> AuditRecord:
    """What the audit chain says before objects are read by us: which, and for which job."""
    details = {"job": job, "objects": list(orthanc_ids), "count": len(orthanc_ids)}
    return AuditRecord(Kind.TASK, door, "examine", details=details)


def _linked(connection: Connection, sop_uid: str) -> bool:
    row = photos.by_sop(connection, sop_uid)
    return row is not None and row.state is PhotoState.LINKED
