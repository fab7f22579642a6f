"""What the head of a DICOM file says of it (PS3.10 7.1), read without pydicom."""

from __future__ import annotations

_START = 132
_LONG = frozenset({b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UC", b"UN", b"UR", b"UT", b"SV", b"UV"})
_TRANSFER_SYNTAX = b"\x02\x00\x10\x00"


class NotPart10(ValueError):
    """The bytes are no DICOM file, or do not tell their transfer syntax."""


def transfer_syntax(dicom: bytes) -> str:
    """The Transfer Syntax UID of a file.

    Raises
    ------
    NotPart10
        There is none.
    """
    place = _START
    if dicom[128:_START] == b"DICM":
        while dicom[place : place + 2] == b"\x02\x00":
            name, vr = dicom[place : place + 4], dicom[place + 4 : place + 6]
            size = 4 if vr in _LONG else 2
            start = place + (12 if vr in _LONG else 8)
            length = int.from_bytes(dicom[start - size : start], "little")
            if name == _TRANSFER_SYNTAX and length:
                return dicom[start : start + length].decode("ascii", "replace").strip(" \0")
            place = start + length
    raise NotPart10("no transfer syntax")
