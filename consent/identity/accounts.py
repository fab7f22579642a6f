"""Accounts: who may sign in, for which purposes and rights, and who they are in the record."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import BoundedSemaphore, Event, Lock
from typing import Any

from sqlalchemy import Connection, Engine, Row, bindparam, insert, select, update

from consent.errors import ConsentError
from consent.identity import scrypt
from consent.identity.throttle import Throttle
from consent.store.quick import Quick
from consent.store.tables import account
from consent.types import Requester, Right

REMEMBER_SECONDS = 300.0
"""How long a verified password is remembered by a process after it was given last.

Who works on is not asked to wait because somebody else at the same address guesses; a change of the account ends it.
"""

_REMEMBER_MOST = 10_000
_AT_ONCE = 2
_WAITING = 6
"""Different names and passwords that may wait for their turn; who comes then is refused."""

_QUEUE_SECONDS = 2.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_LONGEST_PASSWORD = 1000


class AccountRefused(ConsentError):
    """An account cannot be made or changed so. The text says why."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account, without its password."""

    name: str
    version: int
    active: bool
    requester: Requester
    display: str | None
    has_password: bool


def create(
    connection: Connection,
    name: str,
    *,
    password: str | None,
    purposes: Iterable[str] = (),
    rights: Iterable[Right] = (),
    reference: str | None = None,
    confined_to: str | None = None,
    own_patient: str | None = None,
    display: str | None = None,
) -> None:
    """Make an account.

    Parameters
    ----------
    password
        None: the account cannot sign in with a password.
    confined_to, own_patient
        Patient ids; see :class:`consent.types.Requester`.

    Raises
    ------
    AccountRefused
        The name is taken or malformed, or the password is empty.
    """
    if not _NAME.fullmatch(name):
        raise AccountRefused(f"an account's name has up to 64 letters, digits, '.', '_', '@', '-': not {name!r}")
    if connection.execute(select(account.c.name).where(account.c.name == name)).one_or_none() is not None:
        raise AccountRefused(f"the account {name} exists")
    connection.execute(
        insert(account).values(
            name=name,
            version=1,
            active=True,
            **_values(password, purposes, rights, reference, confined_to, own_patient, display),
        )
    )


def change(connection: Connection, name: str, **changes: Any) -> None:
    """Change parts of an account, named as in :func:`create`, or ``active``. It counts from the next request on.

    Raises
    ------
    AccountRefused
        There is no such account.
    """
    whole = {"purposes": (), "rights": (), "reference": None, "confined_to": None, "own_patient": None, "display": None}
    unknown = set(changes) - set(whole) - {"password", "active"}
    if unknown:
        raise AccountRefused(f"an account has no {', '.join(sorted(unknown))}")
    password = changes.get("password")
    made = _values(password, **(whole | {key: value for key, value in changes.items() if key in whole}))
    values = {key: value for key, value in made.items() if key in changes}
    if "active" in changes:
        values["active"] = bool(changes["active"])
    done = connection.execute(
        update(account).where(account.c.name == name).values(version=account.c.version + 1, **values)
    )
    if done.rowcount == 0:
        raise AccountRefused(f"there is no account {name}")


def disable(connection: Connection, name: str) -> None:
    """Let the account do nothing any more; its sessions and remembered passwords end with the next request."""
    change(connection, name, active=False)


def _values(
    password: str | None,
    purposes: Iterable[str],
    rights: Iterable[Right],
    reference: str | None,
    confined_to: str | None,
    own_patient: str | None,
    display: str | None,
) -> dict[str, Any]:
    if password is not None and not 1 <= len(password) <= _LONGEST_PASSWORD:
        raise AccountRefused("a password has 1 to 1000 characters")
    return {
        "password": None if password is None else scrypt.make(password),
        "purposes": json.dumps(list(dict.fromkeys(purposes))),
        "rights": json.dumps(sorted(Right(right).value for right in rights)),
        "reference": reference,
        "confined_to": confined_to,
        "own_patient": own_patient,
        "display": display,
    }


def find(connection: Connection, name: str) -> Account | None:
    """The account with this name, also a disabled one."""
    row = connection.execute(_ONE, {"name": name}).one_or_none()
    return None if row is None else of_row(row)


def everyone(connection: Connection) -> list[Account]:
    """All accounts, by name."""
    return [of_row(row) for row in connection.execute(select(account).order_by(account.c.name))]


def requester(connection: Connection, name: str) -> Requester | None:
    """Who an active account is; None where there is none. Nothing is proved here: the caller has done that."""
    found = find(connection, name)
    return found.requester if found is not None and found.active else None


def of_row(row: Row[Any]) -> Account:
    """An account from its row."""
    return Account(
        name=row.name,
        version=row.version,
        active=row.active,
        requester=requester_of(row),
        display=row.display,
        has_password=row.password is not None,
    )


def requester_of(row: Row[Any]) -> Requester:
    """Who an account is, from a row that holds its columns."""
    return Requester(
        account=row.name,
        purposes=tuple(json.loads(row.purposes)),
        rights=frozenset(Right(right) for right in json.loads(row.rights)),
        reference=row.reference,
        confined_to=None if row.confined_to is None else frozenset({row.confined_to}),
        own_patient=row.own_patient,
    )


_ONE = select(account).where(account.c.name == bindparam("name"))


class Authenticator:
    """Checks names and passwords; one for each process.

    A verified password is remembered for five minutes as HMAC under a key of this process, with the account's
    version, and the version is compared at each request; for the address that it came from, since whoever guesses from
    elsewhere would else be told of the right one while he has to wait. At most two hashes are computed at a time and a
    few wait, so that wrong passwords can take neither the machine nor all threads of a process; an unknown account
    costs the same as a wrong password. Several requests with one name and password, as a viewer begins with, share one
    hash.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        throttle: Throttle | None = None,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._accounts, self._throttle, self._clock = Quick(engine, _ONE, "name"), throttle, clock
        self._key = random(32)
        self._remembered: OrderedDict[bytes, tuple[int, float]] = OrderedDict()
        self._people: dict[str, Account] = {}
        self._lock = Lock()
        self._turns = BoundedSemaphore(_AT_ONCE)
        self._checking: dict[bytes, Event] = {}

    def authenticate(self, name: str, password: str, address: str | None = None) -> Requester | None:
        """Who has this name and password; None where nobody has, or where too many are waiting to be checked.

        Parameters
        ----------
        address
            Where it comes from: after too many failures nothing is looked at for a while. None: the caller counts, or
            has counted already, and what is remembered for any address will do.
        """
        if len(password) > _LONGEST_PASSWORD:
            return None
        row, known = self._row(name)
        mark = self._mark(name, password, address)
        if known and row is not None and self._remembers(mark, row.version):
            return self._requester(row)
        with self._lock:
            other = self._checking.get(mark)
            if other is None:
                if len(self._checking) >= _AT_ONCE + _WAITING:
                    return None
                mine = self._checking[mark] = Event()
        if other is not None:
            other.wait(_QUEUE_SECONDS)
            return self._requester(row) if known and row is not None and self._remembers(mark, row.version) else None
        try:
            counted = self._throttle if address is not None else None
            locked = counted is not None and counted.attempt(name, address or "") > 0
            matched = not locked and self._matches(password, row.password if known and row is not None else None)
            if matched and row is not None:
                self._remember(mark, row.version)
                self._remember(self._mark(name, password, None), row.version)
                if counted is not None:
                    counted.succeeded(name, address or "")
        finally:
            with self._lock:
                del self._checking[mark]
            mine.set()
        return self._requester(row) if matched and row is not None else None

    def at_hand(self, name: str, password: str, address: str | None) -> Requester | None:
        """As :meth:`remembered`, where that waits for nobody; else None."""
        return self.remembered(name, password, address) if self._accounts.direct else None

    def remembered(self, name: str, password: str, address: str | None) -> Requester | None:
        """As :meth:`authenticate`, where the password is remembered; None where it must be checked first."""
        if len(password) > _LONGEST_PASSWORD:
            return None
        row, known = self._row(name)
        remembered = known and row is not None and self._remembers(self._mark(name, password, address), row.version)
        return self._requester(row) if remembered and row is not None else None

    def version(self, name: str) -> int | None:
        """The version of an active account, which counts its changes; None: there is none."""
        rows = self._accounts.rows(name)
        return int(rows[0].version) if rows and rows[0].active else None

    def _row(self, name: str) -> tuple[Row[Any] | None, bool]:
        """The account, and whether somebody can sign in to it with a password."""
        rows = self._accounts.rows(name) if _NAME.fullmatch(name) else ()
        row = rows[0] if rows else None
        return row, row is not None and row.active and row.password is not None

    def _mark(self, name: str, password: str, address: str | None) -> bytes:
        text = f"{len(name)}:{name}:{'-' if address is None else address}\0{password}"
        return hmac.digest(self._key, text.encode(), hashlib.sha256)

    def _matches(self, password: str, stored: str | None) -> bool:
        if not self._turns.acquire(timeout=_QUEUE_SECONDS):
            return False
        try:
            return scrypt.matches(password, stored)
        finally:
            self._turns.release()

    def _remember(self, mark: bytes, version: int) -> None:
        with self._lock:
            self._remembered[mark] = (version, self._clock() + REMEMBER_SECONDS)
            self._remembered.move_to_end(mark)
            while len(self._remembered) > _REMEMBER_MOST:
                self._remembered.popitem(last=False)

    def _remembers(self, mark: bytes, version: int) -> bool:
        with self._lock:
            found = self._remembered.get(mark)
            if found is None:
                return False
            moment = self._clock()
            if found[0] != version or found[1] <= moment:
                del self._remembered[mark]
                return False
            if found[1] - moment < REMEMBER_SECONDS / 2:
                self._remembered[mark] = (version, moment + REMEMBER_SECONDS)
                self._remembered.move_to_end(mark)
            return True

    def _requester(self, row: Row[Any]) -> Requester:
        """The requester, made once for each version of the account."""
        found = self._people.get(row.name)
        if found is None or found.version != row.version:
            found = self._people[row.name] = of_row(row)
        return found.requester
