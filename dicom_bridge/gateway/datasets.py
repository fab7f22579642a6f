"""Data sets as they come over the wire and go out on it: bytes -> DICOM JSON Model -> bytes."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping
from typing import Any

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.uid import UID

from dicom_bridge.errors import ObjectRefused
from dicom_bridge.objects.attributes import ODD
from dicom_bridge.objects.photo import IMPLEMENTATION_CLASS_UID
from dicom_bridge.objects.structure import measure

_PREFIX = bytes(128) + b"DICM"
_UTF_8 = {"vr": "CS", "Value": ["ISO_IR 192"]}


def part10(sop_class: str, sop_uid: str, syntax: str, data: bytes | memoryview) -> bytes:
    """A DICOM file (PS3.10 7.1) of a data set as it was received: the data set's bytes stay as they are."""
    elements = b"".join(
        (
            struct.pack("<HH2sHI", 0x0002, 0x0001, b"OB", 0, 2) + b"\0\1",
            _ui(0x0002, sop_class),
            _ui(0x0003, sop_uid),
            _ui(0x0010, syntax),
            _ui(0x0012, IMPLEMENTATION_CLASS_UID),
        )
    )
    return b"".join((_PREFIX, struct.pack("<HH2sHI", 0x0002, 0x0000, b"UL", 4, len(elements)), elements, data))


def _ui(element: int, value: str) -> bytes:
    text = value.encode("ascii")
    text += b"\0" * (len(text) % 2)
    return struct.pack("<HH2sH", 0x0002, element, b"UI", len(text)) + text


def data_set(file: bytes | memoryview) -> tuple[str, memoryview]:
    """Transfer syntax of a DICOM file, and the bytes of its data set.

    Raises
    ------
    ObjectRefused
        It is no DICOM file.
    """
    view, at, syntax = memoryview(file), 132, b""
    if bytes(view[128:132]) != b"DICM":
        raise ObjectRefused("the object is no DICOM file")
    while (head := bytes(view[at : at + 12]))[:2] == b"\x02\x00":
        long = head[4:6] in (b"OB", b"UN", b"OW", b"SQ", b"UT")
        length = int.from_bytes(head[8:12] if long else head[6:8], "little")
        at += 12 if long else 8
        if head[2:4] == b"\x10\x00":
            syntax = bytes(view[at : at + length]).rstrip(b"\0 ")
        at += length
    if not syntax.isascii() or not syntax or at > len(view):
        raise ObjectRefused("the object has no transfer syntax")
    return syntax.decode("ascii"), view[at:]


def read(data: bytes, syntax: str) -> dict[str, Any]:
    """A data set of a message in the DICOM JSON Model; texts are decoded by its specific character set.

    Raises
    ------
    ObjectRefused
        It cannot be read, or is larger or deeper than :mod:`dicom_bridge.objects.structure` allows.
    """
    measured = measure(part10("1.2", "1.2", syntax, data))
    try:
        found = read_dataset(io.BytesIO(measured.header), measured.implicit, measured.little)
        # Not attributes_json, which leaves out what it cannot read: a key that is left out asks for more.
        read_whole: dict[str, Any] = found.to_json_dict()
        return read_whole
    except ODD as error:
        raise ObjectRefused("the data set cannot be read") from error


def written(attributes: Mapping[str, Any], syntax: str) -> bytes:
    """A data set from the DICOM JSON Model, its texts in UTF-8."""
    return encoded(Dataset.from_json({**attributes, "00080005": _UTF_8}), syntax)


def encoded(dataset: Dataset, syntax: str) -> bytes:
    """The bytes of a data set in a transfer syntax without compression of pixels."""
    kind = UID(syntax)
    out = DicomBytesIO()
    out.is_implicit_VR, out.is_little_endian = kind.is_implicit_VR, kind.is_little_endian
    write_dataset(out, dataset)
    value: bytes = out.getvalue()
    if kind.is_deflated:
        compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        value = compressor.compress(value) + compressor.flush()
        value += b"\0" * (len(value) % 2)
    return value


def text(attributes: Mapping[str, Any], tag: str) -> str:
    """The one text of an attribute; empty where it has none or several."""
    values = list((attributes.get(tag) or {}).get("Value") or ())
    return values[0].strip(" \0") if len(values) == 1 and isinstance(values[0], str) else ""
