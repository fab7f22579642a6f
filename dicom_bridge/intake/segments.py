"""JPEG marker segments (ITU-T T.81 Annex B), walked without decoding a pixel."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum

from dicom_bridge.errors import FileRefused
from dicom_bridge.intake.limits import Limits


class Marker(IntEnum):
    """The markers that are told apart here; the second byte of each."""

    SOF0 = 0xC0
    SOF1 = 0xC1
    SOF2 = 0xC2
    DHT = 0xC4
    DAC = 0xCC
    RST0 = 0xD0
    RST7 = 0xD7
    SOI = 0xD8
    EOI = 0xD9
    SOS = 0xDA
    DQT = 0xDB
    DNL = 0xDC
    DRI = 0xDD
    APP0 = 0xE0
    APP1 = 0xE1
    APP2 = 0xE2
    APP14 = 0xEE
    COM = 0xFE


_FRAMES = frozenset(range(0xC0, 0xD0)) - {Marker.DHT, 0xC8, Marker.DAC}
_READ_FRAMES = (Marker.SOF0, Marker.SOF1, Marker.SOF2)
_SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_NEEDED = frozenset({Marker.DQT, Marker.DHT, Marker.DRI, *_READ_FRAMES})
_EXIF = b"Exif\0\0"
_ICC = b"ICC_PROFILE\0"
_MAX_ICC = 4 * 2**20


@dataclass(frozen=True, slots=True)
class Component:
    """One colour component of the frame."""

    identifier: int
    horizontal: int
    """Sampling factor, 1 to 4."""

    vertical: int


@dataclass(frozen=True, slots=True)
class Jpeg:
    """What the segments of a JPEG say."""

    frame: Marker
    """SOF0 baseline, SOF1 extended sequential, SOF2 progressive."""

    precision: int
    """Bits for each sample."""

    rows: int
    columns: int
    components: tuple[Component, ...]
    jfif: bool
    adobe_transform: int | None
    """Of APP14: 0 RGB or CMYK, 1 YCbCr, 2 YCCK; None without APP14."""

    exif: bytes | None
    """TIFF structure of the first Exif APP1, its header taken off."""

    icc: bytes | None
    """The profile of APP2, its chunks put together."""

    kept: tuple[tuple[int, int], ...]
    """Ranges of the file that a decoder needs: tables, frame, scans, APP14; no other APPn, no comment."""

    end: int
    """Offset behind EOI; what follows is no part of this picture."""

    @property
    def is_ycbcr(self) -> bool:
        """Whether three components are YCbCr, as libjpeg and every common decoder tells it."""
        if len(self.components) != 3:
            return False
        if self.adobe_transform is not None:
            return self.adobe_transform == 1
        return self.jfif or tuple(component.identifier for component in self.components) != (0x52, 0x47, 0x42)

    @property
    def survives_without_jfif(self) -> bool:
        """Whether a decoder reads the colours alike once the JFIF segment is taken off."""
        identifiers = tuple(component.identifier for component in self.components)
        return len(identifiers) == 1 or self.adobe_transform is not None or identifiers == (1, 2, 3)


def read_jpeg(data: bytes, limits: Limits) -> Jpeg:
    """Walk the segments up to EOI.

    Every segment's length, the frame header and each scan's end are checked; entropy-coded data is searched for its
    end and not decoded.

    Raises
    ------
    FileRefused
        No JPEG, one that is cut off, exceeds a limit, or is of a process that is not read.
    """
    if len(data) > limits.bytes:
        raise FileRefused("file", f"it is larger than {limits.bytes} bytes (setting max_file_megabytes)")
    if not data:
        raise FileRefused("file", "it is empty; send it again")
    if data[:3] != b"\xff\xd8\xff":
        raise FileRefused("file", "it is no JPEG; export the photo from the camera as JPEG")
    return _Walk(data, limits).read()


class _Walk:
    def __init__(self, data: bytes, limits: Limits) -> None:
        self._data = data
        self._limits = limits
        self._frame: tuple[Marker, int, int, int, tuple[Component, ...]] | None = None
        self._jfif = False
        self._adobe: int | None = None
        self._exif: bytes | None = None
        self._icc: dict[int, bytes] = {}
        self._icc_total = 0
        self._kept: list[tuple[int, int]] = [(0, 2)]

    def read(self) -> Jpeg:
        position, scans = 2, 0
        for _ in range(self._limits.segments):
            marker, start = self._marker(position)
            if marker == Marker.EOI:
                if self._frame is None or not scans:
                    raise FileRefused("picture", "the file ends before its picture begins; send it again")
                self._kept.append((start, start + 2))
                return self._result(start + 2)
            if marker == Marker.SOI or Marker.RST0 <= marker <= Marker.RST7 or marker in (0x00, 0x01):
                raise FileRefused("segments", "a marker stands where none may stand; the file is damaged")
            body, position = self._segment(start)
            if marker == Marker.SOS:
                if self._frame is None:
                    raise FileRefused("picture", "a scan stands before its frame; the file is damaged")
                scans += 1
                if scans > self._limits.scans:
                    raise FileRefused("picture", f"it has more than {self._limits.scans} scans")
                found = _SCAN_END.search(self._data, position)
                if found is None:
                    raise FileRefused("picture", "the file is cut off; send it again")
                position = found.start()
                self._kept.append((start, position))
            else:
                self._note(marker, body)
                if marker in _NEEDED or (marker == Marker.APP14 and body[:5] == b"Adobe"):
                    self._kept.append((start, position))
        raise FileRefused("segments", f"it has more than {self._limits.segments} segments")

    def _marker(self, position: int) -> tuple[int, int]:
        """The marker at a position and the offset of its 0xFF, fill bytes passed over (B.1.1.2)."""
        data = self._data
        start = position
        while position < len(data) and data[position] == 0xFF:
            position += 1
        if position >= len(data):
            raise FileRefused("file", "it is cut off; send it again")
        if position == start:
            raise FileRefused("segments", "a marker is missing; the file is damaged")
        return data[position], position - 1

    def _segment(self, start: int) -> tuple[bytes, int]:
        """The body of a segment, and the offset behind it."""
        data = self._data
        if start + 4 > len(data):
            raise FileRefused("file", "it is cut off; send it again")
        length = int.from_bytes(data[start + 2 : start + 4], "big")
        end = start + 2 + length
        if length < 2 or end > len(data):
            raise FileRefused("file", "a segment is cut off; send it again")
        return data[start + 4 : end], end

    def _note(self, marker: int, body: bytes) -> None:
        if marker in _FRAMES:
            self._read_frame(marker, body)
        elif marker == Marker.DNL:
            raise FileRefused("picture", "its height stands behind the picture (DNL); export it anew")
        elif marker == Marker.DAC:
            raise FileRefused("picture", "it is arithmetic-coded; export it as an ordinary JPEG")
        elif marker == Marker.APP0 and body[:5] == b"JFIF\0":
            self._jfif = True
        elif marker == Marker.APP14 and body[:5] == b"Adobe" and len(body) >= 12:
            self._adobe = body[11]
        elif marker == Marker.APP1 and body.startswith(_EXIF) and self._exif is None:
            self._exif = body[len(_EXIF) :]
        elif marker == Marker.APP2 and body.startswith(_ICC) and len(body) > len(_ICC) + 2:
            chunk = body[len(_ICC) + 2 :]
            self._icc_total += len(chunk)
            if self._icc_total > _MAX_ICC:
                raise FileRefused("colour profile", "it is larger than 4 MiB")
            self._icc.setdefault(body[len(_ICC)], chunk)

    def _read_frame(self, marker: int, body: bytes) -> None:
        if self._frame is not None:
            raise FileRefused("picture", "it has two frames; the file is damaged")
        if marker not in _READ_FRAMES:
            raise FileRefused(
                "picture", "it is of a JPEG process that cameras do not use; export it as an ordinary JPEG"
            )
        if len(body) < 6 or len(body) != 6 + 3 * body[5]:
            raise FileRefused("picture", "its frame header is damaged")
        precision, rows, columns = body[0], int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
        components = tuple(Component(body[at], body[at + 1] >> 4, body[at + 1] & 15) for at in range(6, len(body), 3))
        if precision != 8:
            raise FileRefused("picture", f"it has {precision} bits a sample; export it with 8")
        if rows == 0 or columns == 0:
            raise FileRefused("picture", "it has no height or no width")
        if rows * columns > self._limits.pixels:
            raise FileRefused("picture", f"it has more than {self._limits.pixels} pixels (setting max_pixels)")
        if len(components) not in (1, 3, 4) or any(
            not (1 <= c.horizontal <= 4 and 1 <= c.vertical <= 4) for c in components
        ):
            raise FileRefused("picture", "its components are damaged")
        self._frame = (Marker(marker), precision, rows, columns, components)

    def _result(self, end: int) -> Jpeg:
        assert self._frame is not None
        frame, precision, rows, columns, components = self._frame
        merged: list[tuple[int, int]] = []
        for start, stop in self._kept:
            if merged and merged[-1][1] == start:
                merged[-1] = (merged[-1][0], stop)
            else:
                merged.append((start, stop))
        icc = b"".join(self._icc[number] for number in sorted(self._icc)) or None
        return Jpeg(
            frame, precision, rows, columns, components, self._jfif, self._adobe, self._exif, icc, tuple(merged), end
        )
