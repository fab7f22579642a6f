"""What is relayed: a little ahead of the client and no more, and over at once where either end has gone."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.routing import Route

from orthanc_plugin.workspace import relay
from orthanc_plugin.workspace.relay import PIECE, PIECES, Places, Relay
from tests.ports import free_port
from tests.workspace.conftest import Running

_KERNEL = 40
"""Pieces that the two sockets may hold, far more than their buffers are."""


class _Upstream:
    """Pieces as Orthanc would send them, and what became of them."""

    def __init__(self, most: int | None, failure: Exception | None = None) -> None:
        self.most, self.failure, self.read = most, failure, 0
        self.done, self.closed = threading.Event(), threading.Event()

    def pieces(self) -> Iterator[bytes]:
        while self.most is None or self.read < self.most:
            self.read += 1
            yield bytes(PIECE)
        if self.failure is not None:
            raise self.failure


@contextlib.contextmanager
def _served(upstream: _Upstream) -> Iterator[int]:
    async def answer(_http: HttpRequest) -> Relay:
        headers = {"Content-Type": "x/y"}
        return Relay(upstream.pieces(), 200, headers, done=upstream.done.set, close=upstream.closed.set)

    port = free_port()
    with Running(Starlette(routes=[Route("/", answer)]), port):
        yield port


@contextlib.contextmanager
def _unread(port: int) -> Iterator[socket.socket]:
    with socket.socket() as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 12)
        wire.settimeout(10)
        wire.connect(("127.0.0.1", port))
        wire.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert wire.recv(12) == b"HTTP/1.1 200"
        yield wire


def test_all_of_it_arrives() -> None:
    upstream = _Upstream(50)
    with _served(upstream) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("Content-Type"), len(answer.read())) == (200, "x/y", 50 * PIECE)
        assert upstream.closed.wait(5)
        connection.close()


def test_orthanc_is_done_with_a_photo_while_the_client_still_reads() -> None:
    upstream = _Upstream(PIECES)
    with _served(upstream) as port, _unread(port):
        assert upstream.done.wait(5)
        assert not upstream.closed.is_set()


def test_no_more_is_read_than_a_little_ahead_and_a_client_that_goes_ends_it() -> None:
    upstream = _Upstream(None)
    with _served(upstream) as port:
        with _unread(port):
            time.sleep(1)
            read = upstream.read
            assert PIECES <= read <= PIECES + _KERNEL
            time.sleep(0.5)
            assert upstream.read == read
            assert not upstream.done.is_set()
        assert upstream.done.wait(5)
        assert upstream.closed.wait(5)


def test_a_client_that_takes_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "STALLED", 0.3)
    upstream = _Upstream(None)
    with _served(upstream) as port, _unread(port):
        assert upstream.closed.wait(5)
        assert upstream.done.is_set()


def test_what_breaks_off_at_orthanc_breaks_off_here() -> None:
    upstream = _Upstream(2, OSError("gone"))
    with _served(upstream) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/")
        with pytest.raises(http.client.IncompleteRead):
            connection.getresponse().read()
        assert upstream.closed.wait(5)
        connection.close()


def test_one_account_does_not_take_the_places_of_all() -> None:
    places = Places(at_once=3, each=2)

    def take(account: str) -> Callable[[], None] | None:
        # In a thread of its own: a browser driven by the same process has an event loop running in this one.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(anyio.run, places.take, account, 0.05).result()

    first, second = take("anna"), take("anna")
    assert first is not None
    assert second is not None
    assert take("anna") is None
    third = take("ben")
    assert third is not None
    assert take("cleo") is None
    first()
    first()
    assert take("cleo") is not None
    assert take("ben") is None
    second()
    third()
    assert take("ben") is not None
