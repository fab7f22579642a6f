"""C-FIND, C-MOVE and C-GET identifiers: what is asked for, what is refused, what the answers hold."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, true

from consent.store.engine import reading, transaction
from dicom_bridge.query.dictionary import BY_KEYWORD, Level, tag
from dicom_bridge.query.identifier import BadIdentifier, Root, find_identifier, responses, retrieve_identifier
from dicom_bridge.query.index import save_instance
from dicom_bridge.query.search import find, matching_instances
from tests.store.world import facts, store


def identifier(level: str | None = None, **keys: Any) -> dict[str, Any]:
    """An identifier by keywords; a list of mappings is a sequence."""
    made: dict[str, Any] = {} if level is None else {tag("QueryRetrieveLevel"): {"vr": "CS", "Value": [level]}}
    for keyword, value in keys.items():
        attribute = BY_KEYWORD[keyword]
        values: list[Any] = list(value) if isinstance(value, (list, tuple)) else [value]
        if attribute.vr == "SQ":
            values = [identifier(**each) for each in values]
        elif attribute.vr == "PN":
            values = [{"Alphabetic": each} for each in values]
        empty = value in ("", None, [])
        made[attribute.tag] = {"vr": attribute.vr} | ({} if empty else {"Value": values})
    return made


def photo(**values: Any) -> dict[str, Any]:
    """A photo's attributes."""
    standard = {
        "StudyInstanceUID": "1.2",
        "SeriesInstanceUID": "1.2.3",
        "PatientID": "P",
        "PatientName": "Doe^Anna",
        "Modality": "XC",
        "StudyDate": "20260503",
    }
    return identifier(**standard | values)


def request(step: str, procedure: str) -> dict[str, str]:
    return {"ScheduledProcedureStepID": step, "RequestedProcedureID": procedure}


@pytest.fixture
def filled(engine: Engine) -> Engine:
    """Anna with two photos of one study, and another patient with one."""
    made = [
        photo(
            SOPInstanceUID="2.25.1",
            AcquisitionDateTime="20260503101500+0300",
            RequestAttributesSequence=[request("s1", "r1"), request("s2", "r2")],
            ImageType=["ORIGINAL", "PRIMARY"],
            NumberOfStudyRelatedInstances="77",
        ),
        photo(SOPInstanceUID="2.25.2", SeriesInstanceUID="1.2.4", Modality="DMS", ImageComments="left"),
        photo(SOPInstanceUID="2.25.3", StudyInstanceUID="1.9", SeriesInstanceUID="1.9.1", PatientID="Q"),
    ]
    with transaction(engine) as connection:
        for number, each in enumerate(made, 1):
            save_instance(connection, store(connection, facts(str(number))), f"2.25.{number}", each)
    return engine


def answered(engine: Engine, asked: dict[str, Any], root: Root = Root.STUDY) -> list[dict[str, Any]]:
    wanted = find_identifier(asked, root)
    with reading(engine) as connection:
        return list(responses(find(connection, wanted.question, lambda _: true()), wanted, "PHOTOSPINE"))


def uids(answers: list[dict[str, Any]], keyword: str) -> list[str]:
    return [answer[tag(keyword)]["Value"][0] for answer in answers]


def test_an_answer_holds_what_was_asked_for_and_no_more(filled: Engine) -> None:
    asked = identifier(
        "STUDY",
        PatientID="P",
        PatientName="",
        NumberOfStudyRelatedInstances="",
        NumberOfPatientRelatedStudies="",
        ModalitiesInStudy="",
        AccessionNumber="",
        SeriesDescription="",
    )
    asked["00091001"] = {"vr": "LO"}
    assert answered(filled, asked) == [
        {
            "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
            "00080050": {"vr": "SH"},
            "00080052": {"vr": "CS", "Value": ["STUDY"]},
            "00080054": {"vr": "AE", "Value": ["PHOTOSPINE"]},
            "00080056": {"vr": "CS", "Value": ["ONLINE"]},
            "00080061": {"vr": "CS", "Value": ["DMS", "XC"]},
            "0008103E": {"vr": "LO"},
            "00091001": {"vr": "LO"},
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Anna"}]},
            "00100020": {"vr": "LO", "Value": ["P"]},
            "0020000D": {"vr": "UI", "Value": ["1.2"]},
            "00201200": {"vr": "IS"},
            "00201208": {"vr": "IS", "Value": [2]},
        }
    ]


def test_each_level_counts_its_own(filled: Engine) -> None:
    (patient,) = answered(
        filled,
        identifier(
            "PATIENT",
            PatientID="P",
            NumberOfPatientRelatedStudies="",
            NumberOfPatientRelatedSeries="",
            NumberOfPatientRelatedInstances="",
        ),
        Root.PATIENT,
    )
    assert [patient[name]["Value"] for name in ("00201200", "00201202", "00201204")] == [[1], [2], [2]]
    series = answered(filled, identifier("SERIES", StudyInstanceUID="1.2", NumberOfSeriesRelatedInstances=""))
    assert [each["00201209"]["Value"] for each in series] == [[1], [1]]
    below = identifier("IMAGE", StudyInstanceUID="1.2", SeriesInstanceUID="1.2.4", ImageComments="")
    assert [each["00204000"]["Value"] for each in answered(filled, below)] == [["left"]]


IMAGES: list[tuple[dict[str, Any], list[str]]] = [
    ({"RequestAttributesSequence": [request("s1", "r1")]}, ["2.25.1"]),
    ({"RequestAttributesSequence": [request("s1", "r2")]}, []),
    ({"RequestAttributesSequence": [request("s*", "")]}, ["2.25.1"]),
    ({"RequestAttributesSequence": [{}]}, ["2.25.1"]),
    ({"RequestAttributesSequence": []}, ["2.25.1"]),
    ({"AcquisitionDateTime": "20260503071500+0000"}, ["2.25.1"]),
    ({"AcquisitionDateTime": "202605031015"}, ["2.25.1"]),
    ({"AcquisitionDateTime": "20260503071501+0000-"}, []),
    ({"AcquisitionDateTime": "2025-2026"}, ["2.25.1"]),
    ({"AcquisitionDateTime": "-202604"}, []),
    ({"ImageType": "PRIMARY"}, ["2.25.1"]),
    ({"ImageType": ["DERIVED", "ORIGINAL"]}, ["2.25.1"]),
    ({"ImageType": "PRIM"}, []),
    ({"SOPInstanceUID": ["2.25.1", "2.25.3"]}, ["2.25.1"]),
    ({"ModalitiesInStudy": "DMS"}, ["2.25.1"]),
]


def test_matching_at_the_level_of_images(filled: Engine) -> None:
    for keys, found in IMAGES:
        asked = identifier("IMAGE", StudyInstanceUID="1.2", SeriesInstanceUID="1.2.3", **keys)
        assert uids(answered(filled, asked), "SOPInstanceUID") == found, keys


def test_of_a_sequence_what_was_asked_for_is_returned(filled: Engine) -> None:
    asked = identifier(
        "SERIES", StudyInstanceUID="1.2", RequestAttributesSequence=[{"RequestedProcedureID": "r1", "StudyID": ""}]
    )
    (series,) = answered(filled, asked)
    assert series["00400275"] == {
        "vr": "SQ",
        "Value": [{"00401001": {"vr": "SH", "Value": [each]}, "00200010": {"vr": "SH"}} for each in ("r1", "r2")],
    }


def test_keys_that_are_not_matched_are_named(filled: Engine) -> None:
    asked = identifier("STUDY", PatientID="P", SeriesDescription="x", NumberOfStudyRelatedInstances="5")
    asked["00091001"] = {"vr": "LO", "Value": ["x"]}
    wanted = find_identifier(asked, Root.STUDY)
    assert wanted.ignored == ("SeriesDescription", "NumberOfStudyRelatedInstances", "00091001")
    assert len(answered(filled, asked)) == 1


@pytest.mark.fast
@pytest.mark.parametrize(
    ("asked", "root", "keyword"),
    [
        (identifier(), Root.STUDY, "QueryRetrieveLevel"),
        (identifier("PATIENT"), Root.STUDY, "QueryRetrieveLevel"),
        (identifier("VISIT"), Root.PATIENT, "QueryRetrieveLevel"),
        (identifier("STUDY"), Root.PATIENT, "PatientID"),
        (identifier("STUDY", PatientID="P*"), Root.PATIENT, "PatientID"),
        (identifier("SERIES"), Root.STUDY, "StudyInstanceUID"),
        (identifier("SERIES", StudyInstanceUID=["1", "2"]), Root.STUDY, "StudyInstanceUID"),
        (identifier("IMAGE", StudyInstanceUID="1"), Root.STUDY, "SeriesInstanceUID"),
        (identifier("STUDY", StudyDate="May"), Root.STUDY, "StudyDate"),
        (identifier("STUDY", PatientID="a\0b"), Root.STUDY, "PatientID"),
        (identifier("STUDY", StudyDescription="a\0b"), Root.STUDY, "StudyDescription"),
        (identifier("STUDY", PatientID="a\0b"), Root.PATIENT, "PatientID"),
        (identifier("STUDY", StudyTime="-"), Root.STUDY, "StudyTime"),
        (identifier("STUDY", StudyDescription="*a*b*c*d*e*f*g*h*i*"), Root.STUDY, "StudyDescription"),
        (
            identifier("SERIES", StudyInstanceUID="1", RequestAttributesSequence=[{}, {}]),
            Root.STUDY,
            "RequestAttributesSequence",
        ),
    ],
)
def test_what_does_not_match_the_sop_class_is_refused(asked: dict[str, Any], root: Root, keyword: str) -> None:
    with pytest.raises(BadIdentifier, match=keyword) as refused:
        find_identifier(asked, root)
    assert refused.value.keyword == keyword


def test_photos_to_retrieve(filled: Engine) -> None:
    for asked, root, found in (
        (identifier("PATIENT", PatientID="P"), Root.PATIENT, ["2.25.1", "2.25.2"]),
        (identifier("STUDY", StudyInstanceUID=["1.2", "1.9"]), Root.STUDY, ["2.25.1", "2.25.2", "2.25.3"]),
        (identifier("STUDY", StudyInstanceUID="1.2", PatientID="Q"), Root.PATIENT, []),
        (identifier("STUDY", StudyInstanceUID=["1.2\0", "1.9\0"]), Root.STUDY, ["2.25.1", "2.25.2", "2.25.3"]),
        (identifier("SERIES", StudyInstanceUID="1.2", SeriesInstanceUID="1.2.4"), Root.STUDY, ["2.25.2"]),
        (identifier("IMAGE", SOPInstanceUID=["2.25.3", "2.25.1"]), Root.STUDY, ["2.25.1", "2.25.3"]),
    ):
        question = retrieve_identifier(asked, root)
        assert question.level is Level.INSTANCE
        with reading(filled) as connection:
            assert [each.sop_uid for each in matching_instances(connection, question)] == found


@pytest.mark.fast
@pytest.mark.parametrize(
    ("asked", "root", "keyword"),
    [
        (identifier("PATIENT", PatientID="*"), Root.PATIENT, "PatientID"),
        (identifier("PATIENT", PatientID=["P", "Q"]), Root.PATIENT, "PatientID"),
        (identifier("STUDY", StudyInstanceUID=""), Root.STUDY, "StudyInstanceUID"),
        (identifier("STUDY", StudyInstanceUID="1.*"), Root.STUDY, "StudyInstanceUID"),
        (identifier("STUDY", StudyInstanceUID="1\0.2"), Root.STUDY, "StudyInstanceUID"),
        (identifier("IMAGE", StudyInstanceUID=["1", "2"], SOPInstanceUID="3"), Root.STUDY, "StudyInstanceUID"),
        (identifier("PATIENT", PatientID="P"), Root.STUDY, "QueryRetrieveLevel"),
    ],
)
def test_what_names_no_photos_is_refused(asked: dict[str, Any], root: Root, keyword: str) -> None:
    with pytest.raises(BadIdentifier) as refused:
        retrieve_identifier(asked, root)
    assert refused.value.keyword == keyword
