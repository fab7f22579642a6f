"""Guessing has to wait: failures counted by name and address, by address, and by name, for all processes together.

Names that exist and names that do not are counted alike, so that waiting tells nothing of an account. A name from all
addresses together waits for short times only, and an address from which its right password has come is spared that:
nobody can lock a clinician out by guessing from elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv6Address, ip_address
from threading import Lock
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, select, text, update
from sqlalchemy.exc import OperationalError

from consent.audit.record import AuditRecord, Kind
from consent.identity.policy import LockOut, load
from consent.store.clock import micros, now
from consent.store.engine import glancing, transaction
from consent.store.tables import account, sign_in_attempt
from consent.store.write import upsert

LOCKED_OUT = "locked-out"
"""The reason in the audit record of a lock-out."""

MOST_ROWS = 100_000
_PRUNE_EACH = 100
_WAIT_SECONDS = 1.0
_SECOND = 1_000_000
_KNOWN_SECONDS = 30 * 86_400
_LOCK = text("SELECT pg_advisory_xact_lock(7410266032)")


class _Counted(StrEnum):
    """What failures are counted by."""

    PAIR = "pair"
    ADDRESS = "address"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class _Key:
    counted: _Counted
    key: bytes


class Throttle:
    """One for each process; the counts are in the database.

    Parameters
    ----------
    record
        Writes an audit record durably: one for each lock-out.
    door
        The door's name in that record.
    """

    def __init__(self, engine: Engine, *, record: Callable[[AuditRecord], object], door: str) -> None:
        self._engine, self._record, self._door = engine, record, door
        self._attempts = 0
        self._turn = Lock()

    def attempt(self, name: str | None, address: str) -> int:
        """Begin an attempt: seconds until one is looked at again, or 0. It counts as failed until it has succeeded, so
        that of many at once no more are looked at than of many in a row.

        Parameters
        ----------
        name
            None: a token, which names nobody before it is proved.
        """
        keys = _keys(name, address)
        if not keys:
            return 0
        wait = self._glance(keys)
        if wait:
            return wait
        with self._in_turn():
            return self._glance(keys) or self._counted(keys, name, address)

    def _glance(self, keys: list[_Key]) -> int:
        with glancing(self._engine) as connection:
            return _wait(connection, keys)

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """One after the other within this process: a file database serves who waits in no order, and some never. Who
        has waited long enough here asks the database all the same."""
        mine = self._turn.acquire(timeout=_WAIT_SECONDS)
        try:
            yield
        finally:
            if mine:
                self._turn.release()

    def _counted(self, keys: list[_Key], name: str | None, address: str) -> int:
        locked: list[_Counted] = []
        known = None
        with transaction(self._engine, wait=_WAIT_SECONDS) as connection:
            _alone(connection)
            wait = _wait(connection, keys)
            if wait:
                return wait
            limits = load(connection).lock_out
            for each in keys:
                if _count(connection, each, name, limits):
                    locked.append(each.counted)
            self._prune(connection)
            if locked and name is not None:
                known = connection.execute(select(account.c.name).where(account.c.name == name)).scalar_one_or_none()
        if locked:
            # A name that is no account of ours may be a password typed into the wrong field: it is not written down.
            self._record(
                AuditRecord(
                    kind=Kind.SIGN_IN,
                    door=self._door,
                    route="lock-out",
                    account=known,
                    effect="deny",
                    reason=LOCKED_OUT,
                    details={"by": sorted(locked), "address": address},
                )
            )
        return 0

    def waits(self, address: str) -> int:
        """Seconds until a token from this address is looked at again, or 0. Nothing is counted."""
        keys = _keys(None, address)
        if not keys:
            return 0
        return self._glance(keys)

    def succeeded(self, name: str, address: str) -> None:
        """The right password was given: forget the failures of this name from this address, and take back the rest."""
        with suppress(OperationalError):  # somebody else writes: one failure too many stays, and nobody is kept out
            self._take_back(name, address)

    def _take_back(self, name: str, address: str) -> None:
        with self._in_turn(), transaction(self._engine, wait=_WAIT_SECONDS) as connection:
            _alone(connection)
            moment = micros(now(connection))
            limits = load(connection).lock_out
            for each in _keys(name, address):
                if each.counted is _Counted.PAIR:
                    values: dict[str, Any] = {
                        "failures": 0,
                        "until": 0,
                        "known": moment,
                        "expires": moment + _KNOWN_SECONDS * _SECOND,
                    }
                    connection.execute(_where(update(sign_in_attempt), each).values(**values))
                    continue
                row = connection.execute(_where(select(sign_in_attempt), each)).one_or_none()
                if row is not None:
                    left = max(row.failures - 1, 0)
                    until = 0 if left <= _free(each.counted, limits) else row.until
                    connection.execute(_where(update(sign_in_attempt), each).values(failures=left, until=until))

    def _prune(self, connection: Connection) -> None:
        """Keep the table small: drop what is forgotten, and of too many the oldest."""
        self._attempts += 1
        if self._attempts % _PRUNE_EACH != 1:
            return
        connection.execute(delete(sign_in_attempt).where(sign_in_attempt.c.expires <= micros(now(connection))))
        more = connection.execute(select(func.count()).select_from(sign_in_attempt)).scalar_one() - MOST_ROWS
        if more > 0:
            oldest = select(sign_in_attempt.c.key).order_by(sign_in_attempt.c.expires).limit(more)
            connection.execute(delete(sign_in_attempt).where(sign_in_attempt.c.key.in_(oldest)))


def unlock(connection: Connection, name: str) -> int:
    """Forget all failures of a name, from every address; tells how many counts there were."""
    return connection.execute(delete(sign_in_attempt).where(sign_in_attempt.c.name_hash == _hash(name))).rowcount


def _keys(name: str | None, address: str) -> list[_Key]:
    """What an attempt is counted by. This machine's own address stands for all who come through a proxy that does not
    say for whom it asks: it is not counted alone."""
    place, local = _place(address)
    found = []
    if name is not None:
        found.append(_Key(_Counted.PAIR, _hash("pair", name, place)))
        found.append(_Key(_Counted.NAME, _hash("name", name)))
    if not local:
        found.append(_Key(_Counted.ADDRESS, _hash("address", place)))
    return found


def _place(address: str) -> tuple[str, bool]:
    """What an address is counted as: IPv6 by its network of 64 bits, which one customer has; and whether it is ours."""
    try:
        found = ip_address(address)
    except ValueError:
        return "", True
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped), found.ipv4_mapped.is_loopback
        if not found.is_loopback:
            return str(IPv6Address(int(found) >> 64 << 64)), False
    return str(found), found.is_loopback


def _wait(connection: Connection, keys: list[_Key]) -> int:
    rows = {
        row.key: row
        for row in connection.execute(select(sign_in_attempt).where(sign_in_attempt.c.key.in_([k.key for k in keys])))
    }
    moment = micros(now(connection))
    pair = next((rows.get(each.key) for each in keys if each.counted is _Counted.PAIR), None)
    spared = pair is not None and pair.known is not None and pair.known + _KNOWN_SECONDS * _SECOND > moment
    left = 0
    for each in keys:
        row = rows.get(each.key)
        if row is not None and not (spared and each.counted is not _Counted.PAIR):
            left = max(left, row.until - moment)
    return left // _SECOND + 1 if left > 0 else 0


def _count(connection: Connection, each: _Key, name: str | None, limits: LockOut) -> bool:
    """Count one failure; tells whether the next attempt has to wait."""
    moment = micros(now(connection))
    row = connection.execute(_where(select(sign_in_attempt), each)).one_or_none()
    fresh = row is None or row.last + limits.window_seconds * _SECOND <= moment
    count = 1 if fresh or row is None else row.failures + 1
    wait = _seconds(each.counted, count, limits)
    known = None if row is None else row.known
    kept = limits.window_seconds if known is None else _KNOWN_SECONDS
    upsert(
        connection,
        sign_in_attempt,
        {
            "key": each.key,
            "name_hash": None if name is None or each.counted is _Counted.ADDRESS else _hash(name),
            "failures": count,
            "until": moment + wait * _SECOND if wait else 0,
            "last": moment,
            "known": known,
            "expires": moment + (wait + kept) * _SECOND,
        },
    )
    return wait > 0


def _free(counted: _Counted, limits: LockOut) -> int:
    """Failures before the first wait."""
    return {
        _Counted.PAIR: limits.failures,
        _Counted.ADDRESS: limits.address_failures,
        _Counted.NAME: limits.name_failures,
    }[counted]


def _seconds(counted: _Counted, count: int, limits: LockOut) -> int:
    over = count - _free(counted, limits)
    if over <= 0:
        return 0
    if counted is _Counted.NAME:
        return limits.name_seconds
    return min(limits.longest_seconds, limits.first_seconds << min(over - 1, 16))


def _where(statement: Any, each: _Key) -> Any:
    return statement.where(sign_in_attempt.c.key == each.key)


def _alone(connection: Connection) -> None:
    """One attempt is counted at a time; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK)


def _hash(*parts: str) -> bytes:
    return hashlib.sha256("\x00".join(parts).encode()).digest()
