"""EXIF into group 0016 and back, held against headers that share no code with it; and what identifies, kept or not."""

from __future__ import annotations

import io
import subprocess
import time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset

from consent.types import Laterality
from dicom_bridge.intake import Identifying, Limits, read_photo
from dicom_bridge.objects.camera_module import exif_of
from dicom_bridge.objects.description import PatientModule, PhotoDescription, VisitModule
from dicom_bridge.objects.photo import WrappedPhoto, wrap
from dicom_bridge.objects.vocabulary import find_region, find_view
from tests.counts import count, report
from tests.headers import SECRETS, header

pytestmark = pytest.mark.fast

ZONE = ZoneInfo("Europe/Athens")


def _file(exif: Image.Exif) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (16, 16), (180, 140, 120)).save(out, "JPEG", exif=exif)
    return out.getvalue()


def _wrapped(data: bytes, *kept: Identifying) -> WrappedPhoto:
    photo = read_photo(data, Limits(), ZONE, kept)
    described = PhotoDescription(
        "2.25.1", "2.25.2", find_region("face"), Laterality.BOTH, find_view("frontal"), taken=photo.camera.taken_local
    )
    return wrap(photo, patient=PatientModule("P"), visit=VisitModule("2.25.3"), description=described)


def _object(wrapped: WrappedPhoto) -> Dataset:
    return dcmread(io.BytesIO(wrapped.file()))


def test_headers_of_cameras_come_back_equal_and_tell_no_secret() -> None:
    asked, started = count("EXIF headers round trip", small=30, full=500), time.monotonic()
    failures = tags = 0
    for seed in range(asked):
        expected, exif = header(seed)
        data = _file(exif)
        assert all(secret.encode() in data for secret in SECRETS[:4]), "it must hold what is looked for"
        wrapped = _wrapped(data)
        told = exif_of(_object(wrapped))
        apart = {hex(tag): (value, told.get(tag)) for tag, value in expected.items() if told.get(tag) != value}
        assert told.keys() <= expected.keys(), seed
        leaked = [
            secret for secret in SECRETS if secret.encode() in wrapped.file() or secret in str(wrapped.attributes)
        ]
        tags += len(expected)
        failures += bool(apart or leaked)
        assert not apart, (seed, apart)
        assert not leaked, seed
    report(
        "EXIF headers: every mapped tag back, no secret in object or index",
        asked=asked,
        run=asked,
        failures=failures,
        seed=0,
        started=started,
        measured=f"{tags} tags",
    )


def test_nothing_that_identifies_is_there_by_default() -> None:
    dataset = _object(_wrapped(_file(header(1)[1])))
    for keyword in ("CameraOwnerName", "DeviceSerialNumber", "LensSerialNumber", "MakerNote", "GPSLatitude"):
        assert keyword not in dataset
    assert not any(0x70 <= element.tag.element <= 0x8E for element in dataset.group_dataset(0x0016))


_KEPT: dict[Identifying, dict[str, Any]] = {
    Identifying.OWNER: {"CameraOwnerName": "Owner Secretname"},
    Identifying.SERIAL: {"DeviceSerialNumber": "SERIAL-4711", "LensSerialNumber": "LENS-0815"},
    Identifying.MAKER_NOTE: {"MakerNote": b"MAKER\0" + b"MAKERSECRET" * 3 + b"\0"},
    Identifying.LOCATION: {
        "GPSLatitudeRef": "N",
        "GPSLatitude": [37, 58, 58.123],
        "GPSLongitude": [23, 43, 40.4],
        "GPSAltitude": 123.4,
        "GPSAltitudeRef": 0,
        "GPSMapDatum": "WGS-84",
        "GPSTimeStamp": "20260503072001+0000",
        "GPSDateStamp": "20260503",
    },
}


@pytest.mark.parametrize("kept", Identifying)
def test_what_a_site_keeps_is_there_and_nothing_more(tmp_path: Path, kept: Identifying) -> None:
    wrapped = _wrapped(_file(header(1)[1]), kept)
    dataset = _object(wrapped)
    for each, expected in _KEPT.items():
        for keyword, value in expected.items():
            if each is not kept:
                assert keyword not in dataset
            elif keyword.startswith("GPS") and keyword.endswith("Stamp"):
                assert str(dataset.get(keyword)) == value
            else:
                found = dataset[keyword].value
                assert (list(found) if isinstance(value, list) else found) == value
    file = tmp_path / "photo.dcm"
    file.write_bytes(wrapped.file())
    done = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True, check=False)
    assert not [line for line in done.stderr.splitlines() if line.startswith("Error")]


def test_places_in_the_picture_are_left_out_where_it_was_turned() -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9214] = (5, 6)
    assert exif_of(_object(_wrapped(_file(exif))))[0x9214] == (5, 6)
    exif[0x0112] = 6
    assert 0x9214 not in exif_of(_object(_wrapped(_file(exif))))
