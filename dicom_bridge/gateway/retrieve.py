"""C-GET and C-MOVE: the permitted photos of what was asked for, sent one by one (PS3.4 C.4.2, C.4.3).

The set is decided as a whole and recorded before anything leaves. A photo that is refused is not in it, so it looks
like one that does not exist: in no count, in no list. Each photo is decided once more when its turn comes, and the
operation stops at the first that was withdrawn in between.

A C-MOVE is decided for the account and the purpose of its destination. Its caller, who learns from the counts how many
there are, must be permitted to see them as well: what is sent is what both may see.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom.dimse_primitives import C_GET, C_MOVE, C_STORE
from pynetdicom.presentation import PresentationContext
from sqlalchemy import Engine

from consent.identity.peers import Known
from consent.service import DecisionPoint
from consent.store.engine import reading
from consent.types import Request
from dicom_bridge.errors import BridgeError, ObjectRefused
from dicom_bridge.gateway import status
from dicom_bridge.gateway.association import Association, Gone
from dicom_bridge.gateway.caller import Callers
from dicom_bridge.gateway.calling import Caller as Outward
from dicom_bridge.gateway.datasets import encoded, read
from dicom_bridge.gateway.files import Files
from dicom_bridge.gateway.finding import root
from dicom_bridge.gateway.limits import Limits
from dicom_bridge.gateway.syntaxes import outgoing
from dicom_bridge.query.identifier import BadIdentifier, retrieve_identifier
from dicom_bridge.query.search import Question
from dicom_bridge.query.selection import Selected, Selection, select_photos

_FULFILS: frozenset[Any] = frozenset()
"""Headers leave with every object, so that no obligation can be met here."""


@dataclass(slots=True)
class Counts:
    """Sub-operations (PS3.7 9.1.4.1.6 to 9.1.4.1.9)."""

    remaining: int
    completed: int = 0
    failed: int = 0
    warned: int = 0
    failed_uids: list[str] = field(default_factory=list)

    def count(self, photo: Selected, outcome: int) -> None:
        """One more sub-operation has ended."""
        self.remaining -= 1
        if outcome == status.SUCCESS:
            self.completed += 1
        elif status.warns(outcome):
            self.warned += 1
        else:
            self.failed += 1
            self.failed_uids.append(photo.sop_uid)

    @property
    def status(self) -> int:
        """How the operation as a whole has ended."""
        if not self.failed and not self.warned and not self.remaining:
            return status.SUCCESS
        return status.SOME_FAILED if self.completed or self.warned else status.CANNOT_SEND


@dataclass(frozen=True, slots=True)
class Originator:
    """Who asked for a C-MOVE: stands in each C-STORE that it causes (PS3.7 9.1.1.1.6, 9.1.1.1.7)."""

    ae_title: str
    message_id: int


class Retrieval:
    """The two services of one gateway."""

    def __init__(
        self, engine: Engine, point: DecisionPoint, callers: Callers, files: Files, outward: Outward, limits: Limits
    ) -> None:
        self._engine, self._point, self._callers = engine, point, callers
        self._files, self._outward, self._limits = files, outward, limits

    def get(self, association: Association, request: C_GET, context: PresentationContext, caller: Known) -> None:
        """Answer a C-GET: photos go back by the association that asked."""
        answer = _Answer(association, request, context, C_GET())
        named = self._named(answer, request, context)
        if named is None:
            return
        route = "C-GET"
        found = self._decided(named, route, (caller.request,), caller.request, {})
        if found.more:
            answer.end(status.CANNOT_COUNT)
            return
        self._send(answer, found.photos, association, (caller.request,), route, None, lambda: self._same(caller, None))

    def move(self, association: Association, request: C_MOVE, context: PresentationContext, caller: Known) -> None:
        """Answer a C-MOVE: photos go to the destination by an association of its own."""
        answer = _Answer(association, request, context, C_MOVE())
        destination = self._callers.destination((request.MoveDestination or "").strip())
        if destination is None:
            answer.end(status.DESTINATION_UNKNOWN)
            return
        named = self._named(answer, request, context)
        if named is None:
            return
        route = "C-MOVE"
        told = {"caller": caller.peer.account, "from": caller.peer.ae_title, "to": destination.peer.ae_title}
        askers = tuple(dict.fromkeys((destination.request, caller.request)))
        found = self._decided(named, route, askers, destination.request, told)
        if found.more:
            answer.end(status.CANNOT_COUNT)
            return
        if not found.photos:
            answer.finish(Counts(0), status.SUCCESS)
            return
        try:
            outward = self._outward.open(destination.peer, [photo.sop_class for photo in found.photos])
        except Gone:
            counts = Counts(0, failed=len(found.photos), failed_uids=[photo.sop_uid for photo in found.photos])
            answer.finish(counts, status.CANNOT_SEND)
            return
        originator = Originator(caller.peer.ae_title, request.MessageID or 0)
        lost = True
        try:
            lost = not self._send(
                answer,
                found.photos,
                outward,
                askers,
                route,
                originator,
                lambda: self._same(caller, destination),
            )
        finally:
            self._outward.close(outward, lost=lost)

    def _named(self, answer: _Answer, request: C_GET | C_MOVE, context: PresentationContext) -> Question | None:
        """What is asked for; None where that was answered by a refusal."""
        data = request.Identifier.getvalue() if request.Identifier is not None else b""
        try:
            return retrieve_identifier(read(data, str(context.transfer_syntax[0])), root(context))
        except (ObjectRefused, BadIdentifier):
            answer.end(status.IDENTIFIER_MISMATCH)
            return None

    def _decided(
        self, named: Question, route: str, askers: Sequence[Request], receiver: Request, told: dict[str, str]
    ) -> Selection:
        """The photos that all who ask may see, recorded for the one who receives them."""
        with reading(self._engine) as connection:
            clauses = [self._point.permitted(connection, each, fulfils=_FULFILS).clause for each in askers]
            found = select_photos(connection, named, clauses, most=self._limits.objects)
        self._point.record_set(receiver, route, [photo.number for photo in found.photos], found.refused, details=told)
        return found

    def _same(self, caller: Known, destination: Known | None) -> bool:
        """Whether neither peer, nor what its account may do, has changed since the set was decided."""
        peers = (caller,) if destination is None else (caller, destination)
        return all(self._callers.unchanged(each) for each in peers)

    def _send(
        self,
        answer: _Answer,
        photos: Sequence[Selected],
        to: Association,
        askers: Sequence[Request],
        route: str,
        originator: Originator | None,
        stands: Callable[[], bool],
    ) -> bool:
        """Send the photos; False where a destination has stopped to answer.

        Raises
        ------
        Gone
            The caller has.
        """
        counts, answers = Counts(len(photos)), True
        message_id = 0
        for photo, file in self._files.each(photos):
            if answer.cancelled():
                answer.finish(counts, status.CANCEL)
                return True
            if not stands() or not self._still(askers, photo, route):
                break
            message_id = message_id % 0xFFFF + 1
            try:
                counts.count(photo, self._store(to, photo, file, message_id, originator))
            except Gone:
                if originator is None:
                    raise
                for lost in photos[-counts.remaining :]:
                    counts.count(lost, status.OUT_OF_RESOURCES)
                answers = False
                break
            if counts.remaining:
                answer.pending(counts)
        answer.finish(counts, counts.status)
        return answers

    def _still(self, askers: Sequence[Request], photo: Selected, route: str) -> bool:
        """Whether all who were asked for may see the photo now."""
        return all(self._point.still(each, photo.sop_uid, route=route, fulfils=_FULFILS) for each in askers)

    def _store(
        self, to: Association, photo: Selected, file: bytes | None, message_id: int, originator: Originator | None
    ) -> int:
        """One C-STORE sub-operation; its status.

        Raises
        ------
        Gone
            The receiver does not answer.
        """
        if file is None:
            return status.OUT_OF_RESOURCES
        try:
            out = outgoing(to, photo.sop_class, file, pixels=self._limits.pixels)
        except BridgeError:
            return status.SOP_CLASS_NOT_SUPPORTED
        request = C_STORE()
        request.MessageID = message_id
        request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = photo.sop_class, photo.sop_uid
        request.Priority = 0x0002  # low
        if originator is not None:
            request.MoveOriginatorApplicationEntityTitle = originator.ae_title
            request.MoveOriginatorMessageID = originator.message_id
        to.dimse.send_object(request, out.context_id, out.data)
        answered = to.dimse.answer(C_STORE, message_id).Status
        return status.CANNOT_UNDERSTAND if answered is None else answered


class _Answer:
    """The responses to one C-GET or C-MOVE."""

    def __init__(
        self, association: Association, request: C_GET | C_MOVE, context: PresentationContext, response: C_GET | C_MOVE
    ) -> None:
        assert request.MessageID is not None
        assert context.context_id is not None
        self._association, self._message_id, self._context_id = association, request.MessageID, context.context_id
        self._syntax = str(context.transfer_syntax[0])
        self._response = response
        response.MessageIDBeingRespondedTo = request.MessageID
        response.AffectedSOPClassUID = request.AffectedSOPClassUID

    def cancelled(self) -> bool:
        """Whether the caller has asked to end it."""
        return self._association.cancelled(self._message_id)

    def pending(self, counts: Counts) -> None:
        """A sub-operation has ended; more follow."""
        self._response.NumberOfRemainingSuboperations = counts.remaining
        self._say(status.PENDING, counts)

    def finish(self, counts: Counts, code: int) -> None:
        """All is over. Where it was stopped, what was not sent counts as failed and is not named."""
        self._response.NumberOfRemainingSuboperations = counts.remaining if code == status.CANCEL else None
        if code != status.CANCEL:
            counts.failed += counts.remaining
        if code != status.SUCCESS:
            failed = Dataset()
            failed.FailedSOPInstanceUIDList = counts.failed_uids
            self._response.Identifier = BytesIO(encoded(failed, self._syntax))
        self._say(code, counts)

    def end(self, code: int) -> None:
        """It was refused before anything was decided."""
        self._response.Status = code
        self._association.dimse.send_msg(self._response, self._context_id)

    def _say(self, code: int, counts: Counts) -> None:
        self._response.NumberOfCompletedSuboperations = counts.completed
        self._response.NumberOfFailedSuboperations = counts.failed
        self._response.NumberOfWarningSuboperations = counts.warned
        self.end(code)
