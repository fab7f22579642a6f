"""Any sequence of corrections, merges, denials and deaths: each photo is seen once, nothing is lost or unrecorded."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from sqlalchemy import select
from typer.testing import Result

from consent.decided import decide_all
from consent.store.engine import glancing, reading
from consent.store.tables import patient
from dicom_bridge.objects import uids
from dicom_bridge.objects.uids import fhir_id
from dicom_bridge.way import Arrow
from tests import forks
from tests.counts import count, report
from tests.fhir.clinic import consent_of
from tests.links.test_recovery import AFTER, COMMAND
from tests.links.world import Links, read
from tests.pipeline.world import Visit

pytestmark = [pytest.mark.orthanc]

SEED = 20261126
_VIEWS = ("frontal", "left-lateral", "right-lateral")
_UNCHANGED = "nothing would be changed"


@dataclass(slots=True)
class Photo:
    """What is known of a photo by what was done to it."""

    sop: str
    """The instance that may be seen."""

    original: bytes
    owner: str
    visit: str
    former: list[str] = field(default_factory=list)
    denied_by: set[str] = field(default_factory=set)
    """Records whose Consents deny it, under whichever instance they named it."""


class Story:
    """Photos of four records, and whose each is by what was done."""

    def __init__(self, clinic: Links, seed: int) -> None:
        self.clinic, self.chance = clinic, random.Random(seed)
        self.people = [f"s{seed}p{number}" for number in range(4)]
        self.into: dict[str, str] = {}
        self.visits: dict[str, str] = {}
        """Visit -> the record that it is of now."""

        self.photos: list[Photo] = []
        self.done = dict.fromkeys(OPERATIONS, 0)
        self.deck: list[str] = []
        self.reasons: dict[str, str] = {}
        """Rejected instance -> what was said when it was corrected."""

        self.open, self.unfinished = clinic.open_intents(), 0
        """Intents without an outcome before, and how many processes have left one since."""

        for name in self.people:
            clinic.person(name)
            for visit in (clinic.visit(name), clinic.visit(name)):
                self.visits[visit.encounter] = name
                self._take(visit)

    def _take(self, visit: Visit) -> None:
        self.clinic.take(visit)
        row = self.clinic.one(visit)
        self.photos.append(Photo(row.sop, visit.files[0], visit.patient, visit.encounter))

    def person(self, name: str) -> str:
        """The record that stands for a person now."""
        while name in self.into:
            name = self.into[name]
        return name

    def same(self, one: str, other: str) -> bool:
        """Whether two records are of one person now."""
        return self.person(one) == self.person(other)

    def step(self) -> None:
        """Do something."""
        if not self.deck:  # each of them comes once before one comes again
            self.deck = self.chance.sample(sorted(OPERATIONS), len(OPERATIONS))
        name = self.deck.pop()
        OPERATIONS[name](self)
        self.done[name] += 1

    # --- operations -------------------------------------------------------------------------------------------------

    def merge(self) -> None:
        """The register finds that two records are of one person."""
        name = self.chance.choice(self.people)
        others = [each for each in self.people if not self.same(each, name)]
        if name not in self.into and others:
            self.into[name] = self.chance.choice(others)
            self.clinic.merge(name, self.into[name])

    def unmerge(self) -> None:
        """And that they are not."""
        if self.into:
            name = self.chance.choice(sorted(self.into))
            del self.into[name]
            self.clinic.person(name)

    def side(self) -> None:
        """A wrong side or view."""
        said = {"region": "cheek", "laterality": self.chance.choice("LR"), "view": self.chance.choice(_VIEWS)}
        self._correct(self.chance.choice(self.photos), said)

    def patient(self) -> None:
        """A wrong patient, or a wrong visit of hers."""
        visit = self.chance.choice(sorted(self.visits))
        self._correct(self.chance.choice(self.photos), {"patient": self.visits[visit], "visit": visit})

    def visit_moves(self) -> None:
        """The register finds that a visit was another patient's; its photos stay where they are until corrected."""
        visit = self.chance.choice(sorted(self.visits))
        self.visits[visit] = self.chance.choice(self.people)
        subject = {"reference": f"Patient/{self.visits[visit]}"}
        self.clinic.put(self.clinic.bare("Encounter", visit) | {"subject": subject})

    def deny(self) -> None:
        """A patient refuses that a photo of hers is seen."""
        photo = self.chance.choice(self.photos)
        self._say(photo, photo.owner, "active")
        photo.denied_by.add(photo.owner)

    def allow(self) -> None:
        """And takes that back."""
        photo = self.chance.choice(self.photos)
        for name in sorted(photo.denied_by):
            self._say(photo, name, "inactive")
        photo.denied_by.clear()

    def arrive(self) -> None:
        """Somebody else's object, which says whom it is of and of no visit, is linked by a person."""
        visit = self.chance.choice(sorted(self.visits))
        owner = self.visits[visit]
        named = self.chance.choice([owner, *self.people])
        made = self.clinic.sent(50_000 + len(self.photos), PatientID=f"PID-{named}")
        result = self._link(made.sop, {"patient": owner, "visit": visit})
        assert result.exit_code == 0, result.output
        told = json.loads(result.stdout)
        assert told["new_instance"] is (named != owner)
        photo = Photo(told["done"]["sop_uid"], made.dicom, owner, visit)
        if told["new_instance"]:
            photo.former.append(made.sop)
            self.reasons[made.sop] = f"Seen {made.sop}."
        self.photos.append(photo)

    def die(self) -> None:
        """A correction whose process dies on the way, and a worker that goes on."""
        photo, arrow = self.chance.choice(self.photos), self.chance.choice(COMMAND)
        visit = self.chance.choice([each for each in sorted(self.visits) if each != photo.visit])
        said = {"patient": self.visits[visit], "visit": visit}
        assert (
            forks.run("tests.links.victim", str(self.clinic.file), arrow.value, "1", photo.sop, json.dumps(said)) == -9
        )
        if arrow not in AFTER:
            assert self._shown(photo)
        self.clinic.due()
        self.clinic.work()
        if arrow is Arrow.INTENDED:
            self.unfinished += 1
        else:
            made = self._successor(photo.sop)
            self._moved(photo, made, said, "Wrong.")

    def _successor(self, sop: str) -> str:
        with glancing(self.clinic.engine) as connection:
            query = {"relatesto": f"DocumentReference/{fhir_id(sop)}"}
            (found,) = self.clinic.store.search(connection, "DocumentReference", query)
        stated = {each["system"]: each["value"] for each in found.json()["identifier"]}
        return str(stated["urn:dicom:uid"]).removeprefix("urn:oid:")

    # --- how --------------------------------------------------------------------------------------------------------

    def _link(self, sop: str, said: dict[str, str]) -> Result:
        return self.clinic.link(sop, "--json", account="reconciler", reason=f"Seen {sop}.", **said)

    def _correct(self, photo: Photo, said: dict[str, str]) -> None:
        result = self._link(photo.sop, said)
        if result.exit_code:
            astray = not self.same(self.visits[photo.visit], photo.owner)
            assert _UNCHANGED in result.stderr or (astray and "another patient" in result.stderr), result.output
            assert _UNCHANGED not in result.stderr or said.get("visit", photo.visit) == photo.visit
            return
        self._moved(photo, self.clinic.told(result), said, f"Seen {photo.sop}.")

    def _moved(self, photo: Photo, made: str, said: dict[str, str], reason: str) -> None:
        self.reasons[photo.sop] = reason
        photo.former.append(photo.sop)
        photo.sop, photo.visit = made, said.get("visit", photo.visit)
        # Of a merged person, what is corrected goes under the record that its visit is of.
        photo.owner = said.get("patient", self.visits[photo.visit])

    def _say(self, photo: Photo, name: str, status: str) -> None:
        document = {"reference": f"DocumentReference/{fhir_id(photo.sop)}"}
        identity = f"no-{name}-{self.photos.index(photo)}"
        if status == "inactive":
            self.clinic.put(self.clinic.bare("Consent", identity) | {"status": status})
            return
        value = consent_of(
            identity, "deny", "TREAT", name, provision={"data": [{"meaning": "instance", "reference": document}]}
        )
        self.clinic.put(
            value | {"organization": [{"reference": f"Organization/{self.clinic.store.site.organization}"}]}
        )

    def _is_denied(self, photo: Photo) -> bool:
        return any(self.same(name, photo.owner) for name in photo.denied_by)

    def _shown(self, photo: Photo) -> bool:
        orthanc_id = self.clinic.row(photo.sop).orthanc_id
        status = self.clinic.archive.ask(f"/instances/{orthanc_id}/file", "clinician", "TREAT").status
        return (status == 200) is not self._is_denied(photo)

    # --- what holds -------------------------------------------------------------------------------------------------

    def holds(self) -> None:
        """Each photo is seen once, as whose it is, with its original; no former instance is seen, and none is lost."""
        clinic = self.clinic
        body = clinic.archive.ask("/dicom-web/instances?limit=100000", "clinician", "TREAT").body
        present = clinic.instances()
        with clinic.node() as node:
            key = node.keys.uid
        for photo in self.photos:
            row = clinic.row(photo.sop)
            assert (row.state, row.patient) == ("linked", photo.owner)
            assert (photo.sop.encode() in body) is not self._is_denied(photo), photo.sop
            assert self._shown(photo)
            for each in photo.former:
                former, about = clinic.row(each), clinic.row(uids.rejection_uid(key, each))
                assert former.state == about.state == "rejected"
                assert {former.orthanc_id, about.orthanc_id} <= present
                assert each.encode() not in body
                assert not clinic.archive.ask(f"/instances/{former.orthanc_id}/file", "clinician", "TREAT").body
        with reading(clinic.engine) as connection:
            survivors = dict(map(tuple, connection.execute(select(patient.c.patient, patient.c.survivor)).all()))
            for name in self.people:
                assert survivors[name] == self.person(name)
                seen = decide_all(connection, name).photos
                assert {clinic.row(each.sop).number for each in self.photos if each.owner == name} == seen
        clinic.bits_are_true()

    def whole(self) -> None:
        """What takes longer to look at: originals, headers, documents and what was recorded."""
        clinic = self.clinic
        told = {
            (each.get("photo"), each["details"].get("reason"))
            for each in clinic.records("link")
            if each["kind"] == "intent"
        }
        for photo in self.photos:
            row = clinic.row(photo.sop)
            data = clinic.file_of(row)
            assert (clinic.original_of(row) or data) == photo.original
            assert read(data).PatientID == f"PID-{photo.owner}"
            document = clinic.document(photo.sop)
            assert (document["status"], document["subject"]) == ("current", {"reference": f"Patient/{photo.owner}"})
            for each in photo.former:
                assert (clinic.original_of(clinic.row(each)) or clinic.file_of(clinic.row(each))) == photo.original
                assert (each, self.reasons[each]) in told
        assert len(clinic.open_intents() - self.open) == self.unfinished


OPERATIONS: dict[str, Callable[[Story], None]] = {
    "merge": Story.merge,
    "unmerge": Story.unmerge,
    "side": Story.side,
    "patient": Story.patient,
    "visit moves": Story.visit_moves,
    "deny": Story.deny,
    "allow": Story.allow,
    "arrive": Story.arrive,
    "die": Story.die,
}
_EACH_TIME = 10
"""Steps between two looks at everything."""


def test_any_sequence_keeps_each_photo_once_and_all_of_it(clinic: Links) -> None:
    started = time.monotonic()
    steps = count("steps of corrections and merges", small=25, full=400)
    story = Story(clinic, SEED)
    for number in range(steps):
        story.step()
        if number % _EACH_TIME == _EACH_TIME - 1:
            story.holds()
    story.whole()
    # What was merged is unmerged: nothing of it is left.
    for name in sorted(story.into):
        clinic.person(name)
    story.into.clear()
    story.holds()
    story.whole()
    assert sum(len(photo.former) for photo in story.photos) >= steps // 5
    assert all(story.done.values()), story.done
    report("steps of corrections and merges", asked=steps, run=steps, failures=0, started=started, seed=SEED)
