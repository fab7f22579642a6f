"""A session whose screen is turned to somebody else: narrowed to what that person is shown, until it is taken back.

The narrowing stands with the session, in the database, and every request of it is answered so: what the pages offer
is not what holds it. Whoever takes it back proves to be its owner; after five attempts it ends.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, delete, select, update

from consent.purposes import PORTFOLIO, TREAT
from consent.store.tables import login_session
from consent.types import Requester, Right, narrowed

MOST_ATTEMPTS = 5
"""To take a session back; then it ends, and its owner signs in anew."""


class Mode(StrEnum):
    """To whom the screen is turned."""

    PATIENT = "patient"
    """The patient at the chair: her own photos, as her care team shows them to her."""

    SIGNING = "signing"
    """The patient, or who signs for her: what she agrees to, and to what no longer."""

    PROSPECT = "prospect"
    """Somebody who wonders whether to be treated: results that patients agreed to show, and nothing of who they are."""


_PURPOSES = {
    Mode.PATIENT: frozenset({TREAT}),
    Mode.SIGNING: frozenset({TREAT}),
    Mode.PROSPECT: frozenset({PORTFOLIO}),
}
"""What may be asked for meanwhile; of what the account holds, never more."""

_RIGHTS = {
    Mode.PATIENT: frozenset[Right](),
    Mode.SIGNING: frozenset({Right.CONSENT}),
    Mode.PROSPECT: frozenset[Right](),
}
"""What may be done meanwhile, likewise."""


@dataclass(frozen=True, slots=True)
class Shown:
    """How a session is narrowed."""

    mode: Mode
    patient: str | None = None
    """The one patient whose photos are shown; None: it is not about one."""

    def narrow(self, requester: Requester) -> Requester:
        """Who asks meanwhile: the owner, with the purposes and rights of the mode, confined to the patient."""
        confined = None if self.patient is None else frozenset({self.patient})
        return narrowed(requester, purposes=_PURPOSES[self.mode], rights=_RIGHTS[self.mode], confined_to=confined)


def shown_of(mode: str | None, patient: str | None) -> Shown | None:
    """What the columns of a session say; None: nobody else is at it.

    Raises
    ------
    ValueError
        The mode is none that is known here: such a session opens nothing.
    """
    return None if mode is None else Shown(Mode(mode), patient)


def turn(
    connection: Connection, value: str, shown: Shown, *, token: Callable[[], str] = lambda: secrets.token_urlsafe(32)
) -> str | None:
    """Turn a session to somebody else, and give its new cookie's value; None: it has ended, or is turned already.

    The former value opens nothing any more, so no page that was open before goes on.
    """
    return _change(connection, value, token, shown=shown.mode.value, shown_to=shown.patient, was_shown=False)


def take_back(
    connection: Connection, value: str, *, token: Callable[[], str] = lambda: secrets.token_urlsafe(32)
) -> str | None:
    """Give a session back to its owner, who has proved it, and its new cookie's value; None: it is turned to nobody."""
    return _change(connection, value, token, shown=None, shown_to=None, was_shown=True)


def attempt(connection: Connection, value: str) -> int | None:
    """Count an attempt to take a session back, before it is looked at; so many at once are no more than in a row.

    Returns
    -------
    int or None
        How many are left after this one; None: there are no more, the session has ended or is turned to nobody.
    """
    mine = login_session.c.token_hash == _hash(value)
    done = connection.execute(
        update(login_session)
        .where(mine, login_session.c.shown.is_not(None))
        .values(attempts=login_session.c.attempts + 1)
    )
    if done.rowcount == 0:
        return None
    left = MOST_ATTEMPTS - int(connection.execute(select(login_session.c.attempts).where(mine)).scalar_one())
    if left < 0:
        connection.execute(delete(login_session).where(mine))
        return None
    return left


def _change(
    connection: Connection,
    value: str,
    token: Callable[[], str],
    *,
    shown: str | None,
    shown_to: str | None,
    was_shown: bool,
) -> str | None:
    new = token()
    before = login_session.c.shown.is_not(None) if was_shown else login_session.c.shown.is_(None)
    done = connection.execute(
        update(login_session)
        .where(login_session.c.token_hash == _hash(value), before)
        .values(token_hash=_hash(new), csrf=token(), shown=shown, shown_to=shown_to, attempts=0)
    )
    return new if done.rowcount else None


def _hash(value: str) -> bytes:
    return hashlib.sha256(value.encode()).digest()
