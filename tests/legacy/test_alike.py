"""Which files show nearly the same picture, whatever their size, turn and compression."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from PIL import Image, ImageChops

from dicom_bridge.intake import Limits, read_photo
from dicom_bridge.legacy.alike import noted
from dicom_bridge.legacy.files import File
from dicom_bridge.legacy.survey import Candidate, Verdict
from dicom_bridge.objects.likeness import Likeness, likeness
from tests.formats import saved
from tests.photos import Shot, picture

pytestmark = pytest.mark.fast

_MODIFIED = datetime(2020, 1, 1, tzinfo=UTC)


def _seen(data: bytes) -> Likeness | None:
    return likeness(read_photo(data, Limits(), ZoneInfo("Europe/Athens")))


def _picture(seed: int = 3) -> Image.Image:
    return picture(Shot(width=960, height=720, seed=seed))


def _is_one(one: bytes, other: bytes) -> bool:
    mine, theirs = _seen(one), _seen(other)
    assert mine is not None
    assert theirs is not None
    assert mine.is_of(theirs) == theirs.is_of(mine)
    return mine.is_of(theirs)


def _turned(whole: Image.Image) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(whole.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=90, exif=exif)


def test_one_picture_in_other_files_is_one() -> None:
    whole = _picture()
    first = saved(whole, "JPEG", quality=95)
    smaller = whole.resize((whole.width // 3, whole.height // 3), Image.Resampling.LANCZOS)
    for other in (
        saved(smaller, "JPEG", quality=60),
        saved(whole, "JPEG", quality=40, progressive=True),
        saved(smaller, "PNG"),
        saved(whole, "WEBP", quality=70),
        _turned(whole),
    ):
        assert _is_one(first, other)


def test_other_photos_are_others() -> None:
    whole = _picture()
    first = saved(whole, "JPEG", quality=95)
    for other in (
        _picture(seed=4),
        whole.point(lambda level: level * 1.05),
        ImageChops.offset(whole, 12, 0),
        whole.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        whole.crop((0, 0, whole.width, whole.height * 3 // 4)),
    ):
        assert not _is_one(first, saved(other, "JPEG", quality=95))


def test_a_plain_picture_is_like_no_other() -> None:
    assert _seen(saved(Image.new("RGB", (64, 48), (120, 90, 80)), "JPEG")) is None


def _candidate(name: str, shown: Image.Image, patient: str = "anna", verdict: Verdict = Verdict.READY) -> Candidate:
    data = saved(shown, "JPEG", quality=80)
    file = File(name, len(data), _MODIFIED, io.BytesIO(data).getvalue)
    return Candidate(file, verdict, patient=patient, notes=("view unknown",), likeness=_seen(data))


def test_the_later_one_names_the_first_and_nothing_is_merged() -> None:
    one, other = _picture(), _picture(seed=4)
    small = one.resize((one.width // 2, one.height // 2))
    found = [
        _candidate("a.jpg", one),
        _candidate("b.jpg", other),
        _candidate("c.jpg", small),
        _candidate("d.jpg", small, patient="ben"),
        _candidate("e.jpg", small, verdict=Verdict.LEFT),
        _candidate("f.jpg", one, verdict=Verdict.KNOWN),
        replace(_candidate("g.jpg", one), likeness=None),
    ]
    made = noted(found)
    assert [each.notes[1:] for each in made] == [
        (),
        (),
        ("nearly the same picture as a.jpg",),
        (),
        (),
        ("nearly the same picture as a.jpg",),
        (),
    ]
    assert [replace(each, notes=()) for each in made] == [replace(each, notes=()) for each in found]
