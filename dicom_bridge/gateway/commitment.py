"""Storage commitment, push model (PS3.4 Annex J; PS3.7 10.1.4, 10.1.1): what of that is here, and may be let go of?

It is no oracle: an object is confirmed where Orthanc has it, and the caller stored it itself or is permitted to see it.
Everything else is reported alike, as an object that does not exist.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID
from pynetdicom.dimse_primitives import N_ACTION, N_EVENT_REPORT
from pynetdicom.presentation import PresentationContext, build_context
from sqlalchemy import Engine, select

from consent.identity.peers import Known
from consent.service import DecisionPoint
from consent.store.engine import reading
from consent.store.tables import photo
from consent.store.write import among
from dicom_bridge.archive import ArchiveUnavailable
from dicom_bridge.errors import ObjectRefused
from dicom_bridge.gateway import status
from dicom_bridge.gateway.association import Association, Gone
from dicom_bridge.gateway.calling import Caller as Outward
from dicom_bridge.gateway.datasets import encoded, read, text
from dicom_bridge.gateway.limits import Limits
from dicom_bridge.gateway.storing import Archives
from dicom_bridge.gateway.syntaxes import PLAIN
from dicom_bridge.gateway.tables import dimse_stored
from dicom_bridge.query.tables import dicom_instance

PUSH_MODEL = "1.2.840.10008.1.20.1"
_INSTANCE = "1.2.840.10008.1.20.1.1"
"""The well-known SOP Instance (PS3.4 J.3.5)."""

_REQUEST = 1
_ALL, _NOT_ALL = 1, 2
"""Action and event types (PS3.4 Tables J.3.2-1, J.3.3-1)."""

_TRANSACTION, _REFERENCES = "00081195", "00081199"
_CLASS, _UID = "00081150", "00081155"
_UID_FORM = re.compile(r"[0-9.]{1,64}", re.ASCII)
_ROUTE = "N-ACTION storage commitment"


@dataclass(frozen=True, slots=True)
class _Reference:
    sop_class: str
    sop_uid: str


@dataclass(frozen=True, slots=True)
class _Asked:
    transaction: str
    references: tuple[_Reference, ...]


@dataclass(frozen=True, slots=True)
class _Here:
    """An object that the caller may be told of."""

    sop_class: str
    orthanc_id: str


class Commitment:
    """The service of one gateway."""

    def __init__(
        self, engine: Engine, point: DecisionPoint, archives: Archives, outward: Outward, limits: Limits
    ) -> None:
        self._engine, self._point, self._archives = engine, point, archives
        self._outward, self._limits = outward, limits

    def commit(self, association: Association, request: N_ACTION, context: PresentationContext, caller: Known) -> None:
        """Answer an N-ACTION, and report: to the peer's own address where it has one, else by this association."""
        assert context.context_id is not None
        response = N_ACTION()
        response.MessageIDBeingRespondedTo = request.MessageID
        response.AffectedSOPClassUID = request.RequestedSOPClassUID
        response.AffectedSOPInstanceUID = request.RequestedSOPInstanceUID
        response.ActionTypeID = request.ActionTypeID
        asked: _Asked | None = None
        if request.RequestedSOPClassUID != PUSH_MODEL or request.RequestedSOPInstanceUID != _INSTANCE:
            response.Status = status.NO_SUCH_INSTANCE
        elif request.ActionTypeID != _REQUEST:
            response.Status = status.NO_SUCH_ACTION
        else:
            asked = self._asked(request, str(context.transfer_syntax[0]))
            response.Status = status.INVALID_ARGUMENT if asked is None else status.SUCCESS
        association.dimse.send_msg(response, context.context_id)
        if asked is not None:
            self._report(association, context, caller, self._result(asked, caller))

    def _asked(self, request: N_ACTION, syntax: str) -> _Asked | None:
        data = request.ActionInformation.getvalue() if request.ActionInformation is not None else b""
        try:
            information = read(data, syntax)
        except ObjectRefused:
            return None
        items = (information.get(_REFERENCES) or {}).get("Value") or ()
        transaction = text(information, _TRANSACTION)
        references = tuple(_reference(item) for item in items)
        named = [each for each in references if each is not None]
        if not _UID_FORM.fullmatch(transaction) or not named or len(named) != len(items):
            return None
        return _Asked(transaction, tuple(named)) if len(named) <= self._limits.objects else None

    def _result(self, asked: _Asked, caller: Known) -> Dataset:
        """The event information (PS3.4 Table J.3.3-1)."""
        here = self._here(asked, caller)
        kept: list[Dataset] = []
        failed: list[Dataset] = []
        job = f"commitment-{uuid.uuid4()}"
        with self._archives.one() as archive:
            for reference in asked.references:
                found = here.get(reference.sop_uid)
                item = Dataset()
                item.ReferencedSOPClassUID = UID(reference.sop_class)
                item.ReferencedSOPInstanceUID = UID(reference.sop_uid)
                try:
                    there = found is not None and archive.holds(job, found.orthanc_id)
                except ArchiveUnavailable:
                    there = False
                if there and found is not None and found.sop_class == reference.sop_class:
                    kept.append(item)
                else:
                    item.FailureReason = status.CLASS_INSTANCE_CONFLICT if there else status.NO_SUCH_INSTANCE
                    failed.append(item)
        result = Dataset()
        result.TransactionUID = UID(asked.transaction)
        if kept:
            result.ReferencedSOPSequence = Sequence(kept)
        if failed:
            result.FailedSOPSequence = Sequence(failed)
        return result

    def _here(self, asked: _Asked, caller: Known) -> dict[str, _Here]:
        """Objects that the caller stored, or is permitted to see; the latter are recorded."""
        uids = {each.sop_uid for each in asked.references}
        with reading(self._engine) as connection:
            may = self._point.permitted(connection, caller.request, fulfils=frozenset())
            seen = connection.execute(
                select(photo.c.photo, photo.c.sop_uid, photo.c.orthanc_id, dicom_instance.c.sop_class)
                .join(dicom_instance, dicom_instance.c.photo == photo.c.photo)
                .where(among(connection, photo.c.sop_uid, uids), may.clause(photo.c.photo))
            ).all()
            stored = connection.execute(
                select(dimse_stored.c.sop_uid, dimse_stored.c.sop_class, dimse_stored.c.orthanc_id).where(
                    dimse_stored.c.account == caller.peer.account, among(connection, dimse_stored.c.sop_uid, uids)
                )
            ).all()
        self._point.record_set(caller.request, _ROUTE, [row.photo for row in seen])
        return {row.sop_uid: _Here(row.sop_class, row.orthanc_id) for row in (*seen, *stored)}

    def _report(self, association: Association, context: PresentationContext, caller: Known, result: Dataset) -> None:
        """Send the result (PS3.7 10.1.1)."""
        if caller.peer.destination is not None:
            try:
                outward = self._outward.open_for(caller.peer, [build_context(PUSH_MODEL, list(PLAIN))], PUSH_MODEL)
            except Gone:
                pass  # it does not listen: the association that asked is still there
            else:
                try:
                    if outward.accepted_contexts:
                        _send(outward, outward.accepted_contexts[0], result)
                        return
                except Gone:
                    pass
                finally:
                    self._outward.close(outward)
        _send(association, context, result)


def _send(association: Association, context: PresentationContext, result: Dataset) -> None:
    report = N_EVENT_REPORT()
    report.MessageID = 1
    report.AffectedSOPClassUID, report.AffectedSOPInstanceUID = PUSH_MODEL, _INSTANCE
    report.EventTypeID = _NOT_ALL if "FailedSOPSequence" in result else _ALL
    report.EventInformation = BytesIO(encoded(result, str(context.transfer_syntax[0])))
    assert context.context_id is not None
    association.dimse.send_msg(report, context.context_id)
    association.dimse.answer(N_EVENT_REPORT, 1)


def _reference(item: Any) -> _Reference | None:
    if not isinstance(item, Mapping):
        return None
    sop_class, sop_uid = text(item, _CLASS), text(item, _UID)
    return _Reference(sop_class, sop_uid) if _UID_FORM.fullmatch(sop_class) and _UID_FORM.fullmatch(sop_uid) else None
