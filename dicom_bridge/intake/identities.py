"""What EXIF tells of who photographed, with which very camera, and where: read where the site's settings say so."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from dicom_bridge.intake.tiff import Tiff, Value

_DETAIL, _GPS = 0x8769, 0x8825
_OWNER, _SERIAL, _LENS_SERIAL, _NOTE = 0xA430, 0xA431, 0xA435, 0x927C
_LONGEST_TEXT = 64
_LONGEST_NOTE = 2**18
"""Bytes; what is longer is left to the original."""


class Identifying(StrEnum):
    """The kinds of what identifies, as the setting ``keep_exif`` names them."""

    OWNER = "owner"
    SERIAL = "serial"
    """Of the camera and of the lens."""

    LOCATION = "location"
    MAKER_NOTE = "maker-note"


class Gps:
    """Tags of EXIF's GPS directory (EXIF 2.32, 4.6.6)."""

    VERSION, LATITUDE_REF, LATITUDE, LONGITUDE_REF, LONGITUDE, ALTITUDE_REF, ALTITUDE = range(7)
    TIME, SATELLITES, STATUS, MEASURE_MODE, DOP, SPEED_REF, SPEED, TRACK_REF, TRACK = range(7, 16)
    DIRECTION_REF, DIRECTION, DATUM = range(16, 19)
    DATE = 29


_GPS_TAGS = frozenset({*range(19), Gps.DATE})


@dataclass(frozen=True, slots=True)
class Identities:
    """What was asked for and is there."""

    owner: str | None = None
    serial: str | None = None
    lens_serial: str | None = None
    maker_note: bytes | None = None
    location: Mapping[int, Value] = field(default_factory=dict)
    """Tags of the GPS directory."""


def read_identities(exif: bytes | None, kept: Collection[Identifying]) -> Identities:
    """Read what the site keeps, and nothing else.

    Parameters
    ----------
    exif
        A TIFF structure.
    """
    if not exif or not kept:
        return Identities()
    structure = Tiff(exif, _LONGEST_NOTE)
    pointers = structure.first((_DETAIL, _GPS))
    wanted = set()
    if Identifying.OWNER in kept:
        wanted.add(_OWNER)
    if Identifying.SERIAL in kept:
        wanted |= {_SERIAL, _LENS_SERIAL}
    if Identifying.MAKER_NOTE in kept:
        wanted.add(_NOTE)
    detail = _directory(structure, pointers.get(_DETAIL), wanted)
    location = _directory(structure, pointers.get(_GPS), _GPS_TAGS) if Identifying.LOCATION in kept else {}
    note = detail.get(_NOTE)
    return Identities(
        owner=_text(detail.get(_OWNER)),
        serial=_text(detail.get(_SERIAL)),
        lens_serial=_text(detail.get(_LENS_SERIAL)),
        maker_note=note if isinstance(note, bytes) else _bytes(note),
        location={tag: value for tag, value in location.items() if _sound(value)},
    )


def _directory(structure: Tiff, pointer: Value | None, wanted: Collection[int]) -> dict[int, Value]:
    start = pointer[0] if isinstance(pointer, tuple) and pointer else None
    return structure.directory(start, wanted) if isinstance(start, int) and wanted else {}


def _text(value: Value | None) -> str | None:
    if not isinstance(value, str):
        return None
    cleaned = "".join(letter for letter in value if letter.isprintable() and letter != "\\").strip()
    return cleaned[:_LONGEST_TEXT].strip() or None


def _bytes(value: Value | None) -> bytes | None:
    """Of a note whose type says numbers."""
    if not isinstance(value, tuple):
        return None
    whole = [each for each in value if isinstance(each, int) and 0 <= each < 256]
    return bytes(whole) if len(whole) == len(value) else None


def _sound(value: Value) -> bool:
    return not isinstance(value, tuple) or all(math.isfinite(each) and abs(each) < 1e9 for each in value)
