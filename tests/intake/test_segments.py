"""JPEG segments: what is kept, what is refused, and that nothing but a refusal comes out of damaged bytes."""

from __future__ import annotations

import io
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dicom_bridge.errors import FileRefused
from dicom_bridge.intake import Limits, read_jpeg, read_photo
from dicom_bridge.intake.segments import Marker
from dicom_bridge.objects.viewing import viewing_copy
from tests import photos
from tests.counts import count

pytestmark = pytest.mark.fast

ZONE = ZoneInfo("Europe/Athens")


def test_the_kept_stream_decodes_to_the_same_pixels_and_holds_no_metadata() -> None:
    data = photos.jpeg(photos.Shot(profile=photos.srgb_profile()))
    jpeg = read_jpeg(data, Limits())
    kept = b"".join(data[start:stop] for start, stop in jpeg.kept)
    assert Image.open(io.BytesIO(kept)).tobytes() == Image.open(io.BytesIO(data)).tobytes()
    assert b"Exif" not in kept
    assert b"ICC_PROFILE" not in kept
    assert b"JFIF" not in kept


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_the_frame_is_told_as_it_is(subsampling: str) -> None:
    jpeg = read_jpeg(photos.jpeg(photos.Shot(width=101, height=77, subsampling=subsampling)), Limits())
    assert (jpeg.rows, jpeg.columns, jpeg.frame, jpeg.precision) == (77, 101, Marker.SOF0, 8)
    assert jpeg.is_ycbcr


def test_what_follows_the_picture_is_no_part_of_it() -> None:
    data = photos.jpeg()
    assert read_jpeg(data + b"MotionPhoto" * 1000, Limits()).end == len(data)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n" + b"0" * 100, "a PNG picture; export"),
        (b"\xff\xd8\xff", "cut off"),
        (photos.jpeg()[:-2], "cut off"),
        (photos.jpeg()[:400], "cut off"),
        (photos.jpeg()[:2] + b"\xff\xd9", "before its picture"),
    ],
    ids=["zero bytes", "a PNG", "three bytes", "no end of image", "cut in a segment", "no picture"],
)
def test_a_wrong_file_is_refused_with_the_remedy(data: bytes, word: str) -> None:
    with pytest.raises(FileRefused, match=word):
        read_jpeg(data, Limits())


def test_a_bomb_is_refused_by_its_header() -> None:
    data = bytearray(photos.jpeg())
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
    with pytest.raises(FileRefused, match="pixels"):
        read_jpeg(bytes(data), Limits())


def test_a_progressive_file_of_endless_scans_is_refused() -> None:
    data = photos.jpeg(photos.Shot(progressive=True))
    start = data.rindex(b"\xff\xda")
    end = data.rindex(b"\xff\xd9")
    with pytest.raises(FileRefused, match="scans"):
        read_jpeg(data[:end] + data[start:end] * 100 + data[end:], Limits())


def test_twelve_bits_and_arithmetic_coding_are_refused() -> None:
    data = bytearray(photos.jpeg())
    frame = data.index(b"\xff\xc0")
    twelve = bytearray(data)
    twelve[frame + 4] = 12
    with pytest.raises(FileRefused, match="bits"):
        read_jpeg(bytes(twelve), Limits())
    arithmetic = bytearray(data)
    arithmetic[frame + 1] = 0xC9
    with pytest.raises(FileRefused, match="arithmetic"):
        read_jpeg(bytes(arithmetic), Limits())


@settings(max_examples=count("damaged JPEG files", small=150, full=20_000), deadline=None)
@given(
    st.sampled_from(
        [photos.Shot(), photos.Shot(progressive=True), photos.Shot(orientation=6), photos.Shot(mode="CMYK")]
    ),
    st.lists(st.tuples(st.floats(0, 0.999), st.binary(min_size=1, max_size=6)), max_size=8),
    st.floats(0, 1),
)
def test_damaged_bytes_are_read_or_refused_and_nothing_else(
    shot: photos.Shot, damage: list[tuple[float, bytes]], cut: float
) -> None:
    data = bytearray(photos.jpeg(shot))
    for place, value in damage:
        at = int(place * len(data))
        data[at : at + len(value)] = value
    if cut > 0.5:
        del data[int(len(data) * cut) :]
    try:
        copy = viewing_copy(read_photo(bytes(data), Limits(pixels=2_000_000), ZONE))
    except FileRefused:
        return
    assert copy.length > 0
