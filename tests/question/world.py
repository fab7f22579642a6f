"""A record that is written as clinics write: in transactions of any size, in any order, with corrections afterwards."""

from __future__ import annotations

from random import Random

from sqlalchemy import Connection, Engine

from consent.store.engine import transaction
from consent.store.people import save_directive
from consent.store.photos import by_sop, reject, save_photo
from fhir_mapping.errors import Conflict
from fhir_mapping.projections.photo import area_of, photo_facts, procedure_of
from fhir_mapping.projections.written import Setting
from fhir_mapping.store.record import RecordStore
from tests.databases import SITE
from tests.question.drawing import DOCTORS, PEOPLE, Drawing, Json, reference, uid_of
from tests.store.world import random_consent

BASE = "http://127.0.0.1:20500/fhir"
SETTING = Setting(SITE, BASE)


class World:
    """What was written, by type and id; and the ways to write more."""

    def __init__(self, engine: Engine, random: Random, name: str) -> None:
        self.engine, self.random, self.draw = engine, random, Drawing(random)
        self.record = RecordStore(SITE, base=BASE)
        self.resources: dict[tuple[str, str], Json] = {}
        self.numbers: dict[str, int] = {}
        """Photos by the ids of their documents."""

        self._name, self._made = name, 0

    def begin(self) -> None:
        """People, drugs, devices, visits."""
        with transaction(self.engine) as connection:
            for resource in self.draw.foundation():
                self.put(connection, resource)

    def put(self, connection: Connection, resource: Json) -> None:
        """Write a resource, new or changed."""
        kind, identity = resource["resourceType"], resource["id"]
        self.record.update(connection, kind, identity, resource, source="test")
        self.resources[kind, identity] = resource

    def step(self) -> None:
        """One transaction."""
        with transaction(self.engine) as connection:
            for _ in range(self.random.choice([1, 1, 2, 6])):
                self._something(connection)

    def _something(self, connection: Connection) -> None:
        chance = self.random
        patient = chance.choice(PEOPLE)
        visit = f"e{patient}{chance.randrange(2)}"
        hers = [
            f"{kind}/{identity}"
            for (kind, identity), each in self.resources.items()
            if each.get("subject") == reference(f"Patient/{patient}")
        ]
        procedures = [each for each in hers if each.startswith("Procedure/")]
        uses = [each for each in hers if each.startswith("Medication")]
        photos = [each for each in hers if each.startswith("DocumentReference/")]
        what = chance.random()
        if what < 0.2:
            self.put(connection, self.draw.procedure(self._new("Procedure", 0.3), patient, visit, procedures))
        elif what < 0.4:
            self.put(connection, self._use(patient, visit, procedures))
        elif what < 0.55:
            parts = [*procedures, *uses]
            self.put(connection, self.draw.observation(self._new("Observation", 0.3), patient, parts, photos))
        elif what < 0.62:
            number = chance.randrange(4)
            self.put(connection, self.draw.medication(f"m{number}", number))
        elif what < 0.66:
            self.put(connection, self.draw.device(f"v{chance.randrange(3)}"))
        elif what < 0.7:
            name = chance.choice([f"c{patient}", self._new("CarePlan", 0)])
            plan = self.resources.get(("CarePlan", name)) or self.draw.plan(patient) | {"id": name}
            named = [{"outcomeReference": [reference(each)]} for each in procedures if chance.random() < 0.5]
            self.put(connection, {key: each for key, each in plan.items() if key != "activity"}
                     | ({"activity": named} if named else {}))  # fmt: skip
        elif what < 0.76 and photos:
            self.put(connection, self.draw.provenance(self._new("Provenance", 0.3), chance.choice(photos)))
        elif what < 0.8 and photos:
            name = chance.choice(photos).partition("/")[2]
            self.put(connection, self.draw.document(name, patient, visit, self._related(patient, procedures, uses)))
        elif what < 0.88:
            self.photo(connection, patient, visit, self._related(patient, procedures, uses))
        elif what < 0.9:
            self._delete(connection)
        elif what < 0.92 and photos:
            self._relink(connection, chance.choice(photos).partition("/")[2])
        elif what < 0.93 and photos:
            found = by_sop(connection, uid_of(chance.choice(photos).partition("/")[2]))
            assert found is not None
            reject(connection, found)
        else:
            uids = [uid_of(each) for each in self.numbers]
            save_directive(connection, random_consent(chance, self._new("c", 0), patient, uids))

    def _delete(self, connection: Connection) -> None:
        """Something that nothing names any more; what is named stays."""
        drawn = {f"c{each}" for each in PEOPLE}  # which later resources may name
        kinds = ("CarePlan", "Provenance")
        there = [each for each in self.resources if each[0] in kinds and each[1] not in drawn]
        if not there:
            return
        kind, identity = self.random.choice(there)
        try:
            with connection.begin_nested():
                self.record.delete(connection, kind, identity, source="test")
        except Conflict:
            return
        del self.resources[kind, identity]

    def _relink(self, connection: Connection, name: str) -> None:
        """A photo turns out to show somebody else, at another visit."""
        other = self.random.choice(PEOPLE)
        visit = f"e{other}{self.random.randrange(2)}"
        hers = [f"Procedure/{identity}" for (kind, identity), each in self.resources.items()
                if kind == "Procedure" and each["subject"] == reference(f"Patient/{other}")]  # fmt: skip
        self.put(connection, self.draw.document(name, other, visit, self._related(other, hers, [])))

    def _use(self, patient: str, visit: str, procedures: list[str]) -> Json:
        made = self.draw.use("x", patient, visit, procedures)
        return made | {"id": self._new(made["resourceType"], 0.3)}

    def _related(self, patient: str, procedures: list[str], uses: list[str]) -> list[str]:
        chosen = [each for each in (*procedures, *uses[:1]) if self.random.random() < 0.5]
        return [*chosen, *([f"CarePlan/c{patient}"] if self.random.random() < 0.2 else [])]

    def photo(
        self, connection: Connection, patient: str, visit: str, related: list[str], *, linked: bool = False
    ) -> None:
        """A photo: its document, then its row.

        Parameters
        ----------
        linked
            To all that is named, in any case.
        """
        name = self._new("photo", 0)
        document = self.draw.document(name, patient, visit, related)
        if linked:
            document["context"]["related"] = [reference(each) for each in related]
        self.put(connection, document)
        facts = photo_facts(connection, SETTING, name)
        self.numbers[name] = save_photo(
            connection,
            facts,
            series_uid=f"{uid_of(name)}.1",
            study_uid=f"{uid_of(visit)}",
            orthanc_id=f"o-{name}",
            state="linked" if linked else self.random.choice(["linked", "linked", "linked", "examined"]),
            area=area_of(facts),
            view=None,
            procedure=procedure_of(facts),
        )

    def _new(self, kind: str, again: float) -> str:
        """A new id, or with some chance that of a resource that is there."""
        known = [identity for (each, identity) in self.resources if each == kind]
        if known and self.random.random() < again:
            return self.random.choice(known)
        self._made += 1
        return f"{self._name}{kind[:2].lower()}{self._made}"


def question_of(random: Random, world: World) -> dict[str, list[str]]:
    """Facets and values, as somebody types them."""
    choices: dict[str, list[str]] = {
        "patient": list(PEOPLE),
        "area": ["face", "forehead", "hand", "head", "http://snomed.info/sct|1", "http://snomed.info/sct|89545001"],
        "side": ["R", "L", "B"],
        "view": ["frontal", "urn:photospine:view|oblique", "nowhere"],
        "expression": ["smile", "|rest"],
        "session": ["1", "2", "3"],
        "treatment": ["toxin", "laser", "urn:photospine:treatment|laser", "|toxin", "The laser", "Peel by hand"],
        "product": ["botox", "The filler", "urn:photospine:product|cream", "0950400", "Filler pen"],
        "lot": ["L1", "L-2", "lot 3", "L9"],
        "setting": [
            "fluence$5..8$J/cm2",
            "fluence$5.50..5.5$J/cm2",
            "urn:photospine:setting|pulse$..7$ms",
            "pulse$5$J/cm2",
            "fluence$12..$ms",
        ],
        "clinician": [*DOCTORS, "Practitioner/d0"],
        "photographer": list(DOCTORS),
        "outcome": [
            "scar$improved..",
            "$worse",
            "hair-density$improved..$patient",
            "urn:photospine:outcome|scar$no-change..",
            "urn:photospine:characteristic|scar$$investigator",
            "$$measured",
            "$improved..$-",
        ],
        "plan": [
            "CarePlan/cp0",
            "cp1",
            *(f"Procedure/{each}" for kind, each in world.resources if kind == "Procedure"),
        ],
        "taken": ["2026-01..2026-02-05", "2026-02", "..2026-01-31", "2026-02-01..", "2026-01-31T21:00:00Z..2026-03-01"],
    }
    named = random.sample(sorted(choices), random.choice([0, 1, 1, 1, 2, 2, 3]))
    return {facet: random.sample(choices[facet], min(random.choice([1, 1, 2]), len(choices[facet]))) for facet in named}


def all_pairs(asked: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(facet, each) for facet, values in asked.items() for each in values]
