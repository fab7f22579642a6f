"""A change of a fact is seen by the next decision, on every process that remembers facts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select

from consent.decided import stored_purposes
from consent.decision import decide
from consent.directive import Span
from consent.store.cache import FactsCache
from consent.store.engine import glancing, transaction
from consent.store.people import (
    MergeRefused,
    drop_directive,
    hold,
    merge,
    release,
    save_directive,
    save_members,
    save_organization_parent,
    save_patient,
)
from consent.store.photos import PhotoRefused, by_sop, save_photo
from consent.store.sites import load_site, save_site
from consent.store.tables import patient, photo
from consent.types import Request
from tests.store.world import ADULT, CLINICIAN, HAND, MARKETING, consent, facts, one_patient, store

PORTFOLIO = Request(MARKETING, "PORTFOLIO")
TREAT = Request(CLINICIAN, "TREAT")


def _reason(cache: FactsCache, request: Request, name: str = "1") -> str:
    loaded = cache.photo(f"2.25.{name}", request.requester)
    return decide(request, loaded.facts, loaded.now).reason


def test_each_change_is_seen_by_a_cache_that_was_warm(engine: Engine) -> None:
    with transaction(engine) as connection:
        one_patient(connection)
    cache = FactsCache(engine)

    def after(change: Callable[[Connection], object], request: Request) -> str:
        _reason(cache, PORTFOLIO)
        _reason(cache, TREAT)
        with transaction(engine) as connection:
            change(connection)
        return _reason(cache, request)

    assert _reason(cache, PORTFOLIO) == "default-deny"
    assert after(lambda c: save_directive(c, consent("a", "permit", "PORTFOLIO")), PORTFOLIO) == "patient-permitted"
    assert after(lambda c: save_directive(c, consent("b", "deny", "HMARKT")), PORTFOLIO) == "patient-denied"
    assert after(lambda c: drop_directive(c, "b"), PORTFOLIO) == "patient-permitted"
    assert after(lambda c: hold(c, "h", "anna", False), PORTFOLIO) == "held"
    assert after(lambda c: release(c, "h"), PORTFOLIO) == "patient-permitted"
    assert after(lambda c: save_patient(c, "anna", None), PORTFOLIO) == "site-rule"
    assert after(lambda c: save_patient(c, "anna", ADULT), PORTFOLIO) == "patient-permitted"
    assert (
        after(lambda c: save_directive(c, consent("x", "deny", "PORTFOLIO", "bea")), PORTFOLIO) == "patient-permitted"
    )
    assert after(lambda c: merge(c, "bea", "anna"), PORTFOLIO) == "patient-denied"
    assert after(lambda c: merge(c, "bea", None), PORTFOLIO) == "patient-permitted"
    assert after(lambda c: store(c, facts("1", "bea")), PORTFOLIO) == "site-rule"
    assert after(lambda c: store(c, facts("1")), PORTFOLIO) == "patient-permitted"
    assert (
        after(lambda c: save_directive(c, consent("t", "permit", "TREAT", status="inactive")), TREAT)
        == "default-permit"
    )


def test_a_rolled_back_change_leaves_nothing_behind(engine: Engine) -> None:
    with transaction(engine) as connection:
        one_patient(connection)
    cache = FactsCache(engine)

    def fail() -> None:
        with transaction(engine) as connection:
            save_directive(connection, consent("a", "permit", "PORTFOLIO"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert _reason(cache, PORTFOLIO) == "default-deny"
    with transaction(engine) as connection:
        save_directive(connection, consent("b", "deny", "TREAT"))
    assert _reason(cache, TREAT) == "patient-denied"


def test_a_photo_that_alone_is_new_is_read_alone(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    with transaction(engine) as connection:
        one_patient(connection)
        save_directive(connection, consent("a", "permit", "PORTFOLIO"))
        for name in ("1", "2", "3"):
            store(connection, facts(name))
    cache = FactsCache(engine)
    assert _reason(cache, PORTFOLIO) == "patient-permitted"
    whole = cache._fresh
    monkeypatch.setattr(cache, "_fresh", lambda *_: pytest.fail("everything was read anew"))
    assert _reason(cache, PORTFOLIO, "2") == "patient-permitted"
    read = cache._versions.rows

    def changed_meanwhile(sop_uid: str) -> Any:
        rows = read(sop_uid)
        with transaction(engine) as connection:
            store(connection, facts("3", "bea"))
        return rows

    monkeypatch.setattr(cache, "_fresh", whole)
    monkeypatch.setattr(cache._versions, "rows", changed_meanwhile)
    assert _reason(cache, PORTFOLIO, "3") == "site-rule", "nobody knows how old bea is"


def test_what_was_read_ahead_is_remembered_and_still_compared(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    with transaction(engine) as connection:
        one_patient(connection)
        save_directive(connection, consent("a", "permit", "PORTFOLIO"))
        for name in ("1", "2", "3", "4", "5"):
            store(connection, facts(name), state="linked" if name != "4" else "examined")
    cache = FactsCache(engine, most=3)
    assert list(cache.read_ahead(chunk=2)) == [2, 1]
    whole = cache._fresh
    monkeypatch.setattr(cache, "_fresh", lambda *_: pytest.fail("something was read anew"))
    monkeypatch.setattr(cache._bodies, "rows", lambda *_: pytest.fail("a photo was read anew"))
    nobody = replace(MARKETING, reference=None)
    for name in ("2", "3", "5"):
        assert _reason(cache, replace(PORTFOLIO, requester=nobody), name) == "patient-permitted"
    monkeypatch.setattr(cache, "_fresh", whole)
    with transaction(engine) as connection:
        save_directive(connection, consent("b", "deny", "PORTFOLIO"))
    assert _reason(cache, PORTFOLIO, "5") == "patient-denied"
    assert list(FactsCache(engine).read_ahead()) == [4]


def test_a_photo_that_becomes_linked_is_seen(engine: Engine) -> None:
    cache = FactsCache(engine)
    assert _reason(cache, TREAT, "9") == "not-linked"
    with transaction(engine) as connection:
        one_patient(connection)
        store(connection, facts("9"), state="examined")
    assert _reason(cache, TREAT, "9") == "not-linked"
    with transaction(engine) as connection:
        store(connection, facts("9"))
    assert _reason(cache, TREAT, "9") == "default-permit"


def test_memberships_and_parents_of_organisations_are_seen(engine: Engine) -> None:
    with transaction(engine) as connection:
        one_patient(connection)
    cache = FactsCache(engine)

    def belongs() -> frozenset[str]:
        return cache.photo("2.25.1", CLINICIAN).facts.requester.belongs_to

    assert belongs() == {"Practitioner/d"}
    with transaction(engine) as connection:
        save_members(connection, "PractitionerRole/r", [("Practitioner/d", "Organization/skin", Span())])
    assert belongs() == {"Practitioner/d", "Organization/skin"}
    with transaction(engine) as connection:
        save_organization_parent(connection, "Organization/skin", "Organization/clinic")
    assert belongs() == {"Practitioner/d", "Organization/skin", "Organization/clinic"}
    with transaction(engine) as connection:
        save_members(connection, "PractitionerRole/r", [])
    assert belongs() == {"Practitioner/d"}


def test_a_membership_ends_by_itself(engine: Engine) -> None:
    from consent.store.clock import now as database_now

    with transaction(engine) as connection:
        one_patient(connection)
        moment = database_now(connection)
        end = moment + timedelta(hours=1)
        save_members(connection, "Group/g", [("Practitioner/d", "Group/g", Span(None, end))])
    times = [moment]
    cache = FactsCache(engine, now=lambda _connection: times[-1])
    assert "Group/g" in cache.photo("2.25.1", CLINICIAN).facts.requester.belongs_to
    times.append(end)
    assert "Group/g" not in cache.photo("2.25.1", CLINICIAN).facts.requester.belongs_to


def test_settings_change_every_answer_at_once(engine: Engine) -> None:
    from consent.site import TreatmentDefault

    with transaction(engine) as connection:
        one_patient(connection)
        site = load_site(connection)
    cache = FactsCache(engine)
    assert _reason(cache, TREAT) == "default-permit"
    changed = replace(site, treatment_default=TreatmentDefault.OPT_IN)
    with transaction(engine) as connection:
        assert save_site(connection, changed, stored_purposes(changed))
        assert not save_site(connection, changed, stored_purposes(changed))
    assert _reason(cache, TREAT) == "default-deny"


def test_a_rule_that_is_switched_on_reads_what_it_needs_of_patients_known_before(engine: Engine) -> None:
    with transaction(engine) as connection:
        one_patient(connection)
        save_directive(connection, consent("w", "permit", "PORTFOLIO"))
        site = load_site(connection)
    cache = FactsCache(engine)
    assert _reason(cache, PORTFOLIO) == "patient-permitted"
    changed = replace(site, rules_on=site.rules_on | {"signature-after-result"})
    with transaction(engine) as connection:
        save_site(connection, changed, stored_purposes(changed))
    assert _reason(cache, PORTFOLIO) == "patient-permitted"  # she signed after the newest photo of that area


def test_merges_follow_each_other_and_never_go_in_circles(engine: Engine) -> None:
    def survivors() -> dict[str, str]:
        with glancing(engine) as connection:
            return {row.patient: row.survivor for row in connection.execute(select(patient))}

    with transaction(engine) as connection:
        merge(connection, "a", "b")
        merge(connection, "b", "c")
    assert survivors() == {"a": "c", "b": "c", "c": "c"}
    with pytest.raises(MergeRefused), transaction(engine) as connection:
        merge(connection, "c", "a")
    with transaction(engine) as connection:
        merge(connection, "b", None)
    assert survivors() == {"a": "b", "b": "b", "c": "c"}


def test_a_photo_keeps_its_number_and_only_rises(engine: Engine) -> None:
    with transaction(engine) as connection:
        one_patient(connection)
        number = by_sop(connection, "2.25.1")
        assert number is not None
        assert store(connection, facts("1", area=HAND)) == number.number
    for state in ("examined", "arrived"):
        with pytest.raises(PhotoRefused), transaction(engine) as connection:
            store(connection, facts("1"), state=state)


def test_relinking_the_source_of_a_copy_relinks_the_copy(engine: Engine) -> None:
    from dataclasses import replace

    with transaction(engine) as connection:
        one_patient(connection)
        save_directive(connection, consent("q", "deny", "TREAT", "bea"))
        copy = replace(facts("77"), sources=(facts("1"),))
        store(connection, copy)
    cache = FactsCache(engine)
    assert _reason(cache, TREAT, "77") == "default-permit"
    with transaction(engine) as connection:
        store(connection, facts("1", "bea"))
    assert _reason(cache, TREAT, "77") == "patient-denied"
    with transaction(engine) as connection:
        save_directive(connection, consent("q", "deny", "TREAT", "bea", status="inactive"))
    assert _reason(cache, TREAT, "77") == "default-permit"


def test_photos_are_found_by_column_that_lists_need(engine: Engine) -> None:
    with transaction(engine) as connection:
        one_patient(connection)
        row = connection.execute(select(photo).where(photo.c.sop_uid == "2.25.1")).one()
    assert (row.document, row.imaging_study, row.patient, row.state) == ("1", "anna", "anna", "linked")
    assert save_photo is not None
