"""Guessing has to wait: for all processes together, alike for names that exist and names that do not."""

from __future__ import annotations

import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, func, select

from consent.audit.record import AuditRecord
from consent.identity import accounts, policy, scrypt, throttle
from consent.identity.callers import Callers, client_address
from consent.identity.policy import LockOut, Policy
from consent.identity.throttle import LOCKED_OUT, Throttle, unlock
from consent.store.engine import reading, transaction
from consent.store.tables import sign_in_attempt
from tests.issuer import TestIssuer

HERE, THERE = "203.0.113.7", "198.51.100.9"


class Clock:
    """The database's time, in hand."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 6, 1, tzinfo=UTC)

    def __call__(self, _: object) -> datetime:
        return self.moment

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self.moment += timedelta(seconds=seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(throttle, "now", made)
    return made


@pytest.fixture
def records() -> list[AuditRecord]:
    return []


@pytest.fixture
def process(engine: Engine, records: list[AuditRecord]) -> Callable[[], Throttle]:
    """Makes the throttle of one more process."""
    return lambda: Throttle(engine, record=records.append, door="orthanc")


def _limits(engine: Engine, **changes: int) -> None:
    with transaction(engine) as connection:
        policy.save(connection, Policy((), LockOut(**changes)))


def test_the_wait_doubles_and_passes_and_all_processes_count_together(
    clock: Clock, process: Callable[[], Throttle]
) -> None:
    one, other = process(), process()
    assert [(one if n % 2 else other).attempt("doctor", HERE) for n in range(8)] == [0] * 6 + [15 + 1, 15 + 1]
    assert one.attempt("doctor", THERE) == 0
    clock.pass_by(16)
    assert [other.attempt("doctor", HERE) for _ in range(2)] == [0, 31]
    one.succeeded("doctor", HERE)
    assert [other.attempt("doctor", HERE) for _ in range(7)] == [0] * 6 + [16]
    clock.pass_by(3601)
    assert [other.attempt("doctor", HERE) for _ in range(7)] == [0] * 6 + [16], "failures are forgotten"


def test_the_wait_has_an_end(clock: Clock, process: Callable[[], Throttle]) -> None:
    door, waits = process(), []
    for _ in range(30):
        waits.append(door.attempt("doctor", HERE))
        clock.pass_by(waits[-1])
    assert max(waits) == 901


@pytest.mark.parametrize("name", ["d", "nobody", "no such'name", ""])
def test_names_that_exist_and_others_wait_alike(
    clock: Clock, engine: Engine, process: Callable[[], Throttle], name: str
) -> None:
    with transaction(engine) as connection:
        accounts.create(connection, "d", password="d-demo", purposes=["TREAT"])
    assert [process().attempt(name, HERE) for _ in range(8)] == [0] * 6 + [16, 16]


def test_of_many_guesses_at_once_no_more_are_looked_at_than_in_a_row(process: Callable[[], Throttle]) -> None:
    doors = [process(), process()]
    with ThreadPoolExecutor(12) as pool:
        waits = list(pool.map(lambda n: doors[n % 2].attempt("doctor", HERE), range(24)))
    assert sum(wait == 0 for wait in waits) == 6


def test_guessing_from_everywhere_slows_a_name_down_but_not_where_its_password_came_from(
    clock: Clock, engine: Engine, process: Callable[[], Throttle]
) -> None:
    """Nobody can lock a clinician out for good."""
    _limits(engine, name_failures=10)
    door = process()
    assert door.attempt("doctor", HERE) == 0
    door.succeeded("doctor", HERE)
    guesses = [door.attempt("doctor", f"198.51.100.{n}") for n in range(20)]
    assert guesses == [0] * 11 + [61] * 9
    assert door.attempt("doctor", HERE) == 0
    door.succeeded("doctor", HERE)
    assert door.attempt("doctor", "192.0.2.1") == 61, "elsewhere she waits a minute at most"
    clock.pass_by(61)
    assert door.attempt("doctor", "192.0.2.1") == 0


def test_an_address_that_tries_many_names_waits(clock: Clock, engine: Engine, process: Callable[[], Throttle]) -> None:
    _limits(engine, address_failures=10)
    door = process()
    assert [door.attempt(f"name{n}", HERE) for n in range(13)] == [0] * 11 + [16, 16]
    assert door.waits(HERE) == 16
    assert door.waits(THERE) == 0
    assert door.attempt("another", "::ffff:203.0.113.7") == 16, "the same address in IPv6's words"


def test_an_ipv6_network_is_one_place_and_this_machine_is_none(engine: Engine, process: Callable[[], Throttle]) -> None:
    _limits(engine, address_failures=10)
    door = process()
    assert [door.attempt(None, f"2001:db8:1:2::{n}") > 0 for n in range(12)] == [False] * 11 + [True]
    assert door.attempt(None, "2001:db8:1:3::1") == 0
    for address in ("127.0.0.1", "::1", "", "testclient"):
        assert [door.attempt(f"name{n}", address) for n in range(15)] == [0] * 15
        assert door.attempt(None, address) == 0


def test_a_lock_out_is_recorded_with_the_account_where_there_is_one(
    engine: Engine, process: Callable[[], Throttle], records: list[AuditRecord]
) -> None:
    with transaction(engine) as connection:
        accounts.create(connection, "d", password="d-demo", purposes=["TREAT"])
    for name in ("d", "my-secret-password"):
        for _ in range(9):
            process().attempt(name, HERE)
    assert [(each.account, each.effect, each.reason, each.details) for each in records] == [
        ("d", "deny", LOCKED_OUT, {"by": ["pair"], "address": HERE}),
        (None, "deny", LOCKED_OUT, {"by": ["pair"], "address": HERE}),
    ]


def test_unlocking_forgets_a_name_alone(engine: Engine, process: Callable[[], Throttle]) -> None:
    for name in ("d", "e"):
        for _ in range(8):
            process().attempt(name, HERE)
    with transaction(engine) as connection:
        assert unlock(connection, "d") == 2
    assert process().attempt("d", HERE) == 0
    assert process().attempt("e", HERE) > 0


def test_the_table_stays_small(
    clock: Clock, engine: Engine, process: Callable[[], Throttle], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "MOST_ROWS", 50)
    monkeypatch.setattr(throttle, "_PRUNE_EACH", 2)
    door = process()
    for n in range(100):
        clock.pass_by(1)
        door.attempt(f"name{n}", f"198.51.100.{n}")
    with reading(engine) as connection:
        assert connection.execute(select(func.count()).select_from(sign_in_attempt)).scalar_one() <= 56
    clock.pass_by(7200)
    door.attempt("d", HERE)
    door.attempt("d", HERE)
    with reading(engine) as connection:
        assert connection.execute(select(func.count()).select_from(sign_in_attempt)).scalar_one() <= 3


# --- callers ----------------------------------------------------------------------------------------------------------


def _basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@pytest.fixture
def callers(engine: Engine, records: list[AuditRecord]) -> Callable[[], Callers]:
    """Makes those of one more process."""
    with transaction(engine) as connection:
        accounts.create(connection, "d", password="d-demo", purposes=["TREAT"])
    return lambda: Callers.of(engine, record=records.append, door="orthanc")


def test_a_locked_name_is_not_looked_at_and_a_remembered_password_goes_on(
    clock: Clock, callers: Callable[[], Callers], monkeypatch: pytest.MonkeyPatch
) -> None:
    knows, other = callers(), callers()
    assert knows.identify(_basic("d", "d-demo"), HERE) is not None
    for _ in range(8):
        assert other.identify(_basic("d", "wrong"), HERE) is None
    with monkeypatch.context() as once:
        once.setattr(scrypt, "matches", lambda *_: pytest.fail("looked at"))
        assert other.identify(_basic("d", "d-demo"), HERE) is None
        assert knows.identify(_basic("d", "d-demo"), HERE) is not None
    clock.pass_by(31)
    assert other.identify(_basic("d", "d-demo"), HERE) is not None


def test_a_remembered_password_tells_nothing_to_who_guesses_from_elsewhere(
    clock: Clock, callers: Callable[[], Callers]
) -> None:
    """While a clinician works, who is locked out elsewhere would else find her password at the speed of an HMAC."""
    one = callers()
    assert one.identify(_basic("d", "d-demo"), HERE) is not None
    for _ in range(8):
        assert one.identify(_basic("d", "wrong"), THERE) is None
    assert one.identify(_basic("d", "d-demo"), THERE) is None
    assert one.at_hand(_basic("d", "d-demo"), THERE) is None
    assert one.identify(_basic("d", "d-demo"), HERE) is not None
    assert one.identify(_basic("d", "d-demo"), None) is not None, "it was counted already"
    clock.pass_by(31 + 60)
    assert one.identify(_basic("d", "d-demo"), THERE) is not None


def test_a_viewer_s_many_first_requests_count_once(callers: Callable[[], Callers]) -> None:
    one = callers()
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda _: one.identify(_basic("d", "d-demo"), HERE), range(20)))
    assert None not in found


def test_bad_tokens_count_by_address_and_good_ones_write_nothing(
    clock: Clock, engine: Engine, callers: Callable[[], Callers]
) -> None:
    issuer = TestIssuer()
    issuer.register(engine, d="sub-d")
    with transaction(engine) as connection:
        policy.save(connection, Policy((issuer.settings,), LockOut(address_failures=10)))
    one, good = callers(), f"Bearer {issuer.token('sub-d')}"
    assert one.identify(good, HERE) is not None
    with reading(engine) as connection:
        assert connection.execute(select(func.count()).select_from(sign_in_attempt)).scalar_one() == 0
    for _ in range(12):
        assert one.identify("Bearer x.y.z", HERE) is None
    assert one.identify(good, HERE) is not None, "it is remembered"
    fresh = f"Bearer {issuer.token('sub-d', jti='other')}"
    assert one.identify(fresh, HERE) is None
    assert one.identify(fresh, THERE) is not None
    for _ in range(12):
        assert one.identify("Bearer x.y.z", "127.0.0.1") is None
    assert one.identify(f"Bearer {issuer.token('sub-d', jti='third')}", "127.0.0.1") is not None


def test_a_malformed_header_is_nobody(callers: Callable[[], Callers]) -> None:
    one = callers()
    for header in ("Bearer", "Bearer ", "bearer x", "Digest x", "", "Basic", "Basic x", "Basic " + "x" * 9000, "é"):
        assert one.identify(header, HERE) is None


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        (HERE, None, HERE),
        (HERE, THERE, HERE),
        ("127.0.0.1", None, "127.0.0.1"),
        ("127.0.0.1", THERE, THERE),
        ("::1", f"{HERE}, {THERE}", THERE),
        ("127.0.0.1", "unknown", "127.0.0.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("nonsense", THERE, "nonsense"),
    ],
)
def test_only_a_proxy_on_this_machine_is_believed(peer: str, forwarded: str | None, address: str) -> None:
    headers = {} if forwarded is None else {"x-forwarded-for": forwarded}
    assert client_address(peer, headers) == address
