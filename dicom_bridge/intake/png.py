"""PNG (ISO/IEC 15948, third edition): its chunks, walked and checked without decoding a pixel."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from dicom_bridge.errors import FileRefused
from dicom_bridge.intake.kinds import Kind
from dicom_bridge.intake.limits import Limits
from dicom_bridge.intake.picture import MAX_ICC, Picture, require_size
from dicom_bridge.intake.profiles import Primaries, matrix_profile

_SIGNATURE = 8
_NEEDED = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_COLOURS = {0: 1, 2: 3, 3: 3, 4: 1, 6: 3}
"""Colour type -> colours of a pixel."""

_BITS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_SRGB_GAMMA = 45_455
_SRGB_CHROMATICITY = (31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000)
"""What encoders write beside sRGB (11.3.2.5): white, red, green, blue, x and y times 100,000."""

_NEAR = 600
_SRGB_CODE, _P3_CODE = (1, 13, 0, 1), (12, 13, 0, 1)
"""cICP (11.3.2.6): primaries, transfer, matrix, full range, as ITU-T H.273 numbers them."""


def read_png(data: bytes, limits: Limits) -> Picture:
    """Walk the chunks up to IEND.

    Checked: each chunk's length and checksum, the header, that there is a picture, and that there is one alone.

    Raises
    ------
    FileRefused
        It is cut off, damaged, animated, black and white alone, or exceeds a limit.
    """
    chunks: dict[bytes, memoryview] = {}
    parts: list[bytes | memoryview] = [data[:_SIGNATURE]]
    length = 0
    for name, whole in _chunks(data, limits):
        if not chunks and name != b"IHDR":
            raise FileRefused("chunks", "its header is missing; the file is damaged, send it again")
        body = whole[8:-4]
        if name == b"IDAT":
            length += len(body)
        elif name in chunks and name in _NEEDED:
            raise FileRefused("chunks", "its header stands twice; the file is damaged, send it again")
        chunks.setdefault(name, body)
        if name in _NEEDED:
            parts.append(whole)
    rows, columns, bits, colour = _header(chunks[b"IHDR"], limits)
    if b"acTL" in chunks:
        raise FileRefused("picture", "it is animated; send a single photo")
    if not length:
        raise FileRefused("picture", "the file ends before its picture begins; send it again")
    return Picture(
        kind=Kind.PNG,
        rows=rows,
        columns=columns,
        samples=_COLOURS[colour],
        bits=bits,
        method=None,
        length=length,
        icc=_profile(chunks),
        exif=bytes(chunks[b"eXIf"]) if b"eXIf" in chunks else None,
        parts=tuple(parts),
    )


def _chunks(data: bytes, limits: Limits) -> Iterator[tuple[bytes, memoryview]]:
    """Names of the chunks up to IEND, each with its bytes, from its length to its checksum."""
    view, at = memoryview(data), _SIGNATURE
    for _ in range(limits.segments):
        if at + 12 > len(data):
            raise FileRefused("file", "it is cut off; send it again")
        size, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 12 + size
        if end > len(data):
            raise FileRefused("file", "it is cut off; send it again")
        if zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise FileRefused("chunks", "a checksum is wrong; the file is damaged, send it again")
        yield name, view[at:end]
        if name == b"IEND":
            return
        at = end
    raise FileRefused("chunks", f"it has more than {limits.segments} chunks; export it anew")


def _header(body: memoryview, limits: Limits) -> tuple[int, int, int, int]:
    if len(body) != 13:
        raise FileRefused("picture", "its header is damaged; send the file again")
    columns, rows, bits, colour, packing, filters, interlace = struct.unpack(">IIBBBBB", body)
    require_size(rows, columns, limits)
    if bits not in _BITS.get(colour, ()) or packing or filters or interlace > 1:
        raise FileRefused("picture", "its header is damaged; send the file again")
    if bits == 1 and colour == 0:
        raise FileRefused("picture", "it is black and white without greys; send a photo")
    return rows, columns, bits, colour


def _profile(chunks: dict[bytes, memoryview]) -> bytes | None:
    """The profile that describes its colours, in the order in which the chunks count (4.3)."""
    if code := chunks.get(b"cICP"):
        said = tuple(code)
        if said == _SRGB_CODE:
            return None
        if said != _P3_CODE:
            raise FileRefused("colour profile", "its colours are those of a film or HDR picture; export it as sRGB")
        return matrix_profile(Primaries.display_p3(), None)
    if (packed := chunks.get(b"iCCP")) is not None:
        return _inflated(packed)
    if b"sRGB" in chunks:
        return None
    return _measured(chunks)


def _inflated(body: memoryview) -> bytes:
    name, _, packed = bytes(body).partition(b"\0")
    if len(name) > 79 or packed[:1] != b"\0":
        raise FileRefused("colour profile", "it cannot be read; export the photo as sRGB")
    try:
        inflate = zlib.decompressobj()
        profile = inflate.decompress(packed[1:], MAX_ICC + 1)
    except zlib.error:
        raise FileRefused("colour profile", "it cannot be read; export the photo as sRGB") from None
    if len(profile) > MAX_ICC:
        raise FileRefused("colour profile", "it is larger than 4 MiB; export the photo as sRGB")
    return profile


def _measured(chunks: dict[bytes, memoryview]) -> bytes | None:
    """Of gAMA and cHRM; None where they are sRGB's, or are not there."""
    gamma = int.from_bytes(chunks[b"gAMA"], "big") if len(chunks.get(b"gAMA", b"")) == 4 else _SRGB_GAMMA
    points = struct.unpack(">8I", chunks[b"cHRM"]) if len(chunks.get(b"cHRM", b"")) == 32 else _SRGB_CHROMATICITY
    same_tone = abs(gamma - _SRGB_GAMMA) <= _NEAR
    if same_tone and all(abs(one - two) <= _NEAR for one, two in zip(points, _SRGB_CHROMATICITY, strict=True)):
        return None
    if not gamma or any(points[at + 1] == 0 for at in range(0, 8, 2)):
        raise FileRefused("colour profile", "it cannot be read; export the photo as sRGB")
    pairs = [(points[at] / 100_000, points[at + 1] / 100_000) for at in range(0, 8, 2)]
    try:
        return matrix_profile(Primaries(*pairs), None if same_tone else 100_000 / gamma)
    except (ZeroDivisionError, ValueError, struct.error):
        raise FileRefused("colour profile", "it cannot be read; export the photo as sRGB") from None
