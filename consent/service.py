"""The service that every door asks: load facts, decide, record, answer. Nothing leaves before its record is durable.

A refusal is a value. Where facts or the audit cannot be reached the answer is ``facts-unavailable`` too, so a door
has one way to refuse.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Select, func, select
from sqlalchemy.exc import SQLAlchemyError

from consent import sets
from consent.audit.chain import Chain
from consent.audit.record import AuditRecord, Kind, answer, asked, of_request, pack
from consent.audit.shelf import AuditUnavailable
from consent.decision import decide
from consent.errors import ConsentError
from consent.purposes import BTG
from consent.reasons import Reason
from consent.sets import Permitted
from consent.store import clock
from consent.store.cache import FactsCache
from consent.store.engine import glancing, reading
from consent.store.load import Clock, Loaded, load_site_facts
from consent.store.steady import require_after
from consent.store.tables import patient as people
from consent.store.tables import photo
from consent.store.write import among
from consent.types import Decision, Effect, Obligation, Request
from consent.validity import next_answer

_LOG = logging.getLogger(__name__)

UNFULFILLED = "obligation-unfulfilled"
"""The reason where the decision permits, and the door cannot do what the permit obliges to."""

_UNAVAILABLE = Decision(Effect.DENY, Reason.FACTS_UNAVAILABLE)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer about one photo. What a refusal knows of the photo is only what was asked for."""

    decision: Decision
    number: int | None
    sop_uid: str
    orthanc_id: str | None

    @property
    def permitted(self) -> bool:
        """Whether the photo may leave through this door."""
        return self.decision.permitted


@dataclass(frozen=True, slots=True)
class Released:
    """The answer about several photos."""

    numbers: tuple[int, ...]
    refused: int


@dataclass(frozen=True, slots=True)
class Permits:
    """Whether each of several photos may leave, and how long that holds while nothing is committed."""

    permits: Sequence[bool]
    since: datetime
    until: datetime | None
    """When an answer may be another by itself: a period ends, a birthday. None: never."""


class DecisionPoint:
    """The decision of one door. Safe for any number of threads."""

    def __init__(
        self,
        engine: Engine,
        chain: Chain,
        door: str,
        *,
        now: Clock | None = None,
    ) -> None:
        """Open it.

        Parameters
        ----------
        door
            ``wall``, ``serve``, ``worker``, ``cli``: stands in every record.
        now
            The clock, where it is not the database's.

        Raises
        ------
        consent.store.steady.ClockJumped
            The clock stands before what was recorded already.
        """
        self._engine, self._chain, self._door = engine, chain, door
        self._cache = FactsCache(engine, now=now)
        if now is None:
            with glancing(engine) as connection:
                require_after(chain.recorded, clock.now(connection))

    @property
    def chain(self) -> Chain:
        """The chain that the door records on."""
        return self._chain

    def check(self) -> None:
        """See that the next question could be decided and recorded, as far as that can be told without asking one.

        Raises
        ------
        consent.errors.ConsentError, sqlalchemy.exc.SQLAlchemyError
            It could not; the text says why.
        """
        with reading(self._engine) as connection:
            load_site_facts(connection)
            self._cache.now(connection)
        self._chain.check()

    def read_ahead(self) -> Iterator[int]:
        """Read what is likely to be asked for, step by step (:meth:`FactsCache.read_ahead`)."""
        return self._cache.read_ahead()

    # --- one photo --------------------------------------------------------------------------------------------------

    def photo(self, request: Request, sop_uid: str, *, route: str, fulfils: frozenset[Obligation]) -> Answer:
        """Decide one photo, live, and record the answer; an unknown photo is refused like any other."""
        loaded, decision = self._decided(request, sop_uid, fulfils)
        return self._recorded(request, sop_uid, route, loaded, decision)

    def at_hand(self, request: Request, sop_uid: str, *, route: str, fulfils: frozenset[Obligation]) -> Answer | None:
        """As :meth:`photo`, where every fact is remembered in its present version; else None, and nothing is recorded.

        Waits for nothing but the record.
        """
        loaded = self._cache.at_hand(sop_uid, request.requester)
        if loaded is None:
            return None
        decision = _with_obligations(decide(request, loaded.facts, loaded.now), fulfils)
        return self._recorded(request, sop_uid, route, loaded, decision)

    def _decided(
        self, request: Request, sop_uid: str, fulfils: frozenset[Obligation]
    ) -> tuple[Loaded | None, Decision]:
        """A live decision, and the facts that it was made on; without them a refusal."""
        loaded: Loaded | None = None
        try:
            loaded = self._cache.photo(sop_uid, request.requester)
            return loaded, _with_obligations(decide(request, loaded.facts, loaded.now), fulfils)
        except (SQLAlchemyError, ConsentError):
            _LOG.exception("facts cannot be loaded")
            return loaded, _UNAVAILABLE

    def _recorded(
        self, request: Request, sop_uid: str, route: str, loaded: Loaded | None, decision: Decision
    ) -> Answer:
        record = self._record(request, sop_uid, route, loaded, decision)
        try:
            self._chain.append([record])
        except AuditUnavailable:
            _LOG.exception("an answer cannot be recorded")
            return Answer(_UNAVAILABLE, None, sop_uid, None)
        if loaded is None or not decision.permitted:
            return Answer(decision, None, sop_uid, None)
        return Answer(decision, loaded.number, sop_uid, loaded.orthanc_id)

    def _record(
        self, request: Request, sop_uid: str, route: str, loaded: Loaded | None, decision: Decision
    ) -> AuditRecord:
        return of_request(
            Kind.DECISION,
            self._door,
            route,
            request,
            photo=sop_uid,
            number=None if loaded is None else loaded.number,
            versions={} if loaded is None else loaded.versions,
            as_of=None if loaded is None else clock.micros(loaded.now),
            **asked(request),
            override=request.purpose == BTG and decision.permitted,
            **answer(decision),
        )

    # --- sets -------------------------------------------------------------------------------------------------------

    def photos(
        self,
        request: Request,
        numbers: Select[tuple[int]] | Sequence[int],
        *,
        route: str,
        fulfils: frozenset[Obligation],
        details: Mapping[str, Any] | None = None,
    ) -> Released:
        """Which of the photos may leave, in one record. Unknown numbers are refused like any others.

        Parameters
        ----------
        numbers
            Numbers of photos, or a query of one column that gives them.
        details
            What the record holds besides, such as where the photos go.
        """
        asked: set[int] = set()
        released: tuple[int, ...] = ()
        try:
            with reading(self._engine) as connection:
                listed: Iterable[Any] = (
                    connection.execute(numbers).scalars() if isinstance(numbers, Select) else numbers
                )
                asked.update(listed)
                question = for_one_patient(connection, request, among(connection, photo.c.photo, asked))
                may = sets.permitted(connection, question, fulfils=fulfils, cache=self._cache, only=asked)
                released = tuple(
                    connection.execute(
                        select(photo.c.photo).where(may.clause(photo.c.photo)).order_by(photo.c.photo)
                    ).scalars()
                )
        except (SQLAlchemyError, ConsentError):
            _LOG.exception("facts cannot be loaded")
        try:
            self.record_set(request, route, released, len(asked) - len(released), details=details)
        except AuditUnavailable:
            _LOG.exception("an answer cannot be recorded")
            return Released((), len(asked))
        return Released(released, len(asked) - len(released))

    def photos_at_hand(
        self, request: Request, photos: Sequence[tuple[int, str]], *, route: str, fulfils: frozenset[Obligation]
    ) -> Released | None:
        """As :meth:`photos` for a few, each decided live on what is remembered in its present version.

        None where something must be read first, and for an emergency, which is about one patient; then nothing is
        recorded.

        Parameters
        ----------
        photos
            Number and SOP Instance UID of each.
        """
        found = self.permits_at_hand(request, [sop_uid for _, sop_uid in photos], fulfils=fulfils)
        if found is None:
            return None
        released = [number for (number, _), permit in zip(photos, found.permits, strict=True) if permit]
        try:
            self.record_set(request, route, released, len(photos) - len(released))
        except AuditUnavailable:
            _LOG.exception("an answer cannot be recorded")
            return Released((), len(photos))
        return Released(tuple(released), len(photos) - len(released))

    def moment(self) -> datetime:
        """The time by which what is remembered on SQLite still holds.

        Raises
        ------
        consent.store.steady.ClockJumped
            It cannot be told.
        """
        return self._cache.host_now()

    def permits_at_hand(
        self, request: Request, sop_uids: Sequence[str], *, fulfils: frozenset[Obligation]
    ) -> Permits | None:
        """Whether each of a few photos may leave, decided live on what is remembered in its present version.

        None where something must be read first, and for an emergency, which is about one patient. Nothing is recorded:
        follow with :meth:`record_set` before anything leaves.
        """
        if request.purpose == BTG:
            return None
        permits, changes = [], []
        since = self.moment()
        asked_of: set[tuple[str, ...]] = set()
        for sop_uid in sop_uids:
            loaded = self._cache.at_hand(sop_uid, request.requester)
            if loaded is None:
                return None
            permits.append(_with_obligations(decide(request, loaded.facts, loaded.now), fulfils).permitted)
            patients = tuple(loaded.facts.patients)
            if patients not in asked_of:
                asked_of.add(patients)
                changes.append(next_answer(loaded.facts, loaded.belongs_until, since))
        return Permits(permits, since, min((moment for moment in changes if moment is not None), default=None))

    def permits_of_few(
        self, request: Request, sop_uids: Sequence[str], *, fulfils: frozenset[Obligation]
    ) -> Permits | None:
        """As :meth:`permits_at_hand`; what is missing is read first, in one snapshot, and remembered.

        Raises
        ------
        sqlalchemy.exc.SQLAlchemyError, consent.errors.ConsentError
            The facts cannot be loaded.
        """
        permits = self.permits_at_hand(request, sop_uids, fulfils=fulfils)
        if permits is None and request.purpose != BTG:
            self._cache.read(sop_uids, request.requester)
            permits = self.permits_at_hand(request, sop_uids, fulfils=fulfils)
        return permits

    def still(self, request: Request, sop_uid: str, *, route: str, fulfils: frozenset[Obligation]) -> bool:
        """Whether a photo that a set released may leave now that its turn has come in a stream.

        The set's record names it already, so only a refusal is recorded: the stream stops there.
        """
        loaded, decision = self._decided(request, sop_uid, fulfils)
        if not decision.permitted:
            self._chain.append([self._record(request, sop_uid, route, loaded, decision)])
        return decision.permitted

    def still_at_hand(self, request: Request, sop_uid: str, *, fulfils: frozenset[Obligation]) -> bool | None:
        """As :meth:`still`, where every fact is remembered in its present version and it may leave; else None.

        A refusal is left to :meth:`still`, which records it.
        """
        loaded = self._cache.at_hand(sop_uid, request.requester)
        if loaded is None:
            return None
        return _with_obligations(decide(request, loaded.facts, loaded.now), fulfils).permitted or None

    def permitted(self, connection: Connection, request: Request, *, fulfils: frozenset[Obligation]) -> Permitted:
        """What the request may see, as a condition for the caller's own query on this connection.

        The connection must come from :func:`consent.store.engine.reading`. Follow with :meth:`record_set` before
        anything leaves.
        """
        return sets.permitted(connection, request, fulfils=fulfils, cache=self._cache)

    def record_set(
        self,
        request: Request,
        route: str,
        numbers: Collection[int],
        refused: int | None = None,
        *,
        details: Mapping[str, Any] | None = None,
    ) -> str:
        """Record what a set released, durable when this returns; gives the record's id.

        Parameters
        ----------
        refused
            How many were not released; None: was not counted.

        Raises
        ------
        AuditUnavailable
            Nothing may leave.
        """
        packed, digest = pack(numbers) if numbers else (None, None)
        record = of_request(
            Kind.SET,
            self._door,
            route,
            request,
            released=len(set(numbers)),
            photos=packed,
            photos_digest=digest,
            refused=refused,
            override=request.purpose == BTG and bool(numbers),
            patient=request.emergency_patient,
            details=details or {},
            **asked(request),
        )
        return self._chain.append([record])[0]


def _with_obligations(decision: Decision, fulfils: frozenset[Obligation]) -> Decision:
    """The decision as the door can carry it out."""
    if decision.permitted and not decision.obligations <= fulfils:
        return replace(decision, effect=Effect.DENY, reason=UNFULFILLED)
    return decision


def for_one_patient(connection: Connection, request: Request, asked: ColumnElement[bool]) -> Request:
    """An emergency is about one patient: where the request names none, the photos asked for must be of one, under
    whichever of her records.

    Parameters
    ----------
    asked
        The condition on ``photo`` that says which are asked for.
    """
    if request.purpose != BTG or request.emergency_patient is not None:
        return request
    person = func.coalesce(people.c.survivor, photo.c.patient)
    of_persons = photo.outerjoin(people, people.c.patient == photo.c.patient)
    query = select(person).select_from(of_persons).distinct().where(asked).limit(2)
    persons = set(connection.execute(query).scalars())
    return replace(request, emergency_patient=persons.pop()) if len(persons) == 1 else request
