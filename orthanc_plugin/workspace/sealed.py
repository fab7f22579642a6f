"""Names of photos on publishing pages: opaque, of one session and one purpose, and no table behind them.

A name is ``base32(tag || masked number)``. The tag is a keyed hash of the number and masks it, so a name can neither
be made nor read without the key, and the same photo has another name in each session and for each purpose.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

_TAG = 12  # bytes
_NUMBER = 8
_LENGTH = _TAG + _NUMBER


class Seal:
    """Makes and opens names for one session, purpose and channel."""

    def __init__(self, secret: bytes, *context: str) -> None:
        label = "\x00".join(("photospine photo name", *context)).encode()
        self._tag_key = hmac.digest(secret, b"tag\x00" + label, hashlib.sha256)
        self._mask_key = hmac.digest(secret, b"mask\x00" + label, hashlib.sha256)

    def name(self, number: int) -> str:
        """The name of a photo's number."""
        plain = number.to_bytes(_NUMBER, "big")
        tag = hmac.digest(self._tag_key, plain, hashlib.sha256)[:_TAG]
        return base64.b32encode(tag + _xor(plain, self._mask(tag))).decode().lower()

    def number(self, name: str) -> int | None:
        """The photo's number, or None for a name that this seal did not make."""
        try:
            raw = base64.b32decode(name.upper().encode())
        except ValueError:
            return None
        if len(raw) != _LENGTH:
            return None
        tag, masked = raw[:_TAG], raw[_TAG:]
        plain = _xor(masked, self._mask(tag))
        if not hmac.compare_digest(tag, hmac.digest(self._tag_key, plain, hashlib.sha256)[:_TAG]):
            return None
        return int.from_bytes(plain, "big")

    def _mask(self, tag: bytes) -> bytes:
        return hmac.digest(self._mask_key, tag, hashlib.sha256)[:_NUMBER]


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))
