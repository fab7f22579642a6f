"""Records that were merged are one person's to searches and to the index of photos, on both databases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import Engine, true

from consent.store.clock import now
from consent.store.engine import reading, transaction
from dicom_bridge.query.dictionary import Level
from dicom_bridge.query.index import save_instance
from dicom_bridge.query.search import Question, find
from fhir_mapping.search import find as searching
from fhir_mapping.search.condition import Scene, few_ids
from fhir_mapping.search.conditions import conditions
from fhir_mapping.store.record import RecordStore
from tests.fhir.clinic import BASE, SITE
from tests.store.world import facts, store

CHAINS = (
    ("Encounter", "patient", "{}"),
    ("Encounter", "subject", "Patient/{}"),
    ("Encounter", "patient.identifier", "urn:mrn|PID-{}"),
    ("Encounter", "subject:Patient.name", "{}"),
)
RECORDS = {"one": "v-one", "two": "v-two", "three": "v-three"}


@pytest.fixture
def people(engine: Engine, record: RecordStore) -> RecordStore:
    """Three records, with a visit and a photo each."""
    for name, visit in RECORDS.items():
        _put(engine, record, _patient(name))
        kind = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}
        subject = {"reference": f"Patient/{name}"}
        _put(
            engine,
            record,
            {"resourceType": "Encounter", "id": visit, "status": "finished", "class": kind, "subject": subject},
        )
        with transaction(engine) as connection:
            number = store(connection, facts(f"{len(name)}{ord(name[0])}", name))
            values = {"0020000D": "1.2", "0020000E": "1.2.3", "00100020": f"PID-{name}", "00080060": "XC"}
            values |= {"00080018": f"2.25.{len(name)}{ord(name[0])}"}
            entry = {tag: {"vr": "LO", "Value": [value]} for tag, value in values.items()}
            save_instance(connection, number, values["00080018"], entry)
    return record


def _patient(name: str, into: str | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {
        "resourceType": "Patient",
        "id": name,
        "identifier": [{"system": "urn:mrn", "value": f"PID-{name}"}],
        "name": [{"family": name}],
    }
    if into is not None:
        made["link"] = [{"type": "replaced-by", "other": {"reference": f"Patient/{into}"}}]
    return made


def _put(engine: Engine, record: RecordStore, resource: Mapping[str, Any]) -> None:
    with transaction(engine) as connection:
        record.update(connection, resource["resourceType"], resource["id"], resource, source="test")


def _searched(engine: Engine, kind: str, name: str, value: str) -> set[str]:
    with reading(engine) as connection:
        scene = Scene(connection, SITE.zone, now(connection), BASE)
        page = searching.page(scene, kind, conditions(scene, kind, [(name, value)]), count=50)
        return set(page.ids)


def _photos(engine: Engine, value: str) -> set[str]:
    with reading(engine) as connection:
        found = find(connection, Question(Level.INSTANCE, (("PatientID", value),)), lambda _: true())
    return {str(each.attributes["00100020"]["Value"][0]).removeprefix("PID-") for each in found.entities}


@pytest.mark.parametrize("few", [5000, 0], ids=["by the index", "by walking"])
@pytest.mark.parametrize(("kind", "name", "value"), CHAINS)
def test_a_search_by_either_record_finds_both(
    engine: Engine, people: RecordStore, monkeypatch: pytest.MonkeyPatch, kind: str, name: str, value: str, few: int
) -> None:
    monkeypatch.setattr(few_ids, "__defaults__", (few,))

    def found() -> list[set[str]]:
        return [_searched(engine, kind, name, value.format(each)) for each in RECORDS]

    apart = [{visit} for visit in RECORDS.values()]
    assert found() == apart
    _put(engine, people, _patient("two", "one"))
    assert found() == [{"v-one", "v-two"}, {"v-one", "v-two"}, {"v-three"}]
    _put(engine, people, _patient("one", "three"))
    assert found() == [set(RECORDS.values())] * 3
    _put(engine, people, _patient("one"))
    assert found() == [{"v-one", "v-two"}, {"v-one", "v-two"}, {"v-three"}]
    _put(engine, people, _patient("two"))
    assert found() == apart


@pytest.mark.parametrize("few", [5000, 0], ids=["by the index", "by walking"])
def test_a_patient_is_found_by_what_is_under_another_record_of_hers(
    engine: Engine, people: RecordStore, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(few_ids, "__defaults__", (few,))

    def found() -> list[set[str]]:
        return [_searched(engine, "Patient", "_has:Encounter:patient:_id", visit) for visit in RECORDS.values()]

    assert found() == [{each} for each in RECORDS]
    _put(engine, people, _patient("two", "one"))
    assert found() == [{"one", "two"}, {"one", "two"}, {"three"}]
    _put(engine, people, _patient("two"))
    assert found() == [{each} for each in RECORDS]


@pytest.mark.parametrize("pattern", ["PID-{}", "PID-{}\\PID-nobody", "?ID-{}", "*-{}", "{}"])
def test_a_patient_id_of_either_record_finds_the_photos_of_both(
    engine: Engine, people: RecordStore, pattern: str
) -> None:
    def found() -> list[set[str]]:
        return [_photos(engine, pattern.format(each)) for each in RECORDS]

    apart = [set()] * 3 if pattern == "{}" else [{each} for each in RECORDS]
    assert found() == apart
    _put(engine, people, _patient("two", "one"))
    together = {"one", "two"}
    assert found() == [together, together, apart[2]]
    _put(engine, people, _patient("two"))
    assert found() == apart


def test_a_number_without_photos_finds_those_under_the_other_one(engine: Engine, people: RecordStore) -> None:
    _put(engine, people, _patient("new"))
    assert _photos(engine, "PID-new") == set()
    _put(engine, people, _patient("two", "new"))
    assert _photos(engine, "PID-new") == {"two"}
    assert _photos(engine, "*") == set(RECORDS)
    assert _photos(engine, "") == set(RECORDS)


def test_links_between_records_are_searched_as_they_are_written(engine: Engine, people: RecordStore) -> None:
    _put(engine, people, _patient("two", "one"))
    assert [_searched(engine, "Patient", "link", f"Patient/{each}") for each in RECORDS] == [{"two"}, set(), set()]
