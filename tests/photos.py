"""Test photographs, made by code: what phones and cameras write, and what they should not."""

from __future__ import annotations

import io
import random
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageCms, ImageFilter

_TAG_MAKE = 0x010F
_TAG_MODEL = 0x0110
_TAG_ORIENTATION = 0x0112
_TAG_OWNER = 0xA430
_TAG_SERIAL = 0xA431
_TAG_EXIF = 0x8769
_TAG_GPS = 0x8825


@dataclass(frozen=True, slots=True)
class Shot:
    """How a test photo is to be."""

    width: int = 96
    height: int = 64
    orientation: int = 1
    subsampling: str = "4:2:0"
    progressive: bool = False
    mode: str = "RGB"
    profile: bytes | None = None
    taken: str | None = "2026:05:03 10:00:00"
    offset: str | None = "+03:00"
    gps: bool = True
    seed: int = 1
    quality: int = 88
    restart_rows: int = 0
    """Units' rows between restart markers; 0: none."""

    coded_rgb: bool = False
    """Coded as RGB (Adobe transform 0), not YCbCr."""

    adobe_by_name: bool = False
    """EXIF names Adobe RGB (DCF option file), and no profile is embedded."""


def picture(shot: Shot) -> Image.Image:
    """A picture without symmetry, so that every turn of it is another picture."""
    chance = random.Random(shot.seed)
    small = Image.new("RGB", (12, 8))
    small.putdata([(chance.randrange(256), chance.randrange(256), chance.randrange(256)) for _ in range(96)])
    made = small.resize((shot.width, shot.height), Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(1))
    return made.convert(shot.mode)


def jpeg(shot: Shot | None = None) -> bytes:
    """The file that a camera would write."""
    shot = shot or Shot()
    exif = Image.Exif()
    exif[_TAG_MAKE] = "Phonemaker"
    exif[_TAG_MODEL] = "Phone 7"
    exif[_TAG_ORIENTATION] = shot.orientation
    detail = exif.get_ifd(_TAG_EXIF)
    detail[0x829A] = 1 / 60
    detail[0x829D] = 1.8
    detail[0x8827] = 125
    detail[0x9209] = 0x19
    detail[0x920A] = 5.7
    detail[_TAG_OWNER] = "Owner Secretname"
    detail[_TAG_SERIAL] = "SERIAL-4711"
    if shot.taken:
        detail[0x9003] = shot.taken
        detail[0x9291] = "25"
    if shot.offset:
        detail[0x9011] = shot.offset
    if shot.adobe_by_name:
        detail[0xA001] = 65535
        detail[0xA005] = {1: "R03"}
    if shot.gps:
        gps = exif.get_ifd(_TAG_GPS)
        gps[1], gps[2] = "N", (37.0, 58.0, 33.3)
        gps[3], gps[4] = "E", (23.0, 43.0, 40.4)
    out = io.BytesIO()
    options: dict[str, Any] = {"quality": shot.quality, "progressive": shot.progressive, "exif": exif}
    if shot.restart_rows:
        options["restart_marker_rows"] = shot.restart_rows
    if shot.coded_rgb:
        options["keep_rgb"] = True
    elif shot.mode == "RGB":
        options["subsampling"] = shot.subsampling
    if shot.profile is not None:
        options["icc_profile"] = shot.profile
    picture(shot).save(out, "JPEG", **options)
    return out.getvalue()


def srgb_profile() -> bytes:
    """LittleCMS's own sRGB."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def wide_profile() -> bytes:
    """A profile with the primaries of Display P3, made by exchanging the colorants of an sRGB profile."""
    data = bytearray(srgb_profile())
    # XYZ (D50) of Display P3's primaries, as s15Fixed16: ICC.1:2010 10.31
    colorants = {
        b"rXYZ": (0.5151, 0.2412, -0.0011),
        b"gXYZ": (0.2920, 0.6922, 0.0419),
        b"bXYZ": (0.1571, 0.0666, 0.7841),
    }
    count = int.from_bytes(data[128:132], "big")
    for number in range(count):
        at = 132 + 12 * number
        signature, offset = bytes(data[at : at + 4]), int.from_bytes(data[at + 4 : at + 8], "big")
        if signature in colorants:
            for index, value in enumerate(colorants[signature]):
                start = offset + 8 + 4 * index
                data[start : start + 4] = round(value * 65536).to_bytes(4, "big", signed=True)
    return bytes(data)
