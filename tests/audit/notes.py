"""A second reader of signed notes and chains, written from the formats alone: ours is held against it.

Signatures are checked by openssl, hashes by hashlib; nothing of the product is imported.
"""

from __future__ import annotations

import base64
import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path

_SPKI = bytes.fromhex("302a300506032b6570032100")  # RFC 8410: SubjectPublicKeyInfo of id-Ed25519, before the key


def is_signed(note: str, vkey: str, folder: Path) -> bool:
    """Whether the note bears a good signature of the key (c2sp.org/signed-note)."""
    name, identity, encoded = vkey.split("+", 2)
    raw = base64.b64decode(encoded)
    assert raw[0] == 1
    assert hashlib.sha256(f"{name}\n".encode() + raw).hexdigest()[:8] == identity
    cut = note.rindex("\n\n")
    text, lines = note[: cut + 1], note[cut + 2 :].splitlines()
    for line in lines:
        dash, who, signature = line.split(" ")
        packed = base64.b64decode(signature)
        if dash == "—" and who == name and packed[:4].hex() == identity:
            return _verified(text.encode(), packed[4:], raw[1:], folder)
    return False


def _verified(text: bytes, signature: bytes, key: bytes, folder: Path) -> bool:
    for file, content in (("key.der", _SPKI + key), ("text", text), ("signature", signature)):
        (folder / file).write_bytes(content)
    words = "openssl pkeyutl -verify -rawin -pubin -keyform DER -inkey key.der -in text -sigfile signature"
    done = subprocess.run(
        words.split(),
        cwd=folder,
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def head_of(bodies: Sequence[bytes], size: int) -> bytes:
    """The hash of a chain's record ``size``, from the texts of all records alone."""
    head = bytes(32)
    for body in bodies[:size]:
        head = hashlib.sha256(head + body).digest()
    return head


def stated(note: str) -> tuple[str, int, bytes]:
    """Origin, size and hash of a checkpoint (c2sp.org/tlog-checkpoint)."""
    origin, size, head = note.split("\n")[:3]
    return origin, int(size), base64.b64decode(head)
