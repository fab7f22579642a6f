"""HTTP Basic credentials (RFC 7617)."""

from __future__ import annotations

import base64
import binascii


def credentials(header: str | None) -> tuple[str, str] | None:
    """Name and password of an ``Authorization`` header; None where it holds no well-formed Basic credentials."""
    if header is None:
        return None
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(value.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None
    name, colon, password = text.partition(":")
    return (name, password) if colon and name else None
