"""Passwords as scrypt hashes in the form ``scrypt$N$r$p$salt$hash`` (RFC 7914; salt and hash in base 64)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Callable

_N, _R, _P = 2**15, 8, 1
_MEMORY = 64 * 1024 * 1024
_LENGTH = 32

#: What an unknown account's password is compared with: the same work, never the same hash.
_ABSENT = f"scrypt${_N}${_R}${_P}${base64.b64encode(bytes(16)).decode()}${base64.b64encode(bytes(_LENGTH)).decode()}"


def make(password: str, random: Callable[[int], bytes] = os.urandom) -> str:
    """The hash of a password, with a salt of its own. Takes about 60 ms and 32 MiB."""
    salt = random(16)
    return f"scrypt${_N}${_R}${_P}${_text(salt)}${_text(_hash(password, salt, _N, _R, _P))}"


def matches(password: str, stored: str | None) -> bool:
    """Whether the password has this hash; with none stored, False after the same work."""
    scheme, *parts = (stored or _ABSENT).split("$")
    try:
        if scheme != "scrypt" or len(parts) != 5:
            raise ValueError(scheme)
        n, r, p = (int(part) for part in parts[:3])
        salt, wanted = (base64.b64decode(part, validate=True) for part in parts[3:])
        found = _hash(password, salt, n, r, p)
    except (ValueError, binascii.Error):
        matches(password, None)
        return False
    return hmac.compare_digest(found, wanted) and stored is not None


def _hash(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=_MEMORY, dklen=_LENGTH)


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
