"""An original of which the object holds the picture: kept as what the object does not hold, and a recipe.

The viewing copy of an upright sRGB JPEG is the file's own tables and entropy-coded data. The attachment ``original``
then need not hold these once more. It begins with a line that names the form and its version, then a line of JSON, then
the bytes that the object's frame does not hold:

    photospine-original 1
    {"sha256": …, "length": …, "pieces": [["kept", bytes], ["frame", offset, bytes], …]}

The original is its pieces in order: ``kept`` the next bytes of what follows the second line, ``frame`` bytes of the
frame in the DICOM object beside it. What is rebuilt has the SHA-256 that stands there, or it is not given. An
attachment that does not begin so is the original itself, whole.

The standard library alone: it is read inside Orthanc.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence

_MARK = b"photospine-original 1\n"
_PIXELS = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff"
"""Encapsulated Pixel Data (PS3.5 A.4), explicit VR little endian."""

_ITEM = b"\xfe\xff\x00\xe0"
_LONGEST_LINE = 2**20


class DoesNotUnfold(ValueError):
    """The attachment and the object beside it do not give the original that the attachment speaks of."""


def is_folded(attached: bytes) -> bool:
    """Whether an attachment is a recipe; else it is the original itself."""
    return attached.startswith(_MARK)


def fold(original: bytes, sha256: str, kept: Sequence[tuple[int, int]], file: bytes) -> bytes | None:
    """The recipe of an original, or None where its object does not hold the picture.

    Parameters
    ----------
    sha256
        Of the original, hexadecimal.
    kept
        Ranges of the original that its frame is made of, in order.
    file
        The DICOM object.
    """
    pieces: list[tuple[str | int, ...]] = []
    rest: list[bytes] = []
    at = offset = 0
    for start, stop in kept:
        if start > at:
            pieces.append(("kept", start - at))
            rest.append(original[at:start])
        pieces.append(("frame", offset, stop - start))
        offset, at = offset + stop - start, stop
    if at < len(original):
        pieces.append(("kept", len(original) - at))
        rest.append(original[at:])
    said = {"sha256": sha256, "length": len(original), "pieces": pieces}
    line = json.dumps(said, separators=(",", ":")).encode("ascii") + b"\n"
    if len(line) > _LONGEST_LINE:
        return None
    holds = any(_holds(frame, memoryview(original), kept) for frame in _frames(file))
    return b"".join((_MARK, line, *rest)) if holds else None


def _holds(frame: memoryview, original: memoryview, kept: Sequence[tuple[int, int]]) -> bool:
    """Whether a frame begins with these ranges of the original, in order."""
    at = 0
    for start, stop in kept:
        if frame[at : at + stop - start] != original[start:stop]:
            return False
        at += stop - start
    return True


def unfold(attached: bytes, file: bytes | memoryview) -> bytes:
    """The original.

    Parameters
    ----------
    attached
        The attachment; where it is no recipe, it is the original.
    file
        The DICOM object that it is attached to.

    Raises
    ------
    DoesNotUnfold
    """
    if not is_folded(attached):
        return attached
    end = attached.find(b"\n", len(_MARK), len(_MARK) + _LONGEST_LINE) + 1
    try:
        said = json.loads(attached[len(_MARK) : end])
        sha256, length, pieces = str(said["sha256"]), int(said["length"]), said["pieces"]
        for frame in _frames(bytes(file)):
            made = _put_together(memoryview(attached)[end:], frame, pieces)
            if len(made) == length and hashlib.sha256(made).hexdigest() == sha256:
                return made
    except (ValueError, KeyError, TypeError, IndexError):
        raise DoesNotUnfold("the recipe of an original is damaged") from None
    raise DoesNotUnfold("the object beside an original's recipe is not the one that it was made with")


def _put_together(rest: memoryview, frame: memoryview, pieces: Sequence[Sequence[str | int]]) -> bytes:
    parts: list[memoryview] = []
    at = 0
    for piece in pieces:
        if piece[0] == "kept":
            length = int(piece[1])
            parts.append(rest[at : at + length])
            at += length
        else:
            start, length = int(piece[1]), int(piece[2])
            parts.append(frame[start : start + length])
    return b"".join(parts)


def _frames(file: bytes) -> Iterator[memoryview]:
    """What may be the object's frame: the first item behind the offset table, wherever pixel data may begin."""
    view, at = memoryview(file), 0
    while (at := file.find(_PIXELS, at)) >= 0:
        at += len(_PIXELS)
        table = at + 8 + int.from_bytes(file[at + 4 : at + 8], "little")
        if file[at : at + 4] == _ITEM and file[table : table + 4] == _ITEM:
            yield view[table + 8 : table + 8 + int.from_bytes(file[table + 4 : table + 8], "little")]
