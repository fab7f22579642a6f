"""A visit's photographs are closed with a reason for each that is missing, and open again when one comes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from consent.store.engine import reading, transaction
from consent.types import Right
from dicom_bridge.protocols.closing import Person, Why, closing_id, read, reopen
from dicom_bridge.protocols.reasons import reasons
from fhir_mapping.errors import Forbidden, Invalid, NotFound, VersionMismatch
from fhir_mapping.treatment.read import treatments
from fhir_mapping.treatment.surroundings import Surroundings
from tests.fhir.clinic import BASE, Clinic, consent_of
from tests.protocols.closable import FROWN, REST, VISIT, closings, opened, request, shot

NURSE = Person("The nurse", "Practitioner/d")
DECLINED = {FROWN: Why("patient-declined")}


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    made = opened(tmp_path)
    yield made
    made.close()


def test_each_photo_that_the_protocol_wants_is_asked_for(clinic: Clinic) -> None:
    shot(clinic, "n1", "rest")
    found = closings(clinic).look(request(), VISIT, "test")
    assert found is not None
    assert {each.code: each.photo and each.photo.document for each in found.visited.asked} == {REST: "n1", FROWN: None}
    assert [each.code for each in found.missing] == [each.code for each in found.baseline] == [FROWN]
    assert found.closed is None
    (record,) = [each for each in clinic.records() if each.get("route") == "test"]
    assert record["details"]["subject"] == f"Encounter/{VISIT}"


def test_nothing_is_closed_while_a_photo_is_missing_without_a_reason(clinic: Clinic) -> None:
    shot(clinic, "n1", "rest")
    for why, said in (
        ({}, "Glabella, frontal, frown: the photo is not there; say why."),
        ({FROWN: Why("tired")}, "'tired' is none of patient-declined"),
        ({FROWN: Why("other", " ")}, "say in a sentence which reason"),
        ({FROWN: Why("other", "x" * 501)}, "500 characters at most"),
        ({REST: Why("patient-declined")}, "Glabella, frontal, frown: the photo is not there"),
    ):
        with pytest.raises(Invalid) as refused:
            closings(clinic).close(request(), VISIT, why, NURSE, "test")
        assert said in refused.value.issues[0].text
    with reading(clinic.engine) as connection:
        assert not clinic.record.exists(connection, f"Observation/{closing_id(VISIT)}")


def test_it_is_closed_with_reason_and_name_and_kept_as_fhir(clinic: Clinic) -> None:
    shot(clinic, "n1", "rest")
    done = closings(clinic).close(request(), VISIT, {FROWN: Why("other", "Eyelid swollen")}, NURSE, "test")
    assert done.closed is not None
    answer = clinic.ask("doctor", "GET", f"/Observation/{closing_id(VISIT)}")
    assert answer.status_code == 200
    kept = answer.json()
    assert kept["status"] == "final"
    assert kept["performer"] == [{"reference": "Practitioner/d", "display": "The nurse"}]
    assert kept["encounter"] == {"reference": f"Encounter/{VISIT}"}
    assert kept["derivedFrom"] == [{"reference": "DocumentReference/n1"}]
    rest, frown = kept["component"]
    assert (rest["code"]["coding"][0]["code"], frown["code"]["coding"][0]["code"]) == (REST, FROWN)
    assert rest["code"]["coding"][0]["version"] == "1"
    assert frown["dataAbsentReason"] == {
        "coding": [{"system": "urn:photospine:missing-reason", "code": "other"}],
        "text": "Another reason: Eyelid swollen",
    }
    found = closings(clinic).look(request(), VISIT, "test")
    assert found is not None
    assert found.closed is not None
    assert not found.closed.open
    assert (found.closed.by, found.closed.why) == ("The nurse", {FROWN: Why("other", "Eyelid swollen")})
    # What was done is what was done: the closing is no machine's setting, and no outcome.
    with reading(clinic.engine) as connection:
        (treated,) = treatments(Surroundings(connection, BASE, ["Procedure/tox"]))
    assert treated.observed == ()
    assert treated.session.machines == ()


@pytest.mark.parametrize("reason", sorted(reasons()))
def test_every_reason_is_read_back(clinic: Clinic, reason: str) -> None:
    why = {REST: Why(reason, "In a sentence"), FROWN: Why(reason, "In a sentence: with more")}
    closings(clinic).close(request(), VISIT, why, NURSE, "test")
    with reading(clinic.engine) as connection:
        stored = clinic.record.read(connection, "Observation", closing_id(VISIT))
    assert read(stored.json()).why == why


def test_a_photo_that_comes_later_opens_it_again(clinic: Clinic) -> None:
    shot(clinic, "n1", "rest")
    closings(clinic).close(request(), VISIT, DECLINED, NURSE, "test")
    shot(clinic, "n2", "frown")
    with transaction(clinic.engine) as connection:
        reopen(connection, clinic.record, [VISIT, "v1"])
        reopen(connection, clinic.record, [VISIT])  # once is enough
    found = closings(clinic).look(request(), VISIT, "test")
    assert found is not None
    assert found.closed is not None
    assert found.closed.open
    assert (found.closed.version, found.missing) == (2, ())
    with pytest.raises(VersionMismatch):
        closings(clinic).close(request(), VISIT, {}, NURSE, "test", version=1)
    closings(clinic).close(request(), VISIT, {}, NURSE, "test", version=2)
    with transaction(clinic.engine) as connection:
        reopen(connection, clinic.record, [VISIT])  # nothing is missing: more photos change nothing
        kept = clinic.record.read(connection, "Observation", closing_id(VISIT))
    assert (kept.version, kept.json()["status"]) == (3, "final")
    assert "dataAbsentReason" not in json.dumps(kept.json())


def test_a_strict_site_closes_no_first_session_without_its_baseline(clinic: Clinic) -> None:
    shot(clinic, "n1", "rest")
    with pytest.raises(Invalid) as refused:
        closings(clinic, strict=True).close(request(), VISIT, DECLINED, NURSE, "test")
    assert "Glabella, frontal, frown" in refused.value.issues[0].text
    # Taken at the consultation, twelve days before, it counts; taken two months before, it does not.
    shot(clinic, "old", "frown", visit="v1", taken="2026-04-10T10:00:00+03:00")
    with pytest.raises(Invalid):
        closings(clinic, strict=True).close(request(), VISIT, DECLINED, NURSE, "test")
    shot(clinic, "new", "frown", visit="v1", taken="2026-06-03T10:00:00+03:00")
    done = closings(clinic, strict=True).close(request(), VISIT, {}, NURSE, "test")
    assert {each.photo.document for each in done.visited.asked if each.photo is not None} == {"n1", "new"}


def test_a_later_session_is_closed_without_a_baseline(tmp_path: Path) -> None:
    clinic = opened(tmp_path, number=2)
    try:
        shot(clinic, "new", "frown", visit="v1", taken="2026-06-03T10:00:00+03:00")
        found = closings(clinic, strict=True).look(request(), VISIT, "test")
        assert found is not None
        assert [each.code for each in found.missing] == [REST, FROWN]  # another visit's photo is not this one's
        assert found.baseline == ()
        why = {REST: Why("forgotten"), FROWN: Why("forgotten")}
        closings(clinic, strict=True).close(request(), VISIT, why, NURSE, "test")
    finally:
        clinic.close()


def test_a_photo_that_may_not_be_seen_is_as_if_it_were_not_there(clinic: Clinic) -> None:
    shot(clinic, "n1", "rest")
    shot(clinic, "n2", "frown")
    named = {"data": [{"meaning": "instance", "reference": {"reference": "DocumentReference/n2"}}]}
    clinic.put(consent_of("no", "deny", "TREAT", provision=named))
    found = closings(clinic).look(request(), VISIT, "test")
    assert found is not None
    assert [each.code for each in found.missing] == [FROWN]
    closings(clinic).close(request(), VISIT, DECLINED, NURSE, "test")
    assert "n2" not in clinic.ask("doctor", "GET", f"/Observation/{closing_id(VISIT)}").text


def test_who_may_not_write_or_see_does_not_close(clinic: Clinic) -> None:
    with pytest.raises(Forbidden):
        closings(clinic).close(request("doctor", Right.CONSENT), VISIT, DECLINED, NURSE, "test")
    with pytest.raises(NotFound):
        closings(clinic).close(request(), "none", DECLINED, NURSE, "test")
    assert closings(clinic).look(request(), "none", "test") is None


def test_a_visit_that_nothing_is_asked_of_has_nothing_to_close(clinic: Clinic) -> None:
    with pytest.raises(Invalid) as refused:
        closings(clinic).close(request(), "v1", {}, NURSE, "test")
    assert "nothing to close" in refused.value.issues[0].text
