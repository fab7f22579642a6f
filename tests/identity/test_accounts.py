"""Accounts, sessions and emergency grants."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, update

from consent.identity import accounts, emergency, keys, scrypt, sessions
from consent.identity.accounts import AccountRefused, Authenticator
from consent.identity.emergency import GrantRefused
from consent.store.engine import reading, transaction
from consent.store.tables import account, emergency_grant, login_session
from consent.types import Requester, Right


def _make(engine: Engine, name: str = "d", password: str | None = "d-demo") -> None:
    with transaction(engine) as connection:
        accounts.create(
            connection,
            name,
            password=password,
            purposes=["TREAT", "BTG"],
            rights=[Right.LINK, Right.CAPTURE],
            reference="Practitioner/d",
        )


def test_who_has_name_and_password_is_let_in(engine: Engine) -> None:
    _make(engine)
    door = Authenticator(engine)
    found = door.authenticate("d", "d-demo")
    assert found == Requester("d", ("TREAT", "BTG"), frozenset({Right.LINK, Right.CAPTURE}), "Practitioner/d")
    assert door.authenticate("d", "d-demo") == found
    for name, password in (("d", "D-demo"), ("d", ""), ("D", "d-demo"), ("nobody", "d-demo"), ("", ""), ("d'--", "x")):
        assert door.authenticate(name, password) is None
    assert door.authenticate("d", "x" * 2000) is None


def _never(*_: object) -> bool:
    raise AssertionError("hashed again")


def test_a_remembered_password_is_not_hashed_again_and_ends_with_any_change(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    _make(engine)
    clock = [0.0]
    door = Authenticator(engine, clock=lambda: clock[0])
    assert door.authenticate("d", "d-demo") is not None
    with monkeypatch.context() as once:
        once.setattr(scrypt, "matches", _never)
        for _ in range(20):
            assert door.authenticate("d", "d-demo") is not None
    with transaction(engine) as connection:
        accounts.change(connection, "d", purposes=["TREAT"])
    found = door.authenticate("d", "d-demo")
    assert found is not None
    assert found.purposes == ("TREAT",)
    with transaction(engine) as connection:
        accounts.change(connection, "d", password="new")
    assert door.authenticate("d", "d-demo") is None
    assert door.authenticate("d", "new") is not None
    clock[0] += 301
    assert not door._remembers(next(iter(door._remembered)), 3)
    with transaction(engine) as connection:
        accounts.disable(connection, "d")
    assert door.authenticate("d", "new") is None


def test_a_password_that_is_given_again_and_again_stays_remembered(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else somebody who guesses at the same address would keep out who works on, once every five minutes."""
    _make(engine)
    clock = [0.0]
    door = Authenticator(engine, clock=lambda: clock[0])
    assert door.authenticate("d", "d-demo", "127.0.0.1") is not None
    monkeypatch.setattr(scrypt, "matches", lambda password, stored: False)
    for _ in range(8):
        clock[0] += 200
        assert door.remembered("d", "d-demo", "127.0.0.1") is not None
    clock[0] += 301
    assert door.remembered("d", "d-demo", "127.0.0.1") is None


def test_an_unknown_account_costs_the_same_as_a_wrong_password(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    _make(engine)
    _make(engine, "portal", None)
    door = Authenticator(engine)
    hashed: list[tuple[int, int, int]] = []
    compute = scrypt._hash

    def counted(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
        hashed.append((n, r, p))
        return compute(password, salt, n, r, p)

    monkeypatch.setattr(scrypt, "_hash", counted)
    work = []
    for name in ("d", "nobody", "portal", "no such'name"):
        hashed.clear()
        assert door.authenticate(name, "wrong") is None
        work.append(tuple(hashed))
    assert len(work[0]) == 1
    assert set(work) == {work[0]}


def test_two_hashes_are_computed_at_a_time_at_most(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    _make(engine)
    door = Authenticator(engine)
    running, most = 0, 0
    lock = threading.Lock()

    def slow(_password: str, _stored: str | None) -> bool:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.05)
        with lock:
            running -= 1
        return False

    monkeypatch.setattr(scrypt, "matches", slow)
    threads = [threading.Thread(target=door.authenticate, args=("d", str(number))) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 2


def test_wrong_passwords_hold_a_few_threads_and_a_viewer_s_many_requests_share_one_hash(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a flood of wrong passwords would keep every thread of a process waiting, and nobody would be answered."""
    _make(engine)
    door, go = Authenticator(engine), threading.Event()
    begun: list[str] = []

    def stands(password: str, _stored: str | None) -> bool:
        begun.append(password)
        assert go.wait(10)
        return password == "s3cret"

    monkeypatch.setattr(scrypt, "matches", stands)
    monkeypatch.setattr(accounts, "_QUEUE_SECONDS", 10.0)
    with ThreadPoolExecutor(40) as pool:
        asked = [pool.submit(door.authenticate, "d", "s3cret")]
        until = time.monotonic() + 10
        while not begun and time.monotonic() < until:
            time.sleep(0.01)
        asked += [pool.submit(door.authenticate, "d", str(number)) for number in range(30)]
        while sum(each.done() for each in asked) < 23 and time.monotonic() < until:
            time.sleep(0.01)
        assert sum(each.done() for each in asked) == 23, "but eight were refused at once"
        more = [pool.submit(door.authenticate, "d", "s3cret") for _ in range(5)]
        time.sleep(0.1)
        assert not any(each.done() for each in more)
        go.set()
        found = asked[0].result(10)
        assert found is not None
        assert [each.result(10) for each in more] == [found] * 5
    assert begun.count("s3cret") == 1
    assert len(begun) == 8


def test_the_password_is_kept_as_scrypt_alone(engine: Engine) -> None:
    _make(engine)
    with reading(engine) as connection:
        stored = connection.execute(select(account.c.password)).scalar_one()
    scheme, n, r, p, _salt, _hash = stored.split("$")
    assert (scheme, int(n) >= 2**15, r, p) == ("scrypt", True, "8", "1")
    assert scrypt.matches("d-demo", stored)
    assert not scrypt.matches("d-demo", stored.replace("scrypt$", "plain$"))
    assert not scrypt.matches("d-demo", None)
    assert scrypt.make("x") != scrypt.make("x")


def test_accounts_that_make_no_sense_are_refused(engine: Engine) -> None:
    _make(engine)
    for name, password in (("d", "x"), ("a b", "x"), ("", "x"), ("x" * 65, "x"), ("e", "")):
        with pytest.raises(AccountRefused), transaction(engine) as connection:
            accounts.create(connection, name, password=password)
    with pytest.raises(AccountRefused), transaction(engine) as connection:
        accounts.change(connection, "nobody", display="x")
    with pytest.raises(AccountRefused), transaction(engine) as connection:
        accounts.change(connection, "d", version=7)


def test_a_session_ends_with_time_change_and_log_out(engine: Engine) -> None:
    _make(engine)

    def begin() -> str:
        with transaction(engine) as connection:
            value = sessions.begin(connection, "d")
        assert value is not None
        return value

    def find(value: str) -> sessions.Session | None:
        with reading(engine) as connection:
            return sessions.find(connection, value, 60)

    with transaction(engine) as connection:
        assert sessions.begin(connection, "d", version=1) is not None
        assert sessions.begin(connection, "d", version=2) is None, "proved in another version"
    value = begin()
    found = find(value)
    assert found is not None
    assert found.requester.account == "d"
    assert value not in (found.mark, found.csrf)
    assert find("other") is None
    with transaction(engine) as connection:
        idle = timedelta(minutes=61) // timedelta(microseconds=1)
        connection.execute(update(login_session).values(last_seen=login_session.c.last_seen - idle))
    assert find(value) is None
    with transaction(engine) as connection:
        assert sessions.needs_touch(connection, value)
        sessions.touch(connection, value)
        assert not sessions.needs_touch(connection, value)
    assert find(value) is not None
    with transaction(engine) as connection:
        sessions.end(connection, value)
    assert find(value) is None
    value = begin()
    with transaction(engine) as connection:
        accounts.change(connection, "d", display="changed")
    assert find(value) is None
    with transaction(engine) as connection:
        accounts.disable(connection, "d")
        assert sessions.begin(connection, "d") is None


def test_an_emergency_grant_is_for_one_account_and_patient_and_ends(engine: Engine) -> None:
    clinician = Requester("d", ("TREAT", "BTG"))
    with transaction(engine) as connection:
        grant = emergency.open_grant(connection, clinician, "anna", " bleeding ")
        found = emergency.active(connection, "d", "anna")
        assert found == grant
        request = grant.request(clinician, "s")
        assert (request.purpose, request.emergency_reason, request.emergency_patient) == ("BTG", "bleeding", "anna")
        assert emergency.active(connection, "d", "bea") is None
        assert emergency.active(connection, "e", "anna") is None
        for who, reason in ((clinician, " "), (Requester("e", ("TREAT",)), "x"), (clinician, "x" * 501)):
            with pytest.raises(GrantRefused):
                emergency.open_grant(connection, who, "anna", reason)
        hour = timedelta(minutes=60) // timedelta(microseconds=1)
        connection.execute(update(emergency_grant).values(until=emergency_grant.c.until - hour))
        assert emergency.active(connection, "d", "anna") is None


@pytest.mark.fast
def test_the_keys_file_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "x" / "keys.json"
    with pytest.raises(keys.KeysRefused, match="db upgrade"):
        keys.load(path)
    assert keys.make(path)
    made = keys.load(path)
    assert not keys.make(path)
    assert keys.load(path) == made
    assert path.stat().st_mode & 0o777 == 0o600
    assert made.uid.hex() not in repr(made)
    keys.rotate(path)
    rotated = keys.load(path)
    assert (rotated.tickets[1], rotated.uid) == (made.tickets[0], made.uid)
    assert [each.name for each in path.parent.iterdir()] == ["keys.json"]
    path.chmod(0o640)
    with pytest.raises(keys.KeysRefused, match="0600"):
        keys.load(path)
    path.chmod(0o600)
    for text in ("", "[]", "{}", '{"tickets": ["00", "11"], "uid": "22"}', '{"tickets": "x", "uid": 3}'):
        path.write_text(text)
        with pytest.raises(keys.KeysRefused):
            keys.load(path)
    assert os.access(path, os.R_OK)
