"""Orthanc's searching tools, answered from permitted photos alone, and DICOMweb's own use of one of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from consent.types import Requester
from tests.archive import Archive, Reply
from tests.wall.partly import Partly, ids_of, make

pytestmark = pytest.mark.orthanc

CLINICIAN = Requester("clinician", ("TREAT", "BTG"))
NOTHING = "00000000-00000000-00000000-00000000-00000000"


@pytest.fixture(scope="module")
def partly(archive: Archive) -> Partly:
    return make(archive)


def _tool(
    archive: Archive, name: str, value: Any, account: str | None = "clinician", purpose: str | None = None
) -> Reply:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return archive.ask(f"/tools/{name}", account, purpose, method="POST", body=body)


def _found(archive: Archive, value: Any) -> Any:
    answer = _tool(archive, "find", value)
    assert answer.status == 200, (value, answer)
    return answer.json()


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({}, 3),
        ({"PatientName": "familyANNA*"}, 3),
        ({"PatientName": "familyben*"}, 0),
        ({"0010,0020": "PID-anna"}, 3),
        ({"00100020": "PID-ann?"}, 3),
        ({"PatientID": "pid-anna"}, 0),
        ({"StudyDate": "20260501-20260501"}, 3),
        ({"StudyDate": "-20260430"}, 0),
        ({"SeriesDescription": "Series of 1"}, 2),
        ({"SeriesDescription": "Series of 3"}, 0),
        ({"AccessionNumber": "ACC2"}, 0),
        ({"ModalitiesInStudy": "XC"}, 3),
        ({"PatientSex": ""}, 3),
    ],
)
def test_find_and_count_agree(archive: Archive, partly: Partly, query: dict[str, str], count: int) -> None:
    found = _found(archive, {"Level": "Instance", "Query": query})
    assert found == [photo.orthanc_id for photo in partly.shown][: len(found)] or count == 2
    assert len(found) == count
    assert _tool(archive, "count-resources", {"Level": "Instance", "Query": query}).json() == {"Count": count}
    studies = _found(archive, {"Level": "Study", "Query": query})
    assert studies == ([partly.ids.study] if count else [])


def test_found_resources_are_those_of_the_lists(archive: Archive, partly: Partly) -> None:
    for level, path in (("Patient", "patients"), ("studies", "studies"), ("SERIES", "series"), ("image", "instances")):
        listed = archive.ask(f"/{path}?expand", "clinician").json()
        assert _found(archive, {"Level": level, "Query": {}, "Expand": True}) == listed
        assert _found(archive, {"Level": level, "Query": {}, "Limit": 0, "Expand": False, "CaseSensitive": True}) == [
            each["ID"]
            for each in listed  # type: ignore[attr-defined]
        ]
    assert _found(archive, {"Level": "Instance", "Query": {}, "Limit": 1, "Since": 1}) == [partly.shown[1].orthanc_id]


def test_parents_and_what_is_asked_for(archive: Archive, partly: Partly) -> None:
    ids = partly.ids
    for key, parent, count in (
        ("ParentSeries", ids.series, 2),
        ("ParentStudy", ids.study, 3),
        ("ParentPatient", ids.patient, 3),
        ("ParentSeries", ids_of(partly.hidden[1]).series, 0),
        ("ParentStudy", ids_of(partly.hidden[2]).study, 0),
        ("ParentStudy", NOTHING, 0),
    ):
        assert len(_found(archive, {"Level": "Instance", "Query": {}, key: parent})) == count
    tags = ["PatientID", "0008-0061", "NumberOfStudyRelatedInstances", "NumberOfStudyRelatedSeries", "PatientComments"]
    (study,) = _found(archive, {"Level": "Study", "Query": {}, "Expand": True, "RequestedTags": tags})
    assert study["RequestedTags"] == {
        "PatientID": "PID-anna",
        "ModalitiesInStudy": "XC",
        "NumberOfStudyRelatedInstances": "3",
        "NumberOfStudyRelatedSeries": "2",
    }
    (study,) = _found(archive, {"Level": "Study", "Query": {}, "ResponseContent": ["Children", "Parent"]})
    assert study.keys() == {"ID", "Type", "Series", "ParentPatient"}
    assert len(study["Series"]) == 2


def test_lookup(archive: Archive, partly: Partly) -> None:
    ids, one = partly.ids, partly.shown[0]
    for text, path in (
        ("PID-anna", f"/patients/{ids.patient}"),
        (one.study, f"/studies/{ids.study}"),
        (one.series, f"/series/{ids.series}"),
        (one.sop, f"/instances/{one.orthanc_id}"),
    ):
        assert [each["Path"] for each in _tool(archive, "lookup", text.encode()).json()] == [path]  # type: ignore[attr-defined]
    for photo in partly.hidden:
        assert _tool(archive, "lookup", photo.sop.encode()) == _tool(archive, "lookup", b"2.25.1")
    for text in (partly.hidden[1].series, partly.hidden[2].study, "PID-ben", "PID-*", "PID-ann?", "", "ACC1", "a\\b"):
        assert (answer := _tool(archive, "lookup", text.encode())).status == 200
        assert answer.json() == []


def test_no_pattern_tells_of_hidden_photos_by_an_error(archive: Archive, partly: Partly) -> None:
    """SQLite ends with an error at a pattern of 50,000 bytes, but only where it has a row to compare with it."""
    for key in ({"PatientName": "a" * 60_000 + "*"}, {"StudyDescription": "?" * 60_000}):
        answers = {
            _tool(archive, name, {"Level": "Instance", "Query": {"PatientID": patient} | key}).status
            for patient in ("PID-anna", "PID-ben", "PID-nobody")
            for name in ("find", "count-resources")
        }
        assert answers == {400}


def test_bulk_content(archive: Archive, partly: Partly) -> None:
    shown, hidden = [ids_of(one) for one in partly.shown], [ids_of(one) for one in partly.hidden]
    everything = [each.instance for each in shown + hidden] + [hidden[1].series, hidden[3].patient, NOTHING]
    found: Any = _tool(archive, "bulk-content", {"Resources": everything}).json()
    assert [each["ID"] for each in found] == [each.instance for each in shown]
    studies: Any = _tool(archive, "bulk-content", {"Resources": everything, "Level": "Study"}).json()
    assert [each["ID"] for each in studies] == [shown[0].study]
    below: Any = _tool(archive, "bulk-content", {"Resources": [shown[0].study], "Level": "Series"}).json()
    assert [each["ID"] for each in below] == [shown[0].series, shown[2].series]


@pytest.mark.parametrize(
    ("tool", "value"),
    [
        ("find", {}),
        ("find", []),
        ("find", b"{"),
        ("find", b"[" * 200_000),
        ("find", b'{"Level":' * 20_000),
        ("find", {"Level": "Study"}),
        ("find", {"Level": "Nonsense", "Query": {}}),
        ("find", {"Level": "Study", "Query": {"StudyDate": "yesterday"}}),
        ("find", {"Level": "Study", "Query": {"PatientName": "a\0b"}}),
        ("find", b'{"Level": "Study", "Query": {"PatientName": "\\ud800"}}'),
        ("find", {"Level": "Study", "Query": {"StudyDate": 20260501}}),
        ("find", {"Level": "Study", "Query": {"ImageComments": "comment-*"}}),
        ("find", {"Level": "Study", "Query": {"_x": "1"}}),
        ("find", {"Level": "Study", "Query": {}, "Labels": ["x"]}),
        ("find", {"Level": "Study", "Query": {}, "MetadataQuery": {}}),
        ("find", {"Level": "Study", "Query": {}, "OrderBy": []}),
        ("find", {"Level": "Study", "Query": {}, "CaseSensitive": False}),
        ("find", {"Level": "Study", "Query": {}, "Full": True}),
        ("find", {"Level": "Study", "Query": {}, "Limit": -1}),
        ("find", {"Level": "Study", "Query": {}, "Limit": True}),
        ("find", {"Level": "Study", "Query": {}, "Expand": 1}),
        ("find", {"Level": "Study", "Query": {}, "ResponseContent": ["Metadata"]}),
        ("find", {"Level": "Study", "Query": {}, "RequestedTags": ["Nonsense"]}),
        ("find", {"Level": "Study", "Query": {}, "ParentStudy": "x"}),
        ("find", {"Level": "Study", "Query": {"PatientID": "\ud800"}}),
        ("find", b'{"Level": "Study", "Query": {"PatientID": "\xed\xa0\x80"}}'),
        ("count-resources", {"Level": "Study", "Query": {}, "Expand": True}),
        ("count-resources", b""),
        ("lookup", b"\xff"),
        ("lookup", b"x" * 300),
        ("bulk-content", {"Resources": "x"}),
        ("bulk-content", {"Resources": [], "Metadata": True}),
        ("bulk-content", {"Resources": [NOTHING], "Level": 7}),
    ],
    ids=range(33),
)
def test_what_cannot_be_honoured_is_told_so(archive: Archive, partly: Partly, tool: str, value: Any) -> None:
    assert _tool(archive, tool, value).status == 400


@pytest.mark.parametrize(("account", "purpose"), [("marketing", "PORTFOLIO"), ("admin", None)])
def test_those_who_may_see_nothing_find_nothing(
    archive: Archive, partly: Partly, account: str, purpose: str | None
) -> None:
    assert _tool(archive, "find", {"Level": "Study", "Query": {}}, account, purpose).json() == []
    assert _tool(archive, "count-resources", {"Level": "Study", "Query": {}}, account, purpose).json() == {"Count": 0}
    assert _tool(archive, "lookup", b"PID-anna", account, purpose).json() == []
    assert _tool(archive, "bulk-content", {"Resources": [partly.ids.study]}, account, purpose).json() == []
    for tool in ("find", "count-resources", "lookup", "bulk-content"):
        assert _tool(archive, tool, {}, None).status == 403


def test_no_mark_of_a_hidden_photo(archive: Archive, partly: Partly) -> None:
    marks, answered = partly.marks(), 0
    queries: list[dict[str, str]] = [
        {},
        {"PatientName": "*"},
        {"Modality": "XC"},
        {"StudyInstanceUID": partly.shown[0].study},
    ]
    for level in ("Patient", "Study", "Series", "Instance"):
        for query in queries:
            answer = _tool(archive, "find", {"Level": level, "Query": query, "Expand": True})
            answered += answer.body != b"[]"
            assert not any(mark in answer.everything for mark in marks)
        answer = _tool(archive, "bulk-content", {"Resources": list(vars_all(partly)), "Level": level})
        assert not any(mark in answer.everything for mark in marks)
    assert answered == 16


def vars_all(partly: Partly) -> set[str]:
    """Every Orthanc id there is."""
    return {
        each
        for photo in partly.shown + partly.hidden
        for each in (ids_of(photo).patient, ids_of(photo).study, ids_of(photo).series, ids_of(photo).instance)
    }


# --- DICOMweb asks /tools/find itself, with the client's own headers ------------------------------------------------

NATIVE = ("", "/metadata", "/frames/1", "/rendered", "/bulk/7fe00010", "/frames/1/rendered")


@pytest.mark.parametrize("suffix", NATIVE)
def test_native_rows_answer_basic_as_and_pass_alike(archive: Archive, partly: Partly, suffix: str) -> None:
    one, hidden = partly.shown[0], partly.hidden[0]
    path = one.wado + suffix
    answers = [archive.ask(path, "clinician"), archive.as_account(path, CLINICIAN, "TREAT")]
    ticket = archive.mint.mint_pass("GET", path, sop_uid=one.sop)
    answers.append(archive.ask(path, headers={"Authorization": ticket}))
    assert [each.status for each in answers] == [200] * 3
    assert len({len(each.body) for each in answers}) == 1
    assert archive.ask(path, headers={"Authorization": ticket}).status == 403
    assert archive.ask(hidden.wado + suffix, "clinician").status == 403
    assert archive.as_account(hidden.wado + suffix, CLINICIAN, "TREAT").status == 403


def test_a_native_row_is_recorded_once(archive: Archive, partly: Partly) -> None:
    from tests.wall.test_archives import _records

    before = len(_records(archive))
    assert archive.ask(partly.shown[0].wado, "clinician").status == 200
    (record,) = _records(archive)[before:]
    assert record["kind"] == "decision"


def test_a_find_after_a_native_request_in_the_same_thread_is_decided(archive: Archive, partly: Partly) -> None:
    """What one request was let pass for says nothing of the next that the same thread of Orthanc serves."""
    for _ in range(60):
        assert archive.ask(f"{partly.shown[0].rest}/tags", "clinician").status == 200
        assert _tool(archive, "find", {"Level": "Instance", "Query": {}}, "marketing", "PORTFOLIO").json() == []
        assert _tool(archive, "find", {"Level": "Instance", "Query": {}}, None).status == 403
