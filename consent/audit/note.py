"""Signed notes (c2sp.org/signed-note) with Ed25519 keys: a text, a blank line, and a line for each signature.

Needs the package ``cryptography``, which is not there inside Orthanc: nothing that the wall imports imports this.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from consent.errors import ConsentError

LONGEST = 65_536
"""Bytes of a note that is read; ours have about 300."""

_ED25519 = b"\x01"
_MOST_SIGNATURES = 16
_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_NAME = re.compile(r"[^\s+]{1,200}")


class NoteRefused(ConsentError):
    """A note is malformed, or signed by nobody who is trusted here. What it says must not be used."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Somebody whose signatures are trusted. The name and the key's id together name it."""

    name: str
    key: bytes
    """Ed25519 public key, 32 bytes (RFC 8032)."""

    @property
    def id(self) -> bytes:
        """The first four bytes of SHA-256 over name, newline, signature type and key."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.key).digest()[:4]

    @property
    def vkey(self) -> str:
        """Name, id and key as one word, as verifiers of signed notes take it."""
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(_ED25519 + self.key).decode()}"

    def signed(self, text: str, signature: bytes) -> bool:
        """Whether the signature is this key's over the text."""
        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(signature, text.encode())
        except InvalidSignature:
            return False
        return True


def read_vkey(text: str) -> PublicKey:
    """A public key from the word that :attr:`PublicKey.vkey` gives.

    Raises
    ------
    NoteRefused
        It is no such word, or its id is another key's.
    """
    name, _, rest = text.strip().partition("+")
    identity, _, encoded = rest.partition("+")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raw = b""
    if not _NAME.fullmatch(name) or len(raw) != 33 or raw[:1] != _ED25519:
        raise NoteRefused("a public key is NAME+ID+KEY, as 'photospine audit key' prints it")
    key = PublicKey(name, raw[1:])
    if key.id.hex() != identity:
        raise NoteRefused(f"the id of the public key {name} does not fit it: copy it anew")
    return key


def public_of(name: str, private: bytes) -> PublicKey:
    """The public half of a private key of 32 bytes."""
    return PublicKey(name, Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw())


def sign(text: str, name: str, private: bytes) -> str:
    """The note: ``text``, which must end with a newline, and one signature."""
    if not text.endswith("\n") or _CONTROL.search(text):
        raise ValueError("the text of a note ends with a newline and holds no other control character")
    signature = Ed25519PrivateKey.from_private_bytes(private).sign(text.encode())
    packed = base64.b64encode(public_of(name, private).id + signature).decode()
    return f"{text}\n— {name} {packed}\n"


def opened(note: str, keys: Iterable[PublicKey]) -> str:
    """The text of a note that one of the keys has signed; signatures of others are passed over.

    Raises
    ------
    NoteRefused
        It is malformed, no key signed it, or a signature in the name of one of the keys is not that key's.
    """
    text, blank, lines = note.rpartition("\n\n")
    text += "\n"
    if not blank or len(note) > LONGEST or _CONTROL.search(note) or not lines.endswith("\n"):
        raise NoteRefused("it is no signed note")
    signatures = lines[:-1].split("\n")
    if len(signatures) > _MOST_SIGNATURES:
        raise NoteRefused("it has too many signatures")
    known = {(key.name, key.id): key for key in keys}
    found = False
    for line in signatures:
        match = _LINE.fullmatch(line)
        if match is None:
            raise NoteRefused("it is no signed note")
        try:
            packed = base64.b64decode(match[2], validate=True)
        except binascii.Error:
            raise NoteRefused("it is no signed note") from None
        key = known.get((match[1], packed[:4]))
        if key is None:
            continue
        if not key.signed(text, packed[4:]):
            raise NoteRefused(f"its signature is not that of {key.name}")
        found = True
    if not found:
        raise NoteRefused("it is signed by no key that is trusted here")
    return text
