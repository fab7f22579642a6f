"""Resources of a few photos: answered from what is remembered as they are by a search, and recorded alike."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import Connection, Engine, delete, select
from sqlalchemy.exc import OperationalError

from consent.audit.chain import Chain
from consent.audit.record import AuditRecord
from consent.decided import stored_purposes
from consent.directive import Span
from consent.identity.callers import Callers
from consent.purposes import BTG
from consent.service import DecisionPoint
from consent.site import OtherObjects
from consent.store.engine import transaction, watch
from consent.store.people import save_directive
from consent.store.photos import save_photo
from consent.store.sites import load_site, save_site
from consent.store.tables import photo
from consent.store.unchanged import Unchanged
from consent.types import Obligation, Request
from dicom_bridge.query.few import MOST, Members
from dicom_bridge.query.index import save_instance
from dicom_bridge.query.orthanc_ids import orthanc_ids
from dicom_bridge.query.tables import dicom_instance
from orthanc_plugin.wall.answer import ABSENT, Answer
from orthanc_plugin.wall.answers import core_lists
from orthanc_plugin.wall.asking import Asked
from orthanc_plugin.wall.foundation import Foundation, Rooms
from orthanc_plugin.wall.main_tags import MainTags
from orthanc_plugin.wall.places import Places
from orthanc_plugin.wall.routes import Match, Row
from tests.counts import count, report
from tests.database import fresh
from tests.store.test_sets import REQUESTS
from tests.store.world import CLINICIAN, clear, consent, facts, one_patient, random_consent, random_world

ROWS = tuple(row for row in core_lists.ROWS if row.at_hand is not None)
ABSENT_ID = "0" * 8 + "-00000000" * 4


class _NoMembers(Members):
    """Knows of nothing, so that everything is searched for."""

    def find(self, *_: Any) -> None:
        return None


@dataclass
class Node:
    """One wall's rooms, and what it recorded."""

    engine: Engine
    quick: bool
    records: list[AuditRecord] = field(default_factory=list)

    def __post_init__(self) -> None:
        chain = cast(Chain, SimpleNamespace(append=self._append, recorded=0))
        callers = Callers.of(self.engine, record=lambda _: None, door="wall")
        members = Members(self.engine) if self.quick else _NoMembers(self.engine)
        self.rooms = Rooms(
            self.engine,
            DecisionPoint(self.engine, chain, "wall"),
            callers,
            Places(self.engine),
            members,
            MainTags(self.engine),
            Unchanged(self.engine, most=50),
        )
        self.foundation = cast(Foundation, SimpleNamespace(rooms=lambda: self.rooms))

    def _append(self, records: Sequence[AuditRecord]) -> tuple[str, ...]:
        self.records += records
        return ("record",)

    def ask(self, row: Row, orthanc_id: str, request: Request) -> Answer:
        """The answer as a thread of the pool gives it."""
        assert row.answer is not None
        return row.answer(self.foundation, _asked(row, orthanc_id, request))

    def at_hand(self, row: Row, orthanc_id: str, request: Request) -> Answer | None:
        """The answer as Orthanc's own thread gives it."""
        assert row.at_hand is not None
        return row.at_hand(self.foundation, _asked(row, orthanc_id, request))


def _asked(row: Row, orthanc_id: str, request: Request) -> Asked:
    return Asked(Match(row, {"id": orthanc_id}), {}, {}, request=request)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = fresh(f"sqlite:///{tmp_path}/photospine.sqlite3")
    watch(made)
    yield made
    made.dispose()


def _index(connection: Connection, random: Random) -> None:
    """Rows of the index for every photo: few studies and series, so that they are shared by what may be seen or not."""
    for row in connection.execute(select(photo.c.photo, photo.c.sop_uid, photo.c.patient)).all():
        patient = row.patient or random.choice(["p0", "p1"])  # an object that is no photo lies beside photos
        study = f"2.25.7{patient[1:]}{random.randrange(2)}"
        texts = {
            "00100020": patient,
            "00100010": random.choice(["", f"Family^{patient}"]),
            "0020000D": study,
            "0020000E": f"{study}.{random.randrange(2)}",
            "00080018": row.sop_uid,
            "00080020": random.choice(["", "20260501", "20260502"]),
            "00080060": random.choice(["XC", "CT"]),
            "00080016": random.choice(["1.2.3", "1.2.4"]),
            "00200013": str(row.photo),
        }
        attributes: dict[str, Any] = {tag: {"vr": "LO", "Value": [text]} for tag, text in texts.items() if text}
        save_instance(connection, row.photo, row.sop_uid, attributes)


def _ids(connection: Connection) -> Mapping[str, list[str]]:
    columns = dicom_instance.c
    found = {
        "patients": columns.orthanc_patient,
        "studies": columns.orthanc_study,
        "series": columns.orthanc_series,
        "instances": columns.orthanc_instance,
    }
    return {
        name: list(connection.execute(select(column).distinct().order_by(column)).scalars())
        for name, column in found.items()
    }


def test_what_is_remembered_gives_the_answer_and_the_record_of_a_search(engine: Engine) -> None:
    worlds = count("few-photos", small=3, full=200)
    started = time.monotonic()
    remembered = compared = 0
    for seed in range(worlds):
        random = Random(seed)
        with transaction(engine) as connection:
            clear(connection)
            uids = random_world(connection, random)
            _index(connection, random)
            opened = random.choice([OtherObjects.CLINICAL, OtherObjects.REFUSE])
            save_site(connection, site := replace(load_site(connection), other_objects=opened), stored_purposes(site))
        quick, slow = Node(engine, quick=True), Node(engine, quick=False)
        for turn in range(2):  # what the first leaves in memory must not show in the second
            with transaction(engine) as connection:
                save_directive(connection, random_consent(random, f"late{turn}", "p1", uids))
                ids = _ids(connection)
            for request in random.sample(REQUESTS, 4):
                fulfils = frozenset(random.choice([(), tuple(Obligation)]))
                for row in random.sample(ROWS, 6):
                    asked = replace(row, fulfils=fulfils)
                    known = ids[row.path.split("/")[1]]
                    for each in (*random.sample(known, min(2, len(known))), ABSENT_ID):
                        wanted, first = slow.ask(asked, each, request), quick.ask(asked, each, request)
                        again = quick.at_hand(asked, each, request)
                        given = (first,) if again is None else (first, again)
                        assert {(one.status, one.body) for one in given} == {(wanted.status, wanted.body)}
                        assert quick.records[-len(given) :] == slow.records[-1:] * len(given)
                        assert again is not None or request.purpose == BTG
                        remembered += again is not None
                        compared += 1
    report("few-photos", asked=worlds, run=worlds, failures=0, started=started)
    assert remembered > compared / 2


@pytest.fixture
def anna(engine: Engine) -> str:
    """Two photos of one series; gives its Orthanc id."""
    with transaction(engine) as connection:
        one_patient(connection)
        for number, sop in connection.execute(select(photo.c.photo, photo.c.sop_uid)).all():
            _save(connection, number, sop)
    return orthanc_ids("anna", "2.25.5", "2.25.5.1", "").series


def _save(connection: Connection, number: int, sop: str, series: str = "2.25.5.1") -> None:
    texts = {"00100020": "anna", "0020000D": "2.25.5", "0020000E": series, "00080018": sop, "0008103E": f"of {series}"}
    save_instance(connection, number, sop, {tag: {"vr": "LO", "Value": [text]} for tag, text in texts.items()})


SERIES = next(row for row in ROWS if row.path == "/series/{id}")
TREAT = Request(CLINICIAN, "TREAT")


def test_in_orthancs_own_thread_nothing_is_read_of_what_is_not_remembered(engine: Engine, anna: str) -> None:
    node = Node(engine, quick=True)
    assert node.at_hand(SERIES, anna, TREAT) is None
    assert node.records == []
    answer = node.ask(SERIES, anna, TREAT)
    assert node.at_hand(SERIES, anna, TREAT) == answer
    assert [record.released for record in node.records] == [2, 2]
    assert node.at_hand(SERIES, anna, replace(TREAT, purpose=BTG, emergency_reason="bleeding")) is None


def test_a_change_shows_in_the_next_answer(engine: Engine, anna: str) -> None:
    node = Node(engine, quick=True)
    whole = node.ask(SERIES, anna, TREAT)
    for name in ("denied", "denied"):
        for effect in ("deny", "permit"):
            with transaction(engine) as connection:
                save_directive(connection, consent(name, effect, "TREAT"))
            answer = node.at_hand(SERIES, anna, TREAT) or node.ask(SERIES, anna, TREAT)
            assert answer == (whole if effect == "permit" else ABSENT)
    with transaction(engine) as connection:  # a third photo, and the first in another series
        number = save_photo(
            connection,
            facts("3"),
            series_uid="2.25.5.1",
            study_uid="2.25.5",
            orthanc_id="o-3",
            state="linked",
            area=None,
            view=None,
            procedure=None,
        )
        _save(connection, number, "2.25.3")
        _save(connection, 1, "2.25.1", series="2.25.5.2")
    answer = node.at_hand(SERIES, anna, TREAT) or node.ask(SERIES, anna, TREAT)
    wanted = [orthanc_ids("anna", "2.25.5", "2.25.5.1", f"2.25.{each}").instance for each in (2, 3)]
    assert all(each.encode() in answer.body for each in wanted)
    assert orthanc_ids("anna", "2.25.5", "2.25.5.1", "2.25.1").instance.encode() not in answer.body
    with transaction(engine) as connection:
        connection.execute(delete(dicom_instance).where(dicom_instance.c.photo == -1))  # commits, and changes nothing
    assert node.at_hand(SERIES, anna, TREAT) == answer


def test_an_answer_ends_with_the_period_that_it_holds_for(engine: Engine, anna: str) -> None:
    """Nothing is committed when a period ends."""
    node = Node(engine, quick=True)
    until = datetime.now(UTC) + timedelta(seconds=1)
    with transaction(engine) as connection:
        save_directive(connection, consent("for now", "deny", "TREAT", periods=(Span(None, until),)))
    assert node.ask(SERIES, anna, TREAT) == ABSENT
    while datetime.now(UTC) < until - timedelta(seconds=0.2):
        assert node.at_hand(SERIES, anna, TREAT) == ABSENT
        time.sleep(0.05)
    time.sleep(max(0.0, (until - datetime.now(UTC)).total_seconds()) + 0.01)
    answer = node.at_hand(SERIES, anna, TREAT) or node.ask(SERIES, anna, TREAT)
    assert answer.status == 200


def test_nothing_is_remembered_of_a_database_that_was_moved(engine: Engine, anna: str) -> None:
    node = Node(engine, quick=True)
    node.ask(SERIES, anna, TREAT)
    assert node.at_hand(SERIES, anna, TREAT) is not None
    file = Path(str(engine.url.database))
    file.rename(file.with_suffix(".moved"))
    time.sleep(0.1)
    recorded = len(node.records)
    assert node.at_hand(SERIES, anna, TREAT) is None
    with pytest.raises(OperationalError):
        node.ask(SERIES, anna, TREAT)
    assert len(node.records) == recorded


def test_many_photos_are_searched_for(engine: Engine) -> None:
    with transaction(engine) as connection:
        one_patient(connection)
        for seed in range(MOST + 1):
            number = save_photo(
                connection,
                facts(f"9{seed}"),
                series_uid="2.25.5.1",
                study_uid="2.25.5",
                orthanc_id=f"o-9{seed}",
                state="linked",
                area=None,
                view=None,
                procedure=None,
            )
            _save(connection, number, f"2.25.9{seed}")
    node, series = Node(engine, quick=True), orthanc_ids("anna", "2.25.5", "2.25.5.1", "").series
    answer = node.ask(SERIES, series, TREAT)
    assert (answer.status, node.records[-1].released) == (200, MOST + 1)
    assert node.at_hand(SERIES, series, TREAT) is None
