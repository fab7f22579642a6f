"""Sessions of the workspace: a random cookie value, of which the database holds the SHA-256 alone."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, delete, insert, select, update

from consent.identity.accounts import find as find_account
from consent.identity.shown import Shown, shown_of
from consent.store.clock import micros, now
from consent.store.tables import login_session
from consent.types import Requester

_LONGEST = timedelta(hours=12)
"""A session ends then, however busy it is."""

_TOUCH = timedelta(seconds=30)
"""How often, at most, a session's last use is written down."""

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Session:
    """An open session."""

    mark: str
    """Names the session in audit records; it opens nothing."""

    requester: Requester
    """Who asks: narrowed, where the screen is turned to somebody else."""

    csrf: str
    display: str | None
    shown: Shown | None = None
    """To whom the screen is turned; None: its owner is at it."""


def begin(
    connection: Connection,
    account: str,
    *,
    version: int | None = None,
    token: Callable[[], str] = lambda: secrets.token_urlsafe(32),
) -> str | None:
    """Begin a session of an account that has proved itself, and give the cookie's value; None: no active account.

    Parameters
    ----------
    version
        The version in which it proved itself, where that is known: another by now is no proof any more.
    """
    found = find_account(connection, account)
    if found is None or not found.active or version not in (None, found.version):
        return None
    value, moment = token(), micros(now(connection))
    connection.execute(
        insert(login_session).values(
            token_hash=_hash(value),
            account=account,
            account_version=found.version,
            csrf=token(),
            created=moment,
            last_seen=moment,
            expires=moment + _LONGEST // _MICROSECOND,
        )
    )
    connection.execute(delete(login_session).where(login_session.c.expires <= moment))
    return value


def find(connection: Connection, value: str, minutes: int) -> Session | None:
    """The session of a cookie's value; None where it has ended, or its account was changed or disabled since.

    Parameters
    ----------
    minutes
        The session ends after so many minutes without a request.
    """
    mark = _hash(value)
    row = connection.execute(select(login_session).where(login_session.c.token_hash == mark)).one_or_none()
    moment = micros(now(connection))
    if row is None or row.expires <= moment or row.last_seen + timedelta(minutes=minutes) // _MICROSECOND <= moment:
        return None
    found = find_account(connection, row.account)
    if found is None or not found.active or found.version != row.account_version:
        return None
    try:
        shown = shown_of(row.shown, row.shown_to)
    except ValueError:  # turned by a newer software, in a way that is not known here
        return None
    requester = found.requester if shown is None else shown.narrow(found.requester)
    return Session(mark.hex()[:16], requester, row.csrf, found.display, shown)


def touch(connection: Connection, value: str) -> None:
    """Note that the session was used, where that was not noted half a minute ago. Wants a write transaction."""
    moment = micros(now(connection))
    connection.execute(
        update(login_session)
        .where(login_session.c.token_hash == _hash(value))
        .where(login_session.c.last_seen < moment - _TOUCH // _MICROSECOND)
        .values(last_seen=moment)
    )


def needs_touch(connection: Connection, value: str) -> bool:
    """Whether :func:`touch` would write anything; asked first, so that reading pages rarely writes."""
    seen = connection.execute(
        select(login_session.c.last_seen).where(login_session.c.token_hash == _hash(value))
    ).scalar_one_or_none()
    return seen is not None and seen < micros(now(connection)) - _TOUCH // _MICROSECOND


def end(connection: Connection, value: str) -> None:
    """End a session."""
    connection.execute(delete(login_session).where(login_session.c.token_hash == _hash(value)))


def _hash(value: str) -> bytes:
    return hashlib.sha256(value.encode()).digest()
