"""The structure of a DICOM file, measured before anything is built of it (PS3.5 section 7, PS3.10 section 7).

A parser makes an object of every element that it meets. A small file can hold millions of them, nest them deeply, or
inflate to gigabytes; so the elements are counted first, value by value passed over, up to the pixel data.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from pydicom.datadict import dictionary_has_tag, dictionary_VR

from consent.wording import worded
from dicom_bridge.errors import ObjectRefused
from dicom_bridge.query.nesting import BIG_ENDIAN, DEFLATED, IMPLICIT, MAX_DEPTH

MAX_ELEMENTS = 20_000
MAX_TEXT = 2**20
"""Bytes of all values that are neither pixels nor other binary data."""

MAX_INFLATED = 64 * 2**20
"""Bytes of a deflated data set that are looked at."""

_SYNTAX, _PIXELS = 0x00020010, frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_UNDEFINED = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Measured:
    """A data set that is as small as promised."""

    header: bytes
    """Its elements in front of the pixel data."""

    implicit: bool
    little: bool
    pixels: bool
    """Whether pixel data follows."""


class _Damaged(Exception):
    """The structure ends where it should go on, or goes on where it should end."""


def measure(data: bytes) -> Measured:
    """Find the header of a DICOM file and hold it against the limits.

    Raises
    ------
    ObjectRefused
        It is no DICOM file, is damaged before its pixel data, or exceeds a limit.
    """
    if data[128:132] != b"DICM":
        raise ObjectRefused(worded("the object is no DICOM file"))
    try:
        syntax, start = _syntax(data)
        body = data[start:]
        if syntax == DEFLATED:
            body = zlib.decompressobj(-zlib.MAX_WBITS).decompress(body, MAX_INFLATED)
        implicit, little = syntax == IMPLICIT, syntax != BIG_ENDIAN
        walk, coding = _Walk(body), _Coding(implicit, little)
        end = walk.data_set(0, len(body), coding, 1)
        pixels = end < len(body) and walk.tag(end, coding) in _PIXELS and not walk.is_empty(end, coding)
    except (_Damaged, struct.error, zlib.error, UnicodeDecodeError) as error:
        raise ObjectRefused(worded("the object is damaged")) from error
    return Measured(body[:end], implicit, little, pixels)


def _syntax(data: bytes) -> tuple[str, int]:
    """Transfer Syntax UID, and the offset behind the file meta information (PS3.10 7.1)."""
    at, syntax = 132, ""
    for _ in range(64):
        group, element = struct.unpack_from("<HH", data, at)
        if group != 0x0002:
            break
        head, length = (12, _long(data, at + 8)) if data[at + 4 : at + 6] in _LONG else (8, _short(data, at + 6))
        if group << 16 | element == _SYNTAX:
            syntax = data[at + head : at + head + length].rstrip(b"\0 ").decode("ascii")
        at += head + length
    if not syntax:
        raise _Damaged
    return syntax, at


def _short(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "little")


def _long(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")


@dataclass(frozen=True, slots=True)
class _Coding:
    implicit: bool
    little: bool

    @property
    def order(self) -> str:
        return "<" if self.little else ">"


_INSIDE_UNKNOWN = _Coding(implicit=True, little=True)
"""PS3.5 6.2.2 note 2: what UN holds is implicit little endian."""


class _Walk:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._elements = 0
        self._text = 0

    def data_set(self, at: int, end: int, coding: _Coding, depth: int) -> int:
        """Pass over elements up to ``end``, an item's end, or the pixel data of the outermost; the offset there."""
        if depth > MAX_DEPTH:
            raise ObjectRefused(worded("the object nests deeper than %(most)s sequences", most=MAX_DEPTH))
        while at < end:
            tag = self.tag(at, coding)
            if tag == _ITEM_END:
                return at
            if depth == 1 and tag in _PIXELS:
                return at
            self._elements += 1
            if self._elements > MAX_ELEMENTS:
                raise ObjectRefused(worded("the object has more than %(most)s elements", most=MAX_ELEMENTS))
            at = self._element(at, end, tag, coding, depth)
        return at

    def _element(self, at: int, end: int, tag: int, coding: _Coding, depth: int) -> int:
        vr, start, length = self._head(at, tag, coding)
        if length == _UNDEFINED:
            if vr in ("OB", "OW"):
                return self._fragments(start, end, coding)
            return self._items(start, end, _INSIDE_UNKNOWN if vr == "UN" else coding, depth)
        if start + length > end:
            raise _Damaged
        if vr == "SQ":
            self._items(start, start + length, coding, depth)
        elif vr == "UN":
            self._unknown(start, start + length, tag, depth)
        elif vr not in _BINARY:
            self._count(length)
        return start + length

    def _head(self, at: int, tag: int, coding: _Coding) -> tuple[str, int, int]:
        """VR, offset and length of a value."""
        if coding.implicit:
            (length,) = struct.unpack_from(f"{coding.order}I", self._data, at + 4)
            return _known(tag), at + 8, length
        vr = self._data[at + 4 : at + 6]
        if len(vr) != 2 or not (vr.isalpha() and vr.isupper()):
            raise _Damaged
        if vr in _LONG:
            (length,) = struct.unpack_from(f"{coding.order}I", self._data, at + 8)
            return vr.decode("ascii"), at + 12, length
        (length,) = struct.unpack_from(f"{coding.order}H", self._data, at + 6)
        return vr.decode("ascii"), at + 8, length

    def _unknown(self, start: int, end: int, tag: int, depth: int) -> None:
        """A value of unknown representation: parsers look inside where it may be a sequence, or where they know it."""
        if self._data[start : start + 4] == b"\xfe\xff\x00\xe0":
            try:
                self._items(start, end, _INSIDE_UNKNOWN, depth)
            except (_Damaged, struct.error):
                return  # then it is none, and stays one value
        elif _known(tag) not in _BINARY:
            self._count(end - start)

    def _items(self, at: int, end: int, coding: _Coding, depth: int) -> int:
        """Pass over a sequence's items; the offset behind it."""
        while at < end:
            tag = self.tag(at, coding)
            (length,) = struct.unpack_from(f"{coding.order}I", self._data, at + 4)
            at += 8
            if tag == _SEQUENCE_END:
                return at
            if tag != _ITEM:
                raise _Damaged
            self._elements += 1
            if length == _UNDEFINED:
                at = self.data_set(at, end, coding, depth + 1)
                if at >= end:
                    raise _Damaged
                at += 8
            elif at + length > end or self.data_set(at, at + length, coding, depth + 1) != at + length:
                raise _Damaged
            else:
                at += length
            if self._elements > MAX_ELEMENTS:
                raise ObjectRefused(worded("the object has more than %(most)s elements", most=MAX_ELEMENTS))
        return at

    def _fragments(self, at: int, end: int, coding: _Coding) -> int:
        while at < end:
            tag = self.tag(at, coding)
            (length,) = struct.unpack_from(f"{coding.order}I", self._data, at + 4)
            at += 8
            if tag == _SEQUENCE_END:
                return at
            if tag != _ITEM or at + length > end:
                raise _Damaged
            at += length
        raise _Damaged

    def is_empty(self, at: int, coding: _Coding) -> bool:
        """Whether an element has a value of no length."""
        return self._head(at, self.tag(at, coding), coding)[2] == 0

    def tag(self, at: int, coding: _Coding) -> int:
        group, element = struct.unpack_from(f"{coding.order}HH", self._data, at)
        return int(group) << 16 | int(element)

    def _count(self, length: int) -> None:
        self._text += length
        if self._text > MAX_TEXT:
            raise ObjectRefused(worded("the object has more than %(most)s bytes of text and numbers", most=MAX_TEXT))


def _known(tag: int) -> str:
    """The VR that the dictionary gives; where it gives two ("US or SS", "OB or OW"), the first."""
    return dictionary_VR(tag)[:2] if dictionary_has_tag(tag) else "UN"
