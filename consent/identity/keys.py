"""The keys that the processes of a node share: one file, readable by its owner alone.

Two ticket keys, so that one can be exchanged while the other still counts: the first one signs, both are accepted.
The UID key makes the UIDs of photos; it never changes, or the same photo would become two.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from consent import secret_file
from consent.errors import ConsentError

_LENGTH = 32


class KeysRefused(ConsentError):
    """The keys file is missing, malformed, or readable by others. Mend it, or let ``photospine db upgrade`` make it."""


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """The keys; never shown by ``repr``."""

    tickets: tuple[bytes, bytes]
    uid: bytes


def load(path: Path) -> Keys:
    """Read the keys.

    Raises
    ------
    KeysRefused
        The text names the file and the fault, never a key.
    """
    try:
        values = secret_file.read(path)
        first, second = (bytes.fromhex(text) for text in values["tickets"])
        keys = Keys((first, second), bytes.fromhex(values["uid"]))
    except secret_file.OpenToOthers as error:
        raise KeysRefused(f"{path}: {error}") from None
    except OSError as error:
        raise KeysRefused(f"{path}: {error.strerror}; 'photospine db upgrade' makes it") from error
    except (KeyError, TypeError, ValueError):
        raise KeysRefused(f"{path}: not a keys file") from None
    if any(len(key) != _LENGTH for key in (*keys.tickets, keys.uid)) or keys.tickets[0] == keys.tickets[1]:
        raise KeysRefused(f"{path}: keys must be different and {_LENGTH} bytes long")
    return keys


def make(path: Path, random: Callable[[int], bytes] = os.urandom) -> bool:
    """Make the keys file where there is none; tells whether it was made. An existing one is never touched."""
    if path.exists():
        return False
    return secret_file.make(path, _values(Keys((random(_LENGTH), random(_LENGTH)), random(_LENGTH))))


def rotate(path: Path, random: Callable[[int], bytes] = os.urandom) -> None:
    """Put a new ticket key first; the former first one is still accepted. Restart the node's processes after it."""
    keys = load(path)
    secret_file.put(path, _values(replace(keys, tickets=(random(_LENGTH), keys.tickets[0]))))


def _values(keys: Keys) -> dict[str, object]:
    return {"tickets": [key.hex() for key in keys.tickets], "uid": keys.uid.hex()}
