"""PINs: short secrets with which an account takes back a session that it had turned to somebody else.

A PIN signs nobody in. It is kept as its scrypt hash, and looked at a few times only
(:data:`consent.identity.shown.MOST_ATTEMPTS`).
"""

from __future__ import annotations

import re
from enum import Enum
from itertools import pairwise

from sqlalchemy import Connection, delete, select

from consent.errors import ConsentError
from consent.identity import scrypt
from consent.store.clock import micros, now
from consent.store.tables import account_pin
from consent.store.write import upsert

SHORTEST, LONGEST = 4, 12
"""Digits."""

_DIGITS = re.compile(rf"[0-9]{{{SHORTEST},{LONGEST}}}")
_STEPS = (-1, 0, 1)


class PinFault(Enum):
    """Why something can be no PIN."""

    DIGITS = f"a PIN has {SHORTEST} to {LONGEST} digits"
    OBVIOUS = "a PIN of one digit, or of digits in a row, is the first that anybody tries: choose another"


class PinRefused(ConsentError):
    """No PIN."""

    def __init__(self, fault: PinFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


def save(connection: Connection, account: str, pin: str) -> None:
    """Keep an account's PIN, instead of the one that it had.

    Raises
    ------
    PinRefused
        It has other characters than 4 to 12 digits, or these are all the same or follow each other.
    """
    if not _DIGITS.fullmatch(pin):
        raise PinRefused(PinFault.DIGITS)
    if any(all(int(after) - int(before) == step for before, after in pairwise(pin)) for step in _STEPS):
        raise PinRefused(PinFault.OBVIOUS)
    upsert(
        connection,
        account_pin,
        {"account": account, "pin": scrypt.make(pin), "changed": micros(now(connection))},
    )


def remove(connection: Connection, account: str) -> bool:
    """Take it away; tells whether there was one."""
    return bool(connection.execute(delete(account_pin).where(account_pin.c.account == account)).rowcount)


def find(connection: Connection, account: str) -> str | None:
    """The hash of an account's PIN, for :func:`consent.identity.scrypt.matches`; None: it has none."""
    return connection.execute(select(account_pin.c.pin).where(account_pin.c.account == account)).scalar_one_or_none()
