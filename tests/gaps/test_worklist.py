"""Worklist entries: what stands in them, and what a key asks of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dicom_bridge.gaps.arrivals import Arrival, Presence
from dicom_bridge.gaps.finding import gaps
from dicom_bridge.gaps.report import Hers, Report
from dicom_bridge.gaps.requests import is_request_id, request_id, shot_code, shot_of
from dicom_bridge.gaps.timeline import courses
from dicom_bridge.gaps.worklist import codes_in, entries
from dicom_bridge.gateway.datasets import read, written
from dicom_bridge.gateway.worklist import answered, matches, read_keys
from dicom_bridge.protocols.reading import all_protocols
from dicom_bridge.query.identifier import BadIdentifier
from fhir_mapping.resources.people import PatientFacts, VisitFacts
from tests.gaps.sentences import protocols, timelines

pytestmark = pytest.mark.fast
NOW = datetime(2026, 3, 20, 9, tzinfo=UTC)
ANNA = PatientFacts("PID-1", "urn:mrn", "Ānderson^Anna", date(1990, 5, 5), "F")
VISIT = VisitFacts(NOW, "2026-03-20", "ACC-1", "V-1")
EXPLICIT = "1.2.840.10008.1.2.1"


def _made(patient: PatientFacts = ANNA, visit: VisitFacts | None = VISIT) -> list[dict[str, Any]]:
    (line,) = (each for each in timelines() if each.title.startswith("2. "))
    found = gaps(courses(line.treatments, protocols()), line.photos, line.asked)
    arrival = Arrival("anna", "Encounter/e1", Presence.HERE, NOW)
    report = Report(line.asked, (Hers("anna", found, arrival=arrival),))
    visits = {} if visit is None else {"Encounter/e1": visit}
    return list(entries(report, {"anna": patient}, visits, lambda *_: "2.25.1", ZoneInfo("Europe/Athens"), NOW))


def test_an_entry_survives_the_wire() -> None:
    (entry,) = _made()
    again = read(written(entry, EXPLICIT), EXPLICIT)
    assert again["00100010"]["Value"] == [{"Alphabetic": "Ānderson^Anna"}]
    (step,) = again["00400100"]["Value"]
    assert step["00400003"]["Value"] == ["110000"]
    assert [each["00080104"]["Value"][0] for each in step["00400008"]["Value"]] == [
        "Glabella, frontal, face at rest",
        "Glabella, frontal, frown",
    ]
    for item in [step, *step["00400008"]["Value"]]:
        assert all(
            len(str(value)) <= 16 for tag in ("00400009", "00080100") for value in item.get(tag, {}).get("Value", [])
        )


@pytest.mark.parametrize("bad", ["a\\b", "x" * 65])
def test_an_identifier_that_dicom_cannot_hold_makes_no_entry(bad: str) -> None:
    assert _made(replace(ANNA, id=bad)) == []


def test_a_visit_without_an_accession_number_has_ours() -> None:
    (entry,) = _made(visit=replace(VISIT, accession_number=""))
    assert entry["00080050"]["Value"] == entry["00401001"]["Value"] == [request_id("Encounter/e1")]


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ({"00100010": {"vr": "PN", "Value": [{"Alphabetic": "ānderson*"}]}}, True),
        ({"00100010": {"vr": "PN", "Value": [{"Alphabetic": "B*"}]}}, False),
        ({"00400100": {"vr": "SQ", "Value": [{"00400002": {"vr": "DA", "Value": ["20260301-20260331"]}}]}}, True),
        ({"00400100": {"vr": "SQ", "Value": [{"00400002": {"vr": "DA", "Value": ["20260401-"]}}]}}, False),
        ({"00400100": {"vr": "SQ", "Value": [{"00080060": {"vr": "CS", "Value": ["CT", "XC"]}}]}}, True),
        ({"00400100": {"vr": "SQ"}}, True),
        ({"00100020": {"vr": "LO", "Value": ["PID-1"]}, "00080050": {"vr": "SH", "Value": ["ANOTHER"]}}, False),
        ({"00181030": {"vr": "LO", "Value": ["what no entry has"]}}, False),
    ],
)
def test_matching(keys: dict[str, Any], found: bool) -> None:
    (entry,) = _made()
    assert matches(entry, read_keys(keys)) is found


@pytest.mark.parametrize(
    "bad",
    [
        {"00400100": {"vr": "SQ", "Value": [{"00400002": {"vr": "DA", "Value": ["tomorrow"]}}]}},
        {"00400100": {"vr": "SQ", "Value": [{}, {}]}},
        {f"0010{each:04X}": {"vr": "LO"} for each in range(300)},
        {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "*a" * 20}]}},
    ],
)
def test_a_bad_identifier_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(BadIdentifier):
        read_keys(bad)


def test_what_is_answered_is_what_was_asked_for() -> None:
    (entry,) = _made()
    asked: dict[str, Any] = {
        "00100010": {"vr": "PN"},
        "00181030": {"vr": "LO"},
        "00400100": {"vr": "SQ", "Value": [{"00400007": {"vr": "LO"}}]},
    }
    found = answered(entry, asked)
    assert found["00181030"] == {"vr": "LO"}
    assert list(found["00400100"]["Value"][0]) == ["00400007"]
    assert "00100020" not in found


def test_numbers_and_codes_tell_what_they_stand_for() -> None:
    known = tuple(all_protocols())
    codes = {shot_code(each.name, shot.name) for each in known for shot in each.shots}
    assert len(codes) == sum(len(each.shots) for each in known)
    assert all(shot_of(shot_code(each.name, shot.name), known) is shot for each in known for shot in each.shots)
    assert shot_of("SNOTHING", known) is None
    assert is_request_id(request_id("Encounter/e1"))
    assert not any(map(is_request_id, ("", "PS", "ACC-1", "XX34567890123456")))


def test_codes_of_other_schemes_are_not_ours() -> None:
    items = [{"00080100": {"Value": ["S1"]}, "00080102": {"Value": [scheme]}} for scheme in ("SCT", "99PHOTOSPINE")]
    assert list(codes_in([*items, "x", {}])) == ["S1"]
