"""Sessions that are turned to somebody else and taken back, over the database; each turn and each attempt a record."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Engine

from consent.audit.record import AuditRecord, Kind
from consent.identity import accounts, pins, scrypt, shown
from consent.identity.accounts import Authenticator
from consent.identity.shown import Shown
from consent.store.engine import reading, transaction
from orthanc_plugin.workspace.lock import Proofs, Returned
from orthanc_plugin.workspace.visitor import Visitor

_LONGEST = 1000


class StoredLocks:
    """See :class:`orthanc_plugin.workspace.lock.Locks`."""

    def __init__(
        self, engine: Engine, authenticator: Authenticator, record: Callable[[AuditRecord], object], *, door: str
    ) -> None:
        self._engine, self._authenticator, self._record, self._door = engine, authenticator, record, door

    def turn(self, visitor: Visitor, cookie: str, to: Shown) -> str | None:
        """The session's new cookie."""
        details = {"shown": to.mode.value} | ({} if to.patient is None else {"patient": to.patient})
        self._write(visitor, "turn", permitted=True, details=details)
        with transaction(self._engine) as connection:
            return shown.turn(connection, cookie, to)

    def take_back(self, visitor: Visitor, cookie: str, secret: str) -> Returned:
        """Whether the secret proves the owner."""
        with transaction(self._engine) as connection:
            left = shown.attempt(connection, cookie)
        if left is None:
            return Returned(None, 0)
        proved = self._proves(visitor.requester.account, secret)
        self._write(visitor, "take-back", permitted=proved)
        with transaction(self._engine) as connection:
            if proved:
                return Returned(shown.take_back(connection, cookie), left)
            if left == 0:
                shown.attempt(connection, cookie)  # one too many ends it
        return Returned(None, left)

    def proofs(self, account: str) -> Proofs:
        """What the account can prove itself with."""
        with reading(self._engine) as connection:
            found = accounts.find(connection, account)
            return Proofs(pins.find(connection, account) is not None, found is not None and found.has_password)

    def save_pin(self, visitor: Visitor, password: str, pin: str) -> bool:
        """Whether the password was right, so that the PIN is kept."""
        account = visitor.requester.account
        if self.proofs(account).password and self._authenticator.authenticate(account, password) is None:
            self._write(visitor, "pin", permitted=False)
            return False
        self._write(visitor, "pin", permitted=True)
        with transaction(self._engine) as connection:
            pins.save(connection, account, pin)
        return True

    def _proves(self, account: str, secret: str) -> bool:
        if not 0 < len(secret) <= _LONGEST:
            return False
        with reading(self._engine) as connection:
            pin = pins.find(connection, account)
        if pin is not None and scrypt.matches(secret, pin):
            return True
        return self._authenticator.authenticate(account, secret) is not None

    def _write(self, visitor: Visitor, route: str, *, permitted: bool, details: dict[str, str] | None = None) -> None:
        self._record(
            AuditRecord(
                kind=Kind.SIGN_IN,
                door=self._door,
                route=route,
                account=visitor.requester.account,
                session=visitor.session,
                effect="permit" if permitted else "deny",
                details=details or {},
            )
        )
