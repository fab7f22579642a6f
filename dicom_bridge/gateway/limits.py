"""What one gateway takes on at a time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """All of it is refused beyond, never cut short."""

    associations: int = 20
    """Associations of callers at once; as many connections again may be in the act of opening one."""

    pdu: int = 131_072
    """Bytes of a PDU that a peer may send, once the association stands (PS3.8 D.1)."""

    idle: float = 60.0
    """Seconds that a peer may say nothing, or read nothing of what is sent to it."""

    objects: int = 10_000
    """Objects of one C-MOVE or C-GET, answers of one C-FIND, and references of one storage commitment."""

    object_bytes: int = 200 * 2**20
    """Bytes of one object that is stored."""

    identifier_bytes: int = 256 * 1024
    """Bytes of an identifier."""

    received_bytes: int = 600 * 2**20
    """Bytes of all messages together that are being received."""

    pixels: int = 40_000_000
    """Pixels of an object that is decoded for a peer which takes no compressed transfer syntax."""
