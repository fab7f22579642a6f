"""JPEG marker segments (ITU-T T.81 Annex B), walked without decoding a pixel."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum

from dicom_bridge.errors import FileRefused
from dicom_bridge.intake.kinds import Kind, kind_of
from dicom_bridge.intake.limits import Limits
from dicom_bridge.intake.picture import MAX_ICC, require_size
from dicom_bridge.intake.tables import Component, Scan, Tables, blocks_of, read_scan


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
    DHP = 0xDE
    APP0 = 0xE0
    APP1 = 0xE1
    APP2 = 0xE2
    APP14 = 0xEE
    SOF55 = 0xF7


_FRAMES = frozenset(range(0xC0, 0xD0)) - {Marker.DHT, 0xC8, Marker.DAC} | {Marker.DHP, Marker.SOF55}
_READ_FRAMES = (Marker.SOF0, Marker.SOF1, Marker.SOF2)
_ARITHMETIC = frozenset(range(0xC9, 0xD0))
_SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_NEEDED = frozenset({Marker.DQT, Marker.DHT, Marker.DRI, *_READ_FRAMES})
_EXIF = b"Exif\0\0"
_ICC = b"ICC_PROFILE\0"
_ICC_HEADER = 128
_ADOBE_LENGTH = 12
_ADOBE = bytes.fromhex("ffee 000e 41646f6265 0064 0000 0000")
_JFIF = bytes.fromhex("ffe0 0010 4a46494600 0101 00 0001 0001 00 00")


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
    """Ranges of the file that a decoder needs: tables, frame, scans, a plain APP14; no other APPn, no comment."""

    end: int
    """Offset behind EOI; what follows is no part of this picture."""

    adobe_kept: bool = True
    """Whether the kept ranges hold the APP14; one that says more than which transform it is stays out."""

    baseline_tables: bool = True
    """Whether its tables are such as a baseline decoder must read (T.81 B.2.4: 8-bit, two of each class)."""

    @property
    def is_baseline(self) -> bool:
        """Whether every decoder of process 1 (transfer syntax 1.2.840.10008.1.2.4.50) reads it."""
        widest = max(component.horizontal for component in self.components)
        highest = max(component.vertical for component in self.components)
        whole = all(widest % each.horizontal == 0 and highest % each.vertical == 0 for each in self.components)
        return self.frame is Marker.SOF0 and self.baseline_tables and whole

    @property
    def is_ycbcr(self) -> bool:
        """Whether three components are YCbCr, whichever of its marks a decoder believes first."""
        if len(self.components) != 3:
            return False
        if self.adobe_transform is not None:
            return self.adobe_transform == 1
        return self.jfif or tuple(component.identifier for component in self.components) != (0x52, 0x47, 0x42)

    @property
    def survives_bare(self) -> bool:
        """Whether a decoder reads the colours alike from the kept ranges, which have no JFIF segment."""
        identifiers = tuple(component.identifier for component in self.components)
        marked = self.adobe_transform is not None and self.adobe_kept
        return len(identifiers) == 1 or marked or identifiers == (1, 2, 3)

    @property
    def may_be_kept(self) -> bool:
        """Whether its kept ranges are what transfer syntax 1.2.840.10008.1.2.4.50 holds of grey or YCbCr."""
        return self.is_baseline and (len(self.components) == 1 or self.is_ycbcr) and self.survives_bare

    @property
    def length(self) -> int:
        """Bytes of the kept ranges."""
        return sum(stop - start for start, stop in self.kept)

    def stream(self, data: bytes) -> tuple[memoryview, ...]:
        """The kept ranges of the file, in order; nothing is copied."""
        view = memoryview(data)
        return tuple(view[start:stop] for start, stop in self.kept)

    def decodable(self, data: bytes) -> bytes:
        """The kept ranges as one stream that decodes to the same colours as the file does."""
        stream = b"".join(self.stream(data))
        marks = _JFIF if self.jfif else b""
        if self.adobe_transform is not None and not self.adobe_kept:
            marks += _ADOBE + bytes((self.adobe_transform,))
        return stream[:2] + marks + stream[2:]


def read_jpeg(data: bytes, limits: Limits) -> Jpeg:
    """Walk the segments up to EOI.

    Checked: every segment's length, the frame header, the tables that each scan needs, each scan's end, that all
    components have a scan, that no scan is shorter than its blocks need at the least, that no restart interval is
    missing. Entropy-coded data itself is not decoded: bits that were changed inside of it are not found out.

    Raises
    ------
    FileRefused
        No JPEG, one that is cut off, exceeds a limit, or is of a process that is not read.
    """
    if kind_of(data) is not Kind.JPEG:
        raise FileRefused("file", "it is no JPEG")
    return _Walk(data, limits).read()


@dataclass(frozen=True, slots=True)
class _Frame:
    marker: Marker
    precision: int
    rows: int
    columns: int
    components: tuple[Component, ...]

    @property
    def sequential(self) -> bool:
        return self.marker is not Marker.SOF2


class _Walk:
    def __init__(self, data: bytes, limits: Limits) -> None:
        self._data = data
        self._limits = limits
        self._frame: _Frame | None = None
        self._tables = Tables()
        self._scans = 0
        self._shown: set[int] = set()
        self._baseline_tables = True
        self._jfif = False
        self._adobe: int | None = None
        self._adobe_kept = True
        self._exif: bytes | None = None
        self._icc: dict[int, bytes] = {}
        self._icc_count = 0
        self._icc_total = 0
        self._kept: list[tuple[int, int]] = [(0, 2)]

    def read(self) -> Jpeg:
        position = 2
        for _ in range(self._limits.segments):
            marker, start = self._marker(position)
            if marker == Marker.EOI:
                self._kept.append((start, start + 2))
                return self._result(start + 2)
            if marker == Marker.SOI or Marker.RST0 <= marker <= Marker.RST7 or marker in (0x00, 0x01):
                raise FileRefused("segments", "a marker stands where none may stand; the file is damaged")
            body, position = self._segment(start)
            if marker == Marker.SOS:
                position = self._scan(body, position)
                self._kept.append((start, position))
            elif self._note(marker, body):
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

    def _note(self, marker: int, body: bytes) -> bool:
        """Read a segment; whether a decoder needs it."""
        if marker in _FRAMES:
            self._read_frame(marker, body)
        elif marker == Marker.DNL:
            raise FileRefused("picture", "its height stands behind the picture (DNL); export it anew")
        elif marker == Marker.DAC:
            raise FileRefused("picture", "it is arithmetic-coded; export it as an ordinary JPEG")
        elif marker == Marker.DQT:
            self._tables.quantize(body)
        elif marker == Marker.DHT:
            self._tables.code(body)
        elif marker == Marker.DRI:
            self._tables.restart(body)
        elif marker == Marker.APP0 and body[:5] == b"JFIF\0" and len(body) >= 14:
            self._jfif = True
        elif marker == Marker.APP14 and body[:5] == b"Adobe" and len(body) >= _ADOBE_LENGTH:
            self._adobe, self._adobe_kept = body[11], len(body) == _ADOBE_LENGTH
            return self._adobe_kept
        elif marker == Marker.APP1 and body.startswith(_EXIF) and self._exif is None:
            self._exif = body[len(_EXIF) :]
        elif marker == Marker.APP2 and body.startswith(_ICC) and len(body) > len(_ICC) + 2:
            self._read_profile(body[len(_ICC)], body[len(_ICC) + 1], body[len(_ICC) + 2 :])
        return marker in _NEEDED

    def _read_profile(self, number: int, count: int, chunk: bytes) -> None:
        self._icc_total += len(chunk)
        if self._icc_total > MAX_ICC:
            raise FileRefused("colour profile", "it is larger than 4 MiB; export the photo as sRGB")
        self._icc.setdefault(number, chunk)
        self._icc_count = max(self._icc_count, count)

    def _read_frame(self, marker: int, body: bytes) -> None:
        if self._frame is not None:
            raise FileRefused("picture", "it has two frames; the file is damaged")
        if marker not in _READ_FRAMES:
            what = (
                "it is arithmetic-coded" if marker in _ARITHMETIC else "it is of a JPEG process that cameras do not use"
            )
            raise FileRefused("picture", f"{what}; export it as an ordinary JPEG")
        if len(body) < 6 or len(body) != 6 + 3 * body[5]:
            raise FileRefused("picture", "its frame header is damaged; send the file again")
        precision, rows, columns = body[0], int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
        components = tuple(
            Component(body[at], body[at + 1] >> 4, body[at + 1] & 15, body[at + 2]) for at in range(6, len(body), 3)
        )
        if precision != 8:
            raise FileRefused("picture", f"it has {precision} bits a sample; export it with 8")
        require_size(rows, columns, self._limits)
        if len(components) not in (1, 3, 4) or any(
            not (1 <= c.horizontal <= 4 and 1 <= c.vertical <= 4) for c in components
        ):
            raise FileRefused("picture", "its components are damaged; send the file again")
        self._frame = _Frame(Marker(marker), precision, rows, columns, components)

    def _scan(self, header: bytes, start: int) -> int:
        """Check a scan whose entropy-coded data begins at ``start``; the offset behind it."""
        frame = self._frame
        if frame is None:
            raise FileRefused("picture", "a scan stands before its frame; the file is damaged")
        scan = read_scan(header, frame.components, sequential=frame.sequential)
        self._tables.require(scan, sequential=frame.sequential)
        self._scans += 1
        if self._scans > self._limits.scans or self._scans * frame.rows * frame.columns > self._limits.passes:
            raise FileRefused("picture", "it has too many scans for its size; export it as an ordinary JPEG")
        found = _SCAN_END.search(self._data, start)
        if found is None:
            raise FileRefused("picture", "the file is cut off; send it again")
        if frame.sequential:
            self._measure(scan, frame, start, found.start())
        self._shown |= {each.identifier for each in scan.components}
        return found.start()

    def _measure(self, scan: Scan, frame: _Frame, start: int, end: int) -> None:
        tables = self._tables
        if any(size > 1 for size in tables.quantization.values()) or any(max(codes) > 1 for codes in scan.codes):
            self._baseline_tables = False
        units, blocks = blocks_of(scan, frame.components, frame.rows, frame.columns)
        if tables.least_bits(scan, blocks) > 8 * (end - start):
            raise FileRefused("picture", "it is shorter than its size allows: the file is cut off; send it again")
        if tables.interval:
            restarts = sum(1 for _ in _RESTART.finditer(self._data, start, end))
            if restarts < -(-units // tables.interval) - 1:
                raise FileRefused("picture", "parts of it are missing: the file is cut off; send it again")

    def _profile(self) -> bytes | None:
        if not self._icc:
            return None
        numbers = sorted(self._icc)
        profile = b"".join(self._icc[number] for number in numbers)
        if numbers != list(range(1, self._icc_count + 1)) or len(profile) < _ICC_HEADER:
            raise FileRefused("colour profile", "a part of it is missing; export the photo as sRGB")
        return profile

    def _result(self, end: int) -> Jpeg:
        frame = self._frame
        if frame is None or not self._scans:
            raise FileRefused("picture", "the file ends before its picture begins; send it again")
        if len(self._shown) < len(frame.components):
            raise FileRefused("picture", "a colour of it is missing: the file is cut off; send it again")
        merged: list[tuple[int, int]] = []
        for start, stop in self._kept:
            if merged and merged[-1][1] == start:
                merged[-1] = (merged[-1][0], stop)
            else:
                merged.append((start, stop))
        return Jpeg(
            frame=frame.marker,
            precision=frame.precision,
            rows=frame.rows,
            columns=frame.columns,
            components=frame.components,
            jfif=self._jfif,
            adobe_transform=self._adobe,
            exif=self._exif,
            icc=self._profile(),
            kept=tuple(merged),
            end=end,
            adobe_kept=self._adobe_kept,
            baseline_tables=self._baseline_tables,
        )
