"""What is in flight when a patient withdraws: streams, read fast, slowly or not at all, and pages asked for again."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx

from tests.archive import basic
from tests.withdrawal.nodes import Node

CHUNK = 65536
SLOW_SECONDS = 0.02
"""A slow reader's pause after each chunk, until the patient has withdrawn."""

_BUFFER = 32768  # of a reader that falls behind; else the kernel would take the whole stream from Orthanc at once
_LONGEST = 60.0


def moment() -> int:
    """Now, in the audit's measure: microseconds since 1970."""
    return time.time_ns() // 1000


@dataclass(slots=True)
class Stream:
    """One long answer on its way, read in a thread of its own."""

    name: str
    account: str
    marker: bytes
    """Begins each photo in the stream."""

    received: int = 0
    """Photos that have begun to arrive."""

    last: int = 0
    """When bytes last arrived, in microseconds since 1970."""

    status: int = 0
    ended: bool = False
    fault: BaseException | None = None
    go_on: threading.Event = field(default_factory=threading.Event)
    """A reader that has stopped goes on once this is set."""

    begun: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self, address: str, path: str, *, pause: float = 0.0, stops: bool = False) -> None:
        """Ask, and read: at once, with a pause after each chunk, or (``stops``) not until :attr:`go_on` is set."""
        self._thread = threading.Thread(target=self._read, args=(address, path, pause, stops), daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Wait for its end."""
        self.go_on.set()
        assert self._thread is not None
        self._thread.join(_LONGEST)
        assert not self._thread.is_alive(), f"{self.name} never ends"

    def _read(self, address: str, path: str, pause: float, stops: bool) -> None:
        try:
            parts = urlsplit(address)
            with socket.socket() as wire:
                if pause or stops:
                    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
                wire.settimeout(_LONGEST)
                wire.connect((parts.hostname, parts.port))
                head = (
                    f"GET {path} HTTP/1.1",
                    f"Host: {parts.netloc}",
                    f"Authorization: {basic(self.account)}",
                    'Accept: multipart/related; type="application/dicom"; transfer-syntax=*',
                    "Connection: close",
                )
                wire.sendall("\r\n".join((*head, "", "")).encode())
                self._receive(wire, pause, stops)
        except BaseException as fault:  # noqa: BLE001  # told to whoever waits
            self.fault = fault
        finally:
            self.ended = True
            self.begun.set()

    def _receive(self, wire: socket.socket, pause: float, stops: bool) -> None:
        tail = b""
        while True:
            try:
                chunk = wire.recv(CHUNK)
            except ConnectionResetError:
                return
            if not chunk:
                return
            self.last = moment()
            if not self.status:
                self.status = int(chunk.split(b" ", 2)[1])
            text = tail + chunk
            self.received += text.count(self.marker)
            tail = text[-len(self.marker) + 1 :]
            self.begun.set()
            if stops and not self.go_on.is_set():
                self.go_on.wait(_LONGEST)
            if pause and not self.go_on.is_set():
                time.sleep(pause)


class Page:
    """Somebody who has a comparison open, and asks for it and its pictures again and again."""

    def __init__(self, node: Node, paths: tuple[str, ...]) -> None:
        self._node, self._paths = node, paths
        self._ended = threading.Event()
        self.shown = 0
        self.last = 0
        """When a picture was last received."""

        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> Page:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(_LONGEST)

    def _ask(self) -> None:
        with httpx.Client(base_url=self._node.serve, cookies=self._node.cookies, timeout=_LONGEST) as client:
            while not self._ended.is_set():
                for path in self._paths:
                    with suppress(httpx.TransportError):
                        answer = client.get(path)
                        if answer.status_code == 200 and answer.headers["content-type"] == "image/jpeg":
                            self.shown += 1
                            self.last = moment()
                self._ended.wait(0.01)
