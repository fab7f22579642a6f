"""The picture of a TIFF file (TIFF 6.0, and the supplement for Photoshop): one page, held against what is read."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from dicom_bridge.errors import FileRefused
from dicom_bridge.intake.kinds import Kind
from dicom_bridge.intake.limits import Limits
from dicom_bridge.intake.picture import MAX_ICC, Picture, require_size

_MOST_PAGES = 16
_MOST_PARTS = 1_000_000
"""Strips or tiles."""

_LARGEST_TILE = 4096
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_FORMATS = {1: "B", 3: "H", 4: "I", 13: "I"}

_SUBFILE, _WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_STRIPS, _SAMPLES, _STRIP_SIZES = 273, 277, 279
_TILE_WIDTH, _TILE_LENGTH, _TILES, _TILE_SIZES = 322, 323, 324, 325
_EXTRA, _FORMAT, _ICC, _DNG, _PLANAR = 338, 339, 34675, 50706, 284

_NONE, _JPEG = 1, 7
_COMPRESSIONS = frozenset({_NONE, 5, _JPEG, 8, 32946, 32773})
"""None, LZW, JPEG, Deflate twice, PackBits."""

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_SAMPLES_OF = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _YCBCR: 3}
_COLOURS = {
    5: "its colours are CMYK, made for print; export it as sRGB",
    8: "its colours are of a kind that is not read; export it as sRGB",
    32803: "it is a raw file; export the photo as JPEG",
    34892: "it is a raw file; export the photo as JPEG",
}
_REDUCED = 1


@dataclass(frozen=True, slots=True)
class _Entry:
    kind: int
    count: int
    raw: bytes


_Page = dict[int, _Entry]


def read_tiff(data: bytes, limits: Limits) -> Picture:
    """Walk the pages, and hold the first against the limits.

    Checked: every page's directory, the first one's size and kind, that each strip or tile lies within the file, that
    there is one photo: further pages may be smaller copies of it alone.

    Raises
    ------
    FileRefused
        It is cut off, a raw file, has several pages, colours or a compression that is not read, or exceeds a limit.
    """
    order = "<" if data[:2] == b"II" else ">"
    pages = list(_pages(data, order))
    if any(not _whole(page, _SUBFILE, order, 0)[0] & _REDUCED for page in pages[1:]):
        raise FileRefused("picture", "it has several pages; export each photo by itself")
    page = pages[0]
    if _DNG in page:
        raise FileRefused("file", "it is a raw file; export the photo as JPEG")
    rows, columns = _whole(page, _LENGTH, order, 0)[0], _whole(page, _WIDTH, order, 0)[0]
    require_size(rows, columns, limits)
    bits = _whole(page, _BITS, order, 1)
    compression, colours = _whole(page, _COMPRESSION, order, _NONE)[0], _whole(page, _PHOTOMETRIC, order, -1)[0]
    _require_kind(page, order, bits, compression, colours)
    length = _coded(page, order, len(data), rows, columns)
    samples = 3 if colours == _PALETTE else _SAMPLES_OF[colours]
    icc = page.get(_ICC)
    if icc is not None and len(icc.raw) > MAX_ICC:
        raise FileRefused("colour profile", "it is larger than 4 MiB; export the photo as sRGB")
    if compression == _NONE and length < rows * columns * sum(bits) // 8:
        raise FileRefused("picture", "it is shorter than its size allows: the file is cut off; send it again")
    return Picture(
        kind=Kind.TIFF,
        rows=rows,
        columns=columns,
        samples=samples,
        bits=bits[0],
        method="ISO_10918_1" if compression == _JPEG else None,
        length=length,
        icc=icc.raw if icc is not None else None,
        exif=data,
        parts=(data,),
    )


def _pages(data: bytes, order: str) -> Iterator[_Page]:
    at = _number(data, 4, order + "I")
    seen: set[int] = set()
    while at:
        if at in seen or len(seen) >= _MOST_PAGES:
            raise FileRefused("picture", "it has several pages; export each photo by itself")
        seen.add(at)
        count = _number(data, at, order + "H")
        page: _Page = {}
        for place in range(at + 2, at + 2 + 12 * count, 12):
            if place + 12 > len(data):
                raise FileRefused("file", "it is cut off; send it again")
            tag, kind, many = struct.unpack_from(order + "HHI", data, place)
            size = _SIZES.get(kind, 0) * many
            start = place + 8 if size <= 4 else _number(data, place + 8, order + "I")
            if start + size > len(data):
                if tag in _ASKED:
                    raise FileRefused("file", "it is cut off; send it again")
                continue
            if tag in _ASKED and tag not in page:
                page[tag] = _Entry(kind, many, data[start : start + size])
        yield page
        at = _number(data, at + 2 + 12 * count, order + "I")
    if not seen:
        raise FileRefused("picture", "the file ends before its picture begins; send it again")


_ASKED = frozenset(
    {
        *(_SUBFILE, _WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC, _STRIPS, _SAMPLES, _STRIP_SIZES),
        *(_TILE_WIDTH, _TILE_LENGTH, _TILES, _TILE_SIZES, _EXTRA, _FORMAT, _ICC, _DNG, _PLANAR),
    }
)


def _number(data: bytes, at: int, form: str) -> int:
    try:
        return int(struct.unpack_from(form, data, at)[0])
    except struct.error:
        raise FileRefused("file", "it is cut off; send it again") from None


def _whole(page: _Page, tag: int, order: str, default: int) -> tuple[int, ...]:
    entry = page.get(tag)
    if entry is None:
        return (default,)
    if entry.kind not in _FORMATS or not entry.count:
        raise FileRefused("picture", "its directory is damaged; send the file again")
    return struct.unpack(f"{order}{entry.count}{_FORMATS[entry.kind]}", entry.raw)


def _require_kind(page: _Page, order: str, bits: tuple[int, ...], compression: int, colours: int) -> None:
    if colours not in _SAMPLES_OF:
        raise FileRefused(
            "picture", _COLOURS.get(colours, "its colours are of a kind that is not read; export as sRGB")
        )
    if compression not in _COMPRESSIONS:
        raise FileRefused("picture", "its compression is of a kind that is not read; export it as PNG or JPEG")
    if colours == _YCBCR and compression != _JPEG:
        raise FileRefused("picture", "its colours are of a kind that is not read; export it as sRGB")
    samples, extra = _whole(page, _SAMPLES, order, 1)[0], page.get(_EXTRA)
    further = samples - _SAMPLES_OF[colours]
    if further not in (0, 1) or (further and extra is None) or len(bits) not in (1, samples) or len(set(bits)) > 1:
        raise FileRefused("picture", "its colours are of a kind that is not read; export it as sRGB")
    if bits[0] == 1 and colours != _PALETTE:
        raise FileRefused("picture", "it is black and white without greys; send a photo")
    whole = any(each != 1 for each in _whole(page, _FORMAT, order, 1))
    if bits[0] not in ((8, 16) if samples > 1 else (1, 2, 4, 8, 16)) or whole:
        raise FileRefused("picture", f"it has {bits[0]} bits a sample; export it with 8")
    if compression == _JPEG and bits[0] != 8:
        raise FileRefused("picture", f"it has {bits[0]} bits a sample; export it with 8")


def _coded(page: _Page, order: str, end: int, rows: int, columns: int) -> int:
    """Bytes of all strips or tiles, each of which lies within the file."""
    tiled = _TILES in page
    starts, sizes = (page.get(tag) for tag in ((_TILES, _TILE_SIZES) if tiled else (_STRIPS, _STRIP_SIZES)))
    if starts is None or sizes is None or starts.count != sizes.count:
        raise FileRefused("picture", "its directory is damaged; send the file again")
    if starts.count > _MOST_PARTS:
        raise FileRefused("picture", f"it has more than {_MOST_PARTS} strips; export it anew")
    if tiled:
        across, down = _whole(page, _TILE_WIDTH, order, 0)[0], _whole(page, _TILE_LENGTH, order, 0)[0]
        if not (0 < across <= max(columns, _LARGEST_TILE) and 0 < down <= max(rows, _LARGEST_TILE)):
            raise FileRefused("picture", "its tiles are larger than it is; export it anew")
    total = 0
    ranges = zip(
        _whole(page, _TILES if tiled else _STRIPS, order, 0),
        _whole(page, _TILE_SIZES if tiled else _STRIP_SIZES, order, 0),
        strict=True,
    )
    for start, size in ranges:
        if start + size > end:
            raise FileRefused("file", "it is cut off; send it again")
        total += size
    if not total:
        raise FileRefused("picture", "the file ends before its picture begins; send it again")
    return total
