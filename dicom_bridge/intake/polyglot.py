"""Files that are a picture and something else at once: whoever opens them by another name runs or unpacks the rest."""

from __future__ import annotations

import re

from dicom_bridge.errors import FileRefused

_HEAD = 1024
"""Readers of PDF and pages look so far for their beginning (ISO 32000-1 Annex H.3.4.1)."""

_ZIP_END = b"PK\x05\x06"
_ZIP_END_LENGTH = 22
_ZIP_COMMENT = 65_535
_PAGE = re.compile(rb"%PDF-|<\?php|<!doctype html|<html|<script", re.IGNORECASE)
_ARCHIVES = (b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c")


def require_one_thing(data: bytes) -> None:
    """Refuse a picture that is a document, a page, an archive or a DICOM object as well.

    What phones append to a picture (a film, further pictures, data of the maker) is none of these.

    Raises
    ------
    FileRefused
    """
    found = None
    if data[128:132] == b"DICM":
        found = "a DICOM object"
    elif match := _PAGE.search(data, 0, _HEAD):
        found = "a PDF document" if match[0].startswith(b"%") else "a web page or program"
    elif _ends_as_zip(data) or any(data.rfind(each, len(data) // 2) >= 0 for each in _ARCHIVES):
        found = "an archive"
    if found is not None:
        raise FileRefused("file", f"it is a picture and {found} at once; export the photo anew")


def _ends_as_zip(data: bytes) -> bool:
    """Whether an end record stands where the archive's comment ends with the file, behind a directory of its length."""
    at = len(data)
    lowest = max(0, len(data) - _ZIP_END_LENGTH - _ZIP_COMMENT)
    while (at := data.rfind(_ZIP_END, lowest, at)) >= 0:
        record = data[at : at + _ZIP_END_LENGTH]
        if len(record) == _ZIP_END_LENGTH and at + len(record) + int.from_bytes(record[20:22], "little") == len(data):
            size = int.from_bytes(record[12:16], "little")
            if size == 0 or data[at - size : at - size + 4] == b"PK\x01\x02":
                return True
    return False
