"""A ticket opens one request, once, for ten seconds at most."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from consent.identity.tickets import As, Pass, Task, TicketBox, TicketKeys, TicketMint
from consent.store.clock import micros
from consent.types import Request, Requester, Right

pytestmark = pytest.mark.fast

NOW = datetime(2026, 6, 15, 9, tzinfo=UTC)
KEYS = TicketKeys((b"a" * 32, b"b" * 32))


class Clocks:
    """The host's clock and the one that is never put back."""

    def __init__(self) -> None:
        self.now = NOW
        self.monotonic = 0.0

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.monotonic += seconds


def _pair(clocks: Clocks, keys: TicketKeys = KEYS) -> tuple[TicketMint, TicketBox]:
    mint = TicketMint(keys, "n1", clock=lambda: micros(clocks.now))
    return mint, TicketBox(KEYS, "n1", NOW - timedelta(seconds=1), monotonic=lambda: clocks.monotonic)


def test_the_three_kinds_come_back_as_they_were_made() -> None:
    clocks = Clocks()
    mint, box = _pair(clocks)
    request = Request(
        Requester("anna"), "BTG", session="s", emergency_reason="Blutung — ü", emergency_patient="p", project="x"
    )
    header = mint.mint_as("GET", "/dicom-web/studies", {"limit": "5"}, request=request)
    assert box.check(header, "GET", "/dicom-web/studies", {"limit": "5"}, NOW) == As.of(request)
    assert As.of(request).request(Requester("anna")) == request
    header = mint.mint_pass("GET", "/instances/x/file", sop_uid="2.25.1")
    assert box.check(header, "GET", "/instances/x/file", {}, NOW) == Pass("2.25.1")
    header = mint.mint_task("POST", "/dicom-web/studies", job="7", kind="store", bodies=(b"DICM", b"DICN"))
    task = box.check(header, "POST", "/dicom-web/studies", {}, NOW)
    assert isinstance(task, Task)
    assert (task.job, task.kind) == ("7", "store")
    assert task.stores(b"DICM")
    assert task.stores(b"DICN")
    assert not task.stores(b"DICm")
    assert not Task("7", "examine").stores(b"")


def test_it_gives_no_more_of_the_account_than_its_maker_had() -> None:
    """Among the rest the purposes: who asks in an emergency, and holds TREAT too, sees more."""
    account = Requester("ann", ("TREAT", "BTG"), frozenset({Right.CAPTURE, Right.STORE}), confined_to=None)
    for held in (
        Requester("ann", ("BTG",), frozenset({Right.CAPTURE, Right.STORE})),
        Requester("ann", ("TREAT", "BTG"), frozenset({Right.STORE})),
        Requester("ann", ("TREAT", "BTG"), frozenset(), confined_to=frozenset({"p"})),
    ):
        clocks = Clocks()
        mint, box = _pair(clocks)
        header = mint.mint_as("GET", "/studies", request=Request(held, "BTG"))
        ticket = box.check(header, "GET", "/studies", {}, NOW)
        assert isinstance(ticket, As)
        assert ticket.request(account).requester == held
        assert ticket.request(Requester("ann")).requester.purposes == ()


def test_it_counts_once_also_when_two_threads_bring_it_together() -> None:
    clocks = Clocks()
    mint, box = _pair(clocks)
    for _ in range(50):
        header = mint.mint_pass("GET", "/a", sop_uid="1")
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _number, h=header: box.check(h, "GET", "/a", {}, NOW), range(8)))
        assert sum(each is not None for each in found) == 1


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("POST", "/a", {"x": "1"}),
        ("GET", "/b", {"x": "1"}),
        ("GET", "/a", {}),
        ("GET", "/a", {"x": "2"}),
        ("GET", "/a", {"x": "1", "y": "2"}),
        ("GET", '/a",[["x","1"]],"', {}),
    ],
)
def test_it_opens_no_other_request(method: str, path: str, query: dict[str, str]) -> None:
    mint, box = _pair(Clocks())
    header = mint.mint_pass("GET", "/a", {"x": "1"}, sop_uid="1")
    assert box.check(header, method, path, query, NOW) is None
    assert box.check(header, "GET", "/a", {"x": "1"}, NOW) == Pass("1"), "a wrong try does not use it up"


def test_the_order_of_the_query_does_not_matter() -> None:
    mint, box = _pair(Clocks())
    header = mint.mint_pass("GET", "/a", {"x": "1", "b": "2"}, sop_uid="1")
    assert box.check(header, "get", "/a", {"b": "2", "x": "1"}, NOW) is not None


def test_it_runs_out_and_is_never_made_for_long() -> None:
    clocks = Clocks()
    mint, box = _pair(clocks)
    header = mint.mint_pass("GET", "/a", sop_uid="1")
    assert box.check(header, "GET", "/a", {}, NOW + timedelta(seconds=8)) is None
    far = TicketMint(KEYS, "n1", clock=lambda: micros(NOW + timedelta(seconds=30)))
    assert box.check(far.mint_pass("GET", "/a", sop_uid="1"), "GET", "/a", {}, NOW) is None


def test_it_is_older_than_the_process_that_checks() -> None:
    mint, _ = _pair(Clocks())
    header = mint.mint_pass("GET", "/a", sop_uid="1")
    restarted = TicketBox(KEYS, "n1", NOW + timedelta(microseconds=1))
    assert restarted.check(header, "GET", "/a", {}, NOW + timedelta(seconds=1)) is None


def test_a_clock_put_back_brings_no_used_ticket_back() -> None:
    clocks = Clocks()
    mint, box = _pair(clocks)
    header = mint.mint_pass("GET", "/a", sop_uid="1")
    assert box.check(header, "GET", "/a", {}, clocks.now) is not None
    clocks.pass_by(60)
    other = mint.mint_pass("GET", "/b", sop_uid="1")
    assert box.check(other, "GET", "/b", {}, clocks.now) is not None
    clocks.now = NOW + timedelta(seconds=1)
    assert box.check(header, "GET", "/a", {}, clocks.now) is None
    clocks.pass_by(2)
    assert box.check(header, "GET", "/a", {}, clocks.now) is None


def test_a_clock_put_back_by_a_second_refuses_nothing_new() -> None:
    clocks = Clocks()
    mint, box = _pair(clocks)
    clocks.pass_by(5)
    header = mint.mint_pass("GET", "/a", sop_uid="1")
    assert box.check(header, "GET", "/a", {}, clocks.now - timedelta(seconds=1)) is not None


def test_another_node_and_another_key_do_not_count_and_the_second_key_does() -> None:
    clocks = Clocks()
    _, box = _pair(clocks)

    def opens(mint: TicketMint) -> bool:
        return box.check(mint.mint_pass("GET", "/a", sop_uid="1"), "GET", "/a", {}, NOW) is not None

    assert opens(TicketMint(TicketKeys((b"b" * 32,)), "n1", clock=lambda: micros(NOW)))
    assert not opens(TicketMint(TicketKeys((b"c" * 32,)), "n1", clock=lambda: micros(NOW)))
    assert not opens(TicketMint(KEYS, "n2", clock=lambda: micros(NOW)))


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Ticket",
        "Ticket ",
        "Ticket .",
        "Ticket a.b",
        "Basic YTpi",
        "Ticket é.é",
        "Ticket " + "[" * 9000,
        "Ticket W10.W10",
    ],
)
def test_nonsense_is_refused_and_not_parsed(header: str | None) -> None:
    _, box = _pair(Clocks())
    assert box.check(header, "GET", "/a", {}, NOW) is None


def test_a_changed_payload_is_refused() -> None:
    mint, box = _pair(Clocks())
    header = mint.mint_pass("GET", "/a", sop_uid="1")
    payload, _, mac = header.removeprefix("Ticket ").partition(".")
    values = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    values[4] = {"sop_uid": "2"}
    forged = base64.urlsafe_b64encode(json.dumps(values).encode()).rstrip(b"=").decode()
    assert box.check(f"Ticket {forged}.{mac}", "GET", "/a", {}, NOW) is None


def test_used_tickets_are_forgotten_after_a_while() -> None:
    clocks = Clocks()
    mint, box = _pair(clocks)
    for _ in range(100):
        assert box.check(mint.mint_pass("GET", "/a", sop_uid="1"), "GET", "/a", {}, clocks.now) is not None
        clocks.pass_by(1)
    assert len(box._used) <= 11
