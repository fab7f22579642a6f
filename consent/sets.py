"""What a requester may see, as a condition for queries: stored answers, and live ones where those cannot be used.

The answer is the one that ``decide`` gives photo by photo; a test decides random photos both ways.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Table,
    and_,
    exists,
    false,
    func,
    not_,
    or_,
    select,
    true,
)

from consent import live
from consent.bits import Bits
from consent.decided import audience, audiences, default_effect, photos_of, stored_purposes, unsettled, unsettled_of
from consent.decision import decide
from consent.facts import Facts, PhotoFacts
from consent.purposes import BTG, SOCIAL, TREAT, Catalog
from consent.site import CareTeamScope, Site
from consent.store import rows_of_bits
from consent.store.cache import FactsCache
from consent.store.load import LINKED, OTHER, Loader
from consent.store.tables import care_member, decided, decided_bits, patient, photo, photo_patient, representation
from consent.store.versions import group
from consent.store.write import among
from consent.types import Effect, Obligation, Request

_OTHER = PhotoFacts(photo="", other=True)
_ANY, _OTHERWISE = photo.alias(), decided.alias()
"""Tables under names of their own: the enclosing query may read them too. Made once, for it takes a while."""


@dataclass(frozen=True, slots=True)
class Permitted:
    """The photos that one request may see, as the connection's snapshot has them."""

    request: Request
    """The request that stored answers are read for."""

    now: datetime
    connection: Connection
    stored: Effect | None
    """What photos without a row and without a live answer may: None where stored answers are not used at all."""

    live: tuple[int, ...]
    """Photos that were decided live."""

    granted: tuple[int, ...]
    """Those of them that are permitted."""

    care_of: frozenset[str] | None = None
    """TREAT by the record: the patients whose care team names the requester; None: does not matter."""

    obligations: frozenset[Obligation] = frozenset()
    others: bool = False
    """Whether objects that are no photos are permitted, all alike."""

    only: frozenset[int] | None = None
    """The photos that were asked about, where these are few; no other is permitted."""

    def clause(self, number: Column[int] | ColumnElement[int]) -> ColumnElement[bool]:
        """The condition that a photo, by the column of its number, is permitted (and linked, or none at all)."""
        photos = self._photos(number)
        return and_(self._asked(number), or_(photos, self._in_state(number, OTHER)) if self.others else photos)

    def _rows(self) -> Select[int]:
        """The photos whose stored answer is not the purpose's default."""
        rows = select(decided.c.photo).where(self._mine(decided))
        return rows if self.only is None else rows.where(among(self.connection, decided.c.photo, self.only))

    def _mine(self, table: FromClause) -> ColumnElement[bool]:
        """Stored answers to the request's question."""
        return and_(table.c.purpose == self.request.purpose, table.c.audience == audience(self.request))

    def _asked(self, number: Column[int] | ColumnElement[int]) -> ColumnElement[bool]:
        return true() if self.only is None else among(self.connection, number, self.only)

    def _photos(self, number: Column[int] | ColumnElement[int]) -> ColumnElement[bool]:
        granted = among(self.connection, number, self.granted)
        if self.stored is None:
            return granted if self.granted else false()
        # Beside an alternative the state opens no index: SQLite would walk all linked photos by it, whatever else is
        # asked of them.
        linked = self._linked(number, opens=not self.live and self.only is None)
        if self.stored is Effect.DENY:
            usual = and_(number.in_(self._rows()), linked)
        else:
            # Looked up photo by photo: as a list, all exceptions of the purpose would be read anew for each query.
            otherwise = exists().where(self._mine(_OTHERWISE), _OTHERWISE.c.photo == number)
            usual = and_(linked, not_(otherwise))
        if self.care_of is not None:
            usual = and_(usual, number.not_in(self._not_cared_for()))
        if not self.live:
            return usual
        return or_(and_(usual, not_(among(self.connection, number, self.live))), granted)

    def refused(self, number: Column[int] | ColumnElement[int]) -> ColumnElement[bool]:
        """The condition that a linked photo is not permitted: what :meth:`clause` leaves out."""
        if self.stored is not Effect.PERMIT or self.care_of is not None:
            return and_(self._asked(number), self._linked(number), not_(self.clause(number)))
        rows = self._rows()
        if not self.live:
            return and_(self._asked(number), number.in_(rows), self._linked(number))
        live = among(self.connection, number, self.live)
        without = among(self.connection, number, set(self.live) - set(self.granted))
        refused = or_(and_(number.in_(rows), not_(live)), without)
        return and_(self._asked(number), refused, self._linked(number))

    def bits(self, linked: Bits) -> Bits:
        """The permitted ones of a set of linked photos: what :meth:`clause` says, as bits.

        Parameters
        ----------
        linked
            Photos that are linked, all of them; objects that are no photos are never among them.
        """
        linked = linked if self.only is None else linked & Bits.of(self.only)
        granted = Bits.of(self.granted)
        if self.stored is None:
            return linked & granted
        rows = rows_of_bits.load_one(self.connection, decided_bits, self.request.purpose, audience(self.request))
        usual = linked & rows if self.stored is Effect.DENY else linked - rows
        if self.care_of is not None:
            usual = usual & self._cared_for()
        return ((usual - Bits.of(self.live)) | granted) & linked

    def of(self, numbers: Collection[int]) -> frozenset[int]:
        """The permitted ones of a few photos: what :meth:`clause` says, by a look at each of them."""
        asked = frozenset(numbers)
        granted = asked.intersection(self.granted)
        if self.stored is None or not asked:
            return granted
        rows = self._scalars(
            select(decided.c.photo).where(self._mine(decided), among(self.connection, decided.c.photo, asked))
        )
        # Within a function the state opens no index: SQLite would walk all linked photos by it.
        linked = and_(func.coalesce(photo.c.state, "") == LINKED, photo.c.patient.is_not(None))
        usual = self._scalars(select(photo.c.photo).where(among(self.connection, photo.c.photo, asked), linked))
        usual = usual & rows if self.stored is Effect.DENY else usual - rows
        if self.care_of is not None:
            others = not_(among(self.connection, photo_patient.c.patient, self.care_of))
            shown = select(photo_patient.c.photo).where(among(self.connection, photo_patient.c.photo, asked), others)
            usual -= self._scalars(shown)
        return usual.difference(self.live) | granted

    def _scalars(self, query: Select[int]) -> frozenset[int]:
        return frozenset(self.connection.execute(query).scalars())

    def _cared_for(self) -> Bits:
        """Photos of which every patient has a care team that names the requester."""
        assert self.care_of is not None
        hers = among(self.connection, photo_patient.c.patient, self.care_of)
        some = select(photo_patient.c.photo).where(hers)
        others = select(photo_patient.c.photo).where(photo_patient.c.photo.in_(some), not_(hers))
        shown, shared = (self.connection.execute(query).scalars() for query in (some, others))
        return Bits.of(shown) - Bits.of(shared)

    def counts(self, group_by: Column[Any], *where: ColumnElement[bool]) -> dict[Any, int]:
        """How many permitted photos there are for each value of a column of ``photo``.

        Total minus exceptions, or exceptions alone; both read narrow indexes.
        """
        found: dict[Any, int] = {}
        number = photo.c.photo
        where = where if self.only is None else (*where, self._asked(number))
        if self.stored is Effect.PERMIT and self.care_of is None:
            _add(found, self._grouped(group_by, self._linked(number), *where), 1)
            rows = self._mine(decided)
            _add(found, self._joined(group_by, rows, *where), -1)
            live = set(self.live)
            if live:
                exceptions = set(
                    self.connection.execute(
                        select(decided.c.photo).where(rows, among(self.connection, decided.c.photo, live))
                    ).scalars()
                )
                _add(found, self._grouped(group_by, among(self.connection, number, live - exceptions), *where), -1)
                _add(found, self._grouped(group_by, among(self.connection, number, self.granted), *where), 1)
        elif self.stored is Effect.DENY and self.care_of is None:
            rows = self._mine(decided)
            if self.live:
                rows = and_(rows, not_(among(self.connection, decided.c.photo, self.live)))
            _add(found, self._joined(group_by, rows, *where), 1)
            if self.granted:
                _add(found, self._grouped(group_by, among(self.connection, number, self.granted), *where), 1)
        else:
            _add(found, self._grouped(group_by, self._photos(number), *where), 1)
        if self.others:
            _add(found, self._grouped(group_by, photo.c.state == OTHER, *where), 1)
        return {value: total for value, total in found.items() if total}

    def _grouped(self, group_by: Column[Any], *where: ColumnElement[bool]) -> list[tuple[Any, int]]:
        rows = self.connection.execute(select(group_by, func.count()).where(*where).group_by(group_by))
        return [(row[0], int(row[-1])) for row in rows]

    def _joined(self, group_by: Column[Any], *where: ColumnElement[bool]) -> list[tuple[Any, int]]:
        # Within a function the state opens no index: SQLite would walk all photos by it, and look each one up among
        # the stored answers, which are a fraction of them.
        linked = func.coalesce(photo.c.state, "") == LINKED
        rows = self.connection.execute(
            select(group_by, func.count())
            .select_from(decided.join(photo, photo.c.photo == decided.c.photo))
            .where(linked, *where)
            .group_by(group_by)
        )
        return [(row[0], int(row[-1])) for row in rows]

    def _linked(self, number: Column[int] | ColumnElement[int], *, opens: bool | None = None) -> ColumnElement[bool]:
        table = getattr(number, "table", None)
        if isinstance(table, Table) and table is photo:
            # Of a few photos each is looked up by its number; within a function the state opens no index.
            opens = self.only is None if opens is None else opens
            state = photo.c.state if opens else func.coalesce(photo.c.state, "")
            return and_(state == LINKED, photo.c.patient.is_not(None))
        # Exists, and not in: SQLite would list all linked photos, anew for each query.
        return exists().where(_ANY.c.photo == number, _ANY.c.state == LINKED, _ANY.c.patient.is_not(None))

    @staticmethod
    def _in_state(number: Column[int] | ColumnElement[int], state: str) -> ColumnElement[bool]:
        table = getattr(number, "table", None)
        if isinstance(table, Table) and table is photo:
            return photo.c.state == state
        return number.in_(select(photo.c.photo).where(photo.c.state == state))

    def _not_cared_for(self) -> Any:
        assert self.care_of is not None
        others = select(photo_patient.c.photo).where(
            not_(among(self.connection, photo_patient.c.patient, self.care_of))
        )
        return others if self.only is None else others.where(among(self.connection, photo_patient.c.photo, self.only))


def _add(found: dict[Any, int], rows: Iterable[tuple[Any, int]], sign: int) -> None:
    for value, total in rows:
        found[value] = found.get(value, 0) + sign * total


def permitted(
    connection: Connection,
    request: Request,
    *,
    fulfils: frozenset[Obligation],
    cache: FactsCache | None = None,
    only: Collection[int] | None = None,
) -> Permitted:
    """What a request may see.

    Parameters
    ----------
    connection
        In one snapshot (:func:`consent.store.engine.reading`), in which the condition must be used.
    fulfils
        The obligations that the door meets. Where the purpose asks for another one, nothing is permitted.
    only
        Numbers of the photos that are asked about, where these are few: no other is decided live, or permitted.
    """
    loader = Loader(connection, request.requester, cache)
    remembered = None if cache is None else cache.answers
    site, requester, purpose = loader.site.site, request.requester, request.purpose
    obligations = Catalog.of(site).obligations(purpose)
    asked = None if only is None else frozenset(only)
    nothing = Permitted(request, loader.now, connection, None, (), (), obligations=obligations, only=asked)
    if not obligations <= fulfils or purpose not in requester.purposes:
        return nothing
    if (purpose == SOCIAL and not request.channel) or (purpose == BTG and not _is_emergency(request)):
        return nothing
    alone = _alone(connection, request, site)
    if alone is not None:
        numbers = _among(photos_of(connection, alone), only)
        return replace(
            nothing, live=tuple(numbers), granted=live.granted(loader, request, numbers, fulfils, remembered)
        )
    # Photos that do not show the patient of an emergency are decided as for TREAT.
    usual = replace(request, purpose=TREAT) if purpose == BTG else request
    patients = _own(connection, request)
    if request.emergency_patient is not None and purpose == BTG:
        patients |= group(connection, [request.emergency_patient])
    if only is None:
        patients |= unsettled(connection, usual.purpose, loader.now, loader.site.epoch)
    else:
        shown = _bound(connection, only)
        late = unsettled_of(connection, shown, loader.now)
        patients = (patients & shown) | {patient for patient, of in late if of == usual.purpose}
    numbers = _among(photos_of(connection, patients), only)
    care_of: frozenset[str] | None = None
    if usual.purpose == TREAT and site.care_team is CareTeamScope.RECORD:
        care_of = _care_of(connection, loader)
    return Permitted(
        request=usual,
        now=loader.now,
        connection=connection,
        stored=default_effect(site, usual.purpose),
        live=tuple(numbers),
        granted=live.granted(loader, request, numbers, fulfils, remembered),
        care_of=care_of,
        obligations=obligations,
        others=_opens_others(loader, request),
        only=asked,
    )


def _bound(connection: Connection, numbers: Collection[int]) -> set[str]:
    """The patients whose Consents bind any of these photos."""
    query = select(photo_patient.c.patient).where(among(connection, photo_patient.c.photo, numbers))
    return set(connection.execute(query.distinct()).scalars())


def _among(numbers: list[int], only: Collection[int] | None) -> list[int]:
    return numbers if only is None else sorted(set(numbers).intersection(only))


def _opens_others(loader: Loader, request: Request) -> bool:
    """Whether an object that is no photo is permitted: the answer is the same for all, so one is decided."""
    facts = Facts(loader.site.site, _OTHER, {}, loader.belongs[0], loader.site.parents)
    return decide(request, facts, loader.now).permitted


def _is_emergency(request: Request) -> bool:
    """Whether one patient is named, and a reason. A set that names none would break the glass of everybody in it."""
    return bool((request.emergency_reason or "").strip()) and request.emergency_patient is not None


def _alone(connection: Connection, request: Request, site: Site) -> set[str] | None:
    """The patients whose photos alone can be permitted, all decided live; None where stored answers are to be used."""
    requester, purpose = request.requester, request.purpose
    if requester.confined_to is not None:
        return group(connection, requester.confined_to)
    if requester.reference is not None and requester.reference.startswith("RelatedPerson/"):
        represented = select(representation.c.patient).where(representation.c.person == requester.reference)
        return group(connection, connection.execute(represented).scalars())
    if purpose == BTG and TREAT not in requester.purposes:
        return group(connection, [request.emergency_patient or ""])
    if purpose == BTG:
        return None
    if purpose not in stored_purposes(site) or audience(request) not in audiences(site, purpose):
        # The own view of a requester confined to nobody may be permitted to her by any patient, by name; and nothing
        # is stored for a channel or project that the settings do not know.
        return set(connection.execute(select(patient.c.patient)).scalars())
    return None


def _own(connection: Connection, request: Request) -> set[str]:
    """The requester's own records as a patient."""
    requester = request.requester
    own = set() if requester.own_patient is None else {requester.own_patient}
    kind, _, identity = (requester.reference or "").partition("/")
    if kind == "Patient":
        own.add(identity)
    return group(connection, own)


def _care_of(connection: Connection, loader: Loader) -> frozenset[str]:
    references = set(loader.belongs[0].belongs_to)
    if loader.requester.reference is not None:
        references.add(loader.requester.reference)
    if not references:
        return frozenset()
    named = connection.execute(
        select(care_member.c.patient).where(among(connection, care_member.c.reference, references))
    ).scalars()
    return frozenset(group(connection, named))
