"""The head of a chain at some time, as the text of a signed note: the form of c2sp.org/tlog-checkpoint.

Origin, size, and in the place of a tree's root the hash of the chain's last record; then, as an extension line, when
it was signed. A chain that ends before its checkpoint was cut off, and one whose record at that place has another hash
was written anew.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from consent.audit.note import NoteRefused, PublicKey, opened, sign

NAMESPACE = "photospine.audit/"
"""Stands before a chain's id in the origin line, and before the node's in the key's name."""

_SIZE = re.compile(r"[1-9][0-9]{0,17}")
_SIGNED = "signed "


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One signed head."""

    chain: str
    size: int
    """Sequence of the last record that it covers: all before it follow from that one's hash."""

    hash: bytes
    at: datetime
    """When it was signed, aware."""


def text_of(checkpoint: Checkpoint) -> str:
    """The text that is signed."""
    head = base64.b64encode(checkpoint.hash).decode()
    moment = checkpoint.at.astimezone(UTC).isoformat(timespec="microseconds")
    return f"{NAMESPACE}{checkpoint.chain}\n{checkpoint.size}\n{head}\n{_SIGNED}{moment}\n"


def signed(checkpoint: Checkpoint, name: str, private: bytes) -> str:
    """The checkpoint as a note."""
    return sign(text_of(checkpoint), name, private)


def read(note: str, keys: Iterable[PublicKey]) -> Checkpoint:
    """The checkpoint of a note that one of the keys has signed.

    Raises
    ------
    NoteRefused
        Nobody trusted signed it, or it is signed and no checkpoint of a chain.
    """
    lines = opened(note, keys).split("\n")
    try:
        origin, size, head, moment, end = lines
        hashed = base64.b64decode(head, validate=True)
        at = datetime.fromisoformat(moment.removeprefix(_SIGNED))
    except (ValueError, binascii.Error):
        raise NoteRefused("it is no checkpoint of a chain") from None
    if (
        end
        or not origin.startswith(NAMESPACE)
        or not _SIZE.fullmatch(size)
        or len(hashed) != 32
        or not moment.startswith(_SIGNED)
        or at.tzinfo is None
    ):
        raise NoteRefused("it is no checkpoint of a chain")
    return Checkpoint(origin.removeprefix(NAMESPACE), int(size), hashed, at)
