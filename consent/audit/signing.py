"""The key that signs checkpoints: one file, readable by its owner alone, with the public keys that are trusted.

After a rotation the former key's public half stays, or older checkpoints could be verified no longer. Nodes that share
a database trust each other's keys (``photospine audit key --trust``), or use one file.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from consent import secret_file
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
        values = secret_file.read(path)
        trusted = tuple(read_vkey(word) for word in values["trusted"])
        key = SigningKey(values["name"], bytes.fromhex(values["private"]), trusted)
    except secret_file.OpenToOthers as error:
        raise SigningKeyRefused(f"{path}: {error}") from None
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
    return secret_file.make(path, _values(SigningKey(NAMESPACE + node, random(_LENGTH))))


def rotate(path: Path, random: Callable[[int], bytes] = os.urandom) -> SigningKey:
    """Sign with a new key from now on; the former one's signatures still count. Workers take it by themselves."""
    key = load(path)
    return _put(path, replace(key, private=random(_LENGTH), trusted=key.public))


def trust(path: Path, other: PublicKey) -> SigningKey:
    """Let another node's checkpoints count here."""
    key = load(path)
    return _put(path, key if other in key.public else replace(key, trusted=(*key.trusted, other)))


def _put(path: Path, key: SigningKey) -> SigningKey:
    secret_file.put(path, _values(key))
    return key


def _values(key: SigningKey) -> dict[str, object]:
    return {"name": key.name, "private": key.private.hex(), "trusted": [each.vkey for each in key.trusted]}
