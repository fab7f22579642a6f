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
        (b"GIF89a" + b"0" * 100, "a GIF picture; export"),
        (b"\0\0\0\x18ftypavif" + b"0" * 100, "an AVIF photo; export"),
        (b"\0\0\0\x18ftypqt  " + b"0" * 100, "a film; export"),
        (b"RIFF0000AVI LIST", "a film or a sound; export"),
        (b"II+\0" + b"0" * 100, "a TIFF of the 64-bit kind; export"),
        (bytes(128) + b"DICM", "STOW-RS"),
        (b"Dear doctor, attached is my photo", "no picture that is read; export"),
        (b"\xff\xd8\xff", "cut off"),
        (photos.jpeg()[:-2], "cut off"),
        (photos.jpeg()[:400], "cut off"),
        (photos.jpeg()[:2] + b"\xff\xd9", "before its picture"),
    ],
    ids=[
        "zero bytes",
        "a GIF",
        "an AVIF",
        "a film",
        "a film of another kind",
        "a large TIFF",
        "a DICOM object",
        "a letter",
        "three bytes",
        "no end of image",
        "cut in a segment",
        "no picture",
    ],
)
def test_a_wrong_file_is_refused_with_the_remedy(data: bytes, word: str) -> None:
    with pytest.raises(FileRefused, match=word):
        read_photo(data, Limits(), ZONE)


def test_a_bomb_is_refused_by_its_header() -> None:
    data = bytearray(photos.jpeg())
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
    with pytest.raises(FileRefused, match="pixels"):
        read_jpeg(bytes(data), Limits())


def test_a_side_that_no_decoder_reads_is_refused() -> None:
    data = bytearray(photos.jpeg(photos.Shot(width=1, height=1)))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = (1).to_bytes(2, "big") + (65_501).to_bytes(2, "big")
    with pytest.raises(FileRefused, match="65500"):
        read_jpeg(bytes(data), Limits())


def test_a_progressive_file_of_endless_scans_is_refused() -> None:
    data = photos.jpeg(photos.Shot(progressive=True))
    start = data.rindex(b"\xff\xda")
    end = data.rindex(b"\xff\xd9")
    with pytest.raises(FileRefused, match="scans"):
        read_jpeg(data[:end] + data[start:end] * 100 + data[end:], Limits())


def _without(data: bytes, marker: int) -> bytes:
    """The file without its segments of a kind."""
    at = 2
    while data[at + 1] != Marker.SOS:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] == marker:
            data, end = data[:at] + data[end:], at
        at = end
    return data


@pytest.mark.parametrize("marker", [Marker.DQT, Marker.DHT])
def test_a_file_without_its_tables_is_refused(marker: Marker) -> None:
    with pytest.raises(FileRefused, match="table"):
        read_jpeg(_without(photos.jpeg(), marker), Limits())


def _cut_and_closed(shot: photos.Shot, part: float) -> bytes:
    """A file of which the end of the picture is missing, closed so that it looks whole."""
    data = photos.jpeg(shot)
    start = data.index(b"\xff\xda")
    return data[: start + 14 + int((len(data) - start - 16) * part)] + b"\xff\xd9"


def test_a_picture_of_which_a_restart_interval_is_missing_is_refused() -> None:
    shot = photos.Shot(width=400, height=300, restart_rows=1)
    assert read_jpeg(photos.jpeg(shot), Limits()).is_baseline
    with pytest.raises(FileRefused, match="parts of it are missing"):
        read_jpeg(_cut_and_closed(shot, 0.9), Limits())


def test_a_picture_that_is_shorter_than_its_blocks_is_refused() -> None:
    with pytest.raises(FileRefused, match="shorter than its size"):
        read_jpeg(_cut_and_closed(photos.Shot(width=800, height=600), 0.05), Limits())


def test_a_plain_surface_is_not_taken_for_a_cut_one() -> None:
    out = io.BytesIO()
    Image.new("RGB", (3000, 2000), (120, 120, 120)).save(out, "JPEG", quality=1, optimize=True)
    assert read_jpeg(out.getvalue(), Limits()).is_baseline


def test_a_header_of_many_pixels_over_little_data_is_refused_without_decoding() -> None:
    data = bytearray(photos.jpeg())
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = (12_000).to_bytes(2, "big") * 2
    with pytest.raises(FileRefused, match="shorter than its size"):
        read_jpeg(bytes(data), Limits())


def test_the_time_of_a_progressive_file_is_bounded_by_its_scans_and_size() -> None:
    data = photos.jpeg(photos.Shot(progressive=True))
    assert read_jpeg(data, Limits()).frame is Marker.SOF2
    with pytest.raises(FileRefused, match="scans"):
        read_jpeg(data, Limits(passes=10_000))


def test_cmyk_is_refused_with_the_reason() -> None:
    with pytest.raises(FileRefused, match="CMYK, made for print; export it as sRGB"):
        read_photo(photos.jpeg(photos.Shot(mode="CMYK")), Limits(), ZONE)


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
        [
            photos.Shot(),
            photos.Shot(progressive=True),
            photos.Shot(orientation=6, profile=photos.srgb_profile()),
            photos.Shot(mode="L", progressive=True),
            photos.Shot(restart_rows=1, subsampling="4:2:2", width=101),
            photos.Shot(coded_rgb=True, profile=photos.wide_profile()),
        ]
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
