"""What a picture inside an object tells beside its pixels: EXIF, XMP, comments, thumbnails, further pictures.

A sender that puts a camera's file into an object as it is puts in where it was taken, whose camera it was, and often a
thumbnail of what was cut away; a viewer that asks for the object gets all of it. What is looked at is the marker
segments of each JPEG or JPEG-LS frame (T.81 B.1.1.4, T.87 C.1), and group 0016's place and owner in the header. A frame
keeps what a decoder needs: its tables, a plain JFIF mark, an Adobe mark of 12 bytes, an ICC profile.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator

from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames

from dicom_bridge.errors import ObjectRefused
from dicom_bridge.objects.attributes import ODD

PLACE_AND_OWNER = frozenset({0x0016002B, 0x0016004D, 0x00160051, *range(0x00160070, 0x00160090)})
"""Maker Note, Camera Owner Name, Lens Serial Number, and the coordinates of the place."""

_SYNTAXES = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70, 80, 81))
"""JPEG and JPEG-LS: pictures that are made of marker segments."""

_PIXELS = 0x7FE00010
_SOI, _EOI, _SOS, _COM, _APP0, _APP2, _APP14, _APP15 = 0xD8, 0xD9, 0xDA, 0xFE, 0xE0, 0xE2, 0xEE, 0xEF
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_SCAN_END = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")
_JFIF, _JFIF_LENGTH = b"JFIF\0", 14
_SIGNS = (b"Exif", b"http://ns.adobe.com/", b"Photoshop 3.0", b"MPF\0", b"JFXX")
_CANNOT = "its picture holds what cameras write beside pixels, and cannot be taken apart; send it without that"


def tells(dicom: bytes) -> bool:
    """Whether an object's picture, or its header, tells more than pixels and how they are to be read.

    Parameters
    ----------
    dicom
        A DICOM file.

    Raises
    ------
    ObjectRefused
        It does, and it cannot be taken out.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = dcmread(io.BytesIO(dicom), specific_tags=[*sorted(PLACE_AND_OWNER), "NumberOfFrames", _PIXELS])
            if any(dataset[tag].value not in (None, "") for tag in PLACE_AND_OWNER if tag in dataset):
                return True
            if _PIXELS not in dataset or dataset.file_meta.TransferSyntaxUID not in _SYNTAXES:
                return False
            return any(cleaned != frame for frame, cleaned in _frames(dataset))
        except ODD as error:
            raise ObjectRefused(_CANNOT) from error


def clean_pixels(dataset: Dataset) -> DataElement:
    """An object's pixel data, that of a picture without what it tells beside pixels; the same where it tells nothing.

    Raises
    ------
    ObjectRefused
    """
    element = dataset[_PIXELS]
    if dataset.file_meta.TransferSyntaxUID not in _SYNTAXES:
        return element
    frames = list(_frames(dataset))
    if all(cleaned == frame for frame, cleaned in frames):
        return element
    made = DataElement(_PIXELS, "OB", encapsulate([cleaned for _, cleaned in frames]))
    made.is_undefined_length = True
    return made


def _frames(dataset: Dataset) -> Iterator[tuple[bytes, bytes]]:
    """Each frame, padding taken off, as it is and as it should be."""
    data = dataset[_PIXELS].value
    try:  # all of them or none: where one cannot be told from the next, the object stays as it was sent
        frames = list(generate_frames(data, number_of_frames=int(dataset.get("NumberOfFrames") or 1)))
    except ValueError:
        if any(sign in data for sign in _SIGNS):
            raise ObjectRefused(_CANNOT) from None
        return
    for frame in frames:
        bare = frame.rstrip(b"\0")
        yield bare, clean(bare)


def clean(frame: bytes) -> bytes:
    """A JPEG or JPEG-LS stream with what a decoder needs, and nothing else.

    Raises
    ------
    ObjectRefused
        It cannot be taken apart, and something in it looks like what cameras write.
    """
    kept = bytearray(b"\xff\xd8")
    position = 2 if frame[:2] == b"\xff\xd8" else len(frame)
    while position + 2 <= len(frame) and frame[position] == 0xFF:
        marker = frame[position + 1]
        if marker == 0xFF:  # a fill byte (T.81 B.1.1.2)
            position += 1
            continue
        if marker == _EOI:
            return bytes(kept + b"\xff\xd9")
        if marker in _ALONE:
            kept += frame[position : position + 2]
            position += 2
            continue
        end = position + 2 + int.from_bytes(frame[position + 2 : position + 4], "big")
        if marker == _SOI or end > len(frame) or end < position + 4:
            break
        kept += _segment(marker, frame[position:end])
        position = end
        if marker == _SOS:
            found = _SCAN_END.search(frame, end)
            if found is None:
                break
            kept += frame[end : found.start()]
            position = found.start()
    if any(sign in frame for sign in _SIGNS):
        raise ObjectRefused(_CANNOT)
    return frame


def _segment(marker: int, segment: bytes) -> bytes:
    """A segment as it stays; empty where no decoder needs it."""
    body = segment[4:]
    if marker == _COM:
        return b""
    if not _APP0 <= marker <= _APP15:
        return segment
    if marker == _APP0 and body.startswith(_JFIF) and len(body) >= _JFIF_LENGTH:
        if len(body) == _JFIF_LENGTH:
            return segment
        return b"\xff\xe0\x00\x10" + body[: _JFIF_LENGTH - 2] + b"\0\0"  # without its thumbnail
    if marker == _APP2 and body.startswith(b"ICC_PROFILE\0"):
        return segment
    return segment if marker == _APP14 and body.startswith(b"Adobe") and len(body) == 12 else b""
