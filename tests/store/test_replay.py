"""A recorded answer, decided again from the facts of its time, is the same, whatever was changed since."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select

from consent.audit.chain import open_chain
from consent.audit.read import Archive
from consent.decided import stored_purposes
from consent.directive import Actors, Span
from consent.facts import PhotoFacts
from consent.replay import NotReplayable, replay
from consent.service import DecisionPoint
from consent.site import CareTeamScope, OtherObjects, PortalDefault, Site, TreatmentDefault
from consent.store.engine import reading, transaction
from consent.store.people import (
    MergeRefused,
    drop_directive,
    hold,
    merge,
    release,
    save_care_members,
    save_directive,
    save_members,
    save_organization_parent,
    save_patient,
    save_representation,
)
from consent.store.photos import by_sop, save_photo
from consent.store.sites import save_site
from consent.store.tables import facts_then, photo
from consent.types import Obligation, Request, Requester, Right
from tests.counts import count, report
from tests.databases import SITE
from tests.store.world import ADULT, FACE, HAND, clear, consent, facts, one_patient, random_consent, random_world

START = datetime(2026, 6, 1, 9, tzinfo=UTC)
_STAFF = ("TREAT", "BTG", "PORTFOLIO", "WEB", "SOCIAL", "TEACH", "HRESCH", "HLEGAL", "PATRQT")
REQUESTERS = (
    Requester("d", _STAFF, reference="Practitioner/d"),
    Requester("x", _STAFF, reference="Practitioner/x", own_patient="p1"),
    Requester("p0", ("PATRQT",), reference="Patient/p0", confined_to=frozenset({"p0"}), own_patient="p0"),
    Requester("mother", ("PATRQT",), reference="RelatedPerson/m", confined_to=frozenset({"p2"})),
    Requester("marketing", ("PORTFOLIO", "SOCIAL")),
)
MARKETING = REQUESTERS[-1]
PACS = Requester("pacs", ("TREAT", "TREAT", "HLEGAL"), rights=frozenset({Right.ARCHIVE}))
SCAN = "2.25.606"
"""An object that is no photo."""


class World:
    """A random clinic whose facts change, and a door that answers in between."""

    def __init__(self, engine: Engine, folder: Path, random: Random) -> None:
        self.engine, self.random, self.now = engine, random, START
        self.others = Random(0)
        self.chain = open_chain(engine.url.render_as_string(False), folder / "audit", "n1", "test")
        self.archive = Archive(engine, folder / "audit")
        self.door = DecisionPoint(engine, self.chain, "test", now=lambda _: self.now)
        with transaction(engine) as connection:
            self.photos = random_world(connection, random)
            _save(connection, PhotoFacts(photo=SCAN, patients=(), other=True), "other")
        self.site = SITE

    def ask(self) -> None:
        """Somebody asks for a photo."""
        random = self.random
        who = random.choice(REQUESTERS)
        purpose = random.choice([*who.purposes, "PORTFOLIO"])
        request = Request(
            who,
            purpose,
            channel=random.choice(["instagram", "tiktok", None]) if purpose == "SOCIAL" else None,
            project=random.choice(["scars", None]) if purpose == "HRESCH" else None,
            emergency_reason=random.choice(["bleeding", "bleeding", None]) if purpose == "BTG" else None,
            emergency_patient=random.choice([None, "p0", "p1", "p2"]) if purpose == "BTG" else None,
        )
        fulfils = random.choice([frozenset(Obligation), frozenset[Obligation]()])
        self.door.photo(request, random.choice([*self.photos, "2.25.404"]), route="GET /x", fulfils=fulfils)

    def ask_other(self) -> None:
        """Somebody asks for an object that is no photo."""
        who = self.others.choice([PACS, MARKETING, REQUESTERS[0]])
        request = Request(who, self.others.choice(who.purposes))
        self.door.photo(request, SCAN, route="GET /x", fulfils=frozenset(Obligation))

    def change(self) -> None:
        """Something is written."""
        with transaction(self.engine) as connection:
            try:
                self.random.choice(self._changes())(connection)
            except MergeRefused:
                connection.rollback()

    def _changes(self) -> list[Callable[[Connection], object]]:
        random = self.random
        patient, other = random.choice(["p0", "p1", "p2", "p3", "p4"]), random.choice(["p0", "p1", "p2", "p5"])
        name = f"c{random.randrange(14)}"
        person = random.choice(["Practitioner/d", "Practitioner/x"])
        span = random.choice([Span(), Span(START, START + timedelta(days=20)), Span(START + timedelta(days=9), None)])
        born = random.choice([ADULT, None, Span(datetime(2010, 6, 1, tzinfo=UTC), datetime(2010, 6, 2, tzinfo=UTC))])
        written = random_consent(random, name, patient, self.photos)
        return [
            lambda c: save_directive(c, replace(written, version=random.randrange(2, 9))),
            lambda c: save_directive(c, replace(written, version=random.randrange(2, 9))),
            lambda c: drop_directive(c, name),
            lambda c: hold(c, "held-" + name, patient, random.random() < 0.5),
            lambda c: release(c, "held-" + name),
            lambda c: merge(c, patient, random.choice([None, other if other != patient else None])),
            lambda c: save_patient(c, patient, born),
            lambda c: save_representation(c, "RelatedPerson/m", random.choice([None, "p2", "p3"]), span),
            lambda c: save_members(c, f"PractitionerRole/{name}", [(person, "Organization/clinic", span)]),
            lambda c: save_members(c, f"PractitionerRole/{name}", []),
            lambda c: save_care_members(
                c, "CareTeam/t", patient, random.sample(["Practitioner/d", "Practitioner/x"], 1)
            ),
            lambda c: save_organization_parent(c, "Organization/clinic", random.choice([None, "Organization/group"])),
            self._settings,
            self._photo,
        ]

    def _settings(self, connection: Connection) -> None:
        random = self.random
        self.site = replace(
            self.site,
            treatment_default=random.choice(list(TreatmentDefault)),
            portal_default=random.choice(list(PortalDefault)),
            care_team=random.choice(list(CareTeamScope)),
            deniable_duties=random.choice([frozenset(), frozenset({"HLEGAL"})]),
            rules_on=random.choice([Site().rules_on, frozenset(), frozenset({"signature-after-result"})]),
            watermark=random.choice([frozenset(), frozenset({"PORTFOLIO"})]),
            other_objects=self.others.choice(list(OtherObjects)),
        )
        save_site(connection, self.site, stored_purposes(self.site))

    def _photo(self, connection: Connection) -> None:
        if not self.photos:
            return
        stored = by_sop(connection, self.random.choice(self.photos))
        assert stored is not None
        now = replace(facts("x", self.random.choice(["p0", "p1", "p2"])), photo=stored.sop_uid)
        _save(connection, replace(now, document=stored.facts.document, regions=facts("y", area=HAND).regions))

    def records(self) -> list[dict[str, Any]]:
        """What the door recorded."""
        return [json.loads(row.body) for row in self.archive.rows("n1/test/0")]


def _save(connection: Connection, value: PhotoFacts, state: str = "linked") -> int:
    return save_photo(
        connection,
        value,
        series_uid=f"{value.photo}.1",
        study_uid="2.25.9",
        orthanc_id=f"o-{value.photo}"[:44],
        state=state,
        area=FACE,
        view=None,
        procedure=None,
    )


def test_every_answer_is_given_again(engine: Engine, tmp_path: Path) -> None:
    worlds = count("replayed-worlds", small=2, full=60)
    started, replayed, reasons, failures = time.monotonic(), 0, Counter[str](), []
    for seed in range(worlds):
        random = Random(seed)
        if seed:
            with transaction(engine) as connection:
                clear(connection)
                save_site(connection, SITE, stored_purposes(SITE))
        world = World(engine, tmp_path / str(seed), random)
        for _ in range(25):
            world.now += timedelta(hours=random.randrange(100))
            for _ in range(6):
                world.ask()
            world.ask_other()
            world.change()
        records = world.records()[-175:]  # on PostgreSQL the chain goes on
        world.chain.close()
        with reading(engine) as connection:
            for record in records:
                again = replay(connection, record)
                replayed += 1
                reasons[record["reason"]] += 1
                if not again.same:
                    failures.append((seed, record["sequence"], again.differs, record["reason"]))
    report("answers decided again", asked=worlds * 175, run=replayed, failures=len(failures), seed=0, started=started)
    assert failures == []
    assert replayed == worlds * 175
    assert {"patient-denied", "patient-permitted", "default-deny", "not-linked", "other-patient", "site-rule"} <= set(
        reasons
    )
    assert {"held", "role-permit", "purpose-not-held", "break-glass", "other-permit", "other-deny"} <= set(reasons)


CLINICIAN = Requester("d", ("TREAT", "PORTFOLIO"), reference="Practitioner/d")


class Anna:
    """One patient, who permits the portfolio, and a door."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        with transaction(engine) as connection:
            one_patient(connection)
            save_directive(connection, consent("c1", "permit", "PORTFOLIO"))
        self.chain = open_chain(engine.url.render_as_string(False), folder / "audit", "n1", "test")
        self.door = DecisionPoint(engine, self.chain, "test")
        self.archive = Archive(engine, folder / "audit")

    def last(self) -> dict[str, Any]:
        """The newest record."""
        newest: dict[str, Any] = [json.loads(row.body) for row in self.archive.rows("n1/test/0")][-1]
        return newest


@pytest.fixture
def anna(engine: Engine, tmp_path: Path) -> Iterator[Anna]:
    """Anna."""
    made = Anna(engine, tmp_path)
    yield made
    made.chain.close()


def test_what_the_door_could_not_do_is_told_apart(anna: Anna) -> None:
    anna.door.photo(Request(MARKETING, "PORTFOLIO"), "2.25.1", route="GET /x", fulfils=frozenset())
    record = anna.last()
    assert (record["effect"], record["reason"]) == ("deny", "obligation-unfulfilled")
    with reading(anna.engine) as connection:
        again = replay(connection, record)
    assert again.same
    assert again.explanation.decision.permitted
    assert "refused" in again.door


def test_a_photo_of_a_set_is_decided_by_the_time_of_the_set(anna: Anna) -> None:
    with reading(anna.engine) as connection:
        numbers = connection.execute(select(photo.c.photo)).scalars().all()
    anna.door.photos(Request(MARKETING, "PORTFOLIO"), numbers, route="GET /x", fulfils=frozenset(Obligation))
    record = anna.last()
    assert record["released"] == 2
    with transaction(anna.engine) as connection:
        save_directive(connection, consent("c1", "deny", "PORTFOLIO", version=2))
    with reading(anna.engine) as connection:
        again = replay(connection, record, "2.25.1")
        assert (again.same, again.exact) == (True, False)
        assert again.explanation.decision.directives[0].version == 1
        with pytest.raises(NotReplayable, match="name one photo of the set"):
            replay(connection, record)


def test_what_a_set_does_not_name_is_no_other_answer(anna: Anna) -> None:
    """A search for others, a page's limit, an obligation that the door could not fulfil: nobody answered otherwise."""
    request = Request(MARKETING, "PORTFOLIO")
    with reading(anna.engine) as connection:
        numbers = connection.execute(select(photo.c.photo)).scalars().all()
    for meant, fulfils in ((numbers, frozenset[Obligation]()), (numbers[1:], frozenset(Obligation))):
        anna.door.photos(request, meant, route="GET /x", fulfils=fulfils)
        record = anna.last()
        with reading(anna.engine) as connection:
            again = replay(connection, record, "2.25.1")
        assert again.explanation.decision.permitted
        assert again.same
        assert "does not name the photo" in again.door


def test_a_photo_that_a_set_names_and_that_is_refused_is_another_answer(anna: Anna) -> None:
    with reading(anna.engine) as connection:
        numbers = connection.execute(select(photo.c.photo)).scalars().all()
    anna.door.photos(Request(MARKETING, "PORTFOLIO"), numbers, route="GET /x", fulfils=frozenset(Obligation))
    with reading(anna.engine) as connection:
        again = replay(connection, anna.last() | {"purpose": "WEB"}, "2.25.1")
    assert (again.same, again.differs, again.door) == (False, ("effect",), "")


@pytest.mark.parametrize("left_out", ["held", "as_of"])
def test_a_record_of_a_former_version_is_not_decided_again(anna: Anna, left_out: str) -> None:
    """It does not tell what the requester held, so that any answer would be made up."""
    anna.door.photo(Request(CLINICIAN, "TREAT"), "2.25.1", route="GET /x", fulfils=frozenset(Obligation))
    single = anna.last()
    with reading(anna.engine) as connection:
        numbers = connection.execute(select(photo.c.photo)).scalars().all()
    anna.door.photos(Request(CLINICIAN, "TREAT"), numbers, route="GET /x", fulfils=frozenset(Obligation))
    record = {"held": anna.last(), "as_of": single}[left_out]
    with (
        reading(anna.engine) as connection,
        pytest.raises(NotReplayable, match="does not tell what the requester held"),
    ):
        replay(connection, {name: value for name, value in record.items() if name != left_out}, "2.25.1")


def test_an_answer_that_was_changed_is_not_the_same(anna: Anna) -> None:
    anna.door.photo(Request(CLINICIAN, "TREAT"), "2.25.1", route="GET /x", fulfils=frozenset(Obligation))
    with reading(anna.engine) as connection:
        again = replay(connection, anna.last() | {"reason": "patient-permitted", "step": 9})
    assert again.differs == ("reason", "step")


def test_whoever_cared_for_her_then_does_so_in_the_replay(anna: Anna) -> None:
    """The care team is another patient's later."""
    site = replace(SITE, care_team=CareTeamScope.RECORD)
    with transaction(anna.engine) as connection:
        save_site(connection, site, stored_purposes(site))
        save_care_members(connection, "CareTeam/t", "anna", ["Practitioner/d"])
    anna.door.photo(Request(CLINICIAN, "TREAT"), "2.25.1", route="GET /x", fulfils=frozenset(Obligation))
    record = anna.last()
    assert record["effect"] == "permit"
    with transaction(anna.engine) as connection:
        save_care_members(connection, "CareTeam/t", "p2", ["Practitioner/d"])
    anna.door.photo(Request(CLINICIAN, "TREAT"), "2.25.1", route="GET /x", fulfils=frozenset(Obligation))
    assert anna.last()["reason"] == "purpose-not-held"
    with reading(anna.engine) as connection:
        assert replay(connection, record).same


def test_whoever_belonged_then_belongs_in_the_replay(anna: Anna) -> None:
    """The denial names an organisation; the account joins it, asks, and leaves it."""
    with transaction(anna.engine) as connection:
        save_members(connection, "PractitionerRole/other", [("Practitioner/d", "Organization/other", Span())])
        actors = Actors(persons=frozenset({"Organization/group"}))
        save_directive(connection, consent("c2", "deny", "TREAT", actors=actors))
    records = []
    for members, parent in (
        ([("Practitioner/d", "Organization/clinic", Span())], "Organization/group"),
        ([], "Organization/group"),
        ([("Practitioner/d", "Organization/clinic", Span())], None),
    ):
        with transaction(anna.engine) as connection:
            save_members(connection, "PractitionerRole/r", members)
            save_organization_parent(connection, "Organization/clinic", parent)
        anna.door.photo(Request(CLINICIAN, "TREAT"), "2.25.1", route="GET /x", fulfils=frozenset(Obligation))
        records.append(anna.last())
    assert [each["effect"] for each in records] == ["deny", "permit", "permit"]
    with reading(anna.engine) as connection:
        assert [replay(connection, each).same for each in records] == [True] * 3


def test_an_answer_without_facts_is_not_given_again(anna: Anna) -> None:
    with reading(anna.engine) as connection, pytest.raises(NotReplayable, match="facts could not be read"):
        replay(connection, {"kind": "decision", "reason": "facts-unavailable", "effect": "deny"})


def test_what_never_changed_is_kept_once(anna: Anna) -> None:
    """Photos that come in leave nothing behind, and a Consent that several changes pass by is kept once."""
    with transaction(anna.engine) as connection:
        before = connection.execute(select(facts_then.c.kind)).scalars().all()
        save_photo_again = facts("3")
        _save(connection, save_photo_again)
        save_directive(connection, consent("c1", "permit", "PORTFOLIO"))
        assert connection.execute(select(facts_then.c.kind)).scalars().all() == before
        for number in range(5):
            save_directive(connection, consent(f"n{number}", "deny", "WEB"))
        kinds = Counter(connection.execute(select(facts_then.c.kind)).scalars())
    assert kinds["consent"] == 5
    assert kinds["photo"] == 0
