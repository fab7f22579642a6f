"""Values of searches: prefixes against partial dates and numbers, marks behind a backslash, places in an answer."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, literal, or_, select

from consent.store.clock import now
from consent.store.engine import reading, transaction
from fhir_mapping import dates, text
from fhir_mapping.errors import Malformed
from fhir_mapping.search import compared, find, order
from fhir_mapping.search.conditions import conditions
from fhir_mapping.search.values import FIRST, LAST, micros, parts, plain, sounds, token
from fhir_mapping.store.draft import Draft, keep
from fhir_mapping.store.record import RecordStore
from tests.counts import count
from tests.database import fresh
from tests.fhir.clinic import BASE, SITE
from tests.postgres import Cluster

_NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("stored", "asked", "prefixes"),
    [
        # what is stored, what is asked, and the prefixes by which it is found
        ("2026-05-03", "2026-05-03", "eq ge le ap"),
        ("2026-05-03", "2026-05", "eq ge le ap"),
        ("2026-05", "2026-05-03", "ne lt gt le ge ap"),
        ("2026-05-03T10:00:00+03:00", "2026-05-03", "eq ge le ap"),
        ("2026-05-03", "2026-05-03T10:00:00+03:00", "ne lt gt le ge ap"),
        ("2026-05-04", "2026-05-03", "ne gt ge sa ap"),
        ("2026-05-02", "2026-05-03", "ne lt le eb ap"),
        ("2026", "2026-12-31", "ne lt le ap"),
        ("2026", "2026-01-01", "ne gt ge ap"),
        ("1950", "2026-05-03", "ne lt le eb"),
        ("1990-05-05", "1987", "ne gt ge sa ap"),
    ],
)
def test_prefixes_compare_the_spans_of_dates(engine: Engine, stored: str, asked: str, prefixes: str) -> None:
    span = dates.span(stored, SITE.zone)
    low, high = literal(micros(span.start, FIRST)), literal(micros(span.end, LAST))
    with reading(engine) as connection:
        found = [
            prefix
            for prefix in compared.PREFIXES
            if connection.execute(select(or_(*compared.spans(low, high, prefix + asked, SITE.zone, _NOW)))).scalar_one()
        ]
    assert sorted(found) == sorted(prefixes.split())


@pytest.mark.parametrize(
    ("low", "high", "asked", "prefixes"),
    [
        (5.0, 5.0, "5", "eq le ge ap"),
        (5.4, 5.4, "5", "eq gt ge sa ap"),
        (5.5, 5.5, "5", "ne gt ge sa ap"),
        (5.4, 5.4, "5.4", "eq le ge ap"),
        (5.41, 5.41, "5.4", "eq gt ge sa ap"),
        (5.41, 5.41, "5.40", "ne gt ge sa ap"),
        (4.0, 6.0, "5", "ne lt gt le ge ap"),
        (float("-inf"), 5.0, "7", "ne lt le eb"),
        (2.0, float("inf"), "1", "ne gt ge sa"),
        (104.0, 104.0, "1e2", "eq gt ge sa ap"),
        (106.0, 106.0, "1e2", "ne gt ge sa ap"),
        (-3.0, -3.0, "-3", "eq le ge ap"),
    ],
)
def test_prefixes_compare_the_ranges_of_numbers(
    engine: Engine, low: float, high: float, asked: str, prefixes: str
) -> None:
    with reading(engine) as connection:
        found = [
            prefix
            for prefix in compared.PREFIXES
            if connection.execute(
                select(or_(*compared.numbers(literal(low), literal(high), prefix + asked)))
            ).scalar_one()
        ]
    assert ("eq" in found) == ("ne" not in found)
    assert sorted(found) == sorted(prefixes.split())


@pytest.mark.parametrize("value", ["", "5,4", "5e", "e5", "5.", ".5", "0x5", "５", "1e1000", "zz5", "NaN", "inf"])
def test_what_is_no_number_is_refused(value: str) -> None:
    with pytest.raises(Malformed):
        compared.numbers(literal(0.0), literal(0.0), value)


_ANY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)


@settings(max_examples=count("search escapes", small=200, full=20_000), deadline=None)
@given(st.lists(_ANY, min_size=1, max_size=4))
def test_marks_that_are_escaped_are_characters(values: list[str]) -> None:
    escaped = ["".join(f"\\{each}" if each in "\\,|$" else each for each in value) for value in values]
    assert [plain(each) for each in parts(",".join(escaped), ",")] == values
    assert [plain(each) for each in parts("$".join(escaped), "$")] == values
    if len(values) == 2:
        assert token("|".join(escaped)) == (values[0], values[1])
    assert token(escaped[0]) == (None, values[0])


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [("Robert", "Rupert", True), ("Ashcraft", "Ashcroft", True), ("Pfister", "Pister", True), ("Meier", "Maier", True),
     ("Müller", "Mueller", True), ("Berg", "Burke", True), ("Anna", "Berta", False), ("Ναός", "Naos", False)],
)  # fmt: skip
def test_names_that_sound_alike(one: str, other: str, alike: bool) -> None:
    assert (sounds(one) == sounds(other)) == alike
    assert sounds("Tymczak") == {"t522"}
    assert sounds("  ") == set()


@pytest.mark.parametrize(
    "sort", ["", "birthdate", "-birthdate,name", "name", "_lastUpdated", "-_lastUpdated", "gender,-_id"]
)
def test_no_page_repeats_or_drops_what_stays_while_others_are_written(engine: Engine, sort: str) -> None:
    """Few and many: the same pages, whether all are looked at or the rows are walked."""
    record = RecordStore(SITE, base=BASE)
    chance = random.Random(sort)
    keys = order.read("Patient", sort) if sort else ()

    def write(identity: str) -> None:
        patient: dict[str, Any] = {"resourceType": "Patient", "id": identity}
        if chance.random() < 0.7:
            patient["birthDate"] = chance.choice(("1990", "1990-05", "1990-05-05", "2001-01-01"))
        if chance.random() < 0.7:
            patient["name"] = [{"family": chance.choice(("Berg", "Ānd", "Zoe")), "given": ["A"]}]
        if chance.random() < 0.7:
            patient["gender"] = chance.choice(("male", "female"))
        body = text.dump(patient)
        with transaction(engine) as connection:
            keep(connection, record, [Draft("Patient", identity, body, text.parse(body), "test")], now(connection))

    steady = [f"s{number:03}" for number in range(count("sorted pages", small=30, full=300))]
    for each in chance.sample(steady, len(steady)):
        write(each)
    for few in (5000, 3):
        seen: list[str] = []
        after: order.Place | None = None
        while True:
            with reading(engine) as connection, pytest.MonkeyPatch.context() as patch:
                patch.setattr(find, "FEW", few)
                scene = record.scene(connection)
                made = conditions(scene, "Patient", [])
                page = find.page(scene, "Patient", made, keys, count=4, after=after)
                whole = find.page(scene, "Patient", made, keys, count=10_000)
            seen += page.ids
            if page.following is None:
                break
            after = order.place_of(order.named(page.following, "q"), keys, "q")
            write(f"n{chance.randrange(10**9)}")
        kept = [each for each in seen if each in steady]
        assert sorted(kept) == steady
        assert len(set(seen)) == len(seen)
        assert kept == [each for each in whole.ids if each in steady]


@pytest.mark.postgres
@pytest.mark.parametrize(
    "query",
    [
        [("value-string", "hair")],
        [("code", "urn:t|c0,urn:t|c1,urn:t|c2")],
        [("code", "urn:t|c1"), ("value-string", "hair")],
    ],
)
def test_pages_are_whole_where_the_database_sorts_as_a_language_does(
    postgres_cluster: Cluster, monkeypatch: pytest.MonkeyPatch, query: list[tuple[str, str]]
) -> None:
    monkeypatch.setattr(find, "few_ids", lambda *_: None)
    monkeypatch.setattr(find, "FEW", -1)
    monkeypatch.setattr(find, "_FIRST", 3)
    engine = fresh(postgres_cluster.fresh(language="en-US"), SITE)
    record, chance = RecordStore(SITE, base=BASE), random.Random(2)
    ids = ["".join(chance.choices("aAbBcC-.1", k=6)) for _ in range(90)]
    drafts = []
    for number, identity in enumerate(dict.fromkeys(ids)):
        code = {"coding": [{"system": "urn:t", "code": f"c{number % 3}"}]}
        observation = {"resourceType": "Observation", "id": identity, "status": "final", "code": code}
        body = text.dump(observation | {"valueString": f"Hair {number % 4}"})
        drafts.append(Draft("Observation", identity, body, text.parse(body), "test"))
    with transaction(engine) as connection:
        keep(connection, record, drafts, now(connection))
    wanted = {each.id for number, each in enumerate(drafts) if len(query) == 1 or number % 3 == 1}
    seen: list[str] = []
    after: order.Place | None = None
    for _ in ids:
        with reading(engine) as connection:
            scene = record.scene(connection)
            page = find.page(scene, "Observation", conditions(scene, "Observation", query), count=7, after=after)
        seen, after = [*seen, *page.ids], page.following
        if after is None:
            break
    engine.dispose()
    assert after is None
    assert len(seen) == len(set(seen))
    assert set(seen) == wanted
