"""Originals that are kept as a recipe: what comes back is the file, byte for byte, or nothing."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping
from zoneinfo import ZoneInfo

import pytest

from consent.types import Laterality
from dicom_bridge.intake import Jpeg, Limits, read_photo
from dicom_bridge.objects.description import PatientModule, PhotoDescription, VisitModule
from dicom_bridge.objects.photo import wrap
from dicom_bridge.objects.vocabulary import find_region, find_view
from dicom_bridge.query.folded import DoesNotUnfold, fold, is_folded, unfold
from tests import photos
from tests.counts import count, report

pytestmark = pytest.mark.fast

ZONE = ZoneInfo("Europe/Athens")


def _made(data: bytes) -> tuple[Jpeg, bytes]:
    """What a file says, and its object."""
    photo = read_photo(data, Limits(), ZONE)
    described = PhotoDescription("2.25.1", "2.25.2", find_region("face"), Laterality.BOTH, find_view("frontal"))
    made = wrap(photo, patient=PatientModule("P"), visit=VisitModule("2.25.3"), description=described)
    assert isinstance(photo.source, Jpeg)
    return photo.source, made.file()


def _folded(data: bytes) -> tuple[bytes | None, bytes]:
    jpeg, file = _made(data)
    return fold(data, hashlib.sha256(data).hexdigest(), jpeg.kept, file), file


def test_what_is_folded_comes_back_byte_for_byte_and_takes_little_room() -> None:
    asked = count("originals folded", small=25, full=500)
    chance, failures, most = random.Random(7), 0, 0.0
    for number in range(asked):
        shot = photos.Shot(
            width=chance.randrange(1, 900),
            height=chance.randrange(1, 900),
            subsampling=chance.choice(("4:4:4", "4:2:2", "4:2:0")),
            mode=chance.choice(("RGB", "RGB", "L")),
            restart_rows=chance.choice((0, 1)),
            profile=chance.choice((None, photos.srgb_profile())),
            seed=number,
        )
        data = photos.jpeg(shot) + chance.randbytes(chance.choice((0, 0, 1, 5000)))
        recipe, file = _folded(data)
        failures += recipe is None or unfold(recipe, file) != data
        most = max(most, (len(recipe or data) + len(file) - len(data)) / 1024)
    report(
        "originals folded and rebuilt byte for byte",
        asked=asked,
        run=asked,
        failures=failures,
        seed=7,
        measured=f"object and recipe together at most {most:.1f} KiB longer than the file",
    )
    assert failures == 0
    assert most < 8


def test_a_photo_of_a_phone_takes_at_most_a_tenth_more_than_its_file() -> None:
    data = photos.jpeg(photos.Shot(width=1600, height=1200, quality=95, seed=3))
    recipe, file = _folded(data)
    assert recipe is not None
    assert len(recipe) + len(file) <= 1.1 * len(data)


@pytest.mark.parametrize(
    "shot", [photos.Shot(orientation=6), photos.Shot(progressive=True)], ids=["turned", "progressive"]
)
def test_what_the_object_does_not_hold_is_not_folded(shot: photos.Shot) -> None:
    assert _folded(photos.jpeg(shot))[0] is None


def test_a_whole_original_is_given_as_it_is() -> None:
    data = photos.jpeg()
    assert not is_folded(data)
    assert unfold(data, b"no object at all") == data


def test_nothing_comes_of_another_object_or_of_a_damaged_recipe() -> None:
    data = photos.jpeg()
    recipe, file = _folded(data)
    assert recipe is not None
    other = _made(photos.jpeg(photos.Shot(seed=2)))[1]
    for attached, beside in ((recipe, other), (recipe, b""), (recipe[:-1], file), (recipe[:60], file)):
        with pytest.raises(DoesNotUnfold):
            unfold(attached, beside)
    mark, line, rest = recipe.split(b"\n", 2)
    changes: list[Mapping[str, object]] = [
        {"length": 1},
        {"sha256": "0" * 64},
        {"pieces": []},
        {"pieces": [["frame"]]},
        {"pieces": 3},
    ]
    for change in changes:
        told = json.dumps({**json.loads(line), **change}).encode()
        with pytest.raises(DoesNotUnfold):
            unfold(b"\n".join((mark, told, rest)), file)


def test_bytes_that_look_like_pixel_data_in_front_of_it_mislead_nobody() -> None:
    data = photos.jpeg()
    recipe, file = _folded(data)
    assert recipe is not None
    decoy = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0\x08\0\0\0" + bytes(8)
    assert unfold(recipe, decoy + file) == data
