"""The key that signs checkpoints: one file, readable by its owner alone, with the public keys that are trusted.

After a rotation the former key's public half stays, or older checkpoints could be verified no longer. Nodes that share
a database trust each other's keys (``photospine audit key --trust``), or use one file.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from consent.audit.checkpoint import NAMESPACE
from consent.audit.note import NoteRefused, PublicKey, public_of, read_vkey
from consent.errors import ConsentError

_LENGTH = 32


class SigningKeyRefused(ConsentError):
    """The file is missing, malformed, or readable by others. Mend it, or let ``photospine db upgrade`` make it."""


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    """The key; never shown by ``repr``."""

    name: str
    private: bytes
    trusted: tuple[PublicKey, ...] = ()
    """Former keys, and those of other nodes."""

    @property
    def public(self) -> tuple[PublicKey, ...]:
        """Its own public half first, then those that are trusted beside it."""
        own = public_of(self.name, self.private)
        return (own, *(key for key in self.trusted if key != own))


def load(path: Path) -> SigningKey:
    """Read the key.

    Raises
    ------
    SigningKeyRefused
        The text names the file and the fault, never the key.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise SigningKeyRefused(f"{path}: others may read it; set its mode to 0600")
            values = json.load(file)
        trusted = tuple(read_vkey(word) for word in values["trusted"])
        key = SigningKey(values["name"], bytes.fromhex(values["private"]), trusted)
    except OSError as error:
        raise SigningKeyRefused(f"{path}: {error.strerror}; 'photospine db upgrade' makes it") from error
    except (AttributeError, KeyError, TypeError, ValueError, NoteRefused):
        raise SigningKeyRefused(f"{path}: not a file with a key for checkpoints") from None
    if len(key.private) != _LENGTH or not isinstance(key.name, str) or not key.name.startswith(NAMESPACE):
        raise SigningKeyRefused(f"{path}: not a file with a key for checkpoints")
    return key


def make(path: Path, node: str, random: Callable[[int], bytes] = os.urandom) -> bool:
    """Make the key where there is none; tells whether it was made. An existing one is never touched."""
    if path.exists():
        return False
    fresh = _written(path, SigningKey(NAMESPACE + node, random(_LENGTH)))
    try:
        os.link(fresh, path)  # unlike a rename, refuses to replace what another process made meanwhile
    except FileExistsError:
        return False
    finally:
        fresh.unlink()
    return True


def rotate(path: Path, random: Callable[[int], bytes] = os.urandom) -> SigningKey:
    """Sign with a new key from now on; the former one's signatures still count. Workers take it by themselves."""
    key = load(path)
    return _put(path, replace(key, private=random(_LENGTH), trusted=key.public))


def trust(path: Path, other: PublicKey) -> SigningKey:
    """Let another node's checkpoints count here."""
    key = load(path)
    return _put(path, key if other in key.public else replace(key, trusted=(*key.trusted, other)))


def _put(path: Path, key: SigningKey) -> SigningKey:
    _written(path, key).replace(path)
    return key


def _written(path: Path, key: SigningKey) -> Path:
    """The key on the disk, in a file of its own beside ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    values = {"name": key.name, "private": key.private.hex(), "trusted": [each.vkey for each in key.trusted]}
    with os.fdopen(descriptor, "w") as file:
        json.dump(values, file)
        file.flush()
        os.fsync(file.fileno())
    return fresh
