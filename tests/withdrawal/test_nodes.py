"""Two nodes: what is written at one counts at both, and neither takes the other's tickets or name."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from consent.identity.keys import load as load_keys
from consent.identity.tickets import TicketKeys, TicketMint
from consent.types import Request, Requester
from orthanc_plugin.assembly.archive_process import ArchiveProcess
from tests.archive import chosen
from tests.fhir.clinic import consent_of
from tests.withdrawal.doors import refused, shown
from tests.withdrawal.nodes import READERS, Joined, Two

pytestmark = [pytest.mark.orthanc, pytest.mark.postgres]


def test_what_is_written_at_one_node_counts_at_both(both: Two) -> None:
    denial = consent_of("one", "deny", "TREAT")
    shown(both)
    for writing, taking_back in (both.nodes, both.nodes[::-1]):
        assert writing.fhir("PUT", "/Consent/one", denial).is_success
        refused(both)
        assert taking_back.fhir("PUT", "/Consent/one", denial | {"status": "inactive"}).is_success
        shown(both)


@pytest.mark.parametrize("kind", ["pass", "as", "task"])
def test_no_ticket_of_one_node_opens_anything_at_the_other(both: Two, kind: str) -> None:
    """By another key, by another name, or both."""
    photo = both.photos[0]
    for keys in (both.first, both.second):
        for name in ("first", "second", "third"):
            mint = TicketMint(TicketKeys(load_keys(keys.archive.settings.keys).tickets), name)
            own = keys is both.second and name == "second"
            path = "/changes" if kind == "task" else f"{photo.rest}/file"
            if kind == "pass":
                ticket = mint.mint_pass("GET", path, sop_uid=photo.sop)
            elif kind == "as":
                ticket = mint.mint_as("GET", path, request=_request())
            else:
                ticket = mint.mint_task("GET", path, job="test", kind="changes")
            answer = both.second.archive.ask(path, headers={"Authorization": ticket})
            assert answer.status == (200 if own else 403), (keys.name, name)


def _request() -> Request:
    return Request(Requester(READERS[4], ("TREAT",)), "TREAT")


@contextmanager
def _namesake(both: Two, folder: Path) -> Iterator[Joined]:
    """Another Orthanc that bears the first node's name, with its keys."""
    other = Joined(folder, "first", both.first.archive.settings.database, both.engine)
    other.settings = replace(other.settings, keys=both.first.archive.settings.keys)
    other.mint = both.first.archive.mint
    other.process = ArchiveProcess(other.settings, folder / "orthanc", other.port, **chosen())
    other.process.start()
    try:
        yield other
    finally:
        other.process.stop(5)


def test_of_two_walls_with_one_name_the_second_lets_nobody_in(both: Two, tmp_path: Path) -> None:
    """Each ticket counts once for each of them; so there is one of them at a time."""
    photo, path = both.photos[0], "/photospine/state"
    with _namesake(both, tmp_path) as other:
        assert other.ask(f"{photo.rest}/file", READERS[4]).status == 403
        assert other.ask("/instances", READERS[4]).status in (403, 503)
        told = json.loads(other.task("GET", path, kind="doctor").body)
        assert told["fault"] == "audit"
        assert "another wall of node 'first' is at work" in told["says"]
        assert both.first.archive.ask(f"{photo.rest}/file", READERS[4]).status == 200
        both.first.archive.process.stop(5)
        try:
            end = time.monotonic() + 30
            while other.ask("/instances?expand", READERS[4]).status != 200:
                assert time.monotonic() < end, "the name is free, and it does not take it"
                time.sleep(0.3)
        finally:
            other.process.stop(5)
            both.first.archive.process.start()
    shown(both)
