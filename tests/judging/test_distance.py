"""How near a photo was taken, against the protocol: by the face in it, or by what the camera says; else not at all."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import cache

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from dicom_bridge.judging.distance import UNTOLD, Lens, lens_of
from dicom_bridge.judging.landmarks import open_landmarks
from dicom_bridge.judging.measure import Measured, measure
from dicom_bridge.judging.picture import decode
from dicom_bridge.judging.verdicts import judge
from dicom_bridge.protocols.protocol import Shot as Asked
from fhir_mapping.resources.appraisal import Aspect, Finding, Verdict
from tests.judging.people import PORTRAIT, kept, person, photograph
from tests.judging.test_target import ASKED

needs_portrait = pytest.mark.skipif(not PORTRAIT.is_file(), reason="the portrait is not here: make test fetches it")
BY_RATIO = replace(ASKED, target=None)


@cache
def _face(scale: float = 1.0) -> Measured:
    """The eyes' outer corners are 147 of 800 pixels apart: 90 mm of 490, which is 1:13.6 on 36 mm."""
    shot = replace(kept(0, again=False), scale=scale)
    return measure(decode(photograph(person(0), shot)), open_landmarks())


def _told(photo: Measured, asked: Asked) -> Verdict:
    (found,) = [each for each in judge(photo, None, None, asked) if each.aspect is Aspect.DISTANCE]
    return found


@needs_portrait
def test_a_face_tells_the_ratio() -> None:
    assert _told(_face(), replace(BY_RATIO, ratio=13.6)).finding is Finding.GOOD
    far = _told(_face(), replace(BY_RATIO, ratio=9.0))
    assert far.finding is Finding.DIFFERS
    assert far.words.startswith("too far away: a ratio of 1:13")
    assert far.words.endswith("the protocol asks for 1:9")
    assert far.value is not None
    assert far.value == pytest.approx(-34, abs=6)
    near = _told(_face(1.5), replace(BY_RATIO, ratio=13.6))
    assert near.words.startswith("too near: a ratio of 1:9")


@needs_portrait
def test_a_face_and_the_lens_tell_the_distance() -> None:
    asked = replace(BY_RATIO, ratio=None, distance_cm=120.0)
    assert _told(_face(), asked).words == "unknown: the camera tells no distance"
    assert _told(replace(_face(), lens=Lens(focal_mm=85.0)), asked).finding is Finding.GOOD
    wrong = _told(replace(_face(), lens=Lens(focal_mm=35.0)), asked)
    assert wrong.words.startswith("too near: a distance of 5")
    assert wrong.words.endswith("the protocol asks for 120 cm")
    # What the camera measured goes before what follows from a face.
    assert _told(replace(_face(), lens=Lens(35.0, 1250.0)), asked).finding is Finding.GOOD


@needs_portrait
def test_without_a_face_the_camera_tells_or_nobody() -> None:
    hand = replace(_face(), face=None, upright=None)
    assert _told(hand, BY_RATIO).words == "unknown: neither a face nor the camera tells how near it was"
    assert _told(replace(hand, lens=Lens(100.0, 1100.0)), BY_RATIO).finding is Finding.GOOD
    assert _told(replace(hand, lens=Lens(100.0, 700.0)), BY_RATIO).words == (
        "too near: a ratio of 1:6, the protocol asks for 1:10"
    )


@needs_portrait
def test_where_no_protocol_asks_nothing_is_said_of_the_distance() -> None:
    assert Aspect.DISTANCE not in {each.aspect for each in judge(_face(), _face())}


@pytest.mark.parametrize(
    ("focal", "distance", "told"),
    [
        ("85", "1.25", Lens(85.0, 1250.0)),
        ("0", "0", UNTOLD),
        (None, "4294967295", UNTOLD),
        ("50", None, Lens(50.0, None)),
    ],
)
def test_what_the_camera_says_is_read(focal: str | None, distance: str | None, told: Lens) -> None:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.77.1.4", "2.25.1"
    if focal is not None:
        dataset.FocalLengthIn35mmFilm = focal
    if distance is not None:
        dataset.SubjectDistance = distance
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    assert lens_of(out.getvalue()) == told
    assert lens_of(b"no object") == UNTOLD
