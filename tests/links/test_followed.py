"""Records that were merged are one person's at every door, by whichever of them one asks, until they are unmerged."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from pynetdicom import evt
from typer.testing import CliRunner

from dicom_bridge.objects.uids import fhir_id
from fhir_mapping.search.condition import few_ids
from orthanc_plugin.assembly.cli import build
from tests.gateway.peers import JPEG, PATIENT_FIND, PATIENT_GET, STUDY_FIND, storage
from tests.gateway.world import identifier
from tests.links.doors import Doors
from tests.links.world import Links, Row

pytestmark = [pytest.mark.orthanc]

LOT = "LOT-FOLLOWED"
RECORDS = ("rose", "rosa")


@dataclass(frozen=True, slots=True)
class Person:
    """Two records of one person, with a photo, a treatment, a plan, an outcome and a Consent each."""

    clinic: Links
    door: Doors
    photos: dict[str, Row]

    def of(self, text: str, kind: str) -> set[str]:
        """Under which records the resources of a kind are that a text names."""
        return {each for each in RECORDS if f"{kind}-{each}" in text}

    def shown(self, text: str) -> set[str]:
        """Under which records the photos are that a text names, by document or UID."""
        return {each for each, row in self.photos.items() if fhir_id(row.sop) in text or row.sop in text}

    def fhir(self, path: str, account: str = "clinician", purpose: str = "TREAT") -> str:
        """An answer of the FHIR API, without the links to its pages, which say what was asked."""
        answer = self.door.fhir(path, account, purpose)
        if answer.status_code == 404:
            return ""
        assert answer.status_code == 200, answer.text
        return json.dumps({name: value for name, value in answer.json().items() if name != "link"})

    def qido(self, path: str) -> str:
        """An answer of DICOMweb."""
        return self.clinic.archive.ask(f"/dicom-web{path}", "clinician", "TREAT").body.decode()

    def command(self, *words: str, account: str = "linker") -> str:
        """What a command prints."""
        said = [*words, "--as", account, "--settings", str(self.clinic.file), "--json"]
        result = CliRunner().invoke(build(), said, env={"PHOTOSPINE_ACCOUNT": None})
        assert result.exit_code == 0, result.output
        return result.stdout

    def queried(self, sop_class: str, level: str, **keys: object) -> str:
        """What C-FIND answers."""
        wanted = identifier(level, **keys)
        with self.door.gate.association(sop_class, title="CLINICIAN") as association:
            answers = [found for _, found in association.send_c_find(wanted, sop_class) if found is not None]
        return "\n".join(map(str, answers))

    def retrieved(self, patient_id: str) -> str:
        """UIDs of what C-GET gives of a Patient ID."""
        arrived: list[str] = []

        def stored(event: Any) -> int:
            arrived.append(str(event.request.AffectedSOPInstanceUID))
            return 0

        contexts, roles = storage(JPEG)
        handlers = [(evt.EVT_C_STORE, stored)]
        with self.door.gate.association(
            PATIENT_GET, title="CLINICIAN", roles=roles, handlers=handlers, more=contexts
        ) as association:
            list(association.send_c_get(identifier("PATIENT", PatientID=patient_id), PATIENT_GET))
        return " ".join(arrived)

    def studies(self, text: str) -> set[str]:
        """Under which records the studies are that a text names."""
        return {each for each, row in self.photos.items() if row.study in text}


Ask = Callable[[Person, str], set[str]]
"""Asks a door by one record's name; the names of the records of which it shows something."""


def _searched(kind: str, named: str, query: str) -> Ask:
    return lambda who, name: who.of(who.fhir(f"/{kind}?{query.format(name)}&_count=500"), named)


def _photos(query: str, kind: str = "DocumentReference") -> Ask:
    return lambda who, name: who.shown(who.fhir(f"/{kind}?{query.format(name)}&_count=500"))


DOORS: dict[str, Ask] = {
    **{
        f"fhir {kind} patient": _searched(kind, named, "patient={0}")
        for kind, named in (
            ("Procedure", "laser"),
            ("MedicationAdministration", "given"),
            ("CarePlan", "plan"),
            ("Observation", "outcome"),
            ("Consent", "agreed"),
            ("Encounter", "visit"),
        )
    },
    "fhir documents": _photos("patient={0}"),
    "fhir studies": _photos("patient=Patient/{0}", "ImagingStudy"),
    "fhir subject": _searched("Procedure", "laser", "subject=Patient/{0}"),
    "fhir subject of a type": _searched("Procedure", "laser", "subject:Patient={0}"),
    "fhir by her number": _searched("Procedure", "laser", "patient.identifier=urn:mrn|PID-{0}"),
    "fhir by her name": _photos("subject:Patient.name=Family{0}"),
    "fhir by what was done to her": lambda who, name: who.of(
        who.fhir(f"/Patient?_has:Procedure:patient:identifier=laser-{name}"), "PID"
    ),
    "fhir photos by facet": lambda who, name: who.shown(who.fhir(f"/DocumentReference/$photos?patient={name}")),
    "qido instances": lambda who, name: who.shown(who.qido(f"/instances?PatientID=PID-{name}")),
    "qido studies": lambda who, name: who.studies(who.qido(f"/studies?PatientID=PID-{name}")),
    "qido by a pattern": lambda who, name: who.shown(who.qido(f"/instances?PatientID=PID-{name[0]}?{name[2:]}")),
    "c-find studies": lambda who, name: who.studies(
        who.queried(STUDY_FIND, "STUDY", PatientID=f"PID-{name}", StudyInstanceUID="")
    ),
    "c-find of a patient": lambda who, name: who.studies(
        who.queried(PATIENT_FIND, "STUDY", PatientID=f"PID-{name}", StudyInstanceUID="")
    ),
    "c-find patients": lambda who, name: who.of(who.queried(PATIENT_FIND, "PATIENT", PatientID=f"PID-{name}"), "PID"),
    "c-get": lambda who, name: who.shown(who.retrieved(f"PID-{name}")),
    "chart": lambda who, name: who.shown(who.door.page(f"/chart/patient/{name}", "clinician")),
    "chart's treatments": lambda who, name: {
        each for each in RECORDS if f"Laser of {each}" in who.door.page(f"/chart/patient/{name}", "clinician")
    },
    "next session": lambda who, name: {
        each for each in RECORDS if f"Plan of {each}" in who.door.page(f"/chart/patient/{name}/next", "clinician")
    },
    "command photos": lambda who, name: who.shown(who.command("photos", f"patient={name}", account="clinician")),
    "command consent list": lambda who, name: who.of(
        who.command("consent", "list", "--patient", name, account="clinician"), "agreed"
    ),
    "command audit disclosures": lambda who, name: who.shown(
        who.command("audit", "disclosures", name, account="auditor")
    ),
    "her own record": lambda who, name: who.of(who.fhir("/Procedure", f"own-{name}", "PATRQT"), "laser"),
    "her own photos": lambda who, name: who.shown(who.fhir("/DocumentReference", f"own-{name}", "PATRQT")),
    "her own page": lambda who, name: who.shown(who.door.page(f"/me/patient/{name}", f"own-{name}")),
    "her own history": lambda who, name: {
        each
        for each in RECORDS
        if f"laser-{each}" in who.fhir(f"/Procedure/laser-{each}/_history", f"own-{name}", "PATRQT")
    },
}


@pytest.fixture(scope="module")
def person(clinic: Links, door: Doors) -> Person:
    """The two records, unmerged."""
    clinic.archive.account("auditor", "HCOMPL", "PATSFTY")
    clinic.archive.account("visitor", "PORTFOLIO")
    photos = {}
    clinic.put({"resourceType": "Medication", "id": "followed", "code": {"text": "T"}, "batch": {"lotNumber": LOT}})
    for name in RECORDS:
        clinic.person(name)
        clinic.archive.account(f"own-{name}", "PATRQT", confined_to=name)
        taken = clinic.visit(name)
        clinic.take(taken)
        photos[name] = clinic.one(taken)
        subject = {"subject": {"reference": f"Patient/{name}"}}
        encounter = clinic.bare("Encounter", taken.encounter)
        clinic.put({key: value for key, value in encounter.items() if key != "identifier"} | {"id": f"visit-{name}"})
        clinic.put(
            subject
            | {
                "resourceType": "CarePlan",
                "id": f"plan-{name}",
                "status": "active",
                "intent": "plan",
                "title": f"Plan of {name}",
            }
        )
        clinic.put(
            subject
            | {
                "resourceType": "Procedure",
                "id": f"laser-{name}",
                "identifier": [{"value": f"laser-{name}"}],
                "status": "completed",
                "code": {"text": f"Laser of {name}"},
                "performedDateTime": "2026-05-03",
                "basedOn": [{"reference": f"CarePlan/plan-{name}"}],
                "encounter": {"reference": f"Encounter/{taken.encounter}"},
            }
        )
        clinic.put(
            subject
            | {
                "resourceType": "MedicationAdministration",
                "id": f"given-{name}",
                "status": "completed",
                "medicationReference": {"reference": "Medication/followed"},
                "effectiveDateTime": "2026-05-03",
                "partOf": [{"reference": f"Procedure/laser-{name}"}],
            }
        )
        clinic.put(
            subject
            | {
                "resourceType": "Observation",
                "id": f"outcome-{name}",
                "status": "final",
                "code": {"text": "Texture"},
                "effectiveDateTime": "2026-05-03",
            }
        )
        clinic.agree(f"agreed-{name}", "PORTFOLIO", name)
        clinic.agree(f"mine-{name}", "PATRQT", name)
        assert clinic.seen(photos[name].sop)
    return Person(clinic, door, photos)


@contextmanager
def merged(clinic: Links, name: str, into: str) -> Iterator[None]:
    """For a while."""
    clinic.merge(name, into)
    try:
        yield
    finally:
        clinic.person(name)


@pytest.mark.parametrize("door_name", DOORS)
def test_by_either_record_both_are_found_and_unmerged_each_its_own(person: Person, door_name: str) -> None:
    ask = DOORS[door_name]

    def found() -> dict[str, set[str]]:
        return {name: ask(person, name) for name in RECORDS}

    apart, together = {name: {name} for name in RECORDS}, {name: set(RECORDS) for name in RECORDS}
    assert found() == apart
    for name, into in (RECORDS, RECORDS[::-1]):
        with merged(person.clinic, name, into):
            assert found() == together
        assert found() == apart


def test_a_page_of_the_portfolio_has_one_outcome_of_a_person(person: Person) -> None:
    def outcomes() -> int:
        return person.door.page("/portfolio/PORTFOLIO", "visitor").count('class="outcome"')

    before = outcomes()
    assert 2 <= before < 24
    with merged(person.clinic, *RECORDS):
        assert outcomes() == before - 1
    assert outcomes() == before


def test_an_advisory_names_a_person_once_with_both_records(person: Person) -> None:
    def patients() -> list[set[str]]:
        told = json.loads(person.command("advisory", "ask", LOT, account="auditor"))
        return [person.of(json.dumps(each), "laser") for each in told["patients"]]

    apart = [{name} for name in sorted(RECORDS)]
    assert sorted(patients(), key=sorted) == apart
    with merged(person.clinic, *RECORDS):
        assert patients() == [set(RECORDS)]
    assert sorted(patients(), key=sorted) == apart


def test_the_list_of_patients_shows_her_once_by_either_number(person: Person) -> None:
    def listed(number: str) -> set[str]:
        page = person.door.page(f"/chart?q=PID-{number}", "clinician")
        return {each for each in RECORDS if f"/chart/patient/{each}" in page}

    assert [listed(each) for each in RECORDS] == [{each} for each in RECORDS]
    for name, into in (RECORDS, RECORDS[::-1]):
        with merged(person.clinic, name, into):
            assert [listed(each) for each in RECORDS] == [{into}, {into}]
    assert [listed(each) for each in RECORDS] == [{each} for each in RECORDS]


def test_an_emergency_is_of_the_person(person: Person) -> None:
    clinic = person.clinic
    clinic.archive.account("urgent", "BTG")
    said = {"X-Emergency-Reason": "She bleeds"}
    path = "/dicom-web/instances?PatientID=PID-{}"

    def opened(name: str) -> set[str]:
        return person.shown(clinic.archive.ask(path.format(name), "urgent", "BTG", headers=said).body.decode())

    assert [opened(each) for each in RECORDS] == [{each} for each in RECORDS]
    with merged(clinic, *RECORDS):
        assert [opened(each) for each in RECORDS] == [set(RECORDS)] * 2
    assert [opened(each) for each in RECORDS] == [{each} for each in RECORDS]


def test_a_chain_that_walks_the_record_follows_a_merge(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    by_name, by_deed = DOORS["fhir by her number"], DOORS["fhir by what was done to her"]
    monkeypatch.setattr(few_ids, "__defaults__", (0,))
    for ask in (by_name, by_deed):
        assert [ask(person, each) for each in RECORDS] == [{each} for each in RECORDS]
        with merged(person.clinic, *RECORDS):
            assert [ask(person, each) for each in RECORDS] == [set(RECORDS)] * 2
        assert [ask(person, each) for each in RECORDS] == [{each} for each in RECORDS]


def test_links_between_records_are_searched_as_they_are_written(person: Person) -> None:
    with merged(person.clinic, *RECORDS):
        found = [person.of(person.fhir(f"/Patient?link=Patient/{each}"), "PID") for each in RECORDS]
    assert found == [set(), {RECORDS[0]}]


def test_what_comes_in_is_taken_for_either_record(person: Person) -> None:
    clinic = person.clinic
    visit = clinic.visit(RECORDS[0])
    words = ["ingest", str(visit.paths[0]), "--patient", RECORDS[1], "--visit", visit.encounter, "--region", "face"]
    words += ["--laterality", "B", "--view", "frontal", "--as", "clinician", "--settings", str(clinic.file)]
    assert CliRunner().invoke(build(), words).exit_code == 1
    with merged(clinic, *RECORDS):
        result = CliRunner().invoke(build(), words)
        assert result.exit_code == 0, result.output
    taken = clinic.one(visit)
    assert taken.patient == RECORDS[0]
    assert clinic.seen(taken.sop)


def test_what_waits_may_be_at_a_visit_of_either_record(person: Person) -> None:
    made = person.clinic.sent(900, StudyDate="20260503", ContentDate="20260503", PatientID=f"PID-{RECORDS[0]}")

    def visits() -> set[str]:
        told = json.loads(person.command("link", "--list"))
        (mine,) = [each for each in told if each["sop_uid"] == made.sop]
        return {each for each in RECORDS if any(f"-{each}" in one.get("visit", "") for one in mine["suggestions"])}

    assert visits() == {RECORDS[0]}
    with merged(person.clinic, *RECORDS):
        assert visits() == set(RECORDS)
    assert visits() == {RECORDS[0]}
