"""Sets give the answers that single decisions give, photo by photo, whatever is stored, stale or live."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import Connection, Engine, event, func, select, update

from consent.allowed import allowed
from consent.audit.chain import open_chain
from consent.bits import Bits
from consent.decided import audiences, generic, photos_of, settle, stored_purposes, sweep, unsettled
from consent.decision import decide
from consent.facts import PhotoFacts
from consent.service import DecisionPoint
from consent.sets import permitted
from consent.site import CareTeamScope, OtherObjects
from consent.store import clock
from consent.store.cache import FactsCache
from consent.store.engine import reading, transaction
from consent.store.load import Loader
from consent.store.people import merge, save_care_members, save_directive
from consent.store.sites import load_site, save_site
from consent.store.tables import decided, patient_state, photo, photo_facts
from consent.types import Obligation, Request, Requester, Right
from tests.counts import count, report
from tests.database import fresh
from tests.databases import SITE
from tests.store.world import (
    ANNA,
    CLINICIAN,
    MARKETING,
    clear,
    consent,
    facts,
    one_patient,
    random_consent,
    random_world,
    store,
)

ALL = frozenset(Obligation)
_TOGETHER = 3
TEACHER = Requester(account="t", purposes=("TEACH", "HRESCH"), reference="Practitioner/t")
ARCHIVIST = Requester(
    account="a", purposes=("TREAT", "BTG", "HCOMPL"), rights=frozenset({Right.ARCHIVE}), reference="Practitioner/d"
)
DUTY = Requester(account="l", purposes=("HLEGAL", "HCOMPL", "PATSFTY"))

REQUESTS = (
    Request(CLINICIAN, "TREAT"),
    Request(CLINICIAN, "BTG", emergency_reason="bleeding", emergency_patient="p1"),
    Request(replace(CLINICIAN, own_patient="p2"), "TREAT"),
    Request(replace(CLINICIAN, confined_to=frozenset({"p3"})), "TREAT"),
    Request(ARCHIVIST, "TREAT"),
    Request(ARCHIVIST, "BTG", emergency_reason="bleeding", emergency_patient="p1"),
    Request(ARCHIVIST, "HCOMPL"),
    Request(replace(ARCHIVIST, confined_to=frozenset({"p3"})), "TREAT"),
    Request(MARKETING, "PORTFOLIO"),
    Request(MARKETING, "SOCIAL", channel="instagram"),
    Request(MARKETING, "SOCIAL", channel="elsewhere"),
    Request(MARKETING, "SOCIAL"),
    Request(MARKETING, "TREAT"),
    Request(TEACHER, "TEACH"),
    Request(TEACHER, "HRESCH"),
    Request(TEACHER, "HRESCH", project="scars"),
    Request(DUTY, "HLEGAL"),
    Request(replace(ANNA, reference="Patient/p0", confined_to=frozenset({"p0"}), own_patient="p0"), "PATRQT"),
    Request(Requester("proxy", ("PATRQT",), reference="RelatedPerson/r", confined_to=frozenset({"p1"})), "PATRQT"),
)


class _Kept:
    """A cache that lives on while the record and the time change, as that of a process does."""

    def __init__(self, engine: Engine) -> None:
        self.at: datetime | None = None
        self.cache = FactsCache(engine, now=lambda connection: self.at or clock.now(connection))


def _both_ways(
    engine: Engine, request: Request, now: datetime | None = None, kept: _Kept | None = None
) -> tuple[set[int], set[int], dict[str, int]]:
    cache = FactsCache(engine, now=None if now is None else lambda _connection: now)
    if kept is not None:
        kept.at = now
    with reading(engine) as connection:
        may = permitted(connection, request, fulfils=ALL, cache=cache)
        by_set = set(connection.execute(select(photo.c.photo).where(may.clause(photo.c.photo))).scalars())
        # by the column of another table, and the contrary
        other = select(photo_facts.c.photo)
        assert set(connection.execute(other.where(may.clause(photo_facts.c.photo))).scalars()) == by_set, request
        linked = select(photo.c.photo).where(photo.c.state == "linked", photo.c.patient.is_not(None))
        left = set(connection.execute(linked).scalars()) - by_set
        assert set(connection.execute(other.where(may.refused(photo_facts.c.photo))).scalars()) == left, request
        shown = Bits.of(connection.execute(linked).scalars())
        assert set(may.bits(shown)) == by_set & set(shown), request
        assert may.of(list(shown)) == by_set & set(shown), request
        if kept is not None:
            again = permitted(connection, request, fulfils=ALL, cache=kept.cache)
            assert (again.live, again.granted, again.stored) == (may.live, may.granted, may.stored), (request, now)
        counts = may.counts(photo.c.area)
        numbers = list(connection.execute(select(photo.c.photo)).scalars())
        loader = Loader(connection, request.requester, cache)
        singly = {
            one.number
            for one in loader.photos(numbers)
            if decide(request, one.facts, may.now).permitted and one.number is not None
        }
        areas = dict.fromkeys(connection.execute(select(photo.c.area).distinct()).scalars(), 0)
        for area in list(areas):
            rows = select(func.count()).where(photo.c.area == area, photo.c.photo.in_(singly))
            areas[area] = connection.execute(rows).scalar_one()
    assert counts == {area: total for area, total in areas.items() if total}, request
    _some(engine, request, cache, by_set, numbers)
    return by_set, singly, counts


def _some(engine: Engine, request: Request, cache: FactsCache, by_set: set[int], numbers: list[int]) -> None:
    """Asked about some photos alone, the answer is the same of these, and none of the others is permitted."""
    asked = set(numbers[::3])
    with reading(engine) as connection:
        may = permitted(connection, request, fulfils=ALL, cache=cache, only=asked)
        some = set(connection.execute(select(photo.c.photo).where(may.clause(photo.c.photo))).scalars())
        assert some == by_set & asked, request
        linked = select(photo.c.photo).where(photo.c.state == "linked", photo.c.patient.is_not(None))
        shown = Bits.of(connection.execute(linked).scalars())
        assert set(may.bits(shown)) == some & set(shown), request
        left = connection.execute(select(photo.c.photo).where(may.refused(photo.c.photo))).scalars()
        assert set(left) == (set(shown) & asked) - some, request
        assert sum(may.counts(photo.c.area).values()) == len(some), request


def _allowed_as_asked_singly(engine: Engine) -> None:
    """Every stored question at once gives what each gives by itself."""
    with reading(engine) as connection:
        site = load_site(connection)
        numbers = list(connection.execute(select(photo.c.photo)).scalars())[::2]
        found = allowed(connection, numbers)
        for purpose in stored_purposes(site):
            for audience in audiences(site, purpose):
                may = permitted(connection, generic(purpose, audience), fulfils=ALL)
                rows = select(photo.c.photo).where(photo.c.photo.in_(numbers), may.clause(photo.c.photo))
                assert found.pop((purpose, audience)) == set(connection.execute(rows).scalars()), (purpose, audience)
        assert not found


def test_sets_and_single_decisions_agree_on_random_worlds(engine: Engine) -> None:
    worlds = count(f"sets-{engine.dialect.name}", small=6, full=300)
    started = time.monotonic()
    failures = 0
    for seed in range(worlds):
        random = Random(seed)
        with transaction(engine) as connection:
            if seed % _TOGETHER == 0:  # a few worlds lie on each other, as years do; not all of them
                clear(connection)
            uids = random_world(connection, random)
            opened = random.choice([OtherObjects.CLINICAL, OtherObjects.REFUSE])
            team = random.choice(list(CareTeamScope))
            site = replace(load_site(connection), other_objects=opened, care_team=team)
            save_site(connection, site, stored_purposes(site))
        with transaction(engine) as connection:
            if random.random() < 0.5:
                merge(connection, "p4", "p5")
            save_directive(connection, random_consent(random, f"late{seed}", "p1", uids))
            if random.random() < 0.3:
                connection.execute(update(patient_state).where(patient_state.c.patient == "p2").values(stale=True))
        moments = [None, *(datetime(2026, month, 15, tzinfo=clock.EPOCH.tzinfo) for month in (4, 8, 12))]
        kept = _Kept(engine)
        for request in REQUESTS:
            for moment in moments:
                by_set, singly, _ = _both_ways(engine, request, moment, kept)
                failures += by_set != singly
                assert by_set == singly, (seed, request.purpose, moment)
        with transaction(engine) as connection:
            save_directive(connection, random_consent(random, f"later{seed}", random.choice(["p1", "p2"]), uids))
            merge(connection, "p3", random.choice([None, "p1"]))
        for request in REQUESTS:
            by_set, singly, _ = _both_ways(engine, request, random.choice(moments), kept)
            failures += by_set != singly
            assert by_set == singly, (seed, request.purpose)
        _allowed_as_asked_singly(engine)
        if random.random() < 0.5:
            sweep(engine, most=100)
            _allowed_as_asked_singly(engine)
            by_set, singly, _ = _both_ways(engine, REQUESTS[0])
            assert by_set == singly
        with transaction(engine) as connection:
            merge(connection, "p4", None)
            merge(connection, "p3", None)
    report(f"sets-{engine.dialect.name}", asked=worlds, run=worlds, failures=failures, started=started)


def test_an_object_that_is_no_photo_is_opened_by_the_site_alone(engine: Engine) -> None:
    with transaction(engine) as connection:
        one_patient(connection)
        number = store(connection, PhotoFacts(photo="2.25.555", other=True), state="other")
    asked = Request(ARCHIVIST, "TREAT")
    for opened in (OtherObjects.REFUSE, OtherObjects.CLINICAL, OtherObjects.REFUSE):
        with transaction(engine) as connection:
            site = replace(load_site(connection), other_objects=opened)
            save_site(connection, site, stored_purposes(site))
        by_set, singly, _ = _both_ways(engine, asked)
        assert by_set == singly
        assert (number in by_set) is (opened is OtherObjects.CLINICAL)
        by_set, singly, _ = _both_ways(engine, Request(CLINICIAN, "TREAT"))
        assert by_set == singly
        assert number not in by_set


def test_care_team_by_the_record_is_added_for_each_requester(engine: Engine) -> None:
    with transaction(engine) as connection:
        site = replace(load_site(connection), care_team=CareTeamScope.RECORD)
        save_site(connection, site, stored_purposes(site))
        random_world(connection, Random(5), patients=5)
        save_care_members(connection, "CareTeam/1", "p1", ["Practitioner/d"])
        save_care_members(connection, "CareTeam/2", "p2", ["Practitioner/x"])
        merge(connection, "p3", "p1")
    by_set, singly, _ = _both_ways(engine, Request(CLINICIAN, "TREAT"))
    assert by_set == singly
    assert by_set
    everyone, _, _ = _both_ways(engine, Request(replace(CLINICIAN, reference="Practitioner/nobody"), "TREAT"))
    assert everyone == set()


def test_answers_are_settled_within_the_transaction_and_rows_are_exceptions_alone(engine: Engine) -> None:
    with transaction(engine) as connection:
        one_patient(connection)
        save_directive(connection, consent("a", "permit", "PORTFOLIO"))
    with reading(engine) as connection:
        assert unsettled(connection, "PORTFOLIO", clock.now(connection)) == set()
        rows = connection.execute(select(decided.c.purpose, decided.c.effect)).all()
    assert {tuple(row) for row in rows} == {("PORTFOLIO", "permit")}
    assert len(rows) == 2


def test_a_patient_with_many_photos_is_left_to_the_worker_and_answered_right_meanwhile(engine: Engine) -> None:
    with transaction(engine) as connection:
        one_patient(connection)
        for number in range(100, 160):
            store(connection, facts(str(number)))
        save_directive(connection, consent("a", "permit", "PORTFOLIO"))
    request = Request(MARKETING, "PORTFOLIO")
    with reading(engine) as connection:
        assert unsettled(connection, "PORTFOLIO", clock.now(connection)) == {"anna"}
    before, singly, _ = _both_ways(engine, request)
    assert before == singly
    assert len(before) == 62
    assert settle(engine, "anna")
    with reading(engine) as connection:
        assert unsettled(connection, "PORTFOLIO", clock.now(connection)) == set()
    after, _, _ = _both_ways(engine, request)
    assert after == before


def test_a_period_that_ends_by_itself_is_seen_by_sets(engine: Engine) -> None:
    with transaction(engine) as connection:
        one_patient(connection)
        now = clock.now(connection)
        from consent.directive import Span

        save_directive(connection, consent("a", "permit", "PORTFOLIO", periods=(Span(None, now + timedelta(days=1)),)))
    request = Request(MARKETING, "PORTFOLIO")
    assert len(_both_ways(engine, request)[0]) == 2
    assert _both_ways(engine, request, now + timedelta(days=2))[0] == set()
    assert _both_ways(engine, request, now - timedelta(days=365 * 3))[0] == set(), "a clock put back"


def test_a_door_that_cannot_fulfil_gets_nothing(engine: Engine, tmp_path: object) -> None:
    with transaction(engine) as connection:
        one_patient(connection)
        save_directive(connection, consent("a", "permit", "PORTFOLIO"))
    with reading(engine) as connection:
        may = permitted(connection, Request(MARKETING, "PORTFOLIO"), fulfils=frozenset())
        assert connection.execute(select(photo.c.photo).where(may.clause(photo.c.photo))).all() == []
        assert may.counts(photo.c.area) == {}


def test_a_set_that_names_no_patient_breaks_no_glass_for_several(engine: Engine, tmp_path: object) -> None:
    from pathlib import Path

    with transaction(engine) as connection:
        one_patient(connection)
        save_directive(connection, consent("a", "deny", "TREAT"))
        other = store(connection, facts("50", "bea"))
    chain = open_chain(engine.url.render_as_string(False), Path(str(tmp_path)) / "audit", "n", "test")
    point = DecisionPoint(engine, chain, "test")
    request = Request(CLINICIAN, "BTG", emergency_reason="bleeding")
    assert point.photos(request, [1, 2], route="r", fulfils=ALL).numbers == (1, 2)
    assert point.photos(request, [1, other], route="r", fulfils=ALL).numbers == ()
    chain.close()


def test_the_photos_of_a_few_patients_are_not_looked_for_among_all(tmp_path: Path) -> None:
    engine = fresh(f"sqlite:///{tmp_path}/plans.sqlite3", SITE)
    plans: list[str] = []

    def explain(connection: Connection, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        rows = connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
        plans.extend(str(row[3]) for row in rows)

    with reading(engine) as connection:
        event.listen(engine, "before_cursor_execute", explain)
        try:
            assert photos_of(connection, ["p1", "p2"]) == []
        finally:
            event.remove(engine, "before_cursor_execute", explain)
    engine.dispose()
    assert any("ix_photo_patient_patient" in each for each in plans)
    assert not [each for each in plans if "ix_photo_state_area" in each or each.startswith("SCAN photo")]
