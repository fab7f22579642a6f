"""A chart of 24 patches in twelve encodings, and the mean of each patch wherever it is shown."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image, ImageStat

from dicom_bridge.intake.profiles import adobe_rgb
from tests.colours import Lab, lab, xyz
from tests.formats import png16_of, saved
from tests.photos import wide_profile

Rgb = tuple[int, ...]

CHART: tuple[Rgb, ...] = (
    *((115, 82, 68), (194, 150, 130), (98, 122, 157), (87, 108, 67), (133, 128, 177), (103, 189, 170)),
    *((214, 126, 44), (80, 91, 166), (193, 90, 99), (94, 60, 108), (157, 188, 64), (224, 163, 46)),
    *((56, 61, 150), (70, 148, 73), (175, 54, 60), (231, 199, 31), (187, 86, 149), (60, 133, 161)),
    *((243, 243, 242), (200, 200, 200), (160, 160, 160), (122, 122, 121), (85, 85, 85), (52, 52, 52)),
)
"""sRGB numbers, near those of the chart that photographers hold up; all inside sRGB."""

_SIDE = 64
_XYZ_TO_ADOBE = (
    (2.0413690, -0.5649464, -0.3446944),
    (-0.9692660, 1.8760108, 0.0415560),
    (0.0134474, -0.1183897, 1.0154096),
)
_XYZ_TO_P3 = (
    (2.4934969, -0.9313836, -0.4027108),
    (-0.8294890, 1.7626641, 0.0236247),
    (0.0358458, -0.0761724, 0.9568845),
)
"""D65, as published with the spaces."""


def _times(matrix: tuple[tuple[float, ...], ...], vector: tuple[float, ...]) -> list[float]:
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def adobe(colour: Rgb) -> Rgb:
    """Its numbers in Adobe RGB (1998)."""
    return tuple(round(255 * max(0.0, value) ** (1 / 2.19921875)) for value in _times(_XYZ_TO_ADOBE, xyz(colour)))


def _p3(colour: Rgb) -> Rgb:
    linear = [max(0.0, value) for value in _times(_XYZ_TO_P3, xyz(colour))]
    return tuple(round(255 * (12.92 * v if v <= 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055)) for v in linear)


def grey(colour: Rgb) -> Rgb:
    """Its luma, as JPEG defines it."""
    return (round(0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]),) * 3


def chart(into: Callable[[Rgb], Rgb] = lambda colour: colour) -> Image.Image:
    """The chart, six patches across."""
    made = Image.new("RGB", (6 * _SIDE, 4 * _SIDE))
    for place, colour in enumerate(CHART):
        red, green, blue = into(colour)
        left, top = place % 6 * _SIDE, place // 6 * _SIDE
        made.paste((red, green, blue), (left, top, left + _SIDE, top + _SIDE))
    return made


def _by_name() -> bytes:
    exif = Image.Exif()
    detail = exif.get_ifd(0x8769)
    detail[0xA001], detail[0xA005] = 65535, {1: "R03"}
    return saved(chart(adobe), "JPEG", quality=95, subsampling=0, exif=exif)


def _turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 3
    return saved(chart().rotate(180), "JPEG", quality=95, subsampling=0, exif=exif)


ENCODINGS: dict[str, tuple[Callable[[], bytes], str]] = {
    "JPEG 4:4:4": (lambda: saved(chart(), "JPEG", quality=95, subsampling=0), ".jpg"),
    "JPEG 4:2:0": (lambda: saved(chart(), "JPEG", quality=92, subsampling=2), ".jpg"),
    "progressive": (lambda: saved(chart(), "JPEG", quality=95, subsampling=0, progressive=True), ".jpg"),
    "Adobe RGB": (lambda: saved(chart(adobe), "JPEG", quality=95, subsampling=0, icc_profile=adobe_rgb()), ".jpg"),
    "Adobe RGB by name": (_by_name, ".jpg"),
    "Display P3": (lambda: saved(chart(_p3), "JPEG", quality=95, subsampling=0, icc_profile=wide_profile()), ".jpg"),
    "grey": (lambda: saved(chart(grey).convert("L"), "JPEG", quality=95), ".jpg"),
    "turned": (_turned, ".jpg"),
    "PNG": (lambda: saved(chart(), "PNG"), ".png"),
    "PNG of 16 bits": (lambda: png16_of(chart()), ".png"),
    "TIFF": (lambda: saved(chart(), "TIFF", compression="tiff_lzw"), ".tif"),
    "WebP": (lambda: saved(chart(), "WEBP", quality=95), ".webp"),
}


def patches(picture: Image.Image) -> list[tuple[float, ...]]:
    """The mean of each patch's middle."""
    across, down = picture.width / 6, picture.height / 4
    middles = []
    for place in range(24):
        x, y = (place % 6 + 0.5) * across, (place // 6 + 0.5) * down
        box = (round(x - across / 4), round(y - down / 4), round(x + across / 4), round(y + down / 4))
        middles.append(tuple(ImageStat.Stat(picture.crop(box)).mean))
    return middles


def target(encoding: str) -> list[Lab]:
    """What the patches of an encoding are to look like."""
    return [lab(grey(colour) if encoding == "grey" else colour) for colour in CHART]
