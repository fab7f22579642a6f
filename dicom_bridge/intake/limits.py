"""How large a file may be before it is refused unread."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of intake. A file beyond one of them is refused with the bound's name."""

    bytes: int = 200 * 2**20
    """Size of the file."""

    pixels: int = 150_000_000
    """Rows x columns."""

    segments: int = 4096
    """Marker segments of a JPEG."""

    scans: int = 64
    """Scans of a progressive JPEG: each costs a pass over the whole picture."""

    passes: int = 3_000_000_000
    """Scans x pixels of a progressive JPEG, which is the time that its decoding takes."""
