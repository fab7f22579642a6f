"""The directory of a medium (PS3.10 8, PS3.3 F): ``DICOMDIR``, written from the index, without pydicom.

Records for patients, studies, series and images, in Explicit VR Little Endian. What an object lacks is not invented;
numbers that a record must have are counted.
"""

from __future__ import annotations

import hashlib
import itertools
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dicom_bridge.query.dictionary import look_up, tag
from dicom_bridge.query.index import text_of

_CLASS = "1.2.840.10008.1.3.10"
_EXPLICIT = "1.2.840.10008.1.2.1"
_IMPLEMENTATION = "2.25.181206146402712391653718392740156783419"
_UTF8 = "ISO_IR 192"
_LONG = frozenset({"OB", "SQ"})
_IN_USE = 0xFFFF
#: Keys of each kind of record (PS3.3 F.5), in the order of their tags.
_KEYS: dict[str, tuple[str, ...]] = {
    "PATIENT": ("PatientName", "PatientID"),
    "STUDY": ("StudyDate", "StudyTime", "AccessionNumber", "StudyDescription", "StudyInstanceUID", "StudyID"),
    "SERIES": ("Modality", "SeriesInstanceUID", "SeriesNumber"),
    "IMAGE": ("InstanceNumber",),
}
_NEEDED = frozenset(tag(keyword) for keywords in _KEYS.values() for keyword in keywords) | {
    tag("SOPClassUID"),
    tag("SOPInstanceUID"),
}


@dataclass(frozen=True, slots=True)
class File:
    """One object on the medium."""

    path: tuple[str, ...]
    """Components of its File ID: at most eight upper-case letters, digits or underscores each (PS3.10 8.2)."""

    transfer_syntax: str
    attributes: Mapping[str, Any] = field(repr=False)
    """DICOM JSON: what records are made of, and no more, so that a directory of many photos is small."""

    @staticmethod
    def of(path: tuple[str, ...], transfer_syntax: str, attributes: Mapping[str, Any]) -> File:
        """A file with these attributes, of which it keeps what it needs."""
        return File(path, transfer_syntax, {name: attributes[name] for name in _NEEDED if name in attributes})


@dataclass(slots=True)
class _Record:
    kind: str
    attributes: Mapping[str, Any]
    file: File | None = None
    lower: list[_Record] = field(default_factory=list)
    keys: bytes = b""
    offset: int = 0
    following: int = 0

    def body(self) -> bytes:
        """The record's elements; its length does not depend on the offsets."""
        lowest = self.lower[0].offset if self.lower else 0
        found = (
            _element(0x0004, 0x1400, "UL", struct.pack("<I", self.following))
            + _element(0x0004, 0x1410, "US", struct.pack("<H", _IN_USE))
            + _element(0x0004, 0x1420, "UL", struct.pack("<I", lowest))
            + _text(0x0004, 0x1430, "CS", self.kind)
        )
        return found + self.keys


def dicomdir(files: Iterable[File]) -> bytes:
    """The file ``DICOMDIR`` for these objects, with records in the order in which they come."""
    roots = _tree(files)
    records = list(_walk(roots))
    for record in records:
        record.keys = _keys(record)
    digest = hashlib.sha256("|".join(text_of(each.attributes, "00080018") for each in records if each.file).encode())
    head = _meta(f"2.25.{int.from_bytes(digest.digest()[:16], 'big')}")
    # Two passes: offsets are counted from the first byte of the file, and no length depends on them.
    offset = len(head) + len(_front(0, 0)) + 12
    for record in records:
        record.offset = offset
        offset += 8 + len(record.body())
    _chain(roots)
    items = b"".join(_item(record.body()) for record in records)
    front = _front(roots[0].offset, roots[-1].offset) if roots else _front(0, 0)
    return head + front + struct.pack("<HH2sHI", 0x0004, 0x1220, b"SQ", 0, len(items)) + items


def _tree(files: Iterable[File]) -> list[_Record]:
    roots: list[_Record] = []
    known: dict[tuple[str, ...], _Record] = {}
    for each in files:
        uids = tuple(
            text_of(each.attributes, tag(name)) for name in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")
        )
        siblings = roots
        for depth, kind in enumerate(("PATIENT", "STUDY", "SERIES"), 1):
            record = known.get(uids[:depth])
            if record is None:
                record = known[uids[:depth]] = _Record(kind, each.attributes)
                siblings.append(record)
            siblings = record.lower
        siblings.append(_Record("IMAGE", each.attributes, each))
    _number(roots)
    return roots


def _number(records: list[_Record]) -> None:
    """Count series and images that have no number of their own, which their records must have."""
    for count, record in enumerate(records, 1):
        for keyword in ("SeriesNumber", "InstanceNumber"):
            if keyword in _KEYS[record.kind] and not text_of(record.attributes, tag(keyword)):
                record.attributes = {**record.attributes, tag(keyword): {"vr": "IS", "Value": [count]}}
        _number(record.lower)


def _walk(records: list[_Record]) -> Iterable[_Record]:
    for record in records:
        yield record
        yield from _walk(record.lower)


def _chain(records: list[_Record]) -> None:
    for record, following in itertools.zip_longest(records, records[1:]):
        record.following = 0 if following is None else following.offset
        _chain(record.lower)


def _keys(record: _Record) -> bytes:
    found = b""
    if record.file is not None:
        found += _text(0x0004, 0x1500, "CS", "\\".join(record.file.path))
        found += _text(0x0004, 0x1510, "UI", text_of(record.attributes, tag("SOPClassUID")))
        found += _text(0x0004, 0x1511, "UI", text_of(record.attributes, tag("SOPInstanceUID")))
        found += _text(0x0004, 0x1512, "UI", record.file.transfer_syntax)
    found += _text(0x0008, 0x0005, "CS", _UTF8)
    for keyword in sorted(_KEYS[record.kind], key=tag):
        attribute = look_up(keyword)
        assert attribute is not None
        number = int(attribute.tag, 16)
        found += _text(number >> 16, number & 0xFFFF, attribute.vr, text_of(record.attributes, attribute.tag))
    return found


def _meta(uid: str) -> bytes:
    rest = (
        _element(0x0002, 0x0001, "OB", b"\0\1")
        + _text(0x0002, 0x0002, "UI", _CLASS)
        + _text(0x0002, 0x0003, "UI", uid)
        + _text(0x0002, 0x0010, "UI", _EXPLICIT)
        + _text(0x0002, 0x0012, "UI", _IMPLEMENTATION)
        + _text(0x0002, 0x0013, "SH", "PHOTOSPINE")
    )
    return b"\0" * 128 + b"DICM" + _element(0x0002, 0x0000, "UL", struct.pack("<I", len(rest))) + rest


def _front(first: int, last: int) -> bytes:
    """What comes before the records: no name, the two ends of the first chain, and that it is consistent."""
    return (
        _text(0x0004, 0x1130, "CS", "")
        + _element(0x0004, 0x1200, "UL", struct.pack("<I", first))
        + _element(0x0004, 0x1202, "UL", struct.pack("<I", last))
        + _element(0x0004, 0x1212, "US", b"\0\0")
    )


def _item(body: bytes) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(body)) + body


def _text(group: int, element: int, vr: str, value: str) -> bytes:
    encoded = value.encode()[:0xFFFE]
    if len(encoded) % 2:
        encoded += b"\0" if vr == "UI" else b" "
    return _element(group, element, vr, encoded)


def _element(group: int, element: int, vr: str, value: bytes) -> bytes:
    if vr in _LONG:
        return struct.pack("<HH2sHI", group, element, vr.encode(), 0, len(value)) + value
    return struct.pack("<HH2sH", group, element, vr.encode(), len(value)) + value
