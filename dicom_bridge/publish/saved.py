"""Questions that are kept under a name: a portfolio is one, and so is a gallery's that somebody asks every week.

Whoever holds a question's purpose, and is confined to nobody, may ask it. Who saved it and when, and who took its pairs
in last, stands with it; each of these is a write on record.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, delete, insert, select, update

from consent.audit.chain import Chain
from consent.audit.record import Kind, of_request
from consent.store import clock
from consent.store.clock import instant
from consent.store.engine import reading, transaction
from consent.types import Request
from consent.wording import worded
from dicom_bridge.errors import BridgeError
from dicom_bridge.publish.tables import saved_pair, saved_question
from fhir_mapping.errors import NotFound
from fhir_mapping.question.pairs import Pair
from fhir_mapping.question.text import MAX_TEXT

MOST = 200
"""Pairs of a portfolio, at most."""

USUAL = 50
_LONGEST = 100
_ALIKE = 100
_KEPT = 500
"""Questions of one purpose."""


class NotSaved(BridgeError):
    """A question cannot be kept so. The text names what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A question that is kept."""

    id: str
    name: str
    purpose: str
    channel: str | None
    question: str
    """Its text."""

    most: int
    """Pairs, the newest results first."""

    least: int
    """Percent of comparability that a pair has at least, as far as it is proved; 0: whatever it is."""

    made: datetime
    made_by: str
    """Account."""

    seen: datetime | None = None
    """When its pairs were taken in last; None: never."""

    seen_by: str | None = None


class SavedQuestions:
    """The questions that are kept.

    Parameters
    ----------
    os_user
        Who sits at the machine, where that is known; for the audit.
    """

    def __init__(self, engine: Engine, chain: Chain, *, door: str, os_user: str | None = None) -> None:
        self._engine, self._chain, self._door, self._os_user = engine, chain, door, os_user

    def listed(self, request: Request) -> list[Saved]:
        """Those of the purpose that is asked for, and of its channel; by name. What they find is not asked here."""
        if not _may(request):
            return []
        query = select(saved_question).where(*_of(request)).order_by(saved_question.c.name)
        with reading(self._engine) as connection:
            return [_saved(row) for row in connection.execute(query)]

    def read(self, request: Request, word: str) -> Saved:
        """One of them, by its id or its name.

        Raises
        ------
        NotFound
            There is none of this purpose and channel.
        """
        with reading(self._engine) as connection:
            return self._read(connection, request, word)

    def pairs(self, saved: Saved) -> list[Pair]:
        """The pairs that were taken in last."""
        query = select(saved_pair.c.before, saved_pair.c.after).where(saved_pair.c.question == saved.id)
        with reading(self._engine) as connection:
            return [(row.before, row.after) for row in connection.execute(query)]

    def save(self, request: Request, name: str, question: str, *, most: int = USUAL, least: int = 0) -> Saved:
        """Keep a question.

        Raises
        ------
        NotSaved
            The name is empty, too long or taken, or there are too many.
        """
        name = " ".join(name.split())
        if not name or len(name) > _LONGEST or not name.isprintable():
            raise NotSaved(worded("name: give it one of 1 to %(most)s characters", most=_LONGEST))
        if not 1 <= most <= MOST:
            raise NotSaved(worded("most: a portfolio has 1 to %(most)s pairs", most=MOST))
        if not 0 <= least <= _ALIKE:
            raise NotSaved(worded("comparability: 0 to %(most)s percent", most=_ALIKE))
        if len(question) > MAX_TEXT:
            raise NotSaved(worded("question: it has more than %(most)s characters; ask for less", most=MAX_TEXT))
        if not _may(request):
            raise NotFound
        identity = str(uuid.uuid4())
        with self._written(request, "question save", identity, {"question": question}) as connection:
            names = connection.execute(select(saved_question.c.name).where(*_of(request))).scalars().all()
            if name in names:
                raise NotSaved(
                    worded("name: another question is called so; give it another name, or remove that one first")
                )
            if len(names) >= _KEPT:
                raise NotSaved(worded("%(most)s questions are kept for this purpose: remove some first", most=_KEPT))
            now = clock.now(connection)
            connection.execute(
                insert(saved_question),
                {
                    "id": identity,
                    "name": name,
                    "purpose": request.purpose,
                    "channel": request.channel or "",
                    "question": question,
                    "most": most,
                    "least": least,
                    "made": clock.micros(now),
                    "made_by": request.requester.account,
                },
            )
            return self._read(connection, request, identity)

    def take_in(self, request: Request, saved: Saved, pairs: Sequence[Pair]) -> None:
        """Keep the pairs that somebody has seen, in the place of those before."""
        with self._written(request, "question seen", saved.id, {"pairs": len(pairs)}) as connection:
            self._read(connection, request, saved.id)
            connection.execute(delete(saved_pair).where(saved_pair.c.question == saved.id))
            rows = [{"question": saved.id, "before": before, "after": after} for before, after in dict.fromkeys(pairs)]
            if rows:
                connection.execute(insert(saved_pair), rows)
            seen = {"seen": clock.micros(clock.now(connection)), "seen_by": request.requester.account}
            connection.execute(update(saved_question).where(saved_question.c.id == saved.id).values(**seen))

    def remove(self, request: Request, saved: Saved) -> None:
        """Keep it no longer. What was exported of it stays on record."""
        with self._written(request, "question remove", saved.id, {}) as connection:
            self._read(connection, request, saved.id)
            connection.execute(delete(saved_pair).where(saved_pair.c.question == saved.id))
            connection.execute(delete(saved_question).where(saved_question.c.id == saved.id))

    @staticmethod
    def _read(connection: Connection, request: Request, word: str) -> Saved:
        if not _may(request) or "\x00" in word:
            raise NotFound
        named = (saved_question.c.id == word) | (saved_question.c.name == word)
        rows = connection.execute(select(saved_question).where(named, *_of(request))).all()
        if not rows:
            raise NotFound
        return _saved(next((row for row in rows if row.id == word), rows[0]))

    @contextmanager
    def _written(self, request: Request, route: str, identity: str, details: Mapping[str, Any]) -> Iterator[Connection]:
        """A transaction that is recorded before and after."""
        intent = of_request(
            Kind.INTENT, self._door, route, request, subject=f"urn:uuid:{identity}", os_user=self._os_user,
            details=dict(details),
        )  # fmt: skip
        with self._chain.written(intent), transaction(self._engine) as connection:
            yield connection


def _may(request: Request) -> bool:
    """Whether the requester asks for the clinic, and not for herself."""
    who = request.requester
    return request.purpose in who.purposes and who.confined_to is None


def _of(request: Request) -> list[Any]:
    return [saved_question.c.purpose == request.purpose, saved_question.c.channel == (request.channel or "")]


def _saved(row: Row[Any]) -> Saved:
    return Saved(
        row.id,
        row.name,
        row.purpose,
        row.channel or None,
        row.question,
        row.most,
        row.least,
        instant(row.made),
        row.made_by,
        None if row.seen is None else instant(row.seen),
        row.seen_by,
    )
