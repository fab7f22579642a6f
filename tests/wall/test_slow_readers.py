"""Who reads slowly, or not at all, holds up nobody else: not at Orthanc, of any version."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator

import pytest

from tests.archive import Archive, Photo, basic

pytestmark = pytest.mark.orthanc

PROMPT = 2.0
"""Seconds within which others are answered; held up, they would wait as long as the slow one reads."""

LARGE = b"\xff\xd8" + bytes(range(256)) * 40_000 + b"\xff\xd9"


@pytest.fixture(scope="module")
def study(archive: Archive) -> list[Photo]:
    return [archive.photo("ben", visit="8", pixels=LARGE) for _ in range(4)]


@pytest.fixture(scope="module")
def paths(archive: Archive, study: list[Photo]) -> dict[str, str]:
    found = archive.ask("/studies", "clinician")
    (own,) = json.loads(found.body)
    return {"wado": f"/dicom-web/studies/{study[0].study}", "archive": f"/studies/{own}/archive"}


@contextlib.contextmanager
def _unread(archive: Archive, path: str, times: int = 1) -> Iterator[socket.socket]:
    """A client that has begun to read and reads no further."""
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {basic('clinician')}\r\n\r\n"
    with socket.socket() as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 12)
        wire.settimeout(20)
        wire.connect(("127.0.0.1", archive.port))
        wire.sendall(head.encode() * times)
        assert wire.recv(12) == b"HTTP/1.1 200"
        yield wire


@pytest.mark.parametrize("route", ["wado", "archive"])
def test_who_reads_slowly_holds_up_nobody(
    archive: Archive, study: list[Photo], paths: dict[str, str], route: str
) -> None:
    with contextlib.ExitStack() as slow:
        for _ in range(4):
            slow.enter_context(_unread(archive, paths[route]))
        for path in (paths["wado"], paths["archive"], "/studies", f"{study[0].rest}/file"):
            started = time.monotonic()
            answer = archive.ask(path, "clinician")
            assert (path, answer.status) == (path, 200)
            assert (path, time.monotonic() - started) < (path, PROMPT)
    assert archive.ask("/studies", "clinician").status == 200


def test_who_asks_and_does_not_read_small_answers_holds_up_nobody(archive: Archive, study: list[Photo]) -> None:
    with _unread(archive, "/studies", 20_000):
        time.sleep(0.5)
        for _ in range(20):
            started = time.monotonic()
            assert archive.ask("/studies", "clinician").status == 200
            assert time.monotonic() - started < PROMPT
