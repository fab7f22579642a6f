"""Values as the index tables hold them; writing and searching go through the same functions."""

from __future__ import annotations

import hashlib
import unicodedata
from datetime import datetime

from consent.store import clock
from fhir_mapping.tables import INDEXED

_HEAD = INDEXED - 65

#: Open sides of a span.
FIRST, LAST = -(1 << 62), 1 << 62


def indexed(text: str) -> str:
    """A value that fits the index: itself, or its beginning with a digest of the whole."""
    if len(text) <= INDEXED:
        return text
    return f"{text[:_HEAD]}~{hashlib.sha256(text.encode('utf-8')).hexdigest()}"


def folded(text: str) -> str:
    """A text as string search compares it: without case and accents (R4 search, string)."""
    plain = unicodedata.normalize("NFKD", text)
    return "".join(c for c in plain if not unicodedata.combining(c)).casefold().strip()[:INDEXED]


def lot_key(text: str) -> str:
    """A lot number as a tired eye reads it: without case, spaces, marks and leading zeros, O as 0, I and L as 1."""
    kept = "".join(c for c in folded(text) if c.isalnum())
    return kept.translate(str.maketrans("oil", "011")).lstrip("0")[:INDEXED]


def micros(moment: datetime | None, default: int) -> int:
    """A moment as microseconds since 1970 in UTC; ``default`` for an open side."""
    return default if moment is None else clock.micros(moment)
