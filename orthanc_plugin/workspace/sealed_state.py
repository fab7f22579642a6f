"""What a page knew when it was shown, kept in its form and signed with the session's secret, so nobody alters it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any

_LABEL = b"photospine form state\x00"
_TAG = 32  # bytes
LARGEST = 256 * 1024  # characters


def seal(secret: bytes, purpose: str, state: dict[str, Any]) -> str:
    """The state as a form field holds it.

    Parameters
    ----------
    purpose
        The page that it is for: a state of one page opens on no other.
    """
    body = json.dumps(state, ensure_ascii=False, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_tag(secret, purpose, body) + body).decode()


def unseal(secret: bytes, purpose: str, sealed: str) -> dict[str, Any] | None:
    """The state, or None for what this session did not seal for this page."""
    if len(sealed) > LARGEST:
        return None
    try:
        raw = base64.urlsafe_b64decode(sealed.encode("ascii"))
    except (ValueError, binascii.Error):
        return None
    tag, body = raw[:_TAG], raw[_TAG:]
    if not hmac.compare_digest(tag, _tag(secret, purpose, body)):
        return None
    state = json.loads(body)
    return state if isinstance(state, dict) else None


def _tag(secret: bytes, purpose: str, body: bytes) -> bytes:
    return hmac.digest(secret, _LABEL + purpose.encode() + b"\x00" + body, hashlib.sha256)
