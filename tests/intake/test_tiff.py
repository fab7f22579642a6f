"""EXIF's own structure: the same values as another reader finds, and no more memory than the values need."""

from __future__ import annotations

import struct
import tracemalloc
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dicom_bridge.intake.camera import Tag, read_camera
from dicom_bridge.intake.tiff import Tiff
from tests.counts import count

pytestmark = pytest.mark.fast

ZONE = ZoneInfo("Europe/Athens")


def _exif(**detail: object) -> bytes:
    structure = Image.Exif()
    structure[Tag.MAKE] = "Maker"
    inner = structure.get_ifd(Tag.DETAIL)
    for name, value in detail.items():
        inner[Tag[name]] = value
    return structure.tobytes()[6:]


def test_values_are_those_that_another_program_wrote() -> None:
    exif = _exif(
        EXPOSURE_TIME=1 / 125,
        F_NUMBER=2.8,
        SENSITIVITY=400,
        EXPOSURE_BIAS=-0.5,
        LENS_SPECIFICATION=(24.0, 70.0, 2.8, 4.0),
        LENS_MODEL="Objektiv für Porträts 24-70",
        FOCAL_LENGTH_35MM=50,
    )
    camera = read_camera(exif, ZONE)
    assert camera.make == "Maker"
    assert camera.exposure_time == pytest.approx(1 / 125)
    assert camera.f_number == pytest.approx(2.8)
    assert (camera.iso, camera.exposure_bias) == (400, -0.5)
    assert camera.lens_specification == pytest.approx((24.0, 70.0, 2.8, 4.0))
    assert (camera.lens_model or "").startswith("Objektiv f")
    assert camera.focal_length_35mm == 50


def test_both_byte_orders_are_read() -> None:
    for mark, order in ((b"II*\0", "<"), (b"MM\0*", ">")):
        data = mark + struct.pack(order + "IHHHIHHI", 8, 1, Tag.ORIENTATION, 3, 1, 6, 0, 0)
        assert read_camera(data, ZONE).orientation == 6


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_upright(value: int) -> None:
    assert (
        read_camera(b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, Tag.ORIENTATION, 3, 1, value, 0, 0), ZONE).orientation
        == 1
    )


def test_a_fraction_over_nothing_is_no_number() -> None:
    data = b"II*\0" + struct.pack("<IHHHII", 8, 1, Tag.EXPOSURE_TIME, 5, 1, 26) + bytes(4) + struct.pack("<II", 1, 0)
    assert read_camera(data, ZONE).exposure_time is None


def test_thousands_of_entries_that_share_their_bytes_cost_nothing() -> None:
    entries = 5000
    data = b"II*\0" + struct.pack("<IH", 8, entries)
    data += b"".join(struct.pack("<HHII", tag, 3, 2500, 8) for tag in range(0x8000, 0x8000 + entries))
    tracemalloc.start()
    read_camera(data + bytes(5000), ZONE)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * 2**20


def test_the_clocks_going_back_leave_two_hours_that_it_may_have_been() -> None:
    exif = _exif(TAKEN="2026:10:25 03:30:00")
    taken = read_camera(exif, ZONE).taken
    assert taken is not None
    assert taken.start is not None
    assert taken.end is not None
    assert (taken.end - taken.start).total_seconds() == 3601


@pytest.mark.parametrize(("offset", "hour"), [("+02:00", 8), ("-05:00", 15), ("Z", 10), ("+99:99", 7), ("nonsense", 7)])
def test_an_offset_counts_where_it_is_one(offset: str, hour: int) -> None:
    taken = read_camera(_exif(TAKEN="2026:05:03 10:00:00", TAKEN_OFFSET=offset), ZONE).taken
    assert taken is not None
    assert taken.start is not None
    assert taken.start.hour == hour


@settings(max_examples=count("damaged EXIF", small=200, full=50_000), deadline=None)
@given(st.binary(max_size=300), st.sampled_from([b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b""]))
def test_any_bytes_are_read_without_an_error(data: bytes, start: bytes) -> None:
    structure = Tiff(start + data)
    for tag, value in structure.first(range(65536)).items():
        assert 0 <= tag < 65536
        assert isinstance(value, str | bytes | tuple)
    assert 1 <= read_camera(start + data, ZONE).orientation <= 8
