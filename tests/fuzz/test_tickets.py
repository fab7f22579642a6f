"""Tickets that were altered, used, outlived, cut or made for something else open nothing."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from random import Random

import pytest

from consent.identity.keys import load
from consent.identity.tickets import TicketKeys, TicketMint
from consent.types import Request as Question
from consent.types import Requester
from tests.archive import Archive
from tests.census.disguises import Request
from tests.census.scene import HIDDEN, SHOWN, Caller, Scene
from tests.fuzz.running import Shot, fuzz

pytestmark = pytest.mark.orthanc

SEED = 20_261_129
_SECOND = 1_000_000


def _shots(scene: Scene, random: Random) -> Iterator[Shot]:
    archive = scene.archive
    other_key = TicketMint(TicketKeys((b"k" * 32,)), archive.settings.node)
    other_node = TicketMint(TicketKeys(load(archive.settings.keys).tickets), "elsewhere")
    keys = TicketKeys(load(archive.settings.keys).tickets)
    late = TicketMint(keys, archive.settings.node, clock=lambda: time.time_ns() // 1000 - 60 * _SECOND)
    early = TicketMint(keys, archive.settings.node, clock=lambda: time.time_ns() // 1000 + 3600 * _SECOND)
    nobody = Caller("a ticket", (), account=False)
    while True:
        one = scene.photos[random.choice((SHOWN, HIDDEN))]
        path = random.choice(
            (
                *(f"/instances/{one.ids.instance}/file", f"/instances/{one.ids.instance}/preview", "/instances"),
                *("/changes", "/studies", "/dicom-web/studies", f"/studies/{one.ids.study}"),
                f"/dicom-web/studies/{one.study}/series/{one.series}/instances/{one.sop}",
            )
        )
        how, mint = random.choice(
            (
                *(("another key", other_key), ("another node", other_node), ("outlived", late), ("to come", early)),
                *((way, archive.mint) for way in ("altered", "cut", "another path", "another method", "another query")),
                *((way, archive.mint) for way in ("grown", "joined", "huge", "rewritten", "another kind")),
            )
        )
        header = _minted(mint, path, one.sop, random)
        method, query = "GET", ""
        match how:
            case "altered":
                at = random.randrange(len("Ticket "), len(header))
                letter = random.choice([each for each in "ABCxyz019-_.=+/ \x7f\xe9" if each != header[at]])
                header = _same_bits(header, header[:at] + letter + header[at + 1 :])
            case "cut":
                header = header[: random.randrange(len(header) - 1)]
            case "another path":
                path = f"/instances/{scene.photos[HIDDEN].ids.instance}/tags"
            case "another method":
                method = random.choice(("PUT", "DELETE", "POST"))
            case "another query":
                query = random.choice(("limit=5", "since=0", "x"))
            case "grown":
                header += random.choice(("A", "=", ".", " ", "AAAA", ".x"))
                header = _same_bits(header[:-1], header)
            case "joined":
                payload, _, _ = header.removeprefix("Ticket ").partition(".")
                header = f"Ticket {payload}.{_minted(mint, '/changes', one.sop, random).rpartition('.')[2]}"
            case "huge":
                header = "Ticket " + random.choice("A[{.") * random.choice((8000, 8192, 9000)) + header
            case "rewritten":
                payload, _, mac = header.removeprefix("Ticket ").partition(".")
                told = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
                changed = told.replace(b'"task"', b'"pass"').replace(b'"as"', b'"pass"').replace(b"clinician", b"admin")
                changed = changed if changed != told else told.replace(b"[", b"[ ", 1)
                header = f"Ticket {base64.urlsafe_b64encode(changed).decode().rstrip('=')}.{mac}"
            case "another kind":
                header = mint.mint_task("GET", path, job="x", kind=random.choice(("nothing", "remove", "doctor", "")))
            case _:
                pass
        request = Request(method, path, query, headers=(("Authorization", header),))
        yield request.wire(archive.port), nobody, f"{how}: {method} {path}?{query}"


def _minted(mint: TicketMint, path: str, sop: str, random: Random) -> str:
    kind = random.randrange(3)
    if kind == 0:
        return mint.mint_pass("GET", path, sop_uid=sop)
    if kind == 1:
        return mint.mint_as("GET", path, request=Question(Requester("clinician", ("TREAT",)), "TREAT"))
    return mint.mint_task("GET", path, job="x", kind=random.choice(("examine", "render", "changes", "scan")))


def _same_bits(former: str, changed: str) -> str:
    """The changed header; where base 64 spells the same bytes by it, a plainly broken one."""

    def bits(header: str) -> list[bytes] | None:
        try:
            parts = header.removeprefix("Ticket ").split(".")
            return [base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in parts]
        except ValueError:
            return None

    return changed if bits(changed) != bits(former) else "Ticket x." + changed


def test_no_ticket_but_a_whole_one_opens_anything(archive: Archive, scene: Scene) -> None:
    statuses = fuzz(archive, scene, "tickets", SEED, lambda random: _shots(scene, random))
    assert not statuses[200]
    assert statuses[403]


def test_a_ticket_is_used_once(archive: Archive, scene: Scene) -> None:
    random = Random(SEED)
    for _ in range(20):
        one = scene.photos[SHOWN]
        path = f"/instances/{one.ids.instance}/file"
        header = _minted(archive.mint, path, one.sop, Random(random.choice((1, 2))))
        first = archive.ask(path, headers={"Authorization": header})
        again = [archive.ask(path, headers={"Authorization": header}).status for _ in range(3)]
        assert again == [403] * 3
        assert first.status in (200, 403)
