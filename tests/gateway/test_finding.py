"""C-FIND: the same answers as QIDO-RS, of permitted photos alone."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import evt

from consent.directive import Data, Reach
from tests.archive import Photo
from tests.gateway.peers import PATIENT_FIND, STUDY_FIND
from tests.gateway.world import Gate, gate, identifier
from tests.store.world import consent

pytestmark = pytest.mark.orthanc


@pytest.fixture(scope="module")
def photos(door: Gate) -> list[Photo]:
    """Anna's: two of three in one study, one hidden; one of Ben's with a name in another script."""
    made = [door.archive.photo("anna", visit="1", view=view) for view in "112"]
    document = str(made[1].facts.document)
    door.archive.consent(consent("hide", "deny", "TREAT", "anna", data=(Data(Reach.PHOTO, document),)))
    return [*made, door.archive.photo("ben", visit="2")]


def find(door: Gate, wanted: Dataset, model: str = STUDY_FIND, *, title: str = "VIEWER") -> list[Dataset]:
    """The pending answers of a query that ends in success."""
    with door.association(model, title=title) as association:
        answers = list(association.send_c_find(wanted, model))
    assert answers[-1][0].Status == 0
    assert all(status.Status in (0xFF00, 0xFF01) for status, _ in answers[:-1])
    return [found for _, found in answers[:-1] if found is not None]


def test_counts_are_of_permitted_photos(door: Gate, photos: list[Photo]) -> None:
    wanted = identifier("STUDY", PatientID="PID-anna", StudyInstanceUID="", NumberOfStudyRelatedInstances=None)
    wanted.NumberOfStudyRelatedSeries = None
    (study,) = find(door, wanted)
    assert (study.NumberOfStudyRelatedInstances, study.NumberOfStudyRelatedSeries) == (2, 2)
    assert study.StudyInstanceUID == photos[0].study
    assert study.SpecificCharacterSet == "ISO_IR 192"
    assert study.RetrieveAETitle == "PHOTOSPINE"
    series = find(door, identifier("SERIES", StudyInstanceUID=photos[0].study, SeriesInstanceUID="", Modality=""))
    assert {each.SeriesInstanceUID for each in series} == {photos[0].series, photos[2].series}
    one = identifier("IMAGE", StudyInstanceUID=photos[0].study, SeriesInstanceUID=photos[0].series, SOPInstanceUID="")
    assert [each.SOPInstanceUID for each in find(door, one)] == [photos[0].sop]


def test_patient_root(door: Gate, photos: list[Photo]) -> None:
    wanted = identifier("PATIENT", PatientID="", PatientName="family*", NumberOfPatientRelatedInstances=None)
    found = {each.PatientID: each.NumberOfPatientRelatedInstances for each in find(door, wanted, PATIENT_FIND)}
    assert found == {"PID-anna": 2, "PID-ben": 1}


def test_names_are_asked_for_in_any_script(door: Gate, photos: list[Photo]) -> None:
    wanted = identifier("STUDY", PatientName="ΔΗΜΟΥ*", StudyInstanceUID="")
    wanted.SpecificCharacterSet = "ISO_IR 126"
    assert find(door, wanted) == []


def test_a_portal_finds_its_patient_alone(door: Gate, photos: list[Photo]) -> None:
    door.archive.consent(consent("hers", "permit", "PATRQT", "anna"))
    door.peer("PORTAL", "portal", "PATRQT")
    door.peer("STUDIO", "marketing", "PORTFOLIO")
    wanted = identifier("STUDY", PatientID="", StudyInstanceUID="")
    assert {each.PatientID for each in find(door, wanted, title="PORTAL")} == {"PID-anna"}
    assert find(door, wanted, title="STUDIO") == []


def test_refused_and_absent_are_answered_byte_for_byte_alike(door: Gate, photos: list[Photo]) -> None:
    seen = []
    for uid in (photos[1].sop, photos[1].sop[:-1] + "9"):
        sent: list[bytes] = []
        watch: Any = [(evt.EVT_DATA_RECV, lambda event, sent=sent: sent.append(event.data))]
        given = {"StudyInstanceUID": photos[0].study, "SeriesInstanceUID": photos[0].series, "SOPInstanceUID": uid}
        with door.association(STUDY_FIND, handlers=watch) as association:
            assert [each.Status for each, _ in association.send_c_find(identifier("IMAGE", **given), STUDY_FIND)] == [0]
        seen.append(b"".join(sent))
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    "bad",
    [
        identifier("PATIENT", PatientID="x"),
        identifier("NOTHING"),
        identifier("SERIES", SeriesInstanceUID="1.2"),
        identifier("STUDY", StudyDate="yesterday"),
    ],
    ids=["no such level here", "no level", "no unique key above", "no date"],
)
def test_a_bad_identifier_is_told_so(door: Gate, photos: list[Photo], bad: Dataset) -> None:
    with door.association(STUDY_FIND) as association:
        answers = [status.Status for status, _ in association.send_c_find(bad, STUDY_FIND)]
        assert answers == [0xA900]
        assert association.send_c_find(identifier("STUDY"), STUDY_FIND)  # the association stands


def test_a_key_that_is_not_matched_is_told_so(door: Gate, photos: list[Photo]) -> None:
    wanted = identifier("STUDY", PatientID="PID-anna", StudyInstanceUID="", NumberOfStudyRelatedInstances="2")
    with door.association(STUDY_FIND) as association:
        answers = [status.Status for status, _ in association.send_c_find(wanted, STUDY_FIND)]
    assert answers == [0xFF01, 0]


def test_more_than_the_limit_is_told_so(door: Gate, photos: list[Photo]) -> None:
    with gate(door.archive, dimse_most_objects=1) as small, small.association(STUDY_FIND) as association:
        wanted = identifier("STUDY", PatientID="", StudyInstanceUID="")
        answers = [status.Status for status, _ in association.send_c_find(wanted, STUDY_FIND)]
    assert answers == [0xFF00, 0xA700]


def test_a_query_is_recorded(door: Gate, photos: list[Photo]) -> None:
    find(door, identifier("STUDY", PatientID="PID-anna", StudyInstanceUID=""))
    record = door.records()[-1]
    assert (record["kind"], record["route"], record["account"]) == ("set", "C-FIND STUDY", "clinician")
    assert (record["released"], record["refused"]) == (2, 1)
