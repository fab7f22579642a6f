"""Accounts and sessions of the database, as the pages need them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from contextlib import suppress

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from consent.audit.record import AuditRecord, Kind
from consent.identity import sessions
from consent.identity.accounts import Authenticator
from consent.identity.code_flow import Proved
from consent.store.engine import glancing, transaction
from orthanc_plugin.workspace.visitor import Visitor

_LONGEST_COOKIE = 200
_TOUCH_WAIT = 0.05  # seconds


class StoredAccounts:
    """Sign-in by name and password, sessions by cookie.

    Parameters
    ----------
    minutes
        A session ends after so many minutes without a request.
    record
        Writes an audit record durably: each sign-in, and each refusal.
    secret
        The node's key that the opaque photo names of publishing pages are derived from.
    """

    def __init__(
        self,
        engine: Engine,
        authenticator: Authenticator,
        *,
        minutes: int,
        record: Callable[[AuditRecord], None],
        secret: bytes,
    ) -> None:
        self._engine = engine
        self._authenticator = authenticator
        self._minutes = minutes
        self._record = record
        self._secret = secret

    def sign_in(self, name: str, password: str) -> str | None:
        """A new session's cookie value, or None."""
        requester = self._authenticator.authenticate(name, password)
        return self._begin(None if requester is None else requester.account, "/login")

    def sign_in_as(self, proved: Proved) -> str | None:
        """The same for an account that an OpenID provider has proved."""
        return self._begin(proved.account, "/login/return", proved.version)

    def _begin(self, account: str | None, route: str, version: int | None = None) -> str | None:
        cookie = None
        if account is not None:
            with transaction(self._engine) as connection:
                cookie = sessions.begin(connection, account, version=version)
        # A name that is no account of ours may be a password typed into the wrong field: it is not written down.
        self._record(
            AuditRecord(
                kind=Kind.SIGN_IN,
                door="serve",
                route=route,
                account=account,
                effect="permit" if cookie else "deny",
            )
        )
        return cookie

    def visitor(self, cookie: str) -> Visitor | None:
        """Whose session it is."""
        if len(cookie) > _LONGEST_COOKIE:
            return None
        with glancing(self._engine) as connection:
            session = sessions.find(connection, cookie, self._minutes)
            late = session is not None and sessions.needs_touch(connection, cookie)
        if session is None:
            return None
        if late:
            # Who reads waits for nobody who writes; a use that is never noted ends the session early.
            with suppress(OperationalError), transaction(self._engine, wait=_TOUCH_WAIT) as connection:
                sessions.touch(connection, cookie)
        return Visitor(
            requester=session.requester,
            display=session.display or session.requester.account,
            csrf=session.csrf,
            session=session.mark,
            secret=hmac.digest(self._secret, b"photo names\x00" + cookie.encode(), hashlib.sha256),
            shown=session.shown,
        )

    def sign_out(self, cookie: str) -> None:
        """End the session."""
        with transaction(self._engine) as connection:
            sessions.end(connection, cookie)
