"""The demo clinic is valid FHIR, and holds what the walk-through shows."""

from __future__ import annotations

import io
from datetime import date, timedelta

import fhirkit
import pytest
from PIL import Image

from fhir_mapping.text import dump
from orthanc_plugin.assembly.demo import around, clinic, courses, pictures, resources, today

pytestmark = pytest.mark.fast


def _resources() -> list[resources.Json]:
    bundles = [
        resources.foundation(),
        *resources.visits(),
        around.around(),
        *courses.bundles(lambda visit, view: f"{visit}-{view.region}"),
        today.today(date(2026, 5, 3)),
    ]
    return [entry["resource"] for bundle in bundles for entry in bundle["entry"]] + resources.consents("photo-1")


@pytest.mark.parametrize("resource", _resources(), ids=lambda resource: f"{resource['resourceType']}-{resource['id']}")
def test_every_resource_is_valid_r4(resource: resources.Json) -> None:
    issues = fhirkit.validate(dump(resource).decode())
    assert [issue for issue in issues if issue.severity == "error"] == []


def test_six_patients_and_one_of_them_with_six_sessions() -> None:
    assert len(clinic.PEOPLE) == 6
    treated = {course.patient: len(course.severities) - 1 for course in clinic.COURSES}
    assert max(treated.values()) == 6
    assert set(treated) == {person.key for person in clinic.PEOPLE}


def test_two_patients_share_a_lot() -> None:
    lots: dict[str, set[str]] = {}
    for course in clinic.COURSES:
        if course.product:
            lots.setdefault(course.product.lot, set()).add(course.patient)
    assert sorted(len(patients) for patients in lots.values())[-1] == 2


def test_every_shot_is_another_file_taken_before_its_patient_signed() -> None:
    shots = clinic.shots()
    assert len({shot.name for shot in shots}) == len(shots)
    assert max(shot.taken for shot in shots) < clinic.KNOWN_SINCE + timedelta(days=1)


def test_a_turned_picture_is_upright_for_a_reader_who_honours_exif() -> None:
    picture = pictures.skin(tone=(200, 160, 140), marks="spots", severity=1.0, seed=2)
    data = pictures.jpeg(picture, taken=clinic.KNOWN_SINCE, orientation=6)
    with Image.open(io.BytesIO(data)) as opened:
        assert opened.size == (picture.height, picture.width)
        assert opened.getexif()[0x0112] == 6
        upright = opened.transpose(Image.Transpose.ROTATE_270)
    assert upright.size == picture.size
    small = (30, 40)
    pairs = zip(picture.resize(small).convert("L").tobytes(), upright.resize(small).convert("L").tobytes(), strict=True)
    assert max(abs(a - b) for a, b in pairs) < 24
