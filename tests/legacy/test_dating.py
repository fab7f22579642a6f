"""Which date of a photo is believed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from consent.directive import Span
from dicom_bridge.intake import CameraFacts
from dicom_bridge.legacy.dating import Evidence, Source, dated, of_camera, of_moment, of_path

pytestmark = pytest.mark.fast

ZONE = ZoneInfo("Europe/Athens")
NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("path", "days"),
    [
        ("IMG_20190305_101112.jpg", ["file-name 2019-03-05T10:11:12+02:00"]),
        ("Anna/2019-03-05/x.jpg", ["folder-name 2019-03-05"]),
        ("2018-01-01/2019-03-05 b.jpg", ["file-name 2019-03-05", "folder-name 2018-01-01"]),
        ("2018-01-01/sub/x.jpg", ["folder-name 2018-01-01"]),
        ("2019.03.05 10.11.12.png", ["file-name 2019-03-05T10:11:12+02:00"]),
        ("WhatsApp Image 2019-03-05 at 10.11.jpg", ["file-name 2019-03-05"]),
        ("120190305.jpg", []),
        ("20191305.jpg", []),
        ("20190231.jpg", []),
        ("2019-03.05.jpg", []),
        ("20300101.jpg", []),
        ("5.3.2019.jpg", []),
    ],
)
def test_names_say_days(path: str, days: list[str]) -> None:
    assert [f"{each.source} {each.taken}" for each in of_path(path, ZONE, NOW)] == days


def _camera(local: datetime) -> CameraFacts:
    return CameraFacts(taken_local=local, taken=Span(local, local + timedelta(seconds=1)))


def test_a_clock_that_was_never_set_says_nothing() -> None:
    zoned = datetime(2019, 3, 5, 1, tzinfo=timezone(timedelta(hours=2)))
    said = of_camera(_camera(zoned), ZONE, NOW)
    assert said == Evidence(Source.CAMERA_ZONED, date(2019, 3, 5), "2019-03-05T01:00:00+02:00")
    local = of_camera(_camera(datetime(2019, 3, 5, 1, tzinfo=ZONE)), ZONE, NOW)
    assert local is not None
    assert local.source is Source.CAMERA
    assert of_camera(_camera(datetime(1970, 1, 1, tzinfo=ZONE)), ZONE, NOW) is None
    assert of_camera(_camera(datetime(2031, 1, 1, tzinfo=ZONE)), ZONE, NOW) is None
    assert of_camera(CameraFacts(), ZONE, NOW) is None


def _says(source: Source, day: int, taken: str | None = None) -> Evidence:
    return Evidence(source, date(2019, 3, day), taken or f"2019-03-{day:02}")


def test_the_best_source_is_believed_and_the_others_are_told() -> None:
    camera = _says(Source.CAMERA, 5, "2019-03-05T10:00:00+02:00")
    found = dated([_says(Source.FILE_TIME, 9), camera, _says(Source.PATTERN, 5)])
    # The path says the day, the camera agrees and knows the time.
    assert (found.source, found.taken, found.certainty) == (Source.PATTERN, camera.taken, "stated")
    assert [each.source for each in found.others] == [Source.FILE_TIME]
    torn = dated([camera, _says(Source.PATTERN, 6)])
    assert (torn.day, torn.taken) == (date(2019, 3, 6), "2019-03-06")
    assert torn.others == (camera,)


def test_the_time_of_a_file_is_believed_where_somebody_says_so() -> None:
    said = _says(Source.FILE_TIME, 9)
    assert dated([said]).day is None
    assert dated([said]).others == (said,)
    assert dated([said], Source.FILE_TIME).day == said.day
    assert dated([]).source is Source.NONE


def test_a_day_in_the_future_is_none() -> None:
    future = datetime.fromisoformat("2026-05-02T12:00")
    assert of_moment(Source.MANIFEST, future, timed=True, zone=ZONE, now=NOW) is None
