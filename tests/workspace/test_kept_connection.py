"""Orthanc is read from, whatever becomes of a connection that was kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from starlette.applications import Starlette

from consent.identity.bearer import Caller
from consent.identity.tickets import TicketKeys, TicketMint
from consent.types import Requester
from dicom_bridge.compare.renditions import NotRendered
from orthanc_plugin.workspace.passthrough import Passthrough, Upstream
from orthanc_plugin.workspace.pictures import Originals
from tests.ports import free_port
from tests.workspace.client import Client

pytestmark = pytest.mark.fast

_ID = "0123abcd-0123abcd-0123abcd-0123abcd-0123abcd"


@contextmanager
def _orthanc(each: int) -> Iterator[tuple[str, list[str]]]:
    """A server that answers so many requests of a connection and is gone when the next one comes, and the tickets that
    came, also those of lost requests."""
    tickets: list[str] = []

    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        answered = 0

        def do_GET(self) -> None:
            tickets.append(self.headers["Authorization"])
            if self.answered == each:
                self.close_connection = True
                return
            self.answered += 1
            body = b"no object" if self.path.endswith("/file") else b"a picture"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    port = free_port()
    with ThreadingHTTPServer(("127.0.0.1", port), Answering) as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        yield f"http://127.0.0.1:{port}", tickets
        server.shutdown()
        serving.join()


def _originals(address: str, session: requests.Session) -> Originals:
    session.trust_env = False
    return Originals(address, TicketMint(TicketKeys((b"k" * 32,)), "node1"), session, most_bytes=1 << 20)


def test_a_request_that_is_lost_with_its_connection_is_made_again_with_a_ticket_of_its_own() -> None:
    with _orthanc(1) as (address, tickets), requests.Session() as session:
        originals = _originals(address, session)
        for _ in range(3):
            assert originals.picture("1.2.3", _ID) == b"a picture"
    assert len(tickets) == len(set(tickets)) == 6 + 5, "each but the first is lost once"


def test_an_orthanc_that_answers_nothing_is_told_as_such() -> None:
    with _orthanc(0) as (address, _), requests.Session() as session:
        originals = _originals(address, session)
        with pytest.raises(NotRendered, match="cannot be reached: ConnectionError"):
            originals.picture("1.2.3", _ID)


def _door(address: str, session: requests.Session) -> Client:
    """``/dicom-web`` before that server, for a clinician."""
    session.trust_env = False
    passed = Passthrough(
        Upstream(address, "http://clinic.invalid", 1 << 20),
        None,  # type: ignore[arg-type]  # nobody comes with a cookie
        TicketMint(TicketKeys((b"k" * 32,)), "node1"),
        lambda _header, _address: Caller(Requester("clinician", ("TREAT",))),
        session,
        None,  # type: ignore[arg-type]  # nothing is stored
    )
    return Client(Starlette(routes=passed.routes()))


def test_what_is_passed_through_is_asked_for_again_too() -> None:
    with _orthanc(1) as (address, tickets), requests.Session() as session:
        client = _door(address, session)
        for _ in range(3):
            answer = client.get("/dicom-web/studies", headers={"Authorization": "Basic YTpi"})
            assert (answer.status_code, answer.content) == (200, b"a picture")
    assert len(tickets) == len(set(tickets)) == 3 + 2, "each but the first is lost once"


def test_what_is_passed_through_is_502_where_nothing_answers() -> None:
    with _orthanc(0) as (address, _), requests.Session() as session:
        answer = _door(address, session).get("/dicom-web/studies", headers={"Authorization": "Basic YTpi"})
        assert (answer.status_code, answer.content) == (502, b"")
