"""A C-MOVE that is under way when a patient withdraws: to a receiver that takes its time for each photo."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelMove,
    VLPhotographicImageStorage,
)

from consent.store.engine import transaction
from tests.ports import free_port
from tests.withdrawal.nodes import Node, Two
from tests.withdrawal.streams import SLOW_SECONDS, moment

CALLER, RECEIVER = "MOVER", "SINK"
TITLE = "PHOTOSPINE"
_SYNTAXES = ["1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]
_LONGEST = 60.0


@dataclass(slots=True)
class Move:
    """One C-MOVE of a study. It is read as a stream is (:class:`tests.withdrawal.streams.Stream`)."""

    account: str
    received: int = 0
    """Photos that have begun to arrive."""

    last: int = 0
    """When one last arrived, in microseconds since 1970."""

    fault: BaseException | None = None
    go_on: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)
    name: str = "C-MOVE, slow"
    status: int = 200
    _thread: threading.Thread | None = None

    def start(self, node: Node, study: str) -> None:
        """Ask the node's gateway to send the study to the receiver."""
        self._thread = threading.Thread(target=self._move, args=(node, study), daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Wait for its end."""
        self.go_on.set()
        assert self._thread is not None
        self._thread.join(_LONGEST)
        assert not self._thread.is_alive(), f"{self.name} never ends"

    def arrived(self) -> None:
        """A photo did."""
        self.received += 1
        self.last = moment()
        self.begun.set()
        if not self.go_on.is_set():
            time.sleep(SLOW_SECONDS)

    def _move(self, node: Node, study: str) -> None:
        caller = AE(CALLER)
        caller.add_requested_context(StudyRootQueryRetrieveInformationModelMove)
        caller.acse_timeout = caller.dimse_timeout = caller.network_timeout = _LONGEST
        try:
            made = caller.associate("127.0.0.1", node.dimse_port, ae_title=TITLE)
            assert made.is_established, "the gateway lets nobody in"
            asked = Dataset()
            asked.QueryRetrieveLevel, asked.StudyInstanceUID = "STUDY", study
            for _ in made.send_c_move(asked, RECEIVER, StudyRootQueryRetrieveInformationModelMove):
                pass
            made.release()
        except BaseException as fault:  # noqa: BLE001  # told to whoever waits
            self.fault = fault
        finally:
            self.begun.set()


@dataclass(slots=True)
class Receiver:
    """Takes what is moved, for whichever move is under way."""

    move: Move | None = None

    def stored(self, _event: Any) -> int:
        """C-STORE."""
        if self.move is not None:
            self.move.arrived()
        return 0


@contextmanager
def receiver(both: Two, account: str) -> Iterator[Receiver]:
    """A receiver of this machine, which both gateways know, for an account."""
    port, found = free_port(), Receiver()
    peers = import_module("consent.identity.peers")
    with transaction(both.engine) as connection:
        peers.add(connection, peers.Peer(CALLER, account, "TREAT", networks=("127.0.0.1/32",)))
        where = peers.Destination("127.0.0.1", port, tls=False)
        peers.add(connection, peers.Peer(RECEIVER, account, "TREAT", destination=where))
    taking = AE(RECEIVER)
    taking.add_supported_context(VLPhotographicImageStorage, _SYNTAXES)
    server = taking.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, found.stored)])
    assert server is not None
    try:
        yield found
    finally:
        with suppress(OSError):
            server.shutdown()
