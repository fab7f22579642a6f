"""The TIFF structure of EXIF (TIFF 6.0 section 2), read for the tags that are asked for and no others.

Nothing is allocated for what is not asked for, so that a structure whose entries all point at the same bytes stays as
small as it is. A value that is damaged is not there.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Collection

Value = str | bytes | tuple[int, ...] | tuple[float, ...]
"""Text, undefined bytes, whole numbers, or fractions and floating-point numbers."""

_BYTE, _ASCII, _SHORT, _LONG, _RATIONAL, _UNDEFINED, _SRATIONAL = 1, 2, 3, 4, 5, 7, 10
_UTF8 = 129
"""EXIF 3.0, 4.6.2."""

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 129: 1}
_FORMATS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d"}
MOST_BYTES = 1024
"""Of one value; what is longer is none of those that are read of every file."""


class Tiff:
    """A TIFF structure."""

    def __init__(self, data: bytes, most_bytes: int = MOST_BYTES) -> None:
        """Begin.

        Parameters
        ----------
        most_bytes
            Of one value; what is longer is not there.
        """
        self._data, self._most = data, most_bytes
        self._order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4], "")

    def first(self, wanted: Collection[int]) -> dict[int, Value]:
        """Tags of the first directory."""
        found = self._number(4, "I") if self._order else None
        return {} if found is None else self.directory(found, wanted)

    def directory(self, start: int, wanted: Collection[int]) -> dict[int, Value]:
        """Tags of the directory at an offset; of tags that stand twice the first counts."""
        count = self._number(start, "H")
        found: dict[int, Value] = {}
        for at in range(start + 2, start + 2 + 12 * (count or 0), 12):
            if at + 12 > len(self._data):
                break
            tag = self._number(at, "H")
            if tag is not None and tag in wanted and tag not in found:
                value = self._value(at)
                if value is not None:
                    found[tag] = value
        return found

    def _number(self, at: int, form: str) -> int | None:
        try:
            (number,) = struct.unpack_from(self._order + form, self._data, at)
        except struct.error:
            return None
        return int(number)

    def _value(self, at: int) -> Value | None:
        kind, count = struct.unpack_from(self._order + "HI", self._data, at + 2)
        size = _SIZES.get(kind, 0) * count
        if not 0 < size <= self._most:
            return None
        start = at + 8 if size <= 4 else struct.unpack_from(self._order + "I", self._data, at + 8)[0]
        raw = self._data[start : start + size]
        if len(raw) < size:
            return None
        if kind in (_ASCII, _UTF8):
            return _text(raw)
        if kind == _UNDEFINED:
            return raw
        if kind in (_RATIONAL, _SRATIONAL):
            parts = struct.unpack(f"{self._order}{2 * count}{'I' if kind == _RATIONAL else 'i'}", raw)
            return tuple(
                over / under if under else math.nan for over, under in zip(parts[::2], parts[1::2], strict=True)
            )
        return struct.unpack(f"{self._order}{count}{_FORMATS[kind]}", raw)


def _text(raw: bytes) -> str:
    """EXIF says ASCII; makers write UTF-8 and Latin-1 as well."""
    raw = raw.split(b"\0", 1)[0]
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
