"""Every question is answered as by reading every resource and deciding every photo; every count is one of photos."""

from __future__ import annotations

import math
import time
from collections import Counter
from random import Random
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select, update

from consent.decision import decide
from consent.sets import Permitted, permitted
from consent.store.cache import FactsCache
from consent.store.clock import instant
from consent.store.engine import reading, transaction
from consent.store.load import Loader
from consent.store.people import merge
from consent.store.tables import patient, patient_state, photo, photo_due
from consent.store.versions import group
from consent.store.write import insert_missing
from consent.types import Obligation, Request
from fhir_mapping.question import asking, index, projection
from fhir_mapping.question.answer import Portion, answer
from fhir_mapping.question.facets import COUNTED, Facet
from fhir_mapping.question.question import Question
from fhir_mapping.question.text import parse, read, text
from tests.counts import count, report
from tests.databases import SITE
from tests.question import judge
from tests.question.world import SETTING, World, all_pairs, question_of
from tests.store.test_sets import REQUESTS
from tests.store.world import clear

ALL = frozenset(Obligation)


def test_answers_are_those_of_reading_and_deciding_every_photo(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"questions-{engine.dialect.name}"
    worlds = count(name, small=2, full=150)
    started, asked, nonempty = time.monotonic(), 0, 0
    for seed in range(worlds):
        random = Random(seed)
        with transaction(engine) as connection:
            clear(connection)
        world = World(engine, random, f"w{seed}")
        world.begin()
        for _ in range(3):
            for _ in range(8):
                world.step()
            with transaction(engine) as connection:
                if random.random() < 0.3:
                    merge(connection, "p0", random.choice(["p1", None]))
                if random.random() < 0.3:
                    connection.execute(update(patient_state).where(patient_state.c.patient == "p2").values(stale=True))
                if random.random() < 0.3:  # left to the worker, some of them
                    for number in random.sample(sorted(world.numbers.values()), len(world.numbers) // 2):
                        insert_missing(connection, photo_due, [{"photo": number}])
            monkeypatch.setattr(index, "MOST_LIVE", random.choice([0, 2, 300]))
            for _ in range(8):
                asked += 1
                nonempty += _agrees(world, random.choice(REQUESTS), random, seed)
            if random.random() < 0.5:
                projection.work(engine, SETTING)
    report(name, asked=worlds, run=worlds, failures=0, started=started, measured=f"{asked} questions")
    assert nonempty > asked // 8


def _agrees(world: World, request: Request, random: Random, seed: int) -> bool:
    question = question_of(random, world)
    parsed = read(all_pairs(question), SITE.zone)
    assert parse(text(parsed), SITE.zone) == parsed
    note = (seed, question, request.purpose)
    return asking.in_turn(
        world.engine,
        SETTING,
        lambda connection: _agree(connection, world, request, question, parsed, random.choice([1, 3, 1000]), note),
    )


def _agree(
    connection: Connection,
    world: World,
    request: Request,
    question: dict[str, list[str]],
    parsed: Question,
    most: int,
    note: object,
) -> bool:
    """In one snapshot: the index as it is, and the record."""
    cache = FactsCache(world.engine)
    may = permitted(connection, request, fulfils=ALL, cache=cache)
    found = answer(connection, SETTING, may, parsed, Portion(most, None, COUNTED))
    numbers, following = list(found.numbers), found.following
    while following is not None:
        page = answer(connection, SETTING, may, parsed, Portion(most, following))
        assert page.total == found.total
        numbers += page.numbers
        following = page.following
    loader = Loader(connection, request.requester, cache)
    loaded = {one.number or 0: one.facts for one in loader.photos(sorted(world.numbers.values()))}
    shown = {number: group(connection, facts.photo.patients) for number, facts in loaded.items() if facts.photo}
    visible = {number for number in shown if decide(request, loaded[number], may.now).permitted}
    linked = set(connection.execute(select(photo.c.photo).where(photo.c.state == "linked")).scalars())
    documents = {number: world.resources["DocumentReference", name] for name, number in world.numbers.items()}

    def meets(number: int, asked: dict[str, list[str]]) -> bool:
        return judge.is_asked_for(world.resources, documents[number], asked, shown[number])

    wanted = {number for number in visible if meets(number, question)}
    assert len(numbers) == len(set(numbers)), note
    assert set(numbers) == wanted, (note, [documents[each] for each in set(numbers) ^ wanted])
    assert found.total == len(wanted), note
    assert _cases(connection, may, parsed, min(most, 2)) == _grouped(connection, wanted), note
    of_a_series: dict[str, list[str]] = {
        name: question[name] for name in ("patient", "area", "side", "view", "expression") if name in question
    }
    halves = {
        number: _Half(
            *(judge.tokens(world.resources, documents[number], name)
              for name in ("side", "view", "expression", "treatment"))
        )
        for number in visible
    }  # fmt: skip
    beginnings = {number for number in visible if meets(number, of_a_series)}
    assert _pairs(connection, may, parsed, min(most, 2)) == _coupled(connection, wanted, beginnings, halves), note
    refused = [number for number in linked - visible if meets(number, question)]
    assert found.refused in (None, len(refused)), note
    for facet in COUNTED:
        rest = {name: values for name, values in question.items() if name != facet.value}
        expected = Counter(
            token
            for number in visible
            if meets(number, rest)
            for token in judge.tokens(world.resources, documents[number], facet.value)
        )
        assert found.counts[facet] == expected, (note, facet)
        for value, number in sorted(expected.items())[:2]:  # and a value can be asked for as it is counted
            if facet not in (Facet.AREA, Facet.SIDE):  # which are asked for together
                one = read(all_pairs(rest | {facet.value: [value]}), SITE.zone)
                assert answer(connection, SETTING, may, one, Portion(0)).total == number, (note, facet, value)
    return bool(wanted)


def _cases(connection: Connection, may: Permitted, question: Question, most: int) -> list[tuple[int, ...]]:
    """Every page of cases."""
    found: list[tuple[int, ...]] = []
    after = None
    while True:
        page = answer(connection, SETTING, may, question, Portion(most, after, cases=True))
        assert page.numbers == tuple(number for case in page.cases for number in case)
        found += page.cases
        after = page.following
        if after is None:
            return found


def _grouped(connection: Connection, wanted: set[int]) -> list[tuple[int, ...]]:
    """Photos by person and first region; the case with the newest photo first, each with its oldest photo first."""
    known = connection.execute(select(patient.c.patient, patient.c.survivor))
    persons = {row.patient: row.survivor for row in known}
    rows = connection.execute(select(photo).where(photo.c.photo.in_(wanted))).all()
    newest_first = sorted(rows, key=lambda row: row.document)
    newest_first.sort(key=lambda row: -math.inf if row.taken is None else row.taken, reverse=True)
    grouped: dict[tuple[str, str | None], list[int]] = {}
    for row in newest_first:
        grouped.setdefault((persons.get(row.patient, row.patient), row.area), []).insert(0, row.photo)
    return [tuple(case) for case in grouped.values()]


class _Half:
    """What a photo shows, and for which treatments it was taken."""

    def __init__(self, side: set[str], view: set[str], expression: set[str], treatments: set[str]) -> None:
        self.shows, self.treatments = (frozenset(side), frozenset(view), frozenset(expression)), treatments


def _pairs(connection: Connection, may: Permitted, question: Question, most: int) -> list[tuple[int, int]]:
    """Every page of pairs."""
    found: list[tuple[int, int]] = []
    after = None
    while True:
        page = answer(connection, SETTING, may, question, Portion(most, after, pairs=True))
        assert set(page.numbers) == {number for pair in page.pairs for number in pair}
        found += page.pairs
        after = page.following
        if after is None:
            return found


def _coupled(
    connection: Connection, wanted: set[int], beginnings: set[int], halves: dict[int, _Half]
) -> list[tuple[int, int]]:
    """Of each series the newest photo that is asked for, and the one that it is held against."""
    known = connection.execute(select(patient.c.patient, patient.c.survivor))
    persons = {row.patient: row.survivor for row in known}
    rows = connection.execute(select(photo).where(photo.c.photo.in_(wanted | beginnings), photo.c.taken.is_not(None)))
    newest_first = sorted(rows, key=lambda row: (-row.taken, row.document))
    series: dict[object, list[Any]] = {}
    for row in newest_first:
        series.setdefault((persons.get(row.patient, row.patient), row.area, halves[row.photo].shows), []).append(row)
    found = []
    for rows_of in series.values():
        result = next((row for row in rows_of if row.photo in wanted), None)
        if result is None:
            continue
        day = instant(result.taken).astimezone(SITE.zone).date()
        earlier = [row for row in rows_of if row.photo in beginnings
                   and instant(row.taken).astimezone(SITE.zone).date() < day]  # fmt: skip
        own = halves[result.photo].treatments
        same = [row for row in earlier if not own or halves[row.photo].treatments & own]
        none = [row for row in earlier if not halves[row.photo].treatments]
        if same or none:
            found.append((result, same[-1] if same else none[0]))
    found.sort(key=lambda pair: (-pair[0].taken, pair[0].document))
    return [(before.photo, result.photo) for result, before in found]


def test_the_index_can_be_made_anew_whatever_it_holds(engine: Engine) -> None:
    world = World(engine, Random(7), "r")
    world.begin()
    for _ in range(40):
        world.step()
    projection.work(engine, SETTING)
    before = _everything(engine)
    with transaction(engine) as connection:
        connection.exec_driver_sql("UPDATE facet_bits SET chunk = chunk + 1 WHERE mod(value, 2) = 0")
        connection.exec_driver_sql("DELETE FROM facet_bits WHERE mod(value, 3) = 0")
        connection.exec_driver_sql("DELETE FROM photo_values")
    assert _everything(engine) != before
    last: int | None = 0
    while last is not None:
        with transaction(engine) as connection:
            last = projection.rebuild(connection, SETTING, last)
    assert _everything(engine) == before


def _everything(engine: Engine) -> dict[tuple[str, int], frozenset[int]]:
    from consent.store import rows_of_bits
    from fhir_mapping.question.tables import facet_bits, facet_value

    with reading(engine) as connection:
        names = {row.value: f"{row.facet} {row.system} {row.code}" for row in connection.execute(select(facet_value))}
        loaded = rows_of_bits.load(connection, facet_bits)
    return {(names[int(key[0])], min(bits) >> 16): frozenset(bits) for key, bits in loaded.items()}
