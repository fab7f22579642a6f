"""C-STORE: an object comes in, as one that nobody sees until its place is known (PS3.4 Annex B; PS3.7 9.1.1).

It goes into Orthanc like our own objects, by STOW-RS with a ticket for this one object; the worker finds it by its
accession number or admission. One whose UID another photo has is kept out by Orthanc's wall, and a person is told; it
is answered like whatever could not be stored just now, for a sender that was told of success would let go of its copy.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue

from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.presentation import PresentationContext
from sqlalchemy import Engine

from consent.audit.chain import Chain
from consent.identity.peers import Known
from consent.store.clock import micros, now
from consent.store.engine import glancing, transaction
from consent.store.write import upsert
from dicom_bridge.archive import Archive
from dicom_bridge.deposit import Depositor, Failure
from dicom_bridge.errors import ObjectRefused
from dicom_bridge.gateway import status
from dicom_bridge.gateway.association import Association
from dicom_bridge.gateway.caller import may_store
from dicom_bridge.gateway.datasets import part10
from dicom_bridge.gateway.tables import dimse_stored
from dicom_bridge.objects.read import ReadObject, read_object
from dicom_bridge.query.index import whole_text_of
from dicom_bridge.query.known import data_set_digest, known
from dicom_bridge.query.orthanc_ids import orthanc_ids

_AT_ONCE = 4
_PATIENT_ID = "00100020"


class Archives:
    """A few clients of the archive, each for one thread at a time."""

    def __init__(self, make: Callable[[], Archive]) -> None:
        self._idle: SimpleQueue[Archive] = SimpleQueue()
        for _ in range(_AT_ONCE):
            self._idle.put(make())

    @contextmanager
    def one(self) -> Iterator[Archive]:
        """A client; waits for one that is free."""
        taken = self._idle.get()
        try:
            yield taken
        finally:
            self._idle.put(taken)


class Storing:
    """The service of one gateway."""

    def __init__(
        self, engine: Engine, chain: Chain, archives: Archives, *, door: str, others: Callable[[], bool]
    ) -> None:
        """Begin; ``others`` says whether objects that are no photos are taken in."""
        self._engine, self._chain, self._archives = engine, chain, archives
        self._door, self._others = door, others

    def store(self, association: Association, request: C_STORE, context: PresentationContext, caller: Known) -> None:
        """Answer a C-STORE."""
        assert context.context_id is not None
        response = C_STORE()
        response.MessageIDBeingRespondedTo = request.MessageID
        response.AffectedSOPClassUID = request.AffectedSOPClassUID
        response.AffectedSOPInstanceUID = request.AffectedSOPInstanceUID
        response.Status = self._status(request, context, caller)
        association.dimse.send_msg(response, context.context_id)

    def _status(self, request: C_STORE, context: PresentationContext, caller: Known) -> int:
        if not may_store(caller):
            return status.NOT_AUTHORIZED
        if request.AffectedSOPClassUID != context.abstract_syntax:
            return status.SOP_CLASS_NOT_SUPPORTED
        named = (str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID))
        data = request.DataSet.getbuffer() if request.DataSet is not None else memoryview(b"")
        dicom = part10(*named, str(context.transfer_syntax[0]), data)
        try:
            read = read_object(dicom)
        except ObjectRefused:
            return status.CANNOT_UNDERSTAND
        if (read.sop_class_uid, read.sop_instance_uid) != named:
            return status.IDENTIFIER_MISMATCH
        return self._keep(dicom, read, caller)

    def _keep(self, dicom: bytes, read: ReadObject, caller: Known) -> int:
        patient_id = whole_text_of(read.attributes, _PATIENT_ID)
        uids = (read.study_instance_uid, read.series_instance_uid, read.sop_instance_uid)
        orthanc_id = orthanc_ids(patient_id, *uids).instance
        with self._archives.one() as archive:
            depositor = Depositor(self._chain, archive, door=self._door, others=self._others)
            failure = depositor.deposit(caller.request, "C-STORE", dicom).failure
            if failure is None and self._is_it(archive, orthanc_id, read.sop_instance_uid, dicom):
                self._remember(caller, read, orthanc_id)
        if failure is Failure.PROCESSING:
            return status.OUT_OF_RESOURCES
        return status.SUCCESS if failure is None else int(failure)

    def _is_it(self, archive: Archive, orthanc_id: str, sop_uid: str, dicom: bytes) -> bool:
        """Whether Orthanc holds this very object: one that was there already, under the same UIDs, stays as it was."""
        with glancing(self._engine) as connection:
            if known(connection, sop_uid) is None:
                return True  # nobody had it before, or only a moment before
        kept = archive.file(f"c-store-{uuid.uuid4()}", orthanc_id)
        return kept is not None and data_set_digest(kept) == data_set_digest(dicom)

    def _remember(self, caller: Known, read: ReadObject, orthanc_id: str) -> None:
        with transaction(self._engine) as connection:
            upsert(
                connection,
                dimse_stored,
                {
                    "account": caller.peer.account,
                    "sop_uid": read.sop_instance_uid,
                    "sop_class": read.sop_class_uid,
                    "orthanc_id": orthanc_id,
                    "stored": micros(now(connection)),
                },
            )
