"""Sets of photos as bits: what is asked of a million photos is answered by a few operations on whole numbers.

Photos are numbered, and a set of them is a bit for each number, in chunks of 65,536 (the idea of Roaring bitmaps,
doi:10.1002/spe.2325; here in Python's own integers, since what Orthanc runs holds no compiled package). A chunk without
a photo is not there. On record a chunk is compressed, or the places of its photos are listed, where that is shorter.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

SHIFT = 16
"""A chunk is a number without its last 16 bits."""

REMEMBERED = 12_000
"""Chunks that are remembered as they were unpacked: those of 700 values over a million photos, 100 MB at most."""

_SHORT = 160
"""Bytes on record below which unpacking costs little, and remembering would keep 8 KiB for a few photos."""

_SIZE = 1 << SHIFT
_MASK = _SIZE - 1
_SOME = re.compile(rb"[^\x00]", re.DOTALL)
"""A byte with a bit in it: few photos of a chunk are found without a look at every byte by Python."""

_AS_FLAGS = bytes.maketrans(b"01", b"\x00\x01")
_BITS = tuple(tuple(bit for bit in range(8) if byte >> bit & 1) for byte in range(256))
_PLAIN, _DEFLATED, _LISTED = b"\x00", b"\x01", b"\x02"
_FEW = 256
"""Photos of a chunk up to which their places may be listed, two bytes each, instead."""


class Bits:
    """A set of photos' numbers. Not to be changed."""

    __slots__ = ("_chunks",)

    def __init__(self, chunks: Mapping[int, int]) -> None:
        """Take chunks: their numbers, and bits that are not all zero."""
        self._chunks = chunks

    @classmethod
    def of(cls, numbers: Iterable[int]) -> Bits:
        """The set of these numbers."""
        gathered: dict[int, bytearray] = {}
        for number in numbers:
            chunk = gathered.get(number >> SHIFT)
            if chunk is None:
                chunk = gathered[number >> SHIFT] = bytearray(_SIZE >> 3)
            chunk[(number & _MASK) >> 3] |= 1 << (number & 7)
        return cls({chunk: int.from_bytes(bits, "little") for chunk, bits in gathered.items()})

    @classmethod
    def union(cls, sets: Iterable[Bits]) -> Bits:
        """Everything that is in any of them."""
        found: dict[int, int] = {}
        for each in sets:
            for chunk, bits in each._chunks.items():
                found[chunk] = found.get(chunk, 0) | bits
        return cls(found)

    def __and__(self, other: Bits) -> Bits:
        one, two = sorted((self._chunks, other._chunks), key=len)
        return Bits({chunk: both for chunk, bits in one.items() if (both := bits & two.get(chunk, 0))})

    def __or__(self, other: Bits) -> Bits:
        return Bits.union((self, other))

    def __sub__(self, other: Bits) -> Bits:
        theirs = other._chunks
        return Bits({chunk: left for chunk, bits in self._chunks.items() if (left := bits & ~theirs.get(chunk, 0))})

    def __len__(self) -> int:
        return sum(bits.bit_count() for bits in self._chunks.values())

    def __bool__(self) -> bool:
        return bool(self._chunks)

    def __contains__(self, number: int) -> bool:
        return bool(self._chunks.get(number >> SHIFT, 0) >> (number & _MASK) & 1)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bits) and self._chunks == other._chunks

    def __hash__(self) -> int:
        return hash(frozenset(self._chunks.items()))

    def __iter__(self) -> Iterator[int]:
        """The numbers, the smallest first."""
        for chunk in sorted(self._chunks):
            start = chunk << SHIFT
            for found in _SOME.finditer(self._chunks[chunk].to_bytes(_SIZE >> 3, "little")):
                first = start + (found.start() << 3)
                yield from (first + bit for bit in _BITS[found[0][0]])

    def shared_with(self, other: Bits) -> int:
        """How many numbers both hold."""
        mine, theirs = self._chunks, other._chunks
        return sum((bits & theirs[chunk]).bit_count() for chunk, bits in mine.items() if chunk in theirs)

    def chunks(self) -> Iterator[tuple[int, bytes]]:
        """Number and packed bits of each chunk, for a row of a table."""
        for chunk, bits in self._chunks.items():
            yield chunk, packed(bits)


NONE = Bits({})
"""No photo."""


class Counting:
    """A set that many rows are counted against."""

    __slots__ = ("_chunks", "_flags")

    def __init__(self, counted: Bits) -> None:
        """Take it."""
        self._chunks = counted._chunks
        self._flags: dict[int, bytes] = {}

    def shared_with(self, chunk: int, row: bytes) -> int:
        """How many numbers it shares with a chunk as a table holds it."""
        mine = self._chunks.get(chunk)
        if mine is None:
            return 0
        if row[:1] != _LISTED:
            return (unpacked(row) & mine).bit_count()
        flags = self._flags.get(chunk)
        if flags is None:  # a byte for each place, so that one look tells
            flags = self._flags[chunk] = f"{mine:b}"[::-1].encode().translate(_AS_FLAGS).ljust(_SIZE, b"\x00")
        return sum(map(flags.__getitem__, _places(row)))


def packed(bits: int) -> bytes:
    """A chunk as a table holds it: as it is, compressed, or as a list of places, whatever is shortest."""
    plain = bits.to_bytes((bits.bit_length() + 7) >> 3, "little")
    deflated = zlib.compress(plain, 1)
    few = bits.bit_count()
    if few <= _FEW and 2 * few <= min(len(deflated), len(plain)):
        return _LISTED + struct.pack(f"<{few}H", *Bits({0: bits}))
    return _DEFLATED + deflated if len(deflated) < len(plain) else _PLAIN + plain


def unpacked(row: bytes) -> int:
    """The bits of a chunk that :func:`packed` made; of large ones, those asked for lately are remembered."""
    return _unpacked(row) if len(row) < _SHORT else _remembered(row)


def _places(row: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(row) >> 1}H", row[1:])


def _unpacked(row: bytes) -> int:
    if row[:1] == _LISTED:
        return Bits.of(_places(row))._chunks.get(0, 0)
    plain = zlib.decompress(row[1:]) if row[:1] == _DEFLATED else row[1:]
    return int.from_bytes(plain, "little")


_remembered = lru_cache(maxsize=REMEMBERED)(_unpacked)


def by_chunk(numbers: Iterable[int]) -> dict[int, int]:
    """The chunks of these numbers."""
    return dict(Bits.of(numbers)._chunks)
