"""Where one photo lies on another, as a Spatial Registration that programs of others read."""

from __future__ import annotations

import io
import subprocess
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from consent.types import Laterality
from dicom_bridge.errors import ObjectRefused
from dicom_bridge.intake import Limits, read_photo
from dicom_bridge.objects.description import PhotoDescription
from dicom_bridge.objects.kept import Named
from dicom_bridge.objects.photo import wrap
from dicom_bridge.objects.registration import Laid, Registration, registration
from dicom_bridge.objects.vocabulary import find_region, find_view
from dicom_bridge.query.classes import SPATIAL_REGISTRATION
from tests.objects.test_photo import ANNA, VISIT, ZONE
from tests.photos import Shot, jpeg

LAID = Laid(
    "2.25.31", "2.25.32", 0.98, 0.17, 41.5, -12.25, (32, 24), (48, 32), 0.213, "Dr Eleni Παππά", "2"
)  # fmt: skip
SAID = Registration(Named("2.25.301", "2.25.302", 1), "2.25.303", LAID, datetime(2026, 6, 1, 12, tzinfo=ZONE))


def photo_file(uid: str, size: tuple[int, int], study: str = VISIT.study_instance_uid, series: str = "2.25.2") -> bytes:
    """A photo's object."""
    photo = read_photo(jpeg(Shot(width=size[0], height=size[1])), Limits(), ZONE)
    description = PhotoDescription(
        uid, series, find_region("face"), Laterality.BOTH, find_view("frontal"), instance_number=1
    )
    visit = replace(VISIT, study_instance_uid=study)
    return wrap(photo, patient=ANNA, visit=visit, description=description).file()


FIXED, MOVED = photo_file("2.25.31", (64, 48), "2.25.41"), photo_file("2.25.32", (96, 64), "2.25.42")


def _faults(file: bytes, tmp_path: Path) -> list[str]:
    path = tmp_path / "object.dcm"
    path.write_bytes(file)
    done = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False)
    assert "SpatialRegistration" in done.stderr, done.stderr
    # An empty side is what the standard wants where it is not known; that program would rather have none or one.
    return [
        line
        for line in done.stderr.splitlines()
        if (line.startswith(("Error", "Warning")) and "Laterality" not in line) or line.startswith("Error")
    ]


@pytest.mark.parametrize("study", ["2.25.41", "2.25.42"])
def test_dciodvfy_finds_nothing(tmp_path: Path, study: str) -> None:
    assert _faults(registration(FIXED, photo_file("2.25.32", (96, 64), study), SAID).file, tmp_path) == []


def test_the_matrix_is_about_the_pixels_of_the_objects() -> None:
    found = dcmread(io.BytesIO(registration(FIXED, MOVED, SAID).file))
    still, moved = found.RegistrationSequence
    assert still.ReferencedImageSequence[0].ReferencedSOPInstanceUID == "2.25.31"
    assert moved.ReferencedImageSequence[0].ReferencedSOPInstanceUID == "2.25.32"
    first, second = (
        np.array(each.MatrixRegistrationSequence[0].MatrixSequence[0].FrameOfReferenceTransformationMatrix, float)
        for each in (still, moved)
    )
    assert (first.reshape(4, 4) == np.eye(4)).all()
    # The photos as they were aligned were half as large as the objects, both.
    x, y = 20.0, 10.0
    there = (LAID.a * x - LAID.b * y + LAID.dx, LAID.b * x + LAID.a * y + LAID.dy)
    assert second.reshape(4, 4) @ [2 * x, 2 * y, 0, 1] == pytest.approx([2 * there[0], 2 * there[1], 0, 1])


def test_it_says_who_when_how_surely_and_of_which_photos() -> None:
    found = dcmread(io.BytesIO(registration(FIXED, MOVED, SAID).file))
    assert found.SOPClassUID == SPATIAL_REGISTRATION
    assert (found.Modality, found.StudyInstanceUID, found.PatientID) == ("REG", "2.25.42", ANNA.id)
    assert str(found.ContentCreatorName).rstrip("^") == "Dr Eleni Παππά"
    assert (found.ContentDate, found.ContentTime) == ("20260601", "120000")
    how = found.RegistrationSequence[1].MatrixRegistrationSequence[0]
    assert "0.21 %" in how.FrameOfReferenceTransformationComment
    assert "method 2" in how.FrameOfReferenceTransformationComment
    (here,) = found.ReferencedSeriesSequence
    assert here.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == "2.25.32"
    (there,) = found.StudiesContainingOtherReferencedInstancesSequence
    assert there.StudyInstanceUID == "2.25.41"


def test_what_is_no_photo_is_refused() -> None:
    for data in (b"", b"x" * 200, FIXED[:300]):
        with pytest.raises(ObjectRefused):
            registration(data, MOVED, SAID)
        with pytest.raises(ObjectRefused):
            registration(FIXED, data, SAID)
