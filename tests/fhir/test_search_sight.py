"""A search tells nothing of what its requester may not read.

Its answer is held against the answer to the same question over a record that holds only what she may read, as she
reads it, and asks nobody's permission.
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from consent.store.engine import reading, transaction
from fhir_mapping import text
from fhir_mapping.api import includes, paging
from fhir_mapping.api.interactions import TABLE
from fhir_mapping.search import condition, find
from fhir_mapping.search.conditions import conditions
from fhir_mapping.search.parameters import Kind, parameters
from fhir_mapping.search.sight import Everything
from fhir_mapping.store.draft import Draft, keep
from fhir_mapping.tables import fhir_date, fhir_reference, fhir_resource, fhir_string, fhir_token
from tests.counts import count, report
from tests.database import fresh
from tests.fhir.clinic import FACE, HAND, SITE, Clinic, consent_of, context, region, study_of, uid_of

_KINDS = tuple(row.type for row in TABLE if row.type != "AuditEvent")  # that is read from the chains
_SEED = 20261126


def _concept(code: str) -> dict[str, Any]:
    return {"coding": [{"system": "urn:t", "code": code, "display": code.title()}]}


def _deny(name: str, patient: str, *photos: str) -> dict[str, Any]:
    data = [{"meaning": "instance", "reference": {"reference": f"DocumentReference/{each}"}} for each in photos]
    return consent_of(name, "deny", "TREAT", patient, provision={"data": data})


@pytest.fixture
def mixed(clinic: Clinic) -> Clinic:
    """The clinic with photos of which some are refused, copies of them, and what names them."""
    clinic.photo("f3", "anna", "v1", extension=[region(HAND, "L")], description="Secret ring")
    clinic.photo("f4", "anna", "v1", relatesTo=[{"code": "appends", "target": {"reference": "DocumentReference/f1"}}])
    clinic.photo(
        "f5", "anna", "v1", relatesTo=[{"code": "transforms", "target": {"reference": "DocumentReference/f2"}}]
    )
    clinic.photo("b2", "ben", "v2", context=context("v2", "2026-05-04T10:10:00+03:00", "Procedure/p2"))
    study = study_of("v1", "anna", [uid_of(each) for each in ("f1", "f2", "f3", "f4", "f5")])
    study["series"][0] |= {"bodySite": FACE, "modality": {"system": study["modality"][0]["system"], "code": "OP"}}
    study["series"][2]["bodySite"] = HAND
    clinic.put(study)
    observed = (("o1", "anna", "f1", "volume"), ("o2", "anna", "f2", "wrinkle"), ("o3", "ben", "b1", "volume"))
    for name, patient, photo, code in observed:
        clinic.put(
            {
                "resourceType": "Observation",
                "id": name,
                "status": "final",
                "code": _concept(code),
                "subject": {"reference": f"Patient/{patient}"},
                "derivedFrom": [{"reference": f"DocumentReference/{photo}"}],
                "performer": [{"reference": "Practitioner/d" if patient == "anna" else "Practitioner/e"}],
            }
        )
    clinic.put(
        {
            "resourceType": "CarePlan",
            "id": "c1",
            "status": "active",
            "intent": "plan",
            "subject": {"reference": "Patient/ben"},
            "supportingInfo": [{"reference": "DocumentReference/b2"}],
            "author": {"reference": "Practitioner/e"},
        }
    )
    clinic.put(_deny("n1", "anna", "f1", "f3"))
    clinic.put(_deny("n2", "ben", "b2"))
    clinic.put(consent_of("yes", "permit", "PATRQT"))
    return clinic


@dataclass(frozen=True, slots=True)
class Readable:
    """What one account may read, as a record of its own."""

    account: str
    engine: Engine
    types: frozenset[str]
    clinic: Clinic

    def answer(self, kind: str, pairs: list[tuple[str, str]]) -> tuple[list[str], list[str], int | None]:
        """Matches, what is included, and the total."""
        wanted = paging.read(kind, pairs, lenient=False)
        with reading(self.engine) as connection:
            scene = self.clinic.record.scene(connection)
            made = conditions(scene, kind, wanted.asked)
            page = find.page(scene, kind, made, wanted.keys, count=wanted.count, after=wanted.after)
            matches = [f"{kind}/{each}" for each in page.ids]
            more = includes.found(scene, _Whole(self.types), matches, wanted.includes)  # type: ignore[arg-type]
        return matches, sorted(more), page.total


class _Whole(Everything):
    """All of the types that are read at all."""

    def __init__(self, types: frozenset[str]) -> None:
        self._types = types

    def reads(self, kind: str) -> bool:
        return kind in self._types

    def require(self, kind: str) -> None:
        assert kind in self._types, "the clinic refuses before it is asked here"


def _readable(clinic: Clinic, account: str, folder: Path) -> Readable:
    engine = fresh(f"sqlite:///{folder}/{account}.sqlite3", SITE)
    with reading(clinic.engine) as connection:
        everything = connection.execute(select(fhir_resource.c.type, fhir_resource.c.id)).all()
    types = {kind for kind in _KINDS if clinic.get(account, f"/{kind}?_count=0").status_code == 200}
    with transaction(engine) as connection:
        for kind, identity in everything:
            answer = clinic.get(account, f"/{kind}/{identity}")
            if answer.status_code == 200:
                resource = text.parse(answer.content)
                moment = datetime.fromisoformat(resource["meta"]["lastUpdated"])
                keep(connection, clinic.record, [Draft(kind, identity, answer.content, resource, "test")], moment)
    return Readable(account, engine, frozenset(types), clinic)


@dataclass(slots=True)
class _Drawing:
    """Questions about what the whole record holds, refused resources above all."""

    chance: random.Random
    values: dict[tuple[str, str], list[str]]
    """Type and parameter, and values that some resource has."""

    def question(self) -> tuple[str, list[tuple[str, str]]]:
        kind = self.chance.choice(_KINDS)
        pairs = [self._pair(kind, 3) for _ in range(self.chance.choice((0, 1, 1, 1, 2)))]
        if self.chance.random() < 0.3:
            pairs.append(("_sort", self.chance.choice(("", "-")) + self.chance.choice(("_id", "_lastUpdated"))))
        for _ in range(self.chance.choice((0, 0, 1, 2))):
            pairs.append(self._include(kind))
        if self.chance.random() < 0.5:
            pairs.append(("_count", str(self.chance.choice((0, 1, 2, 200)))))
        return kind, [each for each in pairs if each[0]]

    def _pair(self, kind: str, levels: int) -> tuple[str, str]:
        draw = self.chance.random()
        references = [each for each in parameters(kind).values() if set(each.targets) & set(_KINDS)]
        if draw < 0.3 and levels and references:
            parameter = self.chance.choice(references)
            target = self.chance.choice([each for each in parameter.targets if each in _KINDS])
            name, value = self._pair(target, levels - 1)
            return f"{parameter.name}:{target}.{name}", value
        if draw < 0.5 and levels:
            named = [
                (source, each.name)
                for source in _KINDS
                for each in parameters(source).values()
                if each.kind is Kind.REFERENCE and kind in each.targets
            ]
            if named:
                source, reference = self.chance.choice(named)
                name, value = self._pair(source, levels - 1)
                return f"_has:{source}:{reference}:{name}", value
        known = [name for of, name in self.values if of == kind] or ["_id"]
        name = self.chance.choice(known)
        value = self.chance.choice(self.values.get((kind, name), ["f1", "anna"]))
        if self.chance.random() < 0.15 and name not in ("_id", "_lastUpdated"):
            return f"{name}:missing", self.chance.choice(("true", "false"))
        token = parameters(kind)[name].kind is Kind.TOKEN
        return (f"{name}:not" if token and self.chance.random() < 0.2 else name), value

    def _include(self, kind: str) -> tuple[str, str]:
        names = [each.name for each in parameters(kind).values() if each.kind is Kind.REFERENCE and each.targets]
        if names and self.chance.random() < 0.5:
            return "_include", f"{kind}:{self.chance.choice(names)}"
        source = self.chance.choice(_KINDS)
        names = [each.name for each in parameters(source).values() if kind in each.targets]
        return ("_revinclude", f"{source}:{self.chance.choice(names)}") if names else ("", "")


def _values(engine: Engine) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    with reading(engine) as connection:
        for table in (fhir_token, fhir_string):
            for row in connection.execute(select(table.c.type, table.c.name, table.c.value)):
                if row.name in parameters(row.type) and row.value:
                    found.setdefault((row.type, row.name), set()).add(_escaped(row.value))
        for row in connection.execute(select(fhir_reference.c.type, fhir_reference.c.path, fhir_reference.c.target)):
            for each in parameters(row.type).values():
                if each.kind is Kind.REFERENCE and row.path in each.paths:
                    found.setdefault((row.type, each.name), set()).add(row.target)
        for dated in connection.execute(select(fhir_date.c.type, fhir_date.c.name).distinct()):
            found.setdefault((dated.type, dated.name), set()).update(("ge2026-05-03", "2026", "lt2026-05-04"))
        for kept in connection.execute(select(fhir_resource.c.type, fhir_resource.c.id)):
            found.setdefault((kept.type, "_id"), set()).add(kept.id)
            found.setdefault((kept.type, "_lastUpdated"), set()).update(("gt2020", "lt2020"))
    return {key: sorted(values) for key, values in sorted(found.items())}


def _escaped(value: str) -> str:
    return "".join(f"\\{each}" if each in "\\,|$" else each for each in value)


@pytest.mark.parametrize("account", ["clinician", "anna", "compliance"])
def test_a_search_answers_as_if_the_record_held_what_may_be_read_alone(
    mixed: Clinic, account: str, tmp_path: Path
) -> None:
    started = time.monotonic()
    readable = _readable(mixed, account, tmp_path)
    drawing = _Drawing(random.Random(f"{_SEED} {account}"), _values(mixed.engine))
    asked, found, failures = count("search sight", small=120, full=4000), 0, []
    refused = 0
    for _ in range(asked):
        kind, pairs = drawing.question()
        reply = mixed.ask(account, "GET", f"/{kind}", params=pairs)
        if reply.status_code == 403:  # a type of which she reads nothing, whatever the record holds
            refused += 1
            continue
        assert reply.status_code == 200, (kind, pairs, reply.text)
        bundle = reply.json()
        shown: dict[str, list[str]] = {"match": [], "include": []}
        for entry in bundle.get("entry", ()):
            resource = entry["resource"]
            shown[entry["search"]["mode"]].append(f"{resource['resourceType']}/{resource['id']}")
        answer = (shown["match"], sorted(shown["include"]), bundle["total"])
        found += len(shown["match"])
        if answer != readable.answer(kind, pairs):
            failures.append((kind, pairs, answer, readable.answer(kind, pairs)))
    report(
        f"search sight {account}",
        asked=asked,
        run=asked - refused,
        failures=len(failures),
        seed=_SEED,
        started=started,
    )
    readable.engine.dispose()
    assert not failures, json.dumps(failures[:5], indent=1)
    assert found > asked // 10  # the questions are about something


@pytest.mark.parametrize(
    ("query", "hidden"),
    [
        ("DocumentReference?description=secret", True),
        ("DocumentReference?relatesto=DocumentReference/f1", True),
        ("DocumentReference?relation=appends", True),
        ("DocumentReference?relationship=appends$DocumentReference/f1", True),
        ("DocumentReference?relation=transforms", False),
        ("DocumentReference?relatesto.identifier=urn:oid:2.25.26161", True),
        ("ImagingStudy?instance=2.25.26161", True),
        ("ImagingStudy?series=2.25.26161.1", True),
        ("ImagingStudy?bodysite=85562004", True),
        ("ImagingStudy?modality=OP", True),
        ("ImagingStudy?modality=XC", False),
        ("Observation?derived-from:DocumentReference._id=f1", True),
        ("Observation?derived-from:DocumentReference.identifier=urn:oid:2.25.26161", True),
        ("Observation?derived-from=DocumentReference/f1", True),
        ("Observation?derived-from=DocumentReference/f2", False),
        ("Patient?_has:DocumentReference:patient:laterality=L", True),
        ("Encounter?_has:DocumentReference:encounter:description=secret", True),
        ("Patient?_has:DocumentReference:patient:_id=f2", False),
    ],
)
def test_what_is_refused_is_found_by_no_way(mixed: Clinic, query: str, hidden: bool) -> None:
    everything = mixed.get("compliance", f"/{query}", "HCOMPL").json()
    assert everything["total"] > 0
    assert (mixed.get("clinician", f"/{query}").json()["total"] == 0) == hidden


@pytest.mark.parametrize("account", ["clinician"])
def test_walking_an_index_gives_the_order_that_sorting_gives(
    mixed: Clinic, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are: what is few is sorted, what is many is walked."""
    for number in range(12):
        stated = {
            "valueQuantity": {"value": number % 3, "unit": "mm"},
            "effectiveDateTime": f"2026-0{1 + number % 3}-02",
        }
        named = [{"reference": f"DocumentReference/{each}"} for each in ("f1", "f2", "b1", "b2")[number % 3 :]]
        mixed.put(
            {
                "resourceType": "Observation",
                "id": f"n{number:02}",
                "status": ("final", "amended")[number % 2],
                "code": {"coding": [{"system": each, "code": f"c{number % 4}"} for each in ("urn:a", "urn:b")]},
                "subject": {"reference": f"Patient/{('anna', 'ben')[number % 2]}"},
                "derivedFrom": named,
                "category": [_concept(each) for each in ("z", "a", "k")[number % 3 :]],
                **(stated if number % 4 else {}),
            }
        )
    asked = 0
    for kind in ("Observation", "DocumentReference", "Provenance"):
        for name in parameters(kind):
            for sort in (name, f"-{name}"):
                path = f"/{kind}?_sort={sort}&_count=6"
                answer = mixed.get(account, path)
                if answer.status_code == 400:  # not sorted by
                    continue
                asked += 1
                sorted_ids = _paged(mixed, account, path)
                with monkeypatch.context() as many:
                    many.setattr(find, "FEW", 0)
                    assert _paged(mixed, account, path) == sorted_ids, path
                    if kind == "Observation" and name in ("date", "derived-from", "code"):
                        narrowed = f"{path}&status:not=amended"
                        assert _paged(mixed, account, narrowed) == [
                            each for each in sorted_ids if not each.startswith("n") or int(each[1:]) % 2 == 0
                        ]
    assert asked > 60


def _paged(clinic: Clinic, account: str, path: str) -> list[str]:
    found: list[str] = []
    while path:
        bundle = clinic.get(account, path).json()
        found += [each["resource"]["id"] for each in bundle.get("entry", ())]
        links = {each["relation"]: each["url"] for each in bundle["link"]}
        path = links["next"].partition("/fhir")[2] if "next" in links else ""
    return found


_DEEP = (
    "CarePlan?_has:Condition:evidence-detail:patient:Patient.organization:Organization.partof:missing=true"
    "&_has:Condition:evidence-detail:patient:Patient.link:Patient._lastUpdated=gt2020",
    "Consent?data:Communication.based-on:Organization._has:Observation:performer:patient:missing=true",
    "Encounter?_has:Task:subject:_has:DocumentReference:related:_has:DocumentReference:relatesto:relation:not=transforms",
)


@pytest.mark.parametrize("query", _DEEP)
def test_a_question_through_many_resources_is_answered_or_refused(
    mixed: Clinic, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite parses a hundred nested symbols."""
    assert mixed.get("compliance", f"/{query}").status_code == 200
    monkeypatch.setattr(condition, "_MOST_REACHED", -1)
    refused = mixed.get("compliance", f"/{query}")
    assert refused.status_code == 400
    assert refused.json()["issue"][0]["code"] == "too-costly"
