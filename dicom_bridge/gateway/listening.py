"""The server: takes connections, shakes hands in a thread of each, and opens no more than it can serve."""

from __future__ import annotations

import logging
import ssl
from collections import Counter
from copy import deepcopy
from socket import socket
from socketserver import TCPServer
from threading import Lock
from typing import Any

from pynetdicom._globals import MODE_ACCEPTOR
from pynetdicom.ae import ApplicationEntity
from pynetdicom.transport import AddressInformation, RequestHandler, ThreadedAssociationServer

from dicom_bridge.gateway.association import Association, Services, thread_name
from dicom_bridge.gateway.wire import Wire

_LOG = logging.getLogger(__name__)
_BESIDE = 64
"""Connections at once beside those of associations: for these to be opened, and for others to be told of the limit."""

_BESIDE_OF_ONE = 16
"""How many of them one address may have, so that it cannot keep all others out."""


class _Places:
    """Counts connections, all together and by address."""

    def __init__(self, associations: int) -> None:
        self._most, self._most_of_one = associations + _BESIDE, associations + _BESIDE_OF_ONE
        self._taken: Counter[str] = Counter()
        self._lock = Lock()

    def take(self, address: str) -> bool:
        """Take a place; False where there is none."""
        with self._lock:
            if self._taken.total() >= self._most or self._taken[address] >= self._most_of_one:
                return False
            self._taken[address] += 1
            return True

    def give_back(self, address: str) -> None:
        """A place is free again."""
        with self._lock:
            self._taken[address] -= 1
            if not self._taken[address]:
                del self._taken[address]


class _Connection(RequestHandler):
    """One connection of a caller."""

    server: Server

    def handle(self) -> None:
        if isinstance(self.request, ssl.SSLSocket):
            self.request.do_handshake()
        association = Association(self.ae, MODE_ACCEPTOR, self.server.services)
        association._server = self.server
        association.name = thread_name("Acceptor")
        limits = self.server.services.limits
        association.set_socket(Wire(association, connection=self.request, idle=limits.idle, most=limits.pdu))
        association.acceptor.maximum_length = limits.pdu
        association.acceptor.ae_title = self.server.ae_title
        association.acceptor.address_info = self.local
        association.acceptor.implementation_class_uid = self.ae.implementation_class_uid
        association.acceptor.implementation_version_name = self.ae.implementation_version_name
        association.acceptor.supported_contexts = deepcopy(self.server.contexts)
        association.requestor.address_info = AddressInformation.from_tuple(self.client_address)
        association.came_from = str(self.client_address[0])
        association.start()
        self.server.handed_over.add(id(self.request))


class Server(ThreadedAssociationServer):
    """Listens for callers."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self, ae: ApplicationEntity, address: tuple[str, int], services: Services, *, tls: ssl.SSLContext | None
    ) -> None:
        self.services = services
        self._tls = tls
        self._places = _Places(services.limits.associations)
        self.handed_over: set[int] = set()
        super().__init__(ae, address, ae.ae_title, ae.supported_contexts, request_handler=_Connection)

    def get_request(self) -> tuple[socket, Any]:
        """A connection; its handshake is its own thread's, or one silent client would keep all others waiting."""
        assert self.socket is not None
        connection, address = self.socket.accept()
        connection.settimeout(self.services.limits.idle)
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002  # their names are given
        """Whether there is a place for it; else it is closed."""
        return self._places.take(str(client_address[0]))

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Hand a connection over to an association, or close it."""
        try:
            self.finish_request(request, client_address)
        except Exception as error:  # noqa: BLE001  # an outermost edge: clients say what they like
            _LOG.info("a connection was not opened: %s", type(error).__name__)
        finally:
            if id(request) in self.handed_over:
                self.handed_over.discard(id(request))
            else:
                self.shutdown_request(request)
                self.leave(str(client_address[0]))

    def close(self) -> None:
        """Take no more connections."""
        TCPServer.shutdown(self)  # pynetdicom's looks for the server in a list of its own
        self.server_close()

    def leave(self, address: str) -> None:
        """A connection is closed."""
        self._places.give_back(address)
