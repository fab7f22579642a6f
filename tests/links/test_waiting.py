"""Photos that wait are listed with what they say and where they may belong, and are linked by a person."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from dicom_bridge.pipeline import Outcome
from fhir_mapping.resources.document_reference import ORIGINAL_HASH
from fhir_mapping.resources.task import OBJECT_WAITS, PHOTO_OF_ANOTHER
from orthanc_plugin.assembly.intake import open_archive, pipeline
from tests.links.world import Links, read

pytestmark = [pytest.mark.orthanc]


def _told(clinic: Links, *words: str, **options: str | None) -> dict[str, Any]:
    result = clinic.link(*words, "--json", **options)
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def _task(clinic: Links, code: str, sop: str) -> dict[str, Any]:
    (found,) = [each for each in clinic.tasks(code) if each["input"][0]["valueIdentifier"]["value"] == f"urn:oid:{sop}"]
    return found


def test_what_waits_is_listed_with_a_guess(clinic: Links) -> None:
    clinic.person("wanda")
    visit = clinic.visit("wanda")
    made = clinic.sent(700, StudyDate="20260503", ContentDate="20260503", PatientID="PID-wanda")
    result = clinic.link("--list", "--json")
    assert result.exit_code == 0, result.output
    (told,) = [each for each in json.loads(result.stdout) if each["sop_uid"] == made.sop]
    assert "No visit" in told["why"]
    assert told["says"]["Accession Number"] == "NOBODY-700"
    assert {"patient": "wanda", "visit": visit.encounter} in told["suggestions"]
    assert clinic.link("--list", account="clinician").exit_code == 1
    assert clinic.records("link --list")[-1]["account"] == "linker"
    plain = clinic.link("--list")
    assert f"photospine link {made.sop} --patient wanda --visit {visit.encounter}" in plain.stdout


def test_one_that_says_nothing_else_is_linked_as_it_is(clinic: Links) -> None:
    visit = clinic.visit()
    made = clinic.sent(710, PatientID="PID-anna")
    objects = clinic.instances()
    told = _told(clinic, made.sop, visit=visit.encounter)
    assert (told["new_instance"], told["done"]["sop_uid"], told["done"]["rejected"]) == (False, made.sop, [])
    assert clinic.instances() == objects
    assert clinic.seen(made.sop)
    assert _task(clinic, OBJECT_WAITS, made.sop)["status"] == "completed"
    document = clinic.document(made.sop)
    assert document["subject"] == {"reference": "Patient/anna"}
    assert document["context"]["encounter"] == [{"reference": f"Encounter/{visit.encounter}"}]
    assert document["identifier"][1] == {"system": ORIGINAL_HASH, "value": hashlib.sha256(made.dicom).hexdigest()}


@pytest.mark.parametrize(
    ("attributes", "options"),
    [
        ({"PatientID": "PID-ben", "PatientName": "Familyben^Given"}, {}),
        ({"PatientID": "NOBODY", "PatientName": "Wrong^Name"}, {}),
        ({"PatientID": "PID-anna"}, {"region": "cheek", "laterality": "R", "view": "right-lateral"}),
    ],
)
def test_one_that_says_something_else_is_made_anew(
    clinic: Links, tmp_path: Path, attributes: dict[str, str], options: dict[str, str]
) -> None:
    visit = clinic.visit()
    seed = 720 + 3 * len(options) + len(attributes) + 10 * ("NOBODY" in attributes.values())
    made = clinic.sent(seed, **attributes)
    told = _told(clinic, made.sop, visit=visit.encounter, **options)
    assert told["new_instance"]
    fresh = clinic.row(told["done"]["sop_uid"])
    assert clinic.seen(fresh.sop)
    assert not clinic.seen(made.sop)
    data = clinic.file_of(fresh)
    after = read(data)
    assert after.PixelData == read(made.dicom).PixelData
    assert (after.PatientID, after.AdmissionID) == ("PID-anna", f"V-{visit.encounter.rpartition('-')[2]}")
    assert b"Wrong" not in data
    assert b"comment-" not in data
    # What arrived as DICOM is its own original: all that its sender wrote can be given back.
    assert clinic.original_of(fresh) == clinic.file_of(clinic.row(made.sop)) == made.dicom
    assert clinic.faults(data, tmp_path) == []
    assert _task(clinic, OBJECT_WAITS, made.sop)["status"] == "completed"


def test_a_file_of_two_patients_is_linked_by_a_person(clinic: Links) -> None:
    known, wrong, right = clinic.visit("anna"), clinic.visit("ben"), clinic.visit("ben")
    clinic.take(known)
    with clinic.node() as node, open_archive(node) as archive:
        (taken,) = pipeline(node, archive).take(known.files, clinic.plan(wrong))
    assert taken.outcome is Outcome.UNLINKED
    told = _told(clinic, taken.sop_uid, visit=right.encounter)
    fresh = clinic.row(told["done"]["sop_uid"])
    assert (fresh.patient, told["new_instance"]) == ("ben", True)
    assert clinic.seen(fresh.sop)
    assert clinic.seen(clinic.one(known).sop)
    assert clinic.original_of(fresh) == known.files[0]
    assert _task(clinic, PHOTO_OF_ANOTHER, taken.sop_uid)["status"] == "completed"
    document = clinic.document(fresh.sop)
    assert document["context"]["encounter"] == [{"reference": f"Encounter/{right.encounter}"}]
    assert document["author"] == [{"reference": "Practitioner/clinician"}]


def test_a_file_of_two_patients_is_linked_where_it_was_sent_for_as_it_is(clinic: Links) -> None:
    known, visit = clinic.visit("anna"), clinic.visit("ben")
    clinic.take(known)
    with clinic.node() as node, open_archive(node) as archive:
        (taken,) = pipeline(node, archive).take(known.files, clinic.plan(visit))
        told = _told(clinic, taken.sop_uid, visit=visit.encounter)
        assert (told["new_instance"], told["done"]["sop_uid"]) == (False, taken.sop_uid)
        (again,) = pipeline(node, archive).take(known.files, clinic.plan(visit))
    assert (again.outcome, again.sop_uid) == (Outcome.KNOWN, taken.sop_uid)
    assert clinic.seen(taken.sop_uid)
    assert clinic.document(taken.sop_uid)["subject"] == {"reference": "Patient/ben"}


def test_what_arrived_is_corrected_as_what_was_taken_in(clinic: Links, tmp_path: Path) -> None:
    visit = clinic.visit("anna")
    other = clinic.visit("ben")
    made = clinic.sent(761, PatientID="PID-anna")
    _told(clinic, made.sop, visit=visit.encounter)
    fresh = clinic.row(clinic.corrected(made.sop, visit=other.encounter, patient="ben"))
    assert clinic.original_of(fresh) == made.dicom
    again = clinic.row(clinic.corrected(fresh.sop, laterality="L", region="cheek"))
    assert clinic.original_of(again) == made.dicom
    assert clinic.faults(clinic.file_of(again), tmp_path) == []
    for sop in (made.sop, fresh.sop):
        assert not clinic.seen(sop)
