"""Matching and counting in the index, on both databases, without Orthanc."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, true

from consent.store.engine import reading, transaction
from dicom_bridge.query import qido
from dicom_bridge.query.dictionary import Level
from dicom_bridge.query.index import save_instance, without_bulk
from dicom_bridge.query.matching import BadValue
from dicom_bridge.query.orthanc_ids import orthanc_ids
from dicom_bridge.query.search import Found, Question, find
from tests.database import fresh
from tests.postgres import Cluster
from tests.store.world import facts, store


def _object(sop: str, **values: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"00080018": {"vr": "UI", "Value": [sop]}}
    standard = {"0020000D": "1.2", "0020000E": "1.2.3", "00100020": "P", "00080060": "XC", "00080020": "20260503"}
    for tag, text in (standard | {name.removeprefix("t"): value for name, value in values.items()}).items():
        entry[tag] = {"vr": "LO", "Value": [{"Alphabetic": text}] if tag == "00100010" else [text]}
    return entry


@pytest.fixture
def filled(engine: Engine) -> Engine:
    """Three photos: two in one study, one of another patient."""
    made = [
        _object("2.25.1", t00100010="Müller^Änne", t00080030="101530.25", t00081030="100% [new]"),
        _object("2.25.2", t0020000E="1.2.4", t00100010="Müller^Änne", t00080030="101530.25", t00080060="DERM"),
        _object(
            "2.25.3",
            t0020000D="1.9",
            t0020000E="1.9.1",
            t00100020="Q",
            t00100010="Yamada^Tarou=山田^太郎=やまだ^たろう",
        ),
    ]
    with transaction(engine) as connection:
        for number, each in enumerate(made, 1):
            save_instance(connection, store(connection, facts(str(number))), f"2.25.{number}", each)
    return engine


def _found(engine: Engine, *keys: tuple[str, str], level: Level = Level.STUDY) -> Found:
    with reading(engine) as connection:
        return find(connection, Question(level, keys), lambda _: true())


MATCHES = [
    ("PatientName", "müller*", 2),
    ("PatientName", "MÜLLER^ÄNNE", 2),
    ("PatientName", "m?ller^*", 2),
    ("PatientName", "山田*", 1),
    ("PatientName", "yamada^tarou", 1),
    ("PatientName", "山田^太郎", 1),
    ("PatientName", "やまだ^たろう", 1),
    ("StudyDescription", "100% [new]", 2),
    ("StudyDescription", "100%*", 2),
    ("StudyDescription", "1__% *", 0),
    ("StudyDescription", "*[new]", 2),
    ("StudyDescription", "*[NEW]", 0),
    ("StudyTime", "1015", 2),
    ("StudyTime", "101530.25", 2),
    ("StudyTime", "1016-", 0),
    ("StudyTime", "-1015", 2),
    ("StudyDate", "20260503-20260503", 3),
    ("StudyDate", "20260504-", 0),
    ("StudyInstanceUID", "1.2\\1.9", 3),
    ("StudyInstanceUID", "1.2,1.9", 3),
    ("ModalitiesInStudy", "DERM", 2),
    ("PatientID", "", 3),
]


def test_matching(filled: Engine) -> None:
    """A study that matches by one photo counts all of its photos."""
    for keyword, value, photos in MATCHES:
        assert len(_found(filled, (keyword, value)).photos) == photos, (keyword, value)


def test_values_of_another_kind_are_refused(filled: Engine) -> None:
    for key in (("StudyDate", "2026"), ("StudyTime", "-"), ("SeriesNumber", "x"), ("StudyDescription", "*a" * 9)):
        with pytest.raises(BadValue):
            _found(filled, key)


@pytest.mark.parametrize(
    ("keyword", "one", "most"),
    [
        ("StudyDescription", "a", 500),
        ("ImageComments", "a*", 500),
        ("PatientName", "a", 125),
        ("InstanceNumber", "1", 500),
        ("Rows", "1", 500),
        ("SOPInstanceUID", "1.2", 10_000),
    ],
)
def test_a_value_lists_no_more_than_a_database_can_be_asked_for(
    filled: Engine, keyword: str, one: str, most: int
) -> None:
    _found(filled, (keyword, "\\".join([one] * most)))
    with pytest.raises(BadValue):
        _found(filled, (keyword, "\\".join([one] * (most + 1))))


def test_a_pattern_is_no_longer_than_every_database_compares(filled: Engine) -> None:
    for keyword in ("PatientName", "StudyDescription", "ImageComments"):
        _found(filled, (keyword, "[" * 1023 + "*"))
        with pytest.raises(BadValue):
            _found(filled, (keyword, "[" * 1024 + "*"))


def test_what_is_empty_can_be_asked_for(filled: Engine) -> None:
    """QIDO's ``emptyvaluematching`` (PS3.18 8.3.4), for attributes with and without a column, and within sequences."""
    for keyword, photos in (
        ("StudyDescription", 2),
        ("PatientID", 0),
        ("ImageComments", 3),
        ("RequestAttributesSequence.RequestedProcedureID", 3),
    ):
        query = qido.parse({keyword: '""', "emptyvaluematching": "true"}, Level.INSTANCE)
        with reading(filled) as connection:
            found = find(connection, query.question, lambda _: true())
            literal = find(connection, Question(Level.INSTANCE, ((keyword, '""'),)), lambda _: true())
        assert (len(found.photos), len(literal.photos)) == (photos, 0), keyword


def test_several_values_can_be_asked_for(filled: Engine) -> None:
    for parameters, photos in (
        ({"Modality": "DERM,XC"}, 0),
        ({"Modality": "DERM,XC", "multiplevaluematching": "true"}, 3),
        ({"Modality": "DERM\\CT"}, 1),
    ):
        query = qido.parse(parameters, Level.INSTANCE)
        with reading(filled) as connection:
            assert len(find(connection, query.question, lambda _: true()).photos) == photos, parameters


def test_a_value_that_is_no_number_takes_no_search_and_no_answer_with_it(filled: Engine) -> None:
    """JSON has no NaN: a database that meets it ends the whole question, also of who may not see its photo."""
    weight: dict[str, Any] = {"vr": "DS", "Value": [float("nan"), 70.5, float("-inf")]}
    odd = _object("2.25.4") | {"00101030": weight, "00400275": {"vr": "SQ", "Value": [{"00101030": weight}]}}
    with transaction(filled) as connection:
        save_instance(connection, store(connection, facts("4")), "2.25.4", odd)
    for keyword, value, photos in (
        ("ImageComments", "x", 0),
        ("PatientWeight", "70.5", 1),
        ("RequestAttributesSequence.PatientWeight", "70.5", 1),
    ):
        assert len(_found(filled, (keyword, value), level=Level.INSTANCE).photos) == photos, keyword
    found = _found(filled, ("SOPInstanceUID", "2.25.4"), level=Level.INSTANCE)
    shown = found.entities[0].attributes
    assert shown["00101030"] == {"vr": "DS", "Value": [None, 70.5, None]}
    assert without_bulk({"00101030": {"vr": "DS", "Value": [float("inf")]}}) == {"00101030": {"vr": "DS"}}


def test_a_nul_within_a_text_takes_no_search_with_it(filled: Engine) -> None:
    """PostgreSQL takes none in its texts, and ends a question that meets one in JSON, whoever asks."""
    odd = _object("2.25.4", t00100010="A\0B", t00081030="x\0y") | {"00204000": {"vr": "LT", "Value": ["a\0b"]}}
    with transaction(filled) as connection:
        save_instance(connection, store(connection, facts("4")), "2.25.4", odd)
    for keyword, value in (("PatientName", "ab"), ("StudyDescription", "xy"), ("ImageComments", "ab")):
        (entity,) = _found(filled, (keyword, value), level=Level.INSTANCE).entities
        assert entity.attributes["00081030"]["Value"] == ["xy"]


@pytest.mark.fast
@pytest.mark.parametrize(
    "parameters",
    [{"StudyDate": "May"}, {"fuzzymatching": "1"}, {"emptyvaluematching": "yes"}, {"limit": "-1"}, {"studydate": "1"}],
)
def test_queries_that_are_malformed_are_refused(parameters: dict[str, str]) -> None:
    with pytest.raises(qido.BadQuery):
        qido.parse(parameters, Level.STUDY)


@pytest.mark.postgres
def test_times_are_compared_alike_whatever_language_the_database_sorts_by(postgres_cluster: Cluster) -> None:
    engine = fresh(postgres_cluster.fresh(language="en-US"))
    with transaction(engine) as connection:
        photo = store(connection, facts("1"))
        save_instance(connection, photo, "2.25.1", _object("2.25.1", t00080030="101530.25"))
    for value, photos in (("1015", 1), ("-1015", 1), ("1015-", 1), ("0900-1030", 1), ("1016-", 0), ("-1014", 0)):
        assert len(_found(engine, ("StudyTime", value)).photos) == photos, value
    engine.dispose()


@pytest.mark.fast
def test_fields_to_be_included_are_read() -> None:
    query = qido.parse(
        {"includefield": "RequestAttributesSequence.RequestedProcedureID,00081030,StudyID"}, Level.SERIES
    )
    assert query.include == {"00400275", "00081030", "00200010"}
    query = qido.parse({"includefield": "00400275.00401001,PixelSpacing"}, Level.SERIES)
    assert query.include == {"00400275"}


@pytest.mark.fast
@pytest.mark.parametrize("field", ["studyid", "0008103", "StudyID.", "a b", "PatientName\0"])
def test_fields_that_are_none_are_refused(field: str) -> None:
    with pytest.raises(qido.BadQuery):
        qido.parse({"includefield": field}, Level.STUDY)


def test_what_is_not_permitted_is_not_counted_but_recorded_as_refused(filled: Engine) -> None:
    with reading(filled) as connection:
        found = find(connection, Question(Level.STUDY, (("StudyInstanceUID", "1.2"),)), lambda number: number == 2)
    (study,) = found.entities
    assert (study.photos, study.modalities, len(study.series), found.refused) == ([2], ["DERM"], 1, 1)


def test_pages_follow_each_other(filled: Engine) -> None:
    pages = []
    with reading(filled) as connection:
        for offset in range(4):
            found = find(connection, Question(Level.INSTANCE, limit=1, offset=offset), lambda _: true())
            pages.append(([each.uids[2] for each in found.entities], found.more))
    assert pages == [(["2.25.1"], True), (["2.25.2"], True), (["2.25.3"], False), ([], False)]


def test_answers_hold_computed_attributes_whatever_the_object_says(filled: Engine) -> None:
    query = qido.parse({"includefield": "all", "StudyInstanceUID": "1.2"}, Level.STUDY)
    with reading(filled) as connection:
        found = find(connection, query.question, lambda _: true())
    (study,) = qido.answer(found, query, "http://x/dicom-web")
    assert study["00201208"] == {"vr": "IS", "Value": [2]}
    assert study["00080061"]["Value"] == ["DERM", "XC"]
    assert study["00081190"]["Value"] == ["http://x/dicom-web/studies/1.2"]
    assert study["00080090"] == {"vr": "PN"}
    assert "00080018" not in study


def test_bulk_is_left_out_at_every_depth() -> None:
    deep = {"vr": "SQ", "Value": [{"7FE00010": {"vr": "OW", "InlineBinary": "x"}, "00080100": {"vr": "SH"}}]}
    kept = without_bulk({"00082218": deep, "7FE00010": {"vr": "OB", "BulkDataURI": "x"}, "00880200": {"vr": "SQ"}})
    assert kept == {"00082218": {"vr": "SQ", "Value": [{"00080100": {"vr": "SH"}}]}}


def test_orthanc_ids() -> None:
    """Padding does not count; that the ids are Orthanc's own is seen with a real one."""
    assert orthanc_ids("P ", "1", "2", "3") == orthanc_ids("P", "1", "2", "3")
    assert len(orthanc_ids("P", "1", "2", "3").instance) == 44
