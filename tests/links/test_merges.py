"""Records are merged and unmerged, photos corrected between: each is seen once, as the right patient's, and whole."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from consent.decided import decide_all
from consent.store.engine import glancing, reading
from consent.store.tables import decided, directive, patient, photo, photo_facts, photo_link, photo_patient
from dicom_bridge.objects.uids import fhir_id
from tests.counts import count, report
from tests.fhir.clinic import consent_of
from tests.links.doors import Doors, doors
from tests.links.world import Links
from tests.pipeline.world import MR, Visit

pytestmark = [pytest.mark.orthanc]

PURPOSES = ("TREAT", "PORTFOLIO", "TEACH", "HRESCH")


@pytest.fixture(scope="module")
def door(clinic: Links) -> Iterator[Doors]:
    """All doors of the clinic."""
    with doors(clinic) as made:
        yield made


def _patient(clinic: Links, name: str, **more: Any) -> None:
    clinic.put(
        {
            "resourceType": "Patient",
            "id": name,
            "identifier": [{"type": MR, "system": "urn:mrn", "value": f"PID-{name}"}],
            "name": [{"family": f"Family{name}", "given": ["Given"]}],
            "birthDate": "1980-01-01",
        }
        | more
    )


def _merged(clinic: Links, name: str, into: str) -> None:
    """The EHR says that a record is the same person's as another one."""
    _patient(clinic, name, active=False, link=[{"other": {"reference": f"Patient/{into}"}, "type": "replaced-by"}])


def _deny(clinic: Links, name: str, of: str, **more: Any) -> None:
    said = consent_of(name, "deny", "TREAT", of, **more)
    said["organization"] = [{"reference": f"Organization/{clinic.store.site.organization}"}]
    clinic.put(said)


def _facts(clinic: Links, *names: str) -> dict[str, Any]:
    """All that decisions about these patients read and have stored, versions and times of deciding left aside."""
    with glancing(clinic.engine) as connection:
        numbers = select(photo_patient.c.photo).where(photo_patient.c.patient.in_(names))
        queries = {
            "patient": select(
                patient.c.patient, patient.c.birth_start, patient.c.merged_into, patient.c.survivor
            ).where(patient.c.patient.in_(names)),
            "photo": select(photo.c.sop_uid, photo.c.state, photo.c.patient, photo.c.document, photo.c.area).where(
                photo.c.photo.in_(numbers)
            ),
            "facts": select(photo_facts.c.photo, photo_facts.c.body).where(photo_facts.c.photo.in_(numbers)),
            "links": select(photo_link).where(photo_link.c.photo.in_(numbers)),
            "shown": select(photo_patient).where(photo_patient.c.photo.in_(numbers)),
            "consents": select(directive.c.consent, directive.c.body).where(directive.c.patient.in_(names)),
            "answers": select(decided.c.purpose, decided.c.audience, decided.c.photo, decided.c.effect).where(
                decided.c.photo.in_(numbers)
            ),
        }
        return {name: sorted(map(tuple, connection.execute(query)), key=repr) for name, query in queries.items()}


def test_a_merge_takes_effect_at_every_door_and_is_undone_without_a_trace(clinic: Links, door: Doors) -> None:
    _patient(clinic, "mary")
    _patient(clinic, "marie")
    one, other = clinic.visit("mary"), clinic.visit("marie")
    clinic.take(one)
    clinic.take(other)
    hers, mine = clinic.one(one), clinic.one(other)
    _deny(clinic, "no-marie", "marie")
    for row, seen in ((hers, True), (mine, False)):
        found = door.shown(row)
        assert set(found.values()) == {seen}, found
    before = _facts(clinic, "mary", "marie")
    for name, into in (("marie", "mary"), ("mary", "marie")):
        _merged(clinic, name, into)
        for row in (hers, mine):
            found = door.shown(row)
            assert set(found.values()) == {False}, found
        _patient(clinic, name)
        for row, seen in ((hers, True), (mine, False)):
            found = door.shown(row)
            assert set(found.values()) == {seen}, found
        assert _facts(clinic, "mary", "marie") == before


def test_photos_of_merged_records_are_in_one_chart(clinic: Links, door: Doors) -> None:
    _patient(clinic, "joan")
    _patient(clinic, "jeanne")
    one, other = clinic.visit("joan"), clinic.visit("jeanne")
    clinic.take(one)
    clinic.take(other)
    documents = [fhir_id(clinic.one(each).sop) for each in (one, other)]
    assert [each in door.page("/chart/patient/joan", "clinician") for each in documents] == [True, False]
    _merged(clinic, "jeanne", "joan")
    for name in ("joan", "jeanne"):
        page = door.page(f"/chart/patient/{name}", "clinician")
        assert [each in page for each in documents] == [True, True]
    # The objects bear the number that they were made with; so does what a viewer shows of them.
    bodies = clinic.archive.ask("/dicom-web/instances?PatientID=PID-jeanne&limit=1000", "clinician", "TREAT").body
    assert clinic.one(other).sop.encode() in bodies
    _patient(clinic, "jeanne")
    assert [each in door.page("/chart/patient/joan", "clinician") for each in documents] == [True, False]


def test_a_photo_is_linked_to_a_visit_of_either_merged_record(clinic: Links) -> None:
    _patient(clinic, "ann")
    _patient(clinic, "anne")
    first, second, wrong = clinic.visit("ann"), clinic.visit("anne"), clinic.visit("ben")
    clinic.take(wrong)
    former = clinic.one(wrong)
    refused = clinic.link(former.sop, patient="ann", visit=second.encounter, reason="Hers.")
    assert (refused.exit_code, "--visit" in refused.stderr) == (1, True)
    _merged(clinic, "anne", "ann")
    made = clinic.row(clinic.corrected(former.sop, patient="ann", visit=second.encounter))
    assert made.patient == "anne"
    moved = clinic.row(clinic.corrected(made.sop, visit=first.encounter))
    assert moved.patient == "ann"


class _Story:
    """Photos of three persons, and whose each is by what was done."""

    def __init__(self, clinic: Links, seed: int) -> None:
        self.clinic, self.chance = clinic, random.Random(seed)
        self.people = [f"s{seed}p{number}" for number in range(3)]
        for name in self.people:
            _patient(clinic, name)
        self.visits: dict[str, list[Visit]] = {name: [clinic.visit(name), clinic.visit(name)] for name in self.people}
        self.photos: list[tuple[str, bytes, str, list[str]]] = []
        """The instance that is seen, its original, whose it is, and those that were."""

        for name in self.people:
            for visit in self.visits[name]:
                clinic.take(visit)
                self.photos.append((clinic.one(visit).sop, visit.files[0], name, []))
        self.into: dict[str, str] = {}

    def step(self) -> str:
        kinds = ["side", "patient", "visit", "merge"] + (["unmerge"] if self.into else [])
        kind = self.chance.choice(kinds)
        if kind == "merge":
            name = self.chance.choice(self.people)
            others = [each for each in self.people if each != name and self.person(each) != name]
            if name in self.into or not others:
                return "nothing"
            self.into[name] = self.chance.choice(others)
            _merged(self.clinic, name, self.into[name])
        elif kind == "unmerge":
            name = self.chance.choice(sorted(self.into))
            del self.into[name]
            _patient(self.clinic, name)
        else:
            self.correct(kind, self.chance.randrange(len(self.photos)))
        return kind

    def correct(self, kind: str, number: int) -> None:
        sop, original, owner, former = self.photos[number]
        if kind == "side":
            said = {"region": "cheek", "laterality": self.chance.choice("LR"), "view": self.chance.choice(_VIEWS)}
            result = self.clinic.link(sop, "--json", reason="Seen.", **said)
            if result.exit_code and "nothing would be changed" in result.stderr:
                return
            assert result.exit_code == 0, result.output
            made = self.clinic.told(result)
        else:
            named = self.chance.choice(self.people) if kind == "patient" else owner
            visit = self.chance.choice(self.visits[named])
            words = {"patient": named, "visit": visit.encounter}
            result = self.clinic.link(sop, "--json", reason="Seen.", **words)
            if result.exit_code and "nothing would be changed" in result.stderr:
                return
            assert result.exit_code == 0, result.output
            made, owner = self.clinic.told(result), named
        self.photos[number] = (made, original, owner, [*former, sop])

    def person(self, name: str) -> str:
        while name in self.into:
            name = self.into[name]
        return name

    def holds(self) -> None:
        """Each photo is seen once, as whose it is, with its original; no former instance is seen."""
        body = self.clinic.archive.ask("/dicom-web/instances?limit=100000", "clinician", "TREAT").body
        for sop, original, owner, former in self.photos:
            row = self.clinic.row(sop)
            assert (row.state, row.patient) == ("linked", owner)
            assert body.count(sop.encode()) >= 1
            assert self.clinic.original_of(row) == original
            for each in former:
                assert each.encode() not in body
                assert self.clinic.row(each).state == "rejected"
                assert not self.clinic.archive.ask(
                    f"/instances/{self.clinic.row(each).orthanc_id}/file", "clinician", "TREAT"
                ).body
        with reading(self.clinic.engine) as connection:
            survivors = dict(map(tuple, connection.execute(select(patient.c.patient, patient.c.survivor)).all()))
            for name in self.people:
                assert survivors[name] == self.person(name)
                seen = decide_all(connection, name).photos
                assert {self.clinic.row(each[0]).number for each in self.photos if each[2] == name} == seen


_VIEWS = ("frontal", "left-lateral", "right-lateral")


def test_any_sequence_of_corrections_merges_and_unmerges_keeps_each_photo_once(clinic: Links) -> None:
    started = time.monotonic()
    steps = count("steps of corrections and merges", small=10, full=400)
    story = _Story(clinic, 20261126)
    for number in range(steps):
        story.step()
        if number % 5 == 4:
            story.holds()
    story.holds()
    assert sum(len(each[3]) for each in story.photos) >= steps // 4
    # What was merged is unmerged: nothing of it is left.
    for name in sorted(story.into):
        _patient(clinic, name)
    story.into.clear()
    story.holds()
    report("steps of corrections and merges", asked=steps, run=steps, failures=0, started=started, seed=20261126)
