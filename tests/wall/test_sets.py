"""Lists, searches, studies and series: rebuilt from permitted photos, with counts that tell nothing of the rest."""

from __future__ import annotations

import email.parser
import email.policy
import json
from dataclasses import dataclass
from typing import Any

import pytest

from consent.directive import Data, Reach
from dicom_bridge.query.orthanc_ids import orthanc_ids
from tests.archive import Archive, Photo, Reply
from tests.store.world import consent

pytestmark = pytest.mark.orthanc


@dataclass(frozen=True)
class Partly:
    """A study of which one series is shown whole, one in part, and one not at all."""

    shown: tuple[Photo, ...]
    hidden: tuple[Photo, ...]


@pytest.fixture(scope="module")
def partly(archive: Archive) -> Partly:
    photos = [archive.photo("anna", visit="1", view=view) for view in "11223"]
    hidden = [photos[3], photos[4], archive.photo("anna", visit="2")]
    for number, photo in enumerate(hidden):
        archive.consent(
            consent(f"hide{number}", "deny", "TREAT", "anna", data=(Data(Reach.PHOTO, str(photo.facts.document)),))
        )
    return Partly((photos[0], photos[1], photos[2]), tuple(hidden))


def _json(reply: Reply) -> Any:
    assert reply.status == 200, reply
    return json.loads(reply.body)


def _parts(reply: Reply) -> list[bytes]:
    """The parts of a multipart answer, as a client reads them."""
    head = f"Content-Type: {reply.header('Content-Type')}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + reply.body)
    return [bytes(part.get_payload(decode=True)) for part in message.iter_parts()]


def test_a_study_counts_permitted_photos_alone(archive: Archive, partly: Partly) -> None:
    found = _json(archive.ask("/dicom-web/studies", "clinician"))
    assert [each["0020000D"]["Value"] for each in found] == [[partly.shown[0].study]]
    study = found[0]
    assert study["00201206"]["Value"] == [2]
    assert study["00201208"]["Value"] == [3]
    assert study["00080061"]["Value"] == ["XC"]
    assert study["00081190"]["Value"] == [f"http://127.0.0.1:{archive.port}/dicom-web/studies/{partly.shown[0].study}"]


def test_series_and_instances_follow(archive: Archive, partly: Partly) -> None:
    study = partly.shown[0].study
    series = _json(archive.ask(f"/dicom-web/studies/{study}/series", "clinician"))
    assert [(each["0020000E"]["Value"][0], each["00201209"]["Value"][0]) for each in series] == [
        (partly.shown[0].series, 2),
        (partly.shown[2].series, 1),
    ]
    wanted = [photo.sop for photo in partly.shown]
    for path in (f"/dicom-web/studies/{study}/instances", "/dicom-web/instances"):
        assert [each["00080018"]["Value"][0] for each in _json(archive.ask(path, "clinician"))] == wanted
    one = _json(archive.ask(f"/dicom-web/studies/{study}/series/{partly.shown[2].series}/instances", "clinician"))
    assert [each["00080018"]["Value"][0] for each in one] == [partly.shown[2].sop]


def test_what_is_wholly_refused_does_not_exist(archive: Archive, partly: Partly) -> None:
    hidden = partly.hidden[2]
    assert _json(archive.ask(f"/dicom-web/studies/{hidden.study}/series", "clinician")) == []
    assert _json(archive.ask(f"/dicom-web/studies?StudyInstanceUID={hidden.study}", "clinician")) == []
    for path in (f"/dicom-web/studies/{hidden.study}", f"/dicom-web/studies/{hidden.study}/metadata"):
        answer = archive.ask(path, "clinician")
        absent = archive.ask(path.replace(hidden.study, "2.25.1"), "clinician")
        assert (answer.status, answer) == (404, absent)


def test_a_study_is_retrieved_as_stored(archive: Archive, partly: Partly) -> None:
    study = partly.shown[0].study
    answer = archive.ask(f"/dicom-web/studies/{study}", "clinician")
    assert answer.status == 200
    assert "multipart/related" in answer.header("Content-Type")
    assert _parts(answer) == [photo.dicom for photo in partly.shown]
    series = archive.ask(f"/dicom-web/studies/{study}/series/{partly.shown[2].series}", "clinician")
    assert _parts(series) == [partly.shown[2].dicom]
    assert archive.ask(f"/dicom-web/studies/{study}", "clinician", headers={"Accept": "text/html"}).status == 406


def test_metadata_of_a_study_and_a_series(archive: Archive, partly: Partly) -> None:
    study = partly.shown[0].study
    found = _json(archive.ask(f"/dicom-web/studies/{study}/metadata", "clinician"))
    assert [each["00080018"]["Value"][0] for each in found] == [photo.sop for photo in partly.shown]
    assert found[0]["00280010"]["Value"] == [64]
    series = archive.ask(f"/dicom-web/studies/{study}/series/{partly.shown[2].series}/metadata", "clinician")
    assert len(_json(series)) == 1


def test_orthancs_own_lists(archive: Archive, partly: Partly) -> None:
    instances = [photo.orthanc_id for photo in partly.shown]
    assert _json(archive.ask("/instances", "clinician")) == instances
    assert _json(archive.ask("/instances?since=1&limit=1", "clinician")) == instances[1:2]
    patients = _json(archive.ask("/patients?expand", "clinician"))
    assert [each["MainDicomTags"]["PatientID"] for each in patients] == ["PID-anna"]
    studies = _json(archive.ask("/studies", "clinician"))
    assert patients[0]["Studies"] == studies
    assert len(studies) == 1
    study = _json(archive.ask(f"/studies/{studies[0]}", "clinician"))
    assert study["MainDicomTags"]["StudyInstanceUID"] == partly.shown[0].study
    assert len(study["Series"]) == 2
    series = [_json(archive.ask(f"/series/{each}", "clinician")) for each in study["Series"]]
    assert [each["Instances"] for each in series] == [instances[:2], instances[2:]]
    below = _json(archive.ask(f"/studies/{studies[0]}/instances", "clinician"))
    assert [each["ID"] for each in below] == instances
    above = _json(archive.ask(f"/instances/{instances[0]}/study", "clinician"))
    assert above == study
    hidden = partly.hidden[0].orthanc_id
    assert archive.ask(f"/instances/{hidden}/study", "clinician").status == 404


def test_lists_name_the_levels_as_orthanc_does(archive: Archive, partly: Partly) -> None:
    """The ids of our index are Orthanc's own: its native answer for an instance names the same series."""
    native = _json(archive.ask(partly.shown[0].rest, "clinician"))
    assert native["ParentSeries"] in _json(archive.ask("/series", "clinician"))


@pytest.mark.parametrize("account", ["marketing", "admin"])
def test_lists_are_empty_for_those_who_may_see_nothing(archive: Archive, partly: Partly, account: str) -> None:
    for path in ("/studies", "/instances?expand", "/patients", "/dicom-web/studies", "/dicom-web/instances"):
        assert _json(archive.ask(path, account)) == []


def test_publishing_yields_no_list_even_of_permitted_photos(archive: Archive, partly: Partly) -> None:
    shown = archive.photo("ben", visit="5")
    archive.consent(consent("portfolio", "permit", "PORTFOLIO", "ben"))
    assert archive.ask(f"{shown.rest}/rendered", "marketing", "PORTFOLIO").status == 200
    for path in ("/instances", "/dicom-web/studies", f"/dicom-web/studies/{shown.study}/series"):
        assert _json(archive.ask(path, "marketing", "PORTFOLIO")) == []
    assert archive.ask(f"/dicom-web/studies/{shown.study}", "marketing", "PORTFOLIO").status == 404
    archive.consent(consent("hide-ben", "deny", "TREAT", "ben"))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("PatientName=familyANNA*", 1),
        ("PatientName=nobody*", 0),
        ("PatientID=PID-anna", 1),
        ("00100020=PID-anna", 1),
        ("PatientID=PID-ann?", 1),
        ("PatientID=pid-anna*", 0),
        ("StudyDate=20260501-20260502", 1),
        ("StudyDate=-20260430", 0),
        ("StudyDate=20260501", 1),
        ("StudyTime=0900-1030", 1),
        ("ModalitiesInStudy=CT,XC", 1),
        ("ModalitiesInStudy=CT", 0),
        ("AccessionNumber=ACC2", 0),
        ("AccessionNumber=ACC1", 1),
        ("ReferringPhysicianName=", 1),
        ("limit=0", 0),
        ("offset=1", 0),
        ("includefield=all", 1),
        ("includefield=00081030,PatientBirthDate", 1),
    ],
)
def test_search(archive: Archive, partly: Partly, query: str, found: int) -> None:
    assert len(_json(archive.ask(f"/dicom-web/studies?{query}", "clinician"))) == found


@pytest.mark.parametrize(
    "query", ["StudyDate=yesterday", "limit=-1", "limit=x", "StudyTime=9", "_x=1", "fuzzymatching=1"]
)
def test_malformed_searches_are_told_so(archive: Archive, partly: Partly, query: str) -> None:
    assert archive.ask(f"/dicom-web/studies?{query}", "clinician").status == 400


def test_what_cannot_be_matched_is_warned_of(archive: Archive, partly: Partly) -> None:
    answer = archive.ask("/dicom-web/studies?fuzzymatching=true&NumberOfStudyRelatedSeries=1", "clinician")
    assert "fuzzymatching" in answer.header("Warning")
    assert "NumberOfStudyRelatedSeries" in answer.header("Warning")


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("host=photos.example;proto=https", "https://photos.example"),
        ('proto=https; Host="photos.example:8443", for=x', "https://photos.example:8443"),
        ("host=photos.example/<b>;proto=https", None),
        ("host=photos.example;proto=javascript", None),
        ("for=10.0.0.1", None),
    ],
)
def test_addresses_are_those_that_the_client_used(
    archive: Archive, partly: Partly, forwarded: str, address: str | None
) -> None:
    (study,) = _json(archive.ask("/dicom-web/studies", "clinician", headers={"Forwarded": forwarded}))
    base = address or f"http://127.0.0.1:{archive.port}"
    assert study["00081190"]["Value"] == [f"{base}/dicom-web/studies/{partly.shown[0].study}"]


def test_xml_is_not_acceptable(archive: Archive, partly: Partly) -> None:
    xml = {"Accept": 'multipart/related; type="application/dicom+xml"'}
    assert archive.ask("/dicom-web/studies", "clinician", headers=xml).status == 406


def test_a_withdrawal_shows_in_the_next_answer_of_what_is_remembered(archive: Archive, partly: Partly) -> None:
    archive.patient("cora")
    photos = [archive.photo("cora", visit="7") for _ in range(2)]
    ids = orthanc_ids("PID-cora", photos[0].study, photos[0].series, "")
    paths = (f"/series/{ids.series}", f"/studies/{ids.study}/instances", f"/patients/{ids.patient}/series")
    for number, photo in enumerate(photos):
        for path in paths:
            answers = [archive.ask(path, "clinician") for _ in range(4)]
            assert all(answer == answers[0] for answer in answers)
            assert answers[0].status == 200
            assert [one.orthanc_id.encode() in answers[0].body for one in photos] == [number == 0, True]
        data = (Data(Reach.PHOTO, str(photo.facts.document)),)
        archive.consent(consent(f"withdrawn{number}", "deny", "TREAT", "cora", data=data))
    for path in paths:
        absent = archive.ask(path[: path.index("/", 1)] + "/00000000" + "-00000000" * 4, "clinician")
        for _ in range(3):
            assert archive.ask(path, "clinician") == absent
            assert (absent.status, absent.body) == (404, b"")
