"""What EXIF says of the capture. GPS, owner's name, serial numbers and maker notes are not read at all."""

from __future__ import annotations

import re
import struct
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from PIL import ExifTags, Image

from consent.directive import Span

_DATE = re.compile(r"(\d{4}):(\d\d):(\d\d) (\d\d):(\d\d):(\d\d)")
_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)")
_MAX_TEXT = 64
_DAMAGED = (SyntaxError, ValueError, LookupError, TypeError, ArithmeticError, OSError, RecursionError, MemoryError)


@dataclass(frozen=True, slots=True)
class CameraFacts:
    """EXIF 2.32 facts of the capture; None where the file does not say."""

    orientation: int = 1
    """1 to 8; what is none of these counts as 1."""

    taken: Span | None = None
    """DateTimeOriginal in its precision; without an offset in the site's zone."""

    taken_local: datetime | None = None
    """The same as the camera's clock showed it, aware."""

    make: str | None = None
    model: str | None = None
    software: str | None = None
    lens_make: str | None = None
    lens_model: str | None = None
    exposure_time: float | None = None
    """Seconds."""

    f_number: float | None = None
    iso: int | None = None
    exposure_program: int | None = None
    exposure_bias: float | None = None
    """EV."""

    metering_mode: int | None = None
    light_source: int | None = None
    flash: int | None = None
    """EXIF Flash, a bit field."""

    focal_length: float | None = None
    """Millimetres."""

    focal_length_35mm: int | None = None
    exposure_mode: int | None = None
    white_balance: int | None = None
    digital_zoom: float | None = None
    subject_distance: float | None = None
    """Metres."""

    color_space: int | None = None
    """1 sRGB, 2 Adobe RGB, 65535 uncalibrated."""

    interoperability: str | None = None
    """R98 sRGB, R03 Adobe RGB."""

    exif_version: str | None = None


def read_camera(exif: bytes | None, zone: ZoneInfo) -> CameraFacts:
    """Read the facts; a damaged EXIF structure says nothing, and is no reason to refuse the photo."""
    if not exif:
        return CameraFacts()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of every odd value; what cannot be read is simply not known
        try:
            structure = Image.Exif()
            structure.load(b"Exif\0\0" + exif)
            base: dict[int, Any] = dict(structure)
            detail: dict[int, Any] = dict(structure.get_ifd(ExifTags.IFD.Exif))
            interop: dict[int, Any] = dict(structure.get_ifd(ExifTags.IFD.Interop))
        except (*_DAMAGED, struct.error):
            return CameraFacts()
    tag = ExifTags.Base
    local, taken = _taken(detail, zone)
    orientation = _whole(base.get(tag.Orientation))
    return CameraFacts(
        orientation=orientation if orientation is not None and 1 <= orientation <= 8 else 1,
        taken=taken,
        taken_local=local,
        make=_text(base.get(tag.Make)),
        model=_text(base.get(tag.Model)),
        software=_text(base.get(tag.Software)),
        lens_make=_text(detail.get(tag.LensMake)),
        lens_model=_text(detail.get(tag.LensModel)),
        exposure_time=_number(detail.get(tag.ExposureTime)),
        f_number=_number(detail.get(tag.FNumber)),
        iso=_whole(detail.get(tag.ISOSpeedRatings)),
        exposure_program=_whole(detail.get(tag.ExposureProgram)),
        exposure_bias=_number(detail.get(tag.ExposureBiasValue), negative=True),
        metering_mode=_whole(detail.get(tag.MeteringMode)),
        light_source=_whole(detail.get(tag.LightSource)),
        flash=_whole(detail.get(tag.Flash)),
        focal_length=_number(detail.get(tag.FocalLength)),
        focal_length_35mm=_whole(detail.get(tag.FocalLengthIn35mmFilm)),
        exposure_mode=_whole(detail.get(tag.ExposureMode)),
        white_balance=_whole(detail.get(tag.WhiteBalance)),
        digital_zoom=_number(detail.get(tag.DigitalZoomRatio)),
        subject_distance=_number(detail.get(tag.SubjectDistance)),
        color_space=_whole(detail.get(tag.ColorSpace)),
        interoperability=_text(interop.get(1)),
        exif_version=_text(detail.get(tag.ExifVersion)),
    )


def _taken(detail: dict[int, Any], zone: ZoneInfo) -> tuple[datetime | None, Span | None]:
    match = _DATE.fullmatch((_text(detail.get(ExifTags.Base.DateTimeOriginal)) or "").strip())
    if match is None:
        return None, None
    fraction = re.sub(r"\D.*", "", (_text(detail.get(ExifTags.Base.SubsecTimeOriginal)) or "").strip())[:6]
    offset = _OFFSET.fullmatch((_text(detail.get(ExifTags.Base.OffsetTimeOriginal)) or "").strip())
    try:
        place: timezone | ZoneInfo = zone
        if offset is not None:
            minutes = int(offset[2]) * 60 + int(offset[3])
            place = timezone(timedelta(minutes=minutes if offset[1] == "+" else -minutes))
        year, month, day, hour, minute, second = (int(part) for part in match.groups())
        local = datetime(
            year, month, day, hour, minute, min(second, 59), int(fraction.ljust(6, "0") or 0), tzinfo=place
        )
        start = local.astimezone(UTC)
    except (ValueError, OverflowError):
        return None, None
    return local, Span(start, start + timedelta(microseconds=10 ** (6 - len(fraction))))


def _text(value: Any) -> str | None:
    """Printable text of at most 64 characters (the LO value representation)."""
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    if not isinstance(value, str):
        return None
    cleaned = "".join(letter for letter in value if letter.isprintable() and letter != "\\").strip()
    return cleaned[:_MAX_TEXT] or None


def _number(value: Any, *, negative: bool = False) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    if not -1e9 < number < 1e9 or (number < 0 and not negative):
        return None
    return number


def _whole(value: Any) -> int | None:
    if isinstance(value, tuple) and value:
        value = value[0]
    return value if isinstance(value, int) and 0 <= value <= 2**31 else None
