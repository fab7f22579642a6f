"""The keys that the processes of a node share: one file, readable by its owner alone.

Two ticket keys, so that one can be exchanged while the other still counts: the first one signs, both are accepted.
The UID key makes the UIDs of photos; it never changes, or the same photo would become two.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

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
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise KeysRefused(f"{path}: others may read it; set its mode to 0600")
            values = json.load(file)
        first, second = (bytes.fromhex(text) for text in values["tickets"])
        keys = Keys((first, second), bytes.fromhex(values["uid"]))
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
    keys = Keys((random(_LENGTH), random(_LENGTH)), random(_LENGTH))
    fresh = _written(path, keys)
    try:
        os.link(fresh, path)  # unlike a rename, refuses to replace what another process made meanwhile
    except FileExistsError:
        return False
    finally:
        fresh.unlink()
    return True


def rotate(path: Path, random: Callable[[int], bytes] = os.urandom) -> None:
    """Put a new ticket key first; the former first one is still accepted. Restart the node's processes after it."""
    keys = load(path)
    fresh = _written(path, replace(keys, tickets=(random(_LENGTH), keys.tickets[0])))
    fresh.replace(path)


def _written(path: Path, keys: Keys) -> Path:
    """The keys on the disk, in a file of their own beside ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({"tickets": [key.hex() for key in keys.tickets], "uid": keys.uid.hex()}, file)
        file.flush()
        os.fsync(file.fileno())
    return fresh
