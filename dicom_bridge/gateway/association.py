"""Associations: who may open one, how large messages may grow, and which service answers a request.

pynetdicom keeps the protocol (state machine, negotiation, decoding of PDUs and commands). Its own service classes are
not used: they decode and encode every object on its way.
"""

from __future__ import annotations

import hashlib
import logging
import ssl
import time
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from threading import Lock
from typing import Any, Protocol, TypeVar

from pynetdicom import ae as entity
from pynetdicom import association as base
from pynetdicom.acse import ACSE
from pynetdicom.dimse import _RQ_TO_MESSAGE, _RSP_TO_MESSAGE, DIMSEServiceProvider
from pynetdicom.dimse_primitives import C_STORE, DimsePrimitiveType, DimseServiceType
from pynetdicom.dsutils import encode
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu_primitives import A_ASSOCIATE, P_DATA
from pynetdicom.presentation import PresentationContext

from dicom_bridge.gateway.limits import Limits
from dicom_bridge.gateway.wire import Wire, pdus

_LOG = logging.getLogger(__name__)
_COMMAND_BYTES = 64 * 1024
_WAITING = 8
"""Requests that a peer may send ahead of their answers."""

_LOOK = 0.25
"""Seconds between two looks at whether a peer is still there."""

_SHORTEST_PDU = 1024
"""A peer that takes fewer bytes at a time would have one object cut into millions of pieces."""

_REJECTED = (0x01, 0x01, 0x01)
"""PS3.8 Table 9-21: permanent, by the service user, no reason given. The same for whoever is not let in."""

_FULL = (0x02, 0x03, 0x02)
"""Transient, by the presentation layer: local limit exceeded."""

_Answer = TypeVar("_Answer", bound=DimseServiceType)


class Gone(Exception):
    """The peer has ended the association, or does not answer."""


@dataclass(frozen=True, slots=True)
class Calling:
    """Who a peer says it is, and what proves it."""

    ae_title: str
    called: str
    address: str
    fingerprint: str | None
    """SHA-256 of the client certificate, lower-case hexadecimal."""


class Services(Protocol):
    """What the associations of one gateway share."""

    limits: Limits
    allowance: Allowance

    def admits(self, calling: Calling) -> bool:
        """Whether this peer may open an association."""

    def enter(self, association: Association) -> bool:
        """Take a caller's association on; False where there are as many as can be served."""

    def serve(self, association: Association, request: DimseServiceType, context: PresentationContext) -> None:
        """Answer a request."""

    def ended(self, association: Association) -> None:
        """An association of a caller is over."""


class Allowance:
    """Bytes that all associations together may hold of messages which are being received."""

    def __init__(self, most: int) -> None:
        self._left, self._lock = most, Lock()

    def take(self, count: int) -> bool:
        """Whether so many more may be held; if so, they are counted."""
        with self._lock:
            if count > self._left:
                return False
            self._left -= count
            return True

    def give_back(self, count: int) -> None:
        """So many are held no more."""
        with self._lock:
            self._left += count


class Association(base.Association):
    """One association, of a caller or to a destination."""

    def __init__(self, ae: entity.ApplicationEntity, mode: str, services: Services) -> None:
        super().__init__(ae, mode)
        self.services = services
        self.acse = _Door(self)
        self.dimse: Messages = Messages(self)
        self.dul = _Layer(self)
        self.acse_timeout, self.network_timeout = ae.acse_timeout, ae.network_timeout  # which set its timers
        self.calling: Calling | None = None
        self.came_from = ""  # the address by which its connection is counted

    def run_reactor(self) -> None:
        """Serve the caller until the association ends, and let another in."""
        try:
            super().run_reactor()
        finally:
            self.dimse.forget()
            self.services.ended(self)

    def _serve_request(self, msg: DimseServiceType, context_id: int) -> None:
        context = self._accepted_cx.get(context_id)
        if context is None or not msg.is_valid_request:
            self.abort()
            return
        self.dimse.cancel_req = {}
        self._is_paused = True
        try:
            self.services.serve(self, msg, context)
        except Gone:
            pass  # the state machine knows, and ends the association
        except Exception as error:  # noqa: BLE001  # an outermost edge: nothing of the request may be told
            _LOG.warning("%s failed: %s", type(msg).__name__, type(error).__name__)
            self.abort()
        finally:
            self._is_paused = False
            self.dimse.forget()

    def cancelled(self, message_id: int) -> bool:
        """Whether the caller has asked to end the operation with this message id."""
        return self.dimse.cancel_req.pop(message_id, None) is not None


class _Layer(DULServiceProvider):
    """The upper layer; it tells at once that a peer has gone, also before that has said anything."""

    def __init__(self, association: Association) -> None:
        super().__init__(association)
        self.daemon = True  # it must not outlive the process

    def receive_pdu(self, wait: bool = False, timeout: float | None = None) -> Any:
        """The next primitive; None where none came in time, or none can come any more."""
        until = time.monotonic() + (timeout or 0.0)
        while True:
            found = super().receive_pdu(wait, _LOOK if wait else None)
            gone = self.state_machine.current_state == "Sta1" and self.event_queue.empty()
            if found is not None or not wait or gone or (timeout is not None and time.monotonic() > until):
                return found


class _Door(ACSE):
    """Lets callers in: before anything is negotiated, and all others are told the same."""

    def _negotiate_as_acceptor(self) -> None:
        association = self.assoc
        assert isinstance(association, Association)
        try:
            reason = self._reason(association)
        except Exception as error:  # noqa: BLE001  # an outermost edge: who cannot be looked up is not let in
            _LOG.warning("a caller cannot be looked up: %s", type(error).__name__)
            reason = _REJECTED
        if reason is not None:
            self.send_reject(*reason)
            association.kill()
            return
        super()._negotiate_as_acceptor()

    def _reason(self, association: Association) -> tuple[int, int, int] | None:
        """Why not; None: let in."""
        asked = association.requestor.primitive
        assert isinstance(asked, A_ASSOCIATE)
        wire = association.dul.socket
        assert isinstance(wire, Wire)
        assert association.requestor.address_info is not None
        association.calling = Calling(
            (asked.calling_ae_title or "").strip(),
            (asked.called_ae_title or "").strip(),
            association.requestor.address_info.address,
            fingerprint(wire),
        )
        longest = association.requestor.maximum_length or 0
        if 0 < longest < _SHORTEST_PDU or not association.services.admits(association.calling):
            return _REJECTED
        return None if association.services.enter(association) else _FULL


def fingerprint(wire: Wire) -> str | None:
    """SHA-256 of the certificate that the other side has shown and proved; None where there is none."""
    if not isinstance(wire.socket, ssl.SSLSocket):
        return None
    certificate = wire.socket.getpeercert(binary_form=True)
    return None if not certificate else hashlib.sha256(certificate).hexdigest()


class Messages(DIMSEServiceProvider):
    """Sends messages as a whole, and receives none that grows beyond its limit."""

    def __init__(self, association: Association) -> None:
        super().__init__(association)
        self._limits, self._allowance = association.services.limits, association.services.allowance
        self._command = self._data = self._held = 0
        self._counting = Lock()

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Take a fragment; a message that grows too large ends the association."""
        for _, value in primitive.presentation_data_value_list:
            length = len(value) - 1
            if value[0] & 1:
                self._command += length
            else:
                self._data += length
            fits = self._command <= _COMMAND_BYTES and self._data <= self._most() and self._allowance.take(length)
            if not fits or self.msg_queue.qsize() > _WAITING:
                self.dul.event_queue.put("Evt19")  # PS3.8 9.2: invalid PDU, answered by A-ABORT
                return
            with self._counting:
                self._held += length
        super().receive_primitive(primitive)
        if self.message is None:  # it was the last fragment
            self._command = self._data = 0

    def _most(self) -> int:
        """Bytes that the data set of the message may have."""
        stored = self.message is not None and type(self.message).__name__ == "C_STORE_RQ"
        return self._limits.object_bytes if stored else self._limits.identifier_bytes

    def forget(self) -> None:
        """What was received is held no more."""
        with self._counting:
            held, self._held = self._held, 0
        self._allowance.give_back(held)

    def send_msg(self, primitive: DimsePrimitiveType, context_id: int) -> None:
        """Send a message whose data set, if any, it holds."""
        message = self._message(primitive)
        data = message.data_set.getvalue() if message.data_set is not None else b""
        self._write(message, context_id, memoryview(data))

    def send_object(self, primitive: C_STORE, context_id: int, data: memoryview) -> None:
        """Send a message with a data set that is encoded already.

        Raises
        ------
        Gone
            The peer is not there any more.
        """
        primitive.DataSet = BytesIO()  # only whether there is one
        self._write(self._message(primitive), context_id, data)

    @staticmethod
    def _message(primitive: DimsePrimitiveType) -> Any:
        table: Any = _RQ_TO_MESSAGE if primitive.MessageIDBeingRespondedTo is None else _RSP_TO_MESSAGE
        message = table[type(primitive)]()
        message.primitive_to_message(primitive)
        return message

    def _write(self, message: Any, context_id: int, data: memoryview) -> None:
        command = encode(message.command_set, True, True)
        wire = self.dul.socket
        assert isinstance(wire, Wire)
        assert command is not None
        if self.assoc.is_aborted or not wire.write(pdus(context_id, command, data, self.maximum_pdu_size)):
            raise Gone

    def answer(self, kind: type[_Answer], message_id: int) -> _Answer:
        """The response to a request of ours.

        Raises
        ------
        Gone
            None came in time, or not this one.
        """
        _, message = self.get_msg(block=True)
        if isinstance(message, kind) and message.MessageIDBeingRespondedTo == message_id:
            return message
        raise Gone


def thread_name(role: str) -> str:
    """The name by which pynetdicom finds an association's thread again."""
    return f"{role}Thread@{datetime.now().astimezone():%Y%m%d%H%M%S}"
