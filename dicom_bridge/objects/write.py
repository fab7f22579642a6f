"""Writing an object: the one pixel item by hand, so that megabytes are copied once or never."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info

from dicom_bridge.objects.elements import data_set

_PREAMBLE = bytes(128) + b"DICM"
_PIXEL_DATA = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF)
_EMPTY_OFFSETS = struct.pack("<HHI", 0xFFFE, 0xE000, 0)
_END = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def encode(
    meta: FileMetaDataset, dataset: Dataset, stream: Sequence[bytes | memoryview]
) -> tuple[bytes | memoryview, ...]:
    """A DICOM file with one encapsulated frame (PS3.5 A.4), in parts.

    Parameters
    ----------
    stream
        The frame's compressed stream in parts; padded here to even length, as the standard asks.
    """
    header = DicomBytesIO()
    header.is_little_endian, header.is_implicit_VR = True, False
    header.write(_PREAMBLE)
    write_file_meta_info(header, meta, enforce_standard=True)
    header.write(data_set(dataset))
    length = sum(len(part) for part in stream)
    padding = b"\0" if length % 2 else b""
    item = struct.pack("<HHI", 0xFFFE, 0xE000, length + len(padding))
    return (header.getvalue() + _PIXEL_DATA + _EMPTY_OFFSETS + item, *stream, padding + _END)


def write_parts(path: Path, parts: Sequence[bytes | memoryview]) -> None:
    """Write the parts to a new file with as few copies as the system allows."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        pending = [memoryview(part) for part in parts if part]
        while pending:
            written = os.writev(descriptor, pending)
            while pending and written >= len(pending[0]):
                written -= len(pending.pop(0))
            if pending and written:
                pending[0] = pending[0][written:]
    finally:
        os.close(descriptor)
