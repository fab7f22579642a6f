"""Who saw a photo, what an account saw, what left of several photos: held against what the door really answered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import Engine, select

from consent.audit import seen
from consent.audit.chain import Chain, open_chain
from consent.audit.read import Archive
from consent.audit.seen import How, Window
from consent.service import DecisionPoint
from consent.store.engine import reading, transaction
from consent.store.people import save_directive
from consent.store.tables import photo
from consent.types import Obligation, Request
from tests.store.world import CLINICIAN, MARKETING, consent, one_patient

ALL = frozenset(Obligation)
EVER = Window()
TREAT, PORTFOLIO = Request(CLINICIAN, "TREAT"), Request(MARKETING, "PORTFOLIO")
EMERGENCY = Request(CLINICIAN, "BTG", emergency_reason="bleeding", emergency_patient="anna")


@dataclass
class Clinic:
    """Anna with two photos, two processes' chains, and their doors."""

    engine: Engine
    archive: Archive
    chains: list[Chain]
    doors: list[DecisionPoint]
    numbers: dict[str, int]

    def who(self, uid: str, window: Window = EVER) -> list[tuple[str, How]]:
        """Accounts and what became of the photo."""
        found = seen.of_photo(self.archive, uid, {self.numbers[uid]} if uid in self.numbers else (), window)
        return [(each.values["account"], each.how) for each in found]


@pytest.fixture
def clinic(engine: Engine, tmp_path: Path) -> Iterator[Clinic]:
    """The clinic."""
    with transaction(engine) as connection:
        one_patient(connection)
    url = engine.url.render_as_string(False)
    chains = [open_chain(url, tmp_path / "audit", "n1", role) for role in ("wall", "serve")]
    with reading(engine) as connection:
        numbers = {row.sop_uid: row.photo for row in connection.execute(select(photo.c.sop_uid, photo.c.photo))}
    doors = [DecisionPoint(engine, chain, role) for chain, role in zip(chains, ("wall", "serve"), strict=True)]
    yield Clinic(engine, Archive(engine, tmp_path / "audit"), chains, doors, numbers)
    for chain in chains:
        chain.close()


def test_single_answers_sets_and_refusals_are_found(clinic: Clinic) -> None:
    wall, serve = clinic.doors
    wall.photo(TREAT, "2.25.1", route="GET /x", fulfils=ALL)
    serve.photo(PORTFOLIO, "2.25.1", route="GET /y", fulfils=ALL)
    wall.photos(TREAT, sorted(clinic.numbers.values()), route="GET /list", fulfils=ALL)
    wall.photos(TREAT, [clinic.numbers["2.25.2"]], route="GET /list", fulfils=ALL)
    serve.photo(EMERGENCY, "2.25.1", route="GET /x", fulfils=ALL)
    assert clinic.who("2.25.1") == [
        ("d", How.RELEASED),
        ("m", How.REFUSED),
        ("d", How.RELEASED),
        ("d", How.RELEASED),
    ]
    found = list(seen.of_photo(clinic.archive, "2.25.1", {clinic.numbers["2.25.1"]}, Window()))
    assert [each.override for each in found] == [False, False, False, True]
    assert found[2].of == 2
    assert clinic.who("2.25.1", Window(purpose="PORTFOLIO")) == [("m", How.REFUSED)]
    assert clinic.who("2.25.1", Window(since=found[1].at, until=found[2].at)) == [("m", How.REFUSED)]


def test_a_photo_that_is_not_known_may_have_been_asked_for(clinic: Clinic) -> None:
    clinic.doors[0].photo(TREAT, "2.25.404", route="GET /x", fulfils=ALL)
    assert clinic.who("2.25.404") == [("d", How.REFUSED)]
    assert clinic.who("2.25.40") == []


def test_a_stream_that_was_stopped_is_told_apart(clinic: Clinic) -> None:
    wall = clinic.doors[0]
    with transaction(clinic.engine) as connection:
        save_directive(connection, consent("c1", "permit", "PORTFOLIO"))
    wall.photos(PORTFOLIO, sorted(clinic.numbers.values()), route="GET /archive", fulfils=ALL)
    assert wall.still(PORTFOLIO, "2.25.1", route="GET /archive", fulfils=ALL)
    with transaction(clinic.engine) as connection:
        save_directive(connection, consent("c1", "deny", "PORTFOLIO", version=2))
    assert not wall.still(PORTFOLIO, "2.25.2", route="GET /archive", fulfils=ALL)
    assert clinic.who("2.25.1") == [("m", How.RELEASED)]
    assert clinic.who("2.25.2") == [("m", How.RELEASED), ("m", How.STOPPED)]
    assert [each.how for each in seen.of_account(clinic.archive, "m", Window())] == [How.RELEASED, How.STOPPED]


def test_random_answers_are_all_found_and_no_others(clinic: Clinic) -> None:
    random, told = Random(7), []
    for _ in range(120):
        door, request = random.choice(clinic.doors), random.choice([TREAT, PORTFOLIO, EMERGENCY])
        account = request.requester.account
        if random.random() < 0.5:
            uid = random.choice(["2.25.1", "2.25.2", "2.25.3"])
            answer = door.photo(request, uid, route="GET /x", fulfils=ALL)
            told.append((account, {uid} if answer.permitted else set(), {uid}))
        else:
            asked = random.sample(sorted(clinic.numbers.values()), random.randrange(1, 3))
            released = door.photos(request, asked, route="GET /list", fulfils=ALL)
            uids = {uid for uid, number in clinic.numbers.items() if number in released.numbers}
            told.append((account, uids, uids))
    for uid in ("2.25.1", "2.25.2", "2.25.3"):
        expected = [
            (account, How.RELEASED if uid in shown else How.REFUSED) for account, shown, about in told if uid in about
        ]
        stopped = [(account, How.REFUSED if how is How.STOPPED else how) for account, how in clinic.who(uid)]
        assert stopped == expected
    for account in ("d", "m"):
        found = list(seen.of_account(clinic.archive, account, Window()))
        assert sum(each.how is How.RELEASED for each in found if each.values["kind"] == "decision") + sum(
            len(each.numbers) for each in found if each.values["kind"] == "set"
        ) == sum(len(shown) for who, shown, _ in told if who == account)
    left = list(seen.of_photos(clinic.archive, clinic.numbers.values(), Window()))
    assert sum(len(each.numbers) for each in left) == sum(len(shown) for _, shown, _ in told)
    assert {each.how for each in left} == {How.RELEASED}
