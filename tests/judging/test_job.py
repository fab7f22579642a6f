"""The worker judges each photo once: against the baseline of its view, and anew where photo or reference change."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from dicom_bridge.judging import job, landmarks
from dicom_bridge.judging.asked import ask
from dicom_bridge.objects.uids import fhir_id
from dicom_bridge.objects.vocabulary import find_expression, find_region
from fhir_mapping.resources.appraisal import Appraisal, Aspect, Finding, Verdict, appraisal_id, read
from orthanc_plugin.assembly.intake import open_archive, pipeline
from tests.archive import Archive
from tests.judging.people import PORTRAIT, faulty, kept, person, photograph
from tests.links.world import Links
from tests.photos import Shot, jpeg
from tests.pipeline.world import Visit
from tests.ports import free_port

pytestmark = [
    pytest.mark.orthanc,
    pytest.mark.skipif(not PORTRAIT.is_file(), reason="the portrait is not here: make test fetches it"),
]


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Links]:
    with Archive(tmp_path_factory.mktemp("clinic"), free_port()) as archive:
        yield Links(archive)


def _taken(clinic: Links, day: int, data: bytes, patient: str, **more: Any) -> Visit:
    """A visit of May 2026 with one photo, from the front."""
    visit = replace(clinic.visit(patient), files=(data,))
    with clinic.node() as node, open_archive(node) as archive:
        plan = replace(clinic.plan(visit), taken=f"2026-05-{day:02d}T10:00:00+03:00", **more)
        list(pipeline(node, archive).take(visit.files, plan))
    return visit


def _judged(clinic: Links, sop: str) -> tuple[Appraisal, dict[str, Any]]:
    resource = clinic.resource("Observation", appraisal_id(f"DocumentReference/{fhir_id(sop)}"))
    said = read(resource, clinic.store.base)
    assert said is not None
    return said, resource


def _verdict(said: Appraisal, aspect: Aspect) -> Verdict:
    return next(each for each in said.verdicts if each.aspect is aspect)


def test_a_photo_is_judged_against_the_baseline_and_anew_where_it_changes(clinic: Links) -> None:
    clinic.person("judged")
    who, shot = person(2), kept(2, again=True)
    first = _taken(clinic, 3, photograph(who, kept(2, again=False)), "judged")
    later = _taken(clinic, 10, photograph(who, faulty("yaw", shot, 1)), "judged")
    clinic.work()
    base, turned = clinic.one(first), clinic.one(later)

    alone, _ = _judged(clinic, base.sop)
    assert alone.reference is None
    assert _verdict(alone, Aspect.YAW).words == "unknown: there is no earlier photo of this view"
    assert _verdict(alone, Aspect.WHITE_BALANCE).words.startswith("unknown without target")
    assert _verdict(alone, Aspect.YAW).value is None
    said, resource = _judged(clinic, turned.sop)
    assert said.reference == f"DocumentReference/{fhir_id(base.sop)}"
    assert _verdict(said, Aspect.YAW).finding is Finding.DIFFERS
    assert _verdict(said, Aspect.YAW).words.endswith("to the patient's left")
    assert _verdict(said, Aspect.SCALE).finding is Finding.GOOD
    assert resource["status"] == "final"
    assert resource["focus"] == [{"reference": f"DocumentReference/{fhir_id(turned.sop)}"}]
    examined = [each for each in clinic.records("examine") if "judge judged" in str(each)]
    assert examined
    assert {each["outcome"] for each in clinic.records("judge") if each["kind"] == "done"} == {"done"}

    # Asked again, nothing is done again.
    with clinic.engine.begin() as connection:
        ask(connection, ["judged"])
    clinic.work()
    assert _judged(clinic, turned.sop)[1]["meta"]["versionId"] == resource["meta"]["versionId"]
    assert [each for each in clinic.records("examine") if "judge judged" in str(each)] == examined

    # A baseline that comes later takes the place of the former one.
    earlier = _taken(clinic, 1, photograph(who, faulty("yaw", kept(3, again=True), 1)), "judged")
    clinic.work()
    said, _ = _judged(clinic, turned.sop)
    assert said.reference == f"DocumentReference/{fhir_id(clinic.one(earlier).sop)}"
    assert _verdict(said, Aspect.YAW).finding is Finding.GOOD

    # It shows another view than was said: it has no reference any more, and what was said of the former one is void.
    moved = clinic.corrected(turned.sop, view="left-lateral")
    clinic.work()
    assert _judged(clinic, turned.sop)[1]["status"] == "entered-in-error"
    assert _judged(clinic, moved)[0].reference is None


def test_a_photo_that_goes_to_another_patient_is_no_reference_any_more(clinic: Links) -> None:
    clinic.person("right")
    clinic.person("wrong")
    who = person(4)
    first = _taken(clinic, 3, photograph(who, kept(4, again=False)), "wrong")
    later = _taken(clinic, 10, photograph(who, kept(4, again=True)), "wrong")
    clinic.work()
    assert _judged(clinic, clinic.one(later).sop)[0].reference is not None
    visit = clinic.visit("right")
    clinic.corrected(clinic.one(first).sop, patient="right", visit=visit.encounter)
    clinic.work()
    assert _judged(clinic, clinic.one(later).sop)[0].reference is None


def test_what_shows_no_face_is_compared_as_far_as_it_can_be(clinic: Links) -> None:
    clinic.person("hand")
    _taken(clinic, 3, jpeg(Shot(1200, 1000, seed=5)), "hand")
    later = _taken(clinic, 10, jpeg(Shot(1200, 1000, seed=6)), "hand")
    clinic.work()
    said, _ = _judged(clinic, clinic.one(later).sop)
    assert _verdict(said, Aspect.YAW).words == "unknown: no face is seen"
    assert _verdict(said, Aspect.WHITE_BALANCE).finding is Finding.UNKNOWN
    assert _verdict(said, Aspect.RESOLUTION).finding is Finding.GOOD


def test_photos_that_nobody_judged_are_looked_for(clinic: Links) -> None:
    clinic.person("before")
    visit = _taken(clinic, 3, jpeg(Shot(seed=77)), "before")
    with clinic.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM job WHERE kind = 'judge'")
    with clinic.node("worker") as node, open_archive(node) as archive:
        job.Judging(node.engine, node.chain, archive, clinic.store, door="worker").begin()
    clinic.due()
    clinic.work()
    said, _ = _judged(clinic, clinic.one(visit).sop)
    assert _verdict(said, Aspect.RESOLUTION).words.startswith("small: 64 pixels")


def test_without_the_extra_every_word_says_so(clinic: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    """No numpy, then numpy without OpenCV: nothing fails, and what needs no face is judged."""
    clinic.person("bare")
    visit = _taken(clinic, 3, jpeg(Shot(1200, 1000, seed=8)), "bare")
    real = builtins.__import__

    def missing(*names: str) -> Any:
        def load(name: str, *more: Any, **named: Any) -> Any:
            if name.partition(".")[0] in names:
                raise ImportError(name)
            return real(name, *more, **named)

        return load

    landmarks.open_landmarks.cache_clear()
    with monkeypatch.context() as patched:
        patched.setattr(builtins, "__import__", missing("numpy", "cv2"))
        clinic.work()
    said, resource = _judged(clinic, clinic.one(visit).sop)
    assert {each.words for each in said.verdicts} == {"unknown: the extra `vision` is not installed"}
    assert {each.aspect for each in said.verdicts} == set(Aspect) - {Aspect.DISTANCE}
    assert "method" not in resource
    later = _taken(clinic, 10, jpeg(Shot(1200, 1000, seed=8, quality=80)), "bare")
    with monkeypatch.context() as patched:
        patched.setattr(builtins, "__import__", missing("cv2"))
        clinic.work()
    said, _ = _judged(clinic, clinic.one(later).sop)
    assert _verdict(said, Aspect.YAW).words == "unknown: the extra `vision` is not installed"
    assert _verdict(said, Aspect.EXPOSURE).finding is Finding.GOOD
    landmarks.open_landmarks.cache_clear()


def test_records_that_are_merged_are_judged_anew_and_again_where_it_is_undone(clinic: Links) -> None:
    """The earliest photo of a view may be under the other record; nobody photographs her for it to be noticed."""
    clinic.person("former")
    clinic.person("hers")
    who = person(5)
    first = _taken(clinic, 3, photograph(who, kept(5, again=False)), "former")
    later = _taken(clinic, 10, photograph(who, faulty("yaw", kept(5, again=True), 1)), "hers")
    clinic.work()
    sop = clinic.one(later).sop
    assert _judged(clinic, sop)[0].reference is None
    clinic.merge("former", "hers")
    clinic.work()
    said, _ = _judged(clinic, sop)
    assert said.reference == f"DocumentReference/{fhir_id(clinic.one(first).sop)}"
    assert _verdict(said, Aspect.YAW).finding is Finding.DIFFERS
    clinic.person("former")
    clinic.work()
    assert _judged(clinic, sop)[0].reference is None


def test_the_distance_is_held_against_the_protocol_of_what_was_done(clinic: Links) -> None:
    """Also of a first photo, and anew where it becomes known what she was treated with."""
    clinic.person("treated")
    rest = find_expression("rest").code
    visit = _taken(clinic, 3, photograph(person(6), kept(6, again=False)), "treated", expression=rest)
    clinic.work()
    sop = clinic.one(visit).sop
    assert _judged(clinic, sop)[0].asked is None
    face = find_region("face")
    clinic.put(
        {
            "resourceType": "Procedure",
            "id": "done-to-her",
            "status": "completed",
            "code": {"text": "Chemical peel"},
            "subject": {"reference": "Patient/treated"},
            "encounter": {"reference": f"Encounter/{visit.encounter}"},
            "bodySite": [{"coding": [{"system": face.system, "code": face.value}]}],
            "performedDateTime": "2026-05-03T11:00:00+03:00",
        }
    )
    with clinic.engine.begin() as connection:
        ask(connection, ["treated"])
    clinic.work()
    said, resource = _judged(clinic, sop)
    assert said.asked == "1:10"
    told = _verdict(said, Aspect.DISTANCE)
    assert told.finding is Finding.DIFFERS  # the generated photos are at 1:13.6
    assert told.words.startswith("too far away: a ratio of 1:13")
    assert "peel" not in str(resource).lower()
