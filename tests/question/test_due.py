"""Photos that wait to be indexed: a question reads some itself, has others indexed first, or says that it cannot."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import replace
from random import Random

import pytest
from sqlalchemy import Connection, Engine, delete, func, select

from consent.sets import permitted
from consent.store.cache import FactsCache
from consent.store.engine import reading, transaction
from consent.store.photos import by_sop, save_photo
from consent.store.tables import photo_due
from consent.store.write import insert_missing
from consent.types import Obligation, Request
from fhir_mapping.errors import Behind
from fhir_mapping.projections.written import Setting
from fhir_mapping.question import asking, index, projection
from fhir_mapping.question.answer import Found, Portion, answer
from fhir_mapping.question.facets import Facet, Value
from fhir_mapping.question.facts import values_of
from fhir_mapping.question.tables import facet_bits, photo_values
from fhir_mapping.question.text import parse
from tests.counts import count, report
from tests.databases import SITE
from tests.question.drawing import PEOPLE, reference, uid_of
from tests.question.world import SETTING, World
from tests.store.world import CLINICIAN

ALL = frozenset(Obligation)
TREAT = Request(CLINICIAN, "TREAT")
CONFINED = Request(replace(CLINICIAN, confined_to=frozenset({"p0"})), "TREAT")


def _treated(engine: Engine, photos: int) -> World:
    """Everybody was treated with the device v0, and photographed."""
    world = World(engine, Random(5), "d")
    world.begin()
    with transaction(engine) as connection:
        world.put(connection, {"resourceType": "Device", "id": "v0", "lotNumber": "OLD"})
        for patient in PEOPLE:
            made = world.draw.procedure(f"t{patient}", patient, f"e{patient}0", [])
            world.put(connection, made | {"status": "completed", "usedReference": [reference("Device/v0")]})
    for start in range(0, photos, 100):
        with transaction(engine) as connection:
            for number in range(start, min(start + 100, photos)):
                patient = PEOPLE[number % len(PEOPLE)]
                world.photo(connection, patient, f"e{patient}0", [f"Procedure/t{patient}"], linked=True)
    projection.work(engine, SETTING)
    return world


def _renamed(world: World, lot: str) -> None:
    with transaction(world.engine) as connection:
        world.put(connection, {"resourceType": "Device", "id": "v0", "lotNumber": lot})


def _due(engine: Engine) -> int:
    with reading(engine) as connection:
        return int(connection.execute(select(func.count()).select_from(photo_due)).scalar_one())


def _ask(engine: Engine, request: Request, question: str, patience: float = 30.0) -> Found:
    def work(connection: Connection) -> Found:
        may = permitted(connection, request, fulfils=ALL, cache=FactsCache(engine))
        return answer(connection, SETTING, may, parse(question, SITE.zone), Portion(0, None, [Facet.LOT]))

    return asking.in_turn(engine, SETTING, work, patience=patience)


def test_a_change_of_what_many_photos_name_makes_no_question_wrong(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"photos-due-{engine.dialect.name}"
    photos = count(name, small=48, full=10_000)
    monkeypatch.setattr(projection, "AT_ONCE", photos // 8)
    monkeypatch.setattr(index, "MOST_LIVE", photos // 6)
    world = _treated(engine, photos)
    assert _ask(engine, TREAT, "lot=OLD").total == photos
    _renamed(world, "NEW")
    assert _due(engine) == photos - photos // 8, "a transaction indexes what is quick, and no more"
    with pytest.raises(Behind):
        _ask(engine, TREAT, "lot=NEW", patience=0)
    started = time.monotonic()
    assert _ask(engine, TREAT, "lot=OLD").total == 0
    assert _ask(engine, TREAT, "lot=NEW").total == photos
    taken = time.monotonic() - started
    left = _due(engine)
    assert left <= photos // 6, "it indexed what it could not read itself"
    assert projection.work(engine, SETTING) == left
    found = _ask(engine, TREAT, "")
    assert (found.total, found.counts[Facet.LOT]) == (photos, {"NEW": photos})
    report(name, asked=photos, run=photos, failures=0, started=started, measured=f"answered after {taken:.1f} s")


def test_what_is_due_elsewhere_holds_up_nobody(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    world = _treated(engine, 24)
    monkeypatch.setattr(projection, "AT_ONCE", 1)
    monkeypatch.setattr(index, "MOST_LIVE", 6)
    _renamed(world, "NEW")
    assert _due(engine) == 23
    for request, question in ((TREAT, "patient=p1&lot=NEW"), (CONFINED, "lot=NEW")):
        assert _ask(engine, request, question, patience=0).total == 6
    assert _due(engine) == 23
    with pytest.raises(Behind):
        _ask(engine, TREAT, "patient=p1&patient=p2", patience=0)


def test_of_photos_that_may_not_be_seen_nothing_is_read(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    world = _treated(engine, 12)
    monkeypatch.setattr(projection, "AT_ONCE", 1)
    _renamed(world, "NEW")
    read: list[int] = []

    def watched(connection: Connection, setting: Setting, numbers: Collection[int]) -> dict[int, frozenset[Value]]:
        read.extend(numbers)
        return values_of(connection, setting, numbers)

    monkeypatch.setattr(index, "values_of", watched)
    found = _ask(engine, CONFINED, "lot=NEW", patience=0)
    hers = {number for name, number in world.numbers.items()
            if world.resources["DocumentReference", name]["subject"] == reference("Patient/p0")}  # fmt: skip
    assert set(read) <= hers
    assert found.total == len(hers) == 3


def test_the_worker_indexes_what_no_transaction_did(engine: Engine) -> None:
    world = _treated(engine, 4)
    with transaction(engine) as connection:  # as who stores an object without writing of it
        for name in list(world.numbers)[:3]:
            found = by_sop(connection, uid_of(name))
            assert found is not None
            save_photo(
                connection,
                found.facts,
                series_uid=found.series_uid,
                study_uid=found.study_uid,
                orthanc_id=found.orthanc_id,
                state=found.state,
                area=None,
                view=None,
                procedure=None,
            )
    assert _due(engine) == 3
    assert projection.work(engine, SETTING, most=2000) == 3
    assert _due(engine) == 0
    assert projection.work(engine, SETTING) == 0


def test_more_than_a_question_looks_through_is_never_passed_over(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = _treated(engine, 12)
    monkeypatch.setattr(index, "_MOST_DUE", 5)
    monkeypatch.setattr(projection, "AT_ONCE", 4)
    with transaction(engine) as connection:
        insert_missing(connection, photo_due, [{"photo": each} for each in world.numbers.values()])
        connection.execute(delete(photo_values))
        connection.execute(delete(facet_bits))
    with pytest.raises(Behind):
        _ask(engine, TREAT, "", patience=0)
    assert _ask(engine, TREAT, "").total == 12
