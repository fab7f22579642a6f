"""What the doctor says of one thing that it tried."""

from __future__ import annotations

from dataclasses import dataclass

LEAST_FREE = 256 * 1024 * 1024
"""Bytes that a folder must have free: records are written before photos are shown, and originals pass the spool."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried."""

    what: str
    ok: bool
    says: str
    remedy: str = ""
    """What to do; empty where nothing is wrong."""


def untried(what: str) -> Finding:
    """What cannot be told, because something that it needs is not well and is named by itself."""
    return Finding(what, True, "not tried: something that it needs is not well")
