"""WebP (RFC 9649): its RIFF chunks, walked without decoding a pixel."""

from __future__ import annotations

from collections.abc import Iterator

from dicom_bridge.errors import FileRefused
from dicom_bridge.intake.kinds import Kind
from dicom_bridge.intake.limits import Limits
from dicom_bridge.intake.picture import Picture, require_profile, require_size

_VP8 = "RFC_6386"
"""Method of a lossy picture: the standard that describes VP8, as the defined terms name standards (C.7.6.1.1.5.1)."""

_EXIF = b"Exif\0\0"
_ANIMATED, _ALPHA = 0x02, 0x10


def read_webp(data: bytes, limits: Limits) -> Picture:
    """Walk the chunks.

    Raises
    ------
    FileRefused
        It is cut off, damaged, animated, or exceeds a limit.
    """
    chunks: dict[bytes, memoryview] = {}
    for name, body in _chunks(data, limits):
        if name in (b"VP8 ", b"VP8L", b"ALPH", b"VP8X") and name in chunks:
            raise FileRefused("chunks", "it has two pictures; the file is damaged, send it again")
        chunks.setdefault(name, body)
    extended = chunks.get(b"VP8X")
    if extended is not None and len(extended) < 10:
        raise FileRefused("picture", "its header is damaged; send the file again")
    if b"ANIM" in chunks or b"ANMF" in chunks or (extended is not None and extended[0] & _ANIMATED):
        raise FileRefused("picture", "it is animated; send a single photo")
    lossy, whole = chunks.get(b"VP8 "), chunks.get(b"VP8L")
    if (lossy is None) == (whole is None):
        raise FileRefused("picture", "it has no picture, or two; send the file again")
    rows, columns = _lossy_size(lossy) if lossy is not None else _lossless_size(whole or memoryview(b""))
    require_size(rows, columns, limits)
    if extended is not None and _canvas(extended) != (rows, columns):
        raise FileRefused("picture", "its header is damaged; send the file again")
    exif = bytes(chunks[b"EXIF"]) if b"EXIF" in chunks else None
    return Picture(
        kind=Kind.WEBP,
        rows=rows,
        columns=columns,
        samples=3,
        bits=8,
        method=_VP8 if lossy is not None else None,
        length=len(lossy if lossy is not None else whole or b""),
        icc=require_profile(bytes(chunks[b"ICCP"]) if b"ICCP" in chunks else None),
        exif=exif.removeprefix(_EXIF) if exif is not None else None,
        parts=_parts(chunks, rows, columns),
    )


def _chunks(data: bytes, limits: Limits) -> Iterator[tuple[bytes, memoryview]]:
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise FileRefused("file", "it is cut off; send it again")
    view, at = memoryview(data), 12
    for _ in range(limits.segments):
        if at == end:
            return
        if at + 8 > end:
            raise FileRefused("chunks", "a chunk is cut off; the file is damaged, send it again")
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        if at + 8 + size > end:
            raise FileRefused("chunks", "a chunk is cut off; the file is damaged, send it again")
        yield data[at : at + 4], view[at + 8 : at + 8 + size]
        at = min(at + 8 + size + size % 2, end)
    raise FileRefused("chunks", f"it has more than {limits.segments} chunks; export it anew")


def _lossy_size(body: memoryview) -> tuple[int, int]:
    """Of a key frame (RFC 6386, 9.1)."""
    if len(body) < 10 or body[0] & 1 or bytes(body[3:6]) != b"\x9d\x01\x2a":
        raise FileRefused("picture", "its header is damaged; send the file again")
    columns, rows = (int.from_bytes(body[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    return rows, columns


def _lossless_size(body: memoryview) -> tuple[int, int]:
    """RFC 9649, 3.4."""
    bits = int.from_bytes(body[1:5], "little")
    if len(body) < 5 or body[0] != 0x2F or bits >> 29:
        raise FileRefused("picture", "its header is damaged; send the file again")
    return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1


def _canvas(body: memoryview) -> tuple[int, int]:
    return int.from_bytes(body[7:10], "little") + 1, int.from_bytes(body[4:7], "little") + 1


def _parts(chunks: dict[bytes, memoryview], rows: int, columns: int) -> tuple[bytes | memoryview, ...]:
    """A file of the picture and its transparency alone."""
    bodies: list[tuple[bytes, bytes | memoryview]] = []
    if b"ALPH" in chunks and b"VP8 " in chunks:
        canvas = (columns - 1).to_bytes(3, "little") + (rows - 1).to_bytes(3, "little")
        bodies = [(b"VP8X", bytes((_ALPHA, 0, 0, 0)) + canvas), (b"ALPH", chunks[b"ALPH"])]
    bodies += [(name, chunks[name]) for name in (b"VP8 ", b"VP8L") if name in chunks]
    made: list[bytes | memoryview] = []
    for name, body in bodies:
        made += [name + len(body).to_bytes(4, "little"), body, b"\0" * (len(body) % 2)]
    size = 4 + sum(len(part) for part in made)
    return (b"RIFF" + size.to_bytes(4, "little") + b"WEBP", *made)
