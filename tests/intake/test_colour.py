"""Colours: what is sRGB is left alone, what is not becomes it, and the numbers are those of the spaces' formulas."""

from __future__ import annotations

import struct
from zoneinfo import ZoneInfo

import pytest
from PIL import Image

from dicom_bridge.errors import FileRefused
from dicom_bridge.intake import CameraFacts, IncomingPhoto, Limits, read_photo
from dicom_bridge.intake.colour import is_srgb, profile_of, to_srgb
from dicom_bridge.intake.profiles import adobe_rgb
from dicom_bridge.objects.viewing import viewing_copy
from tests import photos

pytestmark = pytest.mark.fast

ZONE = ZoneInfo("Europe/Athens")
_ADOBE_TO_XYZ = (
    (0.5767309, 0.1855540, 0.1881852),
    (0.2973769, 0.6273491, 0.0752741),
    (0.0270343, 0.0706872, 0.9911085),
)
_P3_TO_XYZ = ((0.4865709, 0.2656677, 0.1982173), (0.2289746, 0.6917385, 0.0792869), (0.0, 0.0451134, 1.0439444))
_XYZ_TO_SRGB = (
    (3.2404542, -1.5371385, -0.4985314),
    (-0.9692660, 1.8760108, 0.0415560),
    (0.0556434, -0.2040259, 1.0572252),
)
"""D65 matrices as published with the spaces; nothing of the code under test."""

SKIN = [(150, 110, 95), (200, 160, 140), (90, 60, 50), (128, 128, 128), (230, 205, 190), (170, 90, 90)]


def _times(matrix: tuple[tuple[float, ...], ...], values: list[float]) -> list[float]:
    return [sum(factor * value for factor, value in zip(row, values, strict=True)) for row in matrix]


def _encode(value: float) -> int:
    value = min(1.0, max(0.0, value))
    return round(255 * (12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055))


def _decode(value: int) -> float:
    part = value / 255
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4


def _through(profile: bytes, colour: tuple[int, int, int]) -> tuple[int, ...]:
    pixel = to_srgb(Image.new("RGB", (1, 1), colour), profile).getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return tuple(int(each) for each in pixel)


@pytest.mark.parametrize("colour", SKIN)
def test_adobe_rgb_becomes_the_srgb_of_the_formula(colour: tuple[int, int, int]) -> None:
    linear = _times(_ADOBE_TO_XYZ, [(value / 255) ** 2.19921875 for value in colour])
    expected = [_encode(value) for value in _times(_XYZ_TO_SRGB, linear)]
    assert max(abs(a - b) for a, b in zip(_through(adobe_rgb(), colour), expected, strict=True)) <= 1


@pytest.mark.parametrize("colour", SKIN)
def test_display_p3_becomes_the_srgb_of_the_formula(colour: tuple[int, int, int]) -> None:
    expected = [_encode(v) for v in _times(_XYZ_TO_SRGB, _times(_P3_TO_XYZ, [_decode(value) for value in colour]))]
    assert max(abs(a - b) for a, b in zip(_through(photos.wide_profile(), colour), expected, strict=True)) <= 1


def test_a_camera_that_names_adobe_rgb_without_a_profile_is_believed() -> None:
    photo = read_photo(photos.jpeg(photos.Shot(adobe_by_name=True)), Limits(), ZONE)
    assert photo.camera.interoperability == "R03"
    assert profile_of(photo.source.icc, photo.camera, 3) == adobe_rgb()
    copy = viewing_copy(photo)
    assert copy.derived
    assert "sRGB" in (copy.derivation or "")


def test_an_embedded_profile_counts_before_what_exif_names() -> None:
    shot = photos.Shot(adobe_by_name=True, profile=photos.srgb_profile())
    assert not viewing_copy(read_photo(photos.jpeg(shot), Limits(), ZONE)).derived


def test_without_any_word_it_is_srgb() -> None:
    assert profile_of(None, CameraFacts(), 3) is None
    assert is_srgb(None, 3)
    assert is_srgb(None, 1)


def _grey_profile(gamma: float) -> bytes:
    """A grey profile with a gamma (ICC.1:2001-04 6.3.2)."""
    white = b"XYZ " + bytes(4) + struct.pack(">3i", round(0.9642 * 65536), 65536, round(0.8249 * 65536))
    curve = b"curv" + bytes(4) + struct.pack(">IHH", 1, round(gamma * 256), 0)
    table = struct.pack(">I4sII4sII", 2, b"wtpt", 156, 20, b"kTRC", 176, 14)
    head = struct.pack(
        ">I4sI4s4s4s12s4s28s12s48s", 192, b"", 0x02100000, b"mntr", b"GRAY", b"XYZ ", b"", b"acsp", b"", white[8:], b""
    )
    return head + table + white + curve


def _grey(profile: bytes) -> IncomingPhoto:
    return read_photo(photos.jpeg(photos.Shot(mode="L", profile=profile)), Limits(), ZONE)


def test_grey_of_another_tone_is_converted_and_stays_grey() -> None:
    copy = viewing_copy(_grey(_grey_profile(1.0)))
    assert (copy.derived, copy.samples) == (True, 1)
    made = to_srgb(Image.new("L", (1, 1), 64), _grey_profile(1.0)).getpixel((0, 0))
    assert abs(int(made) - _encode(64 / 255)) <= 1  # type: ignore[arg-type]


def test_grey_with_the_profile_of_a_colour_picture_is_that_picture_in_grey() -> None:
    assert not viewing_copy(_grey(photos.srgb_profile())).derived


@pytest.mark.parametrize(
    "profile", [b"not a profile" * 20, photos.srgb_profile()[:300], _grey_profile(2.2)], ids=["noise", "cut", "grey"]
)
def test_a_profile_that_does_not_fit_is_refused_with_the_remedy(profile: bytes) -> None:
    with pytest.raises(FileRefused, match="export the photo as sRGB"):
        viewing_copy(read_photo(photos.jpeg(photos.Shot(profile=profile)), Limits(), ZONE))


def test_a_profile_of_which_a_part_is_missing_is_refused() -> None:
    data = photos.jpeg(photos.Shot(profile=photos.srgb_profile()))
    at = data.index(b"ICC_PROFILE\0") + 12
    assert data[at : at + 2] == b"\x01\x01"
    with pytest.raises(FileRefused, match="a part of it is missing"):
        read_photo(data[:at] + b"\x01\x02" + data[at + 2 :], Limits(), ZONE)
