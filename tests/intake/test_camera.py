"""EXIF facts: time in its precision, and nothing that tells where or who."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_bridge.intake import CameraFacts, Limits, read_photo
from dicom_bridge.intake.camera import read_camera
from tests import photos

pytestmark = pytest.mark.fast

ZONE = ZoneInfo("Europe/Athens")


def _camera(shot: photos.Shot) -> CameraFacts:
    return read_photo(photos.jpeg(shot), Limits(), ZONE).camera


def test_the_time_is_that_of_the_camera_in_its_precision() -> None:
    camera = _camera(photos.Shot())
    assert camera.taken is not None
    assert camera.taken.start == datetime(2026, 5, 3, 7, 0, 0, 250_000, tzinfo=UTC)
    assert camera.taken.end == camera.taken.start + timedelta(milliseconds=10)


def test_without_an_offset_the_time_is_in_the_sites_zone() -> None:
    camera = _camera(photos.Shot(taken="2026:01:03 10:00:00", offset=None))
    assert camera.taken_local == datetime(2026, 1, 3, 10, 0, 0, 250_000, tzinfo=ZONE)


@pytest.mark.parametrize("taken", [None, "0000:00:00 00:00:00", "yesterday", "2026:13:40 10:00:00"])
def test_a_time_that_does_not_exist_is_unknown(taken: str | None) -> None:
    assert _camera(photos.Shot(taken=taken)).taken is None


def test_settings_are_read_and_identities_are_not() -> None:
    camera = _camera(photos.Shot())
    assert (camera.make, camera.model, camera.f_number, camera.iso) == ("Phonemaker", "Phone 7", 1.8, 125)
    everything = " ".join(str(getattr(camera, field.name)) for field in fields(camera))
    assert "Secretname" not in everything
    assert "4711" not in everything


@given(st.binary(max_size=400))
def test_damaged_exif_says_nothing_and_stops_nothing(data: bytes) -> None:
    camera = read_camera(data, ZONE)
    assert 1 <= camera.orientation <= 8
