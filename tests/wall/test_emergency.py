"""An emergency is about one patient: what is asked of her alone is answered, what is asked of several is not."""

from __future__ import annotations

import json

import pytest

from dicom_bridge.query.orthanc_ids import orthanc_ids
from tests.archive import Archive, Photo, Reply
from tests.store.world import consent

pytestmark = pytest.mark.orthanc

EMERGENCY = {"X-Emergency-Reason": "no%20pulse"}


@pytest.fixture(scope="module")
def photos(archive: Archive) -> tuple[Photo, Photo]:
    """A photo of Anna, who denied treatment, and one of Ben."""
    archive.consent(consent("no", "deny", "TREAT", "anna"))
    return archive.photo("anna", visit="1"), archive.photo("ben", visit="2")


def _ask(archive: Archive, path: str) -> Reply:
    return archive.ask(path, "clinician", "BTG", headers=EMERGENCY)


def test_what_belongs_to_one_patient_is_listed_in_an_emergency(archive: Archive, photos: tuple[Photo, Photo]) -> None:
    photo = photos[0]
    ids = orthanc_ids("PID-anna", photo.study, photo.series, photo.sop)
    for path in (
        f"/studies/{ids.study}",
        f"/patients/{ids.patient}/instances",
        f"/instances/{ids.instance}/study",
        f"/dicom-web/studies?StudyInstanceUID={photo.study}",
        "/dicom-web/instances?PatientID=PID-anna",
        f"/dicom-web/studies/{photo.study}/series",
        f"/dicom-web/studies/{photo.study}/metadata",
    ):
        answer = _ask(archive, path)
        assert answer.status == 200, path
        marks = (photo.study, photo.sop, ids.study, ids.instance)
        assert any(mark.encode() in answer.body for mark in marks), path


def test_searches_with_a_body_are_about_one_patient_too(archive: Archive, photos: tuple[Photo, Photo]) -> None:
    photo = photos[0]
    for body, found in (
        ({"Level": "Instance", "Query": {"PatientID": "PID-anna"}}, True),
        ({"Level": "Study", "Query": {"StudyInstanceUID": photo.study}}, True),
        ({"Level": "Study", "Query": {}}, False),
    ):
        answer = archive.ask(
            "/tools/find", "clinician", "BTG", method="POST", headers=EMERGENCY, body=json.dumps(body).encode()
        )
        assert (answer.status, answer.body != b"[]") == (200, found), body


def test_what_belongs_to_several_patients_is_not(archive: Archive, photos: tuple[Photo, Photo]) -> None:
    for path in ("/studies", "/patients", "/dicom-web/studies", "/dicom-web/instances"):
        answer = _ask(archive, path)
        assert (answer.status, answer.body) == (200, b"[]"), path
