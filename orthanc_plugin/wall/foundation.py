"""What the wall stands on: the node's keys, and the database with all that reads it.

The keys are needed at start. The database may come later: until it can be used, everything but the canary is refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from consent.audit.chain import open_chain
from consent.errors import ConsentError
from consent.identity.callers import Callers
from consent.identity.keys import load
from consent.identity.tickets import TicketBox, TicketKeys
from consent.service import DecisionPoint
from consent.store.engine import open_engine, reading, watch
from consent.store.schema import require_schema
from consent.store.unchanged import Unchanged
from consent.types import Request
from dicom_bridge.query.few import Members
from orthanc_plugin.wall.answer import Answer
from orthanc_plugin.wall.errors import NotReady
from orthanc_plugin.wall.files import Files
from orthanc_plugin.wall.host import Host
from orthanc_plugin.wall.main_tags import MainTags
from orthanc_plugin.wall.places import Places
from orthanc_plugin.wall.pool import PATIENCE, Pool
from orthanc_plugin.wall.routes import Table
from orthanc_plugin.wall.section import Section
from orthanc_plugin.wall.spelling import Spelling

RETRY_SECONDS = 1.0
DOOR = "orthanc"
BREATH_SECONDS = 0.02
"""Between two steps of work that nobody waits for: requests come first."""

_FEW_ANSWERS = 5000
"""Answers about few photos that are remembered: a kilobyte each as a rule, eight at most."""


@dataclass(frozen=True, slots=True)
class FewAnswer:
    """What is answered about few photos, and what its record says."""

    answer: Answer
    photos: tuple[int, ...]
    refused: int


@dataclass(frozen=True, slots=True)
class Rooms:
    """What needs the database."""

    engine: Engine
    point: DecisionPoint
    callers: Callers
    places: Places
    members: Members
    main_tags: MainTags
    few: Unchanged[tuple[str, str, Request], FewAnswer]
    """Answers by path, Orthanc id and question. Each time one is given it is recorded anew."""


class Foundation:
    """One for each process."""

    def __init__(
        self,
        host: Host,
        section: Section,
        table: Table,
        pool: Pool,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Read the keys.

        Raises
        ------
        consent.identity.keys.KeysRefused
            There are none: Orthanc refuses to start.
        """
        keys = load(section.keys)
        self.host, self.section, self.table, self.pool, self.clock = host, section, table, pool, clock
        self.canary_key = keys.tickets[0]
        self.spelling = Spelling()
        self.files = Files(host, host.configuration())
        self.tickets = TicketBox(TicketKeys(keys.tickets), section.node, clock())
        self._rooms: Rooms | None = None
        self._failed = float("-inf")
        self._fault: Exception | None = None
        self._lock = Lock()

    def rooms(self) -> Rooms:
        """What needs the database.

        Raises
        ------
        NotReady
            It cannot be used now. It is tried again after a second, not at each request.
        """
        found = self._rooms
        if found is not None:
            return found
        with self._lock:
            if self._rooms is None:
                if time.monotonic() - self._failed < RETRY_SECONDS:
                    raise NotReady("the database cannot be used") from self._fault
                try:
                    self._rooms = self._open()
                    self.pool.aside(self._read_ahead)
                except (ConsentError, SQLAlchemyError, OSError) as error:
                    self._failed, self._fault = time.monotonic(), error
                    raise NotReady(f"the database cannot be used: {type(error).__name__}") from error
            return self._rooms

    def standing(self) -> Rooms | None:
        """What needs the database, where it is open already."""
        return self._rooms

    def check(self) -> None:
        """See that decisions could be made and recorded now.

        Raises
        ------
        WallError, ConsentError, sqlalchemy.exc.SQLAlchemyError
            They could not; until they can, everything is refused.
        """
        self.rooms().point.check()

    def _read_ahead(self) -> None:
        """Remember photos before they are asked for: what is read for the first request of each costs it 20 ms."""
        rooms = self._rooms
        assert rooms is not None
        try:
            for _ in rooms.point.read_ahead():
                time.sleep(BREATH_SECONDS)
        except (ConsentError, SQLAlchemyError) as error:  # they are read when they are asked for
            self.host.log(f"not read ahead: {type(error).__name__}")

    def _open(self) -> Rooms:
        with ExitStack() as closing:
            engine = open_engine(self.section.database)
            closing.callback(engine.dispose)
            with reading(engine) as connection:
                require_schema(connection)
            watch(engine)
            chain = open_chain(
                url=self.section.database,
                folder=self.section.audit_folder,
                node=self.section.node,
                role="wall",
                patience=PATIENCE,
                sole=True,  # each ticket counts once for each process that checks it
            )
            closing.callback(chain.close)
            callers = Callers.of(engine, record=lambda entry: chain.append([entry]), door=DOOR)
            point = DecisionPoint(engine, chain, DOOR)
            few: Unchanged[tuple[str, str, Request], FewAnswer] = Unchanged(engine, most=_FEW_ANSWERS)
            rooms = Rooms(engine, point, callers, Places(engine), Members(engine), MainTags(engine), few)
            closing.pop_all()
            return rooms
