"""A slow client of ``serve`` before a real Orthanc: others are answered at once, and a withdrawal still reaches it."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from consent.directive import Data, Reach
from orthanc_plugin.assembly.serve import build
from orthanc_plugin.workspace.relay import EACH, Places
from tests.archive import Archive, Photo, basic
from tests.ports import free_port
from tests.store.world import consent
from tests.workspace.conftest import Running, assets

pytestmark = [pytest.mark.orthanc]

PROMPT = 3.0
"""Seconds within which others are answered; held up, they would wait as long as the slow one does not read."""

LARGE = b"\xff\xd8" + bytes(range(256)) * 40_000 + b"\xff\xd9"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    with Archive(tmp_path_factory.mktemp("slow"), free_port()) as made:
        made.account("clinician", "TREAT")
        made.account("nurse", "TREAT")
        made.patient("anna")
        yield made


@pytest.fixture(scope="module")
def photos(archive: Archive) -> list[Photo]:
    return [archive.photo("anna", pixels=LARGE) for _ in range(5)]


@pytest.fixture(scope="module")
def port(archive: Archive) -> Iterator[int]:
    served = build(replace(archive.settings, assets=assets(), orthanc=f"http://127.0.0.1:{archive.port}"))
    found = free_port()
    try:
        with Running(served.app, found):
            yield found
    finally:
        served.close()


@contextlib.contextmanager
def _unread(port: int, path: str) -> Iterator[socket.socket]:
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {basic('clinician')}\r\n\r\n"
    with socket.socket() as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 12)
        wire.settimeout(20)
        wire.connect(("127.0.0.1", port))
        wire.sendall(head.encode())
        assert wire.recv(12) == b"HTTP/1.1 200"
        yield wire


def _ask(port: int, path: str, account: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers={"Authorization": basic(account)})
        answer = connection.getresponse()
        assert answer.status != 200 or answer.read()
        return answer.status
    finally:
        connection.close()


def test_who_reads_slowly_holds_up_nobody(archive: Archive, photos: list[Photo], port: int) -> None:
    study = f"/dicom-web/studies/{photos[0].study}"
    with contextlib.ExitStack() as slow:
        for _ in range(8):
            slow.enter_context(_unread(port, study))
        for path in (study, f"{study}/metadata", "/dicom-web/studies"):
            started = time.monotonic()
            assert (path, _ask(port, path, "clinician")) == (path, 200)
            assert (path, time.monotonic() - started) < (path, PROMPT)
            started = time.monotonic()
            assert archive.ask(path, "clinician").status == 200
            assert (path, time.monotonic() - started) < (path, PROMPT)


def test_who_is_at_orthanc_too_often_waits_for_itself_alone(
    photos: list[Photo], port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Places.take, "__defaults__", (0.3,))
    study = f"/dicom-web/studies/{photos[0].study}"
    with contextlib.ExitStack() as slow:
        for _ in range(EACH):
            slow.enter_context(_unread(port, study))
        assert _ask(port, study, "clinician") == 503
        assert _ask(port, study, "nurse") == 200
    monkeypatch.undo()
    assert _ask(port, study, "clinician") == 200


def test_a_withdrawal_reaches_a_slow_client(archive: Archive, photos: list[Photo], port: int) -> None:
    with _unread(port, f"/dicom-web/studies/{photos[0].study}") as wire:
        time.sleep(1)  # whatever is read ahead has been
        document = str(photos[3].facts.document)
        archive.consent(consent("late", "deny", "TREAT", "anna", data=(Data(Reach.PHOTO, document),)))
        received = 0
        while part := wire.recv(1 << 20):
            received += len(part)
    assert 2 * len(LARGE) < received < 3.5 * len(LARGE)
