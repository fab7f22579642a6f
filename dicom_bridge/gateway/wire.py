"""Bytes on the wire: whole messages written at once, and PDUs read within limits (PS3.8 section 9.3, Annex E).

pynetdicom gives each fragment of a message to another thread, as an object of several layers. Here a message is cut
into PDUs where it lies and written to the socket by the thread that sends it; a lock keeps messages whole.
"""

from __future__ import annotations

import ssl
import struct
from collections.abc import Iterator
from contextlib import nullcontext
from socket import IPPROTO_TCP, TCP_NODELAY, socket
from threading import Lock
from typing import TYPE_CHECKING

from pynetdicom.transport import T_CONNECT, AddressInformation, AssociationSocket

if TYPE_CHECKING:
    from pynetdicom.association import Association

_HEAD = struct.Struct(">BBLLBB")  # PDU type, reserved, PDU length; PDV length, context id, message control header
_P_DATA_TF = 0x04
_PDV = 6
"""Bytes of a PDV in front of its fragment: length, context id, message control header (PS3.8 Table 9-23)."""

_COMMAND, _LAST = 0x01, 0x02
_UNLIMITED = 1 << 20
"""Length of the PDUs that are sent to a peer which sets no limit."""

_BLOCK = 1 << 19
"""Bytes that are written at a time: a peer has the idle time to take so many."""

_ASSOCIATE_BYTES = 1 << 20
"""Bytes of a PDU before the association stands; 128 presentation contexts with all transfer syntaxes need 200 kB."""

_READ = 1 << 18


class TooLong(OSError):
    """A PDU is longer than was agreed on."""


def pdus(context_id: int, command: bytes, data: memoryview, most: int) -> Iterator[bytes | memoryview]:
    """A message as P-DATA-TF PDUs: their heads, and the fragments between them.

    Parameters
    ----------
    most
        The peer's maximum length (PS3.8 D.1); 0: it sets none.
    """
    length = (most or _UNLIMITED) - _PDV
    for part, kind in ((memoryview(command), _COMMAND), (data, 0)):
        for start in range(0, len(part), length):
            fragment = part[start : start + length]
            control = kind | (_LAST if start + length >= len(part) else 0)
            size = len(fragment) + 2
            yield _HEAD.pack(_P_DATA_TF, 0, size + 4, size, context_id, control)
            yield fragment


class Wire(AssociationSocket):
    """The connection of an association."""

    def __init__(
        self,
        assoc: Association,
        *,
        connection: socket | None = None,
        address: AddressInformation | None = None,
        idle: float,
        most: int,
    ) -> None:
        """Take a connection over, or prepare one.

        Parameters
        ----------
        idle
            Seconds within which a peer must send, or take, what it has begun with.
        most
            Bytes of a PDU that is received once the association stands.
        """
        super().__init__(assoc, client_socket=connection, address=address)
        self._idle, self._most = idle, most
        self._writing = Lock()
        if connection is not None:
            self._settle()

    def connect(self, primitive: T_CONNECT) -> None:
        """Connect, and keep the time limit, which the connection would lose."""
        super().connect(primitive)
        self._settle()

    def _settle(self) -> None:
        if self.socket is not None:
            self.socket.settimeout(self._idle)
            self.socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)  # a small answer must not wait for the next photo

    @property
    def _secure(self) -> bool:
        return isinstance(self.socket, ssl.SSLSocket)

    def recv(self, nr_bytes: int) -> bytearray:
        """Exactly so many bytes, or fewer where the peer has gone.

        Raises
        ------
        OSError
            The peer is silent for too long, or announces more than was agreed on.
        """
        assert self.socket is not None
        if nr_bytes > (self._most + _PDV if self.assoc.is_established else _ASSOCIATE_BYTES):
            raise TooLong
        read = bytearray(nr_bytes)
        view, got = memoryview(read), 0
        # One TLS connection must not be read and written at the same time.
        with self._writing if self._secure else nullcontext():
            while got < nr_bytes:
                count = self.socket.recv_into(view[got : got + _READ])
                if not count:
                    break
                got += count
        view.release()
        del read[got:]
        return read

    def send(self, bytestream: bytes) -> None:
        """Write a PDU of pynetdicom's own."""
        self.write(iter((bytestream,)))

    def write(self, parts: Iterator[bytes | memoryview]) -> bool:
        """Write a message as a whole; False where the peer has gone, which then ends the association."""
        with self._writing:
            try:
                if self.socket is None:
                    return False
                block: list[bytes | memoryview] = []
                size = 0
                for part in parts:
                    block.append(part)
                    size += len(part)
                    if size >= _BLOCK:
                        self.socket.sendall(b"".join(block))
                        block.clear()
                        size = 0
                self.socket.sendall(b"".join(block))
            except (OSError, ValueError):
                self.event_queue.put("Evt17")  # PS3.8 9.2: transport connection closed
                return False
        return True
