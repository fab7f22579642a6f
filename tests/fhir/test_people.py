"""What a DICOM header takes from the record: identifiers whole or not at all, times as far as they are told."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fhir_mapping import dates
from fhir_mapping.resources.people import patient_facts, visit_facts

pytestmark = pytest.mark.fast

ZONE = ZoneInfo("Europe/Athens")
TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"


def _identifier(value: str, kind: str | None = None, **more: str) -> dict[str, Any]:
    typed = {"type": {"coding": [{"system": TYPES, "code": kind}]}} if kind else {}
    return {"value": value, **typed, **more}


def test_a_record_number_that_is_no_longer_hers_is_not_taken() -> None:
    former, present = _identifier("OLD", "MR", use="old"), _identifier("NEW", "MR", system="urn:mrn")
    facts = patient_facts({"id": "p", "identifier": [former, present]})
    assert (facts.id, facts.issuer) == ("NEW", "urn:mrn")


def test_an_identifier_is_never_cut() -> None:
    facts = patient_facts({"id": "p", "identifier": [_identifier("x" * 80, "MR", system="urn:" + "s" * 80)]})
    assert (facts.id, facts.issuer) == ("x" * 80, None)  # the object refuses the one and does without the other
    visit = visit_facts({"id": "v", "identifier": [_identifier("A" * 17, "ACSN"), _identifier("V" * 65)]}, ZONE)
    assert (visit.accession_number, visit.admission_id) == ("", "v")


def test_a_name_that_is_told_as_a_text_is_told_once() -> None:
    assert patient_facts({"id": "p", "name": [{"text": "Anna Demou", "given": ["Anna"]}]}).name == "Anna Demou"


@pytest.mark.parametrize(
    ("start", "started"),
    [
        ("2026", None),
        ("2026-05", None),
        ("2026-05-03", date(2026, 5, 3)),
        ("2026-05-03T10:00:00+03:00", datetime(2026, 5, 3, 7, tzinfo=UTC)),
    ],
)
def test_a_visit_begins_as_exactly_as_the_record_tells(start: str, started: date | None) -> None:
    found = visit_facts({"id": "v", "period": {"start": start}}, ZONE).started
    assert found == started
    assert isinstance(found, datetime) == isinstance(started, datetime)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 5, 3, 10, tzinfo=ZONE), "2026-05-03T10:00:00+03:00"),
        (datetime(1900, 1, 1, tzinfo=ZONE), "1899-12-31T22:25:08+00:00"),
        (datetime(2026, 5, 3, 10, tzinfo=timezone(timedelta(hours=15))), "2026-05-02T19:00:00+00:00"),
    ],
)
def test_an_offset_that_fhir_cannot_write_is_told_in_utc(moment: datetime, text: str) -> None:
    assert dates.date_time(moment) == text


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ({"family": "Berg", "given": ["Mia", "Eva"], "prefix": ["Dr."]}, "Berg^Mia^Eva^Dr."),
        ({"family": "Berg", "given": [None, "Mia"], "_given": [{"extension": []}, None]}, "Berg^Mia"),
        ({"family": "Berg", "given": ["Mia"], "suffix": [None]}, "Berg^Mia"),
        ({"text": "Mia^Berg=x"}, "Mia Berg x"),
        ({}, ""),
    ],
)
def test_a_name_holds_what_is_said_and_nothing_else(name: dict[str, Any], said: str) -> None:
    assert patient_facts({"resourceType": "Patient", "id": "p", "name": [name]}).name == said
