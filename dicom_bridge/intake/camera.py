"""What EXIF says of the capture. What tells who photographed, and where, is not read here (:mod:`.identities`)."""

from __future__ import annotations

import math
import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum
from zoneinfo import ZoneInfo

from consent.directive import Span
from dicom_bridge.intake.tiff import Tiff, Value

_DATE = re.compile(r"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d):(\d\d):(\d\d)", re.ASCII)
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)", re.ASCII)
_DIGITS = re.compile(r"\d{0,6}", re.ASCII)
_MAX_TEXT = 64
_LAST_YEAR = 2999
"""Damaged clocks show later ones; DICOM's readers take no such date."""

_NO_DISTANCE = 0xFFFFFFFF
"""Numerator of SubjectDistance for infinity (EXIF 2.32, 4.6.5)."""


class Tag(IntEnum):
    """The tags that are read (EXIF 2.32, 4.6)."""

    MAKE = 0x010F
    MODEL = 0x0110
    ORIENTATION = 0x0112
    SOFTWARE = 0x0131
    DETAIL = 0x8769
    EXPOSURE_TIME = 0x829A
    F_NUMBER = 0x829D
    EXPOSURE_PROGRAM = 0x8822
    SPECTRAL_SENSITIVITY = 0x8824
    SENSITIVITY = 0x8827
    SENSITIVITY_TYPE = 0x8830
    STANDARD_OUTPUT_SENSITIVITY = 0x8831
    RECOMMENDED_EXPOSURE_INDEX = 0x8832
    ISO_SPEED = 0x8833
    VERSION = 0x9000
    TAKEN = 0x9003
    TAKEN_OFFSET = 0x9011
    TAKEN_FRACTION = 0x9291
    SHUTTER_SPEED = 0x9201
    APERTURE = 0x9202
    BRIGHTNESS = 0x9203
    EXPOSURE_BIAS = 0x9204
    MAX_APERTURE = 0x9205
    SUBJECT_DISTANCE = 0x9206
    METERING_MODE = 0x9207
    LIGHT_SOURCE = 0x9208
    FLASH = 0x9209
    FOCAL_LENGTH = 0x920A
    SUBJECT_AREA = 0x9214
    COLOR_SPACE = 0xA001
    INTEROPERABILITY = 0xA005
    FLASH_ENERGY = 0xA20B
    EXPOSURE_INDEX = 0xA215
    SENSING_METHOD = 0xA217
    FILE_SOURCE = 0xA300
    SCENE_TYPE = 0xA301
    CUSTOM_RENDERED = 0xA401
    EXPOSURE_MODE = 0xA402
    WHITE_BALANCE = 0xA403
    DIGITAL_ZOOM = 0xA404
    FOCAL_LENGTH_35MM = 0xA405
    SCENE_CAPTURE_TYPE = 0xA406
    GAIN_CONTROL = 0xA407
    CONTRAST = 0xA408
    SATURATION = 0xA409
    SHARPNESS = 0xA40A
    DISTANCE_RANGE = 0xA40C
    LENS_SPECIFICATION = 0xA432
    LENS_MAKE = 0xA433
    LENS_MODEL = 0xA434


_METERING = frozenset({*range(7), 255})
_LIGHT_SOURCES = frozenset({*range(5), *range(9, 25), 255})
_SENSING = frozenset({1, 2, 3, 4, 5, 7, 8})
"""Values that EXIF and DICOM (PS3.3 C.8.12.11) give a meaning; makers write others."""

_INTEROPERABILITY_INDEX = 1
_TAGS = frozenset(Tag)


@dataclass(frozen=True, slots=True)
class CameraFacts:
    """EXIF 2.32 facts of the capture; None where the file does not say."""

    orientation: int = 1
    """1 to 8; what is none of these counts as 1."""

    taken: Span | None = None
    """DateTimeOriginal in its precision; without an offset in the site's zone. An hour that the clocks run through
    twice spans both."""

    taken_local: datetime | None = None
    """The same as the camera's clock showed it, aware."""

    make: str | None = None
    model: str | None = None
    software: str | None = None
    lens_make: str | None = None
    lens_model: str | None = None
    lens_specification: tuple[float, float, float, float] | None = None
    """Shortest and longest focal length in millimetres, smallest F number at each; 0 where it is not known."""

    exposure_time: float | None = None
    """Seconds."""

    f_number: float | None = None
    iso: int | None = None
    sensitivity_type: int | None = None
    standard_output_sensitivity: int | None = None
    recommended_exposure_index: int | None = None
    iso_speed: int | None = None
    spectral_sensitivity: str | None = None
    exposure_index: float | None = None
    exposure_program: int | None = None
    exposure_bias: float | None = None
    """EV; so are the three that follow (APEX)."""

    shutter_speed: float | None = None
    aperture: float | None = None
    brightness: float | None = None
    max_aperture: float | None = None
    metering_mode: int | None = None
    light_source: int | None = None
    flash: int | None = None
    """EXIF Flash, a bit field."""

    flash_energy: float | None = None
    """Beam candle power seconds."""

    subject_area: tuple[int, ...] | None = None
    """A point, a circle or a rectangle (EXIF 2.32, SubjectArea) in the picture as the file holds it."""

    focal_length: float | None = None
    """Millimetres."""

    focal_length_35mm: int | None = None
    exposure_mode: int | None = None
    white_balance: int | None = None
    digital_zoom: float | None = None
    subject_distance: float | None = None
    """Metres."""

    distance_range: int | None = None
    sensing_method: int | None = None
    file_source: int | None = None
    scene_type: int | None = None
    scene_capture_type: int | None = None
    custom_rendered: int | None = None
    gain_control: int | None = None
    contrast: int | None = None
    saturation: int | None = None
    sharpness: int | None = None
    color_space: int | None = None
    """1 sRGB, 2 Adobe RGB, 65535 uncalibrated."""

    interoperability: str | None = None
    """R98 sRGB, R03 Adobe RGB."""

    exif_version: str | None = None


def read_camera(exif: bytes | None, zone: ZoneInfo) -> CameraFacts:
    """Read the facts; a damaged EXIF structure says nothing, and is no reason to refuse the photo."""
    if not exif:
        return CameraFacts()
    structure = Tiff(exif)
    tags = structure.first(_TAGS)
    detail = _pointer(tags, Tag.DETAIL)
    if detail is not None:
        tags = structure.directory(detail, _TAGS) | tags
    interop = _pointer(tags, Tag.INTEROPERABILITY)
    index = {} if interop is None else structure.directory(interop, (_INTEROPERABILITY_INDEX,))
    local, taken = _taken(tags, zone)
    orientation = _whole(tags, Tag.ORIENTATION, range(1, 9))
    return CameraFacts(
        orientation=orientation or 1,
        taken=taken,
        taken_local=local,
        make=_text(tags.get(Tag.MAKE)),
        model=_text(tags.get(Tag.MODEL)),
        software=_text(tags.get(Tag.SOFTWARE)),
        lens_make=_text(tags.get(Tag.LENS_MAKE)),
        lens_model=_text(tags.get(Tag.LENS_MODEL)),
        lens_specification=_lens(tags.get(Tag.LENS_SPECIFICATION)),
        exposure_time=_number(tags, Tag.EXPOSURE_TIME),
        f_number=_number(tags, Tag.F_NUMBER),
        iso=_whole(tags, Tag.SENSITIVITY, range(1, 2**31)),
        sensitivity_type=_whole(tags, Tag.SENSITIVITY_TYPE, range(8)),
        standard_output_sensitivity=_whole(tags, Tag.STANDARD_OUTPUT_SENSITIVITY, range(1, 2**31)),
        recommended_exposure_index=_whole(tags, Tag.RECOMMENDED_EXPOSURE_INDEX, range(1, 2**31)),
        iso_speed=_whole(tags, Tag.ISO_SPEED, range(1, 2**31)),
        spectral_sensitivity=_text(tags.get(Tag.SPECTRAL_SENSITIVITY)),
        exposure_index=_number(tags, Tag.EXPOSURE_INDEX),
        exposure_program=_whole(tags, Tag.EXPOSURE_PROGRAM, range(9)),
        exposure_bias=_number(tags, Tag.EXPOSURE_BIAS, negative=True),
        shutter_speed=_number(tags, Tag.SHUTTER_SPEED, negative=True),
        aperture=_number(tags, Tag.APERTURE, negative=True),
        brightness=_number(tags, Tag.BRIGHTNESS, negative=True),
        max_aperture=_number(tags, Tag.MAX_APERTURE, negative=True),
        metering_mode=_whole(tags, Tag.METERING_MODE, _METERING),
        light_source=_whole(tags, Tag.LIGHT_SOURCE, _LIGHT_SOURCES),
        flash=_whole(tags, Tag.FLASH, range(128)),
        flash_energy=_number(tags, Tag.FLASH_ENERGY),
        subject_area=_area(tags.get(Tag.SUBJECT_AREA)),
        focal_length=_number(tags, Tag.FOCAL_LENGTH),
        focal_length_35mm=_whole(tags, Tag.FOCAL_LENGTH_35MM, range(1, 65536)),
        exposure_mode=_whole(tags, Tag.EXPOSURE_MODE, range(3)),
        white_balance=_whole(tags, Tag.WHITE_BALANCE, range(2)),
        digital_zoom=_number(tags, Tag.DIGITAL_ZOOM),
        subject_distance=_distance(tags),
        distance_range=_whole(tags, Tag.DISTANCE_RANGE, range(4)),
        sensing_method=_whole(tags, Tag.SENSING_METHOD, _SENSING),
        file_source=_whole(tags, Tag.FILE_SOURCE, range(1, 4)),
        scene_type=_whole(tags, Tag.SCENE_TYPE, (1,)),
        scene_capture_type=_whole(tags, Tag.SCENE_CAPTURE_TYPE, range(4)),
        custom_rendered=_whole(tags, Tag.CUSTOM_RENDERED, range(2)),
        gain_control=_whole(tags, Tag.GAIN_CONTROL, range(5)),
        contrast=_whole(tags, Tag.CONTRAST, range(3)),
        saturation=_whole(tags, Tag.SATURATION, range(3)),
        sharpness=_whole(tags, Tag.SHARPNESS, range(3)),
        color_space=_whole(tags, Tag.COLOR_SPACE, range(65536)),
        interoperability=_text(index.get(_INTEROPERABILITY_INDEX)),
        exif_version=_text(tags.get(Tag.VERSION)),
    )


def _pointer(tags: Mapping[int, Value], tag: Tag) -> int | None:
    return _whole(tags, tag, range(2**32))


def _taken(tags: Mapping[int, Value], zone: ZoneInfo) -> tuple[datetime | None, Span | None]:
    match = _DATE.match((_text(tags.get(Tag.TAKEN)) or "").strip())
    if match is None:
        return None, None
    fraction = _DIGITS.match((_text(tags.get(Tag.TAKEN_FRACTION)) or "").strip())
    digits = fraction[0] if fraction else ""
    year, month, day, hour, minute, second = (int(part) for part in match.groups())
    if year > _LAST_YEAR:
        return None, None
    try:
        local = datetime(
            year,
            month,
            day,
            hour,
            minute,
            min(second, 59),
            int(digits.ljust(6, "0")),
            tzinfo=_offset(_text(tags.get(Tag.TAKEN_OFFSET))) or zone,
        )
        start, again = local.astimezone(UTC), local.replace(fold=1).astimezone(UTC)
        # An hour that runs twice: either may be meant. One that is left out in spring: fold turns it round.
        first, last = min(start, again), max(start, again)
        return local, Span(first, last + timedelta(microseconds=10 ** (6 - len(digits))))
    except (ValueError, OverflowError):
        return None, None


def _offset(text: str | None) -> timezone | None:
    """OffsetTimeOriginal; None where it says nothing that a clock on earth shows."""
    text = (text or "").strip()
    if text == "Z":
        return UTC
    match = _OFFSET.fullmatch(text)
    if match is None:
        return None
    minutes = int(match[2]) * 60 + int(match[3])
    if minutes > 14 * 60:
        return None
    return timezone(timedelta(minutes=minutes if match[1] == "+" else -minutes))


def _text(value: Value | None) -> str | None:
    """Printable text of at most 64 characters (the LO value representation)."""
    if isinstance(value, bytes):
        value = value.split(b"\0", 1)[0].decode("ascii", "ignore")
    if not isinstance(value, str):
        return None
    cleaned = "".join(letter for letter in value if letter.isprintable() and letter != "\\").strip()
    return cleaned[:_MAX_TEXT].strip() or None


def _numbers(value: Value | None) -> tuple[float, ...]:
    """Numbers, not finite ones as ``nan``."""
    if not isinstance(value, tuple):
        return ()
    return tuple(float(each) if -1e9 < each < 1e9 else math.nan for each in value)


def _number(tags: Mapping[int, Value], tag: Tag, *, negative: bool = False) -> float | None:
    numbers = _numbers(tags.get(tag))
    if not numbers or math.isnan(numbers[0]) or (numbers[0] < 0 and not negative):
        return None
    return numbers[0]


def _distance(tags: Mapping[int, Value]) -> float | None:
    """0 means unknown, and infinity is no distance."""
    found = _number(tags, Tag.SUBJECT_DISTANCE)
    return found if found and found < _NO_DISTANCE else None


def _area(value: Value | None) -> tuple[int, ...] | None:
    if not isinstance(value, tuple) or not 2 <= len(value) <= 4:
        return None
    whole = tuple(each for each in value if isinstance(each, int) and 0 <= each < 2**16)
    return whole if len(whole) == len(value) else None


def _lens(value: Value | None) -> tuple[float, float, float, float] | None:
    numbers = tuple(0.0 if math.isnan(each) or each < 0 else each for each in _numbers(value))
    if len(numbers) != 4 or not any(numbers):
        return None
    return numbers[0], numbers[1], numbers[2], numbers[3]


def _whole(tags: Mapping[int, Value], tag: Tag, known: Container[int]) -> int | None:
    value = tags.get(tag)
    first = value[0] if isinstance(value, tuple | bytes) and value else None
    return first if isinstance(first, int) and first in known else None
