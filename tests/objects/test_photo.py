"""The object: valid by a foreign judge, true to the original's pixels, and free of what identifies the photographer."""

from __future__ import annotations

import io
import subprocess
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import generate_frames

from consent.types import Laterality
from dicom_bridge.intake import Limits, read_photo
from dicom_bridge.objects import uids
from dicom_bridge.objects.description import PatientModule, PhotoDescription, VisitModule
from dicom_bridge.objects.photo import WrappedPhoto, wrap
from dicom_bridge.objects.read import read_object
from dicom_bridge.objects.vocabulary import find_expression, find_region, find_view
from dicom_bridge.objects.write import write_parts
from tests import photos

ZONE = ZoneInfo("Europe/Athens")
KEY = b"site key of a test, 32 bytes long"

KINDS = {
    "upright sRGB": photos.Shot(),
    "with an sRGB profile": photos.Shot(profile=photos.srgb_profile(), subsampling="4:4:4"),
    "4:2:2 of odd size": photos.Shot(width=131, height=67, subsampling="4:2:2"),
    "one pixel": photos.Shot(width=1, height=1),
    "three pixels square": photos.Shot(width=3, height=3),
    "turned": photos.Shot(orientation=6),
    "wide gamut": photos.Shot(profile=photos.wide_profile()),
    "progressive": photos.Shot(progressive=True),
    "grey": photos.Shot(mode="L"),
    "CMYK": photos.Shot(mode="CMYK"),
    "no capture time": photos.Shot(taken=None),
}


def _wrap(shot: photos.Shot, region: str = "cheek", side: Laterality = Laterality.LEFT) -> tuple[bytes, WrappedPhoto]:
    data = photos.jpeg(shot)
    photo = read_photo(data, Limits(), ZONE)
    view = {"region": region, "laterality": side.value, "view": "frontal", "expression": "frown"}
    wrapped = wrap(
        photo,
        patient=PatientModule("demo-anna", "urn:demo", "Δήμου^Άννα", date(1984, 3, 12), "F"),
        visit=VisitModule(
            uids.study_instance_uid(KEY, "v1"), datetime(2026, 5, 3, 10, tzinfo=ZONE), admission_id="v1", study_id="1"
        ),
        description=PhotoDescription(
            sop_instance_uid=uids.sop_instance_uid(KEY, "demo-anna", photo.sha256),
            series_instance_uid=uids.series_instance_uid(KEY, "v1", **view),
            region=find_region(region),
            laterality=side,
            view=find_view("frontal"),
            expression=find_expression("frown"),
            session=2,
            taken=photo.camera.taken_local,
            instance_number=1,
        ),
    )
    return data, wrapped


def _frame(wrapped: WrappedPhoto) -> bytes:
    return next(generate_frames(dcmread(io.BytesIO(wrapped.file())).PixelData, number_of_frames=1))


@pytest.mark.parametrize("shot", KINDS.values(), ids=list(KINDS))
@pytest.mark.parametrize(
    ("region", "side"), [("cheek", Laterality.LEFT), ("nose", Laterality.BOTH), ("tear-trough", Laterality.RIGHT)]
)
def test_dciodvfy_finds_no_error(tmp_path: Path, shot: photos.Shot, region: str, side: Laterality) -> None:
    _, wrapped = _wrap(shot, region, side)
    file = tmp_path / "photo.dcm"
    write_parts(file, wrapped.parts)
    done = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True, check=False)
    assert "VLPhotographicImage" in done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("Error")] == []


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_picture_is_upright_whatever_the_camera_said(orientation: int) -> None:
    data, wrapped = _wrap(photos.Shot(orientation=orientation))
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    expected = Image.open(io.BytesIO(data))
    expected.load()
    if orientation in turns:
        expected = expected.transpose(turns[orientation])  # type: ignore[assignment]
    shown = Image.open(io.BytesIO(_frame(wrapped)))
    assert shown.size == expected.size == (wrapped.copy.columns, wrapped.copy.rows)
    difference = [abs(a - b) for a, b in zip(shown.tobytes(), expected.tobytes(), strict=True)]
    assert max(difference) <= (0 if orientation == 1 else 12)
    assert sum(difference) / len(difference) < 1.5


def test_upright_baseline_srgb_keeps_the_entropy_coded_data_bit_for_bit() -> None:
    data, wrapped = _wrap(photos.Shot(profile=photos.srgb_profile()))
    scan = data[data.index(b"\xff\xda") : data.rindex(b"\xff\xd9")]
    assert scan in _frame(wrapped)
    assert dcmread(io.BytesIO(wrapped.file())).ImageType[0] == "ORIGINAL"


def test_a_wide_gamut_becomes_srgb_and_says_so() -> None:
    _, wrapped = _wrap(photos.Shot(profile=photos.wide_profile()))
    dataset = dcmread(io.BytesIO(wrapped.file()))
    assert dataset.ImageType[0] == "DERIVED"
    assert "sRGB" in dataset.DerivationDescription
    assert list(dataset.LossyImageCompressionMethod) == ["ISO_10918_1", "ISO_10918_1"]


def test_nothing_tells_where_or_by_whom(tmp_path: Path) -> None:
    for shot in (photos.Shot(), photos.Shot(orientation=8)):
        data, wrapped = _wrap(shot)
        assert b"Secretname" in data, "the test photo itself must hold what is looked for"
        for part in (wrapped.file(), _frame(wrapped)):
            assert b"Secretname" not in part
            assert b"4711" not in part
        frame = tmp_path / "frame.jpg"
        frame.write_bytes(_frame(wrapped))
        told = subprocess.run(["exiftool", "-a", "-G", str(frame)], capture_output=True, text=True, check=True).stdout
        assert "[EXIF]" not in told
        assert "GPS" not in told


def test_the_same_file_of_the_same_patient_is_the_same_photo() -> None:
    (_, one), (_, two) = _wrap(photos.Shot()), _wrap(photos.Shot())
    assert one.file() == two.file()
    assert uids.sop_instance_uid(KEY, "a", "x") != uids.sop_instance_uid(KEY, "b", "x")
    assert uids.sop_instance_uid(KEY, "a", "x") != uids.sop_instance_uid(b"another key", "a", "x")


def test_the_index_holds_the_object_without_its_pixels() -> None:
    _, wrapped = _wrap(photos.Shot())
    assert "7FE00010" not in wrapped.attributes
    assert wrapped.attributes["00100020"]["Value"] == ["demo-anna"]
    read = read_object(wrapped.file())
    assert read.attributes == wrapped.attributes
    assert read.admission_id == "v1"


def test_dcmtk_reads_what_is_written(tmp_path: Path) -> None:
    _, wrapped = _wrap(photos.Shot())
    file, out = tmp_path / "photo.dcm", tmp_path / "photo.ppm"
    write_parts(file, wrapped.parts)
    subprocess.run(["dcmj2pnm", "--write-raw-pnm", str(file), str(out)], check=True, capture_output=True)
    shown, stored = Image.open(out), Image.open(io.BytesIO(_frame(wrapped))).convert("RGB")
    difference = [abs(a - b) for a, b in zip(shown.tobytes(), stored.tobytes(), strict=True)]
    assert sum(difference) / len(difference) < 3
