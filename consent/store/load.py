"""Facts for decisions: loaded in one snapshot, remembered by version, compared with the database at each decision.

The comparison is one query. It reads the versions of the site, the photo and every patient whose Consents bind the
photo; whatever is remembered under another version is loaded anew, in a snapshot of its own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Engine, bindparam, select, text

from consent.codec import directive_from_json, photo_from_json, site_from_json
from consent.directive import Directive, Span
from consent.facts import Facts, Held, PatientFacts, PhotoFacts, Representation, RequesterFacts
from consent.rules.site import SiteRuleId
from consent.site import Site
from consent.store import clock
from consent.store.engine import glancing, reading
from consent.store.quick import Quick
from consent.store.sites import NoSite
from consent.store.tables import (
    care_member,
    directive,
    held,
    membership,
    organization_parent,
    patient,
    photo,
    photo_facts,
    photo_patient,
    representation,
    site_state,
)
from consent.store.write import among
from consent.types import Requester

LINKED = "linked"

Clock = Callable[[Connection], datetime]


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """The settings and what goes with their version."""

    version: int
    epoch: int
    site: Site
    parents: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Loaded:
    """One photo with all that its decision reads."""

    number: int | None
    """None: no photo has this SOP Instance UID."""

    sop_uid: str
    orthanc_id: str | None
    facts: Facts
    now: datetime
    versions: Mapping[str, int]


Key = TypeVar("Key")
Value = TypeVar("Value")


class _Memory(Generic[Key, Value]):
    """The values used last, each with its version."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._values: OrderedDict[Key, tuple[int, Value]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Key, version: int) -> Value | None:
        """The value, where it has this version."""
        found = self._values.get(key)
        return found[1] if found is not None and found[0] == version else None

    def put(self, key: Key, version: int, value: Value) -> None:
        with self._lock:
            self._values[key] = (version, value)
            self._values.move_to_end(key)
            while len(self._values) > self.most:
                self._values.popitem(last=False)


_VERSIONS_COLUMNS = (
    site_state.c.version.label("site_version"),
    photo.c.photo,
    photo.c.orthanc_id,
    photo.c.state,
    photo.c.version.label("photo_version"),
    photo_patient.c.patient,
    patient.c.version.label("patient_version"),
)
_VERSIONS_FROM = (
    site_state.outerjoin(photo, photo.c.sop_uid == bindparam("sop_uid"))
    .outerjoin(photo_patient, photo_patient.c.photo == photo.c.photo)
    .outerjoin(patient, patient.c.patient == photo_patient.c.patient)
)
_MOMENT = text("CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint) AS moment")
_VERSIONS = {
    "sqlite": select(*_VERSIONS_COLUMNS).select_from(_VERSIONS_FROM),
    "postgresql": select(*_VERSIONS_COLUMNS, _MOMENT).select_from(_VERSIONS_FROM),
}

_BODY = (
    select(photo.c.version, photo_facts.c.body)
    .join(photo_facts, photo_facts.c.photo == photo.c.photo)
    .where(photo.c.sop_uid == bindparam("sop_uid"))
)


class FactsCache:
    """The facts that a process remembers. Nothing in it is used before its version was compared."""

    def __init__(self, engine: Engine, *, now: Clock | None = None, most: int = 20_000) -> None:
        """Remember for one engine.

        Parameters
        ----------
        now
            The clock; None: the database's.
        most
            Photos, and patients, that are remembered at a time; about 3 kB each.
        """
        self._engine, self.now = engine, now
        self._photos: _Memory[str, PhotoFacts] = _Memory(most)
        self._patients: _Memory[str, PatientFacts] = _Memory(most)
        self._requesters: _Memory[str, tuple[RequesterFacts, datetime | None]] = _Memory(1000)
        self._site: SiteFacts | None = None
        self._postgresql = engine.dialect.name == "postgresql"
        self._versions = Quick(engine, _VERSIONS[engine.dialect.name], "sop_uid")
        self._bodies = Quick(engine, _BODY, "sop_uid")

    def photo(self, sop_uid: str, requester: Requester) -> Loaded:
        """Facts for one decision, current when this was called or later.

        Raises
        ------
        sqlalchemy.exc.SQLAlchemyError
            The database cannot be asked; the answer is then ``facts-unavailable``.
        """
        rows = self._versions.rows(sop_uid)
        if self.now is not None:
            with glancing(self._engine) as connection:
                now = self.now(connection)
        elif rows and self._postgresql:
            now = clock.instant(rows[0].moment)
        else:  # SQLite's clock is the host's
            now = datetime.now(UTC)
        remembered = self._remembered(rows, sop_uid, requester, now, self._shown) if rows else None
        return remembered if remembered is not None else self._fresh(sop_uid, requester)

    def at_hand(self, sop_uid: str, requester: Requester) -> Loaded | None:
        """As :meth:`photo`, where everything is remembered in the version that the database holds now; else None.

        Nothing but that comparison is asked, by a query that waits for nobody; where it must travel a network, None.
        """
        if not self._versions.direct or self.now is not None:
            return None
        rows = self._versions.rows(sop_uid)
        return self._remembered(rows, sop_uid, requester, datetime.now(UTC), _unknown) if rows else None

    def read_ahead(self, chunk: int = 100) -> Iterator[int]:
        """Remember the newest photos and their patients, as many as there is room for.

        Each step reads one chunk in a snapshot of its own and gives the number of its photos; whoever steps decides
        when, so that others are not kept waiting.
        """
        nobody = Requester("", ())
        below, left = 1 << 62, self._photos.most
        while left > 0:
            with reading(self._engine) as connection:
                newest = select(photo.c.photo).where(photo.c.photo < below, photo.c.state == LINKED)
                numbers = (
                    connection.execute(newest.order_by(photo.c.photo.desc()).limit(min(chunk, left))).scalars().all()
                )
                if not numbers:
                    return
                Loader(connection, nobody, self).photos(numbers)
            below, left = numbers[-1], left - len(numbers)
            yield len(numbers)

    def _remembered(
        self,
        rows: Any,
        sop_uid: str,
        requester: Requester,
        now: datetime,
        read: Callable[[str, int], PhotoFacts | None],
    ) -> Loaded | None:
        """The answer from memory; None where anything in it is missing or of another version."""
        first = rows[0]
        site = self._site
        if site is None or site.version != first.site_version:
            return None
        belongs = self._requester(requester, site, now)
        if belongs is None:
            return None
        if first.photo is None or first.state != LINKED:
            facts = Facts(site.site, None, {}, belongs, site.parents)
            return Loaded(first.photo, sop_uid, None, facts, now, {"site": site.version})
        shown = self._photos.get(sop_uid, first.photo_version) or read(sop_uid, first.photo_version)
        if shown is None:
            return None
        people: dict[str, PatientFacts] = {}
        versions = {"site": site.version, "photo": first.photo_version}
        for row in rows:
            if row.patient is None:
                continue
            known = None if row.patient_version is None else self._patients.get(row.patient, row.patient_version)
            if known is None:
                return None
            people[row.patient] = known
            versions["Patient/" + row.patient] = row.patient_version
        facts = Facts(site.site, shown, people, belongs, site.parents)
        return Loaded(first.photo, sop_uid, first.orthanc_id, facts, now, versions)

    def _shown(self, sop_uid: str, version: int) -> PhotoFacts | None:
        """A photo's facts alone, where nothing else is missing; None where they have another version by now."""
        rows = self._bodies.rows(sop_uid)
        if not rows or rows[0].version != version:
            return None
        facts = photo_from_json(rows[0].body)
        self.keep_photo(sop_uid, version, facts)
        return facts

    def _requester(self, requester: Requester, site: SiteFacts, now: datetime) -> RequesterFacts | None:
        if requester.reference is None:
            return RequesterFacts()
        found = self._requesters.get(requester.reference, site.version)
        if found is None or (found[1] is not None and found[1] <= now):
            return None
        return found[0]

    def _fresh(self, sop_uid: str, requester: Requester) -> Loaded:
        with reading(self._engine) as connection:
            loader = Loader(connection, requester, self)
            number = connection.execute(select(photo.c.photo).where(photo.c.sop_uid == sop_uid)).scalar_one_or_none()
            return loader.photos([number])[0] if number is not None else loader.absent(sop_uid)

    def remember_site(self, facts: SiteFacts) -> None:
        """Keep the settings; an older version never replaces a newer one."""
        if self._site is None or self._site.version < facts.version:
            self._site = facts

    def keep(self, loader: Loader) -> None:
        """Keep what a loader read in a snapshot of committed facts."""
        self.remember_site(loader.site)
        if loader.requester.reference is not None:
            self._requesters.put(loader.requester.reference, loader.site.version, loader.belongs)

    def known_photo(self, sop_uid: str, version: int) -> PhotoFacts | None:
        """The photo's facts, where they are remembered in this version."""
        return self._photos.get(sop_uid, version)

    def known_patient(self, identity: str, version: int) -> PatientFacts | None:
        """The patient's facts, where they are remembered in this version."""
        return self._patients.get(identity, version)

    def keep_photo(self, sop_uid: str, version: int, facts: PhotoFacts) -> None:
        """Keep a photo's facts."""
        self._photos.put(sop_uid, version, facts)

    def keep_patient(self, identity: str, facts: PatientFacts) -> None:
        """Keep a patient's facts."""
        self._patients.put(identity, facts.version, facts)


class Loader:
    """Loads facts on one connection, for one requester.

    With a cache, the connection must see committed facts alone (:func:`consent.store.engine.reading`): versions that
    a transaction wrote and may yet take back must not be remembered.
    """

    def __init__(
        self,
        connection: Connection,
        requester: Requester,
        cache: FactsCache | None = None,
        *,
        now: Clock = clock.now,
    ) -> None:
        self._connection, self._cache = connection, cache
        self.requester = requester
        self.now = (cache.now or now)(connection) if cache is not None else now(connection)
        self.site = load_site_facts(connection)
        self.belongs = belongs_to(connection, requester, self.now)
        self._people: dict[str, PatientFacts] = {}
        if cache is not None:
            cache.keep(self)

    def absent(self, sop_uid: str) -> Loaded:
        """What is known of a photo that is not there."""
        facts = Facts(self.site.site, None, {}, self.belongs[0], self.site.parents)
        return Loaded(None, sop_uid, None, facts, self.now, {"site": self.site.version})

    def photos(self, numbers: Collection[int]) -> list[Loaded]:
        """The photos with these numbers, sorted by number; unknown numbers are left out."""
        rows = self._connection.execute(
            select(
                photo.c.photo, photo.c.sop_uid, photo.c.orthanc_id, photo.c.state, photo.c.version, photo_facts.c.body
            )
            .join(photo_facts, photo_facts.c.photo == photo.c.photo)
            .where(among(self._connection, photo.c.photo, numbers))
            .order_by(photo.c.photo)
        ).all()
        bound: dict[int, list[str]] = {}
        for number, identity in self._connection.execute(
            select(photo_patient.c.photo, photo_patient.c.patient).where(
                among(self._connection, photo_patient.c.photo, [row.photo for row in rows])
            )
        ):
            bound.setdefault(number, []).append(identity)
        people = self.patients({identity for each in bound.values() for identity in each})
        found = []
        for row in rows:
            mine = {identity: people[identity] for identity in bound.get(row.photo, ()) if identity in people}
            current = len(mine) == len(bound.get(row.photo, ()))
            shown = self._photo(row) if row.state == LINKED else None
            versions = {"site": self.site.version, "photo": row.version}
            versions |= {"Patient/" + identity: each.version for identity, each in mine.items()}
            facts = Facts(self.site.site, shown, mine, self.belongs[0], self.site.parents, current)
            orthanc_id = row.orthanc_id if shown is not None else None
            found.append(Loaded(row.photo, row.sop_uid, orthanc_id, facts, self.now, versions))
        return found

    def _photo(self, row: Any) -> PhotoFacts:
        known = self._cache.known_photo(row.sop_uid, row.version) if self._cache is not None else None
        if known is None:
            known = photo_from_json(row.body)
            if self._cache is not None:
                self._cache.keep_photo(row.sop_uid, row.version, known)
        return known

    def patients(self, identities: Collection[str]) -> Mapping[str, PatientFacts]:
        """The patients' facts; unknown patients are left out."""
        wanted = set(identities) - set(self._people)
        rows = (
            self._connection.execute(select(patient).where(among(self._connection, patient.c.patient, wanted))).all()
            if wanted
            else []
        )
        missing = []
        for row in rows:
            known = self._cache.known_patient(row.patient, row.version) if self._cache is not None else None
            if known is None:
                missing.append(row)
            else:
                self._people[row.patient] = known
        if missing:
            self._read_patients(missing)
        return self._people

    def _read_patients(self, rows: list[Any]) -> None:
        connection = self._connection
        records: dict[str, list[str]] = {}
        for identity, survivor in connection.execute(
            select(patient.c.patient, patient.c.survivor).where(
                among(connection, patient.c.survivor, {row.survivor for row in rows})
            )
        ):
            records.setdefault(survivor, []).append(identity)
        everyone = {identity for each in records.values() for identity in each}
        directives: dict[str, list[Directive]] = {}
        for each in connection.execute(
            select(directive.c.patient, directive.c.body)
            .where(among(connection, directive.c.patient, everyone))
            .order_by(directive.c.consent)
        ):
            directives.setdefault(each.patient, []).append(directive_from_json(each.body))
        holds: dict[str, list[Held]] = {}
        for each in connection.execute(select(held).where(among(connection, held.c.patient, everyone))):
            holds.setdefault(each.patient, []).append(Held(each.consent, each.treatment))
        acting: dict[str, list[Representation]] = {}
        for each in connection.execute(
            select(representation).where(among(connection, representation.c.patient, everyone))
        ):
            period = Span(clock.instant_or_none(each.start), clock.instant_or_none(each.end))
            acting.setdefault(each.patient, []).append(Representation(each.person, period))
        caring: dict[str, set[str]] = {}
        for each in connection.execute(
            select(care_member.c.patient, care_member.c.reference).where(
                among(connection, care_member.c.patient, everyone)
            )
        ):
            caring.setdefault(each.patient, set()).add(each.reference)
        births = _births(connection, everyone)
        results = self._final_results(everyone)
        for row in rows:
            group = records[row.survivor]
            facts = PatientFacts(
                patient=row.patient,
                version=row.version,
                birth=_birth(births, row.patient, row.survivor),
                directives=tuple(value for each in group for value in directives.get(each, ())),
                representatives=tuple(value for each in group for value in acting.get(each, ())),
                held=tuple(value for each in group for value in holds.get(each, ())),
                records=frozenset(group),
                care_team=frozenset(value for each in group for value in caring.get(each, ())),
                final_results=_latest(results, group),
            )
            self._people[row.patient] = facts
            if self._cache is not None:
                self._cache.keep_patient(row.patient, facts)

    def _final_results(self, everyone: Collection[str]) -> Mapping[str, Mapping[str, datetime]]:
        """For each patient and region shown in her photos, when the newest of them was taken."""
        if SiteRuleId.SIGNATURE_AFTER_RESULT not in self.site.site.rules_on:
            return {}
        found: dict[str, dict[str, datetime]] = {}
        for row in self._connection.execute(
            select(photo_patient.c.patient, photo_facts.c.body)
            .join(photo, photo.c.photo == photo_patient.c.photo)
            .join(photo_facts, photo_facts.c.photo == photo.c.photo)
            .where(among(self._connection, photo_patient.c.patient, everyone), photo.c.state == LINKED)
        ):
            facts = photo_from_json(row.body)
            if facts.taken is None or facts.taken.end is None:
                continue
            newest = facts.taken.end - timedelta(microseconds=1)
            areas = found.setdefault(row.patient, {})
            for region in facts.regions:
                if region.code not in areas or areas[region.code] < newest:
                    areas[region.code] = newest
        return found


def _unknown(_sop_uid: str, _version: int) -> None:
    """Reads nothing."""


def _births(connection: Connection, everyone: Collection[str]) -> Mapping[str, Span]:
    rows = connection.execute(
        select(patient.c.patient, patient.c.birth_start, patient.c.birth_end)
        .where(among(connection, patient.c.patient, everyone))
        .where(patient.c.birth_start.is_not(None))
    )
    return {row.patient: Span(clock.instant(row.birth_start), clock.instant_or_none(row.birth_end)) for row in rows}


def _birth(births: Mapping[str, Span], identity: str, survivor: str) -> Span | None:
    """The birth date of her own record, else of the record that survived the merge."""
    return births.get(identity) or births.get(survivor)


def _latest(results: Mapping[str, Mapping[str, datetime]], group: Collection[str]) -> Mapping[str, datetime]:
    found: dict[str, datetime] = {}
    for each in group:
        for region, moment in results.get(each, {}).items():
            if region not in found or found[region] < moment:
                found[region] = moment
    return found


def load_site_facts(connection: Connection) -> SiteFacts:
    """The settings, with the parents of organisations. Raises :class:`consent.store.sites.NoSite`."""
    row = connection.execute(select(site_state)).one_or_none()
    if row is None:
        raise NoSite("the settings of the site are not in the database: run 'photospine db upgrade'")
    parents = connection.execute(select(organization_parent.c.organization, organization_parent.c.parent))
    return SiteFacts(row.version, row.epoch, site_from_json(row.body), {each[0]: each[1] for each in parents})


def belongs_to(connection: Connection, requester: Requester, now: datetime) -> tuple[RequesterFacts, datetime | None]:
    """Everything that the requester belongs to now, and until when that holds without a change in the record."""
    if requester.reference is None:
        return RequesterFacts(), None
    found = {requester.reference}
    pending = {requester.reference}
    until: datetime | None = None
    while pending:
        rows = connection.execute(
            select(membership.c.of, membership.c.start, membership.c.end).where(
                among(connection, membership.c.member, pending)
            )
        ).all()
        parents = connection.execute(
            select(organization_parent.c.parent).where(among(connection, organization_parent.c.organization, pending))
        ).scalars()
        pending = set(parents) - found
        for row in rows:
            span = Span(clock.instant_or_none(row.start), clock.instant_or_none(row.end))
            for bound in (span.start, span.end):
                if bound is not None and bound > now and (until is None or bound < until):
                    until = bound
            if span.contains(now) and row.of not in found:
                pending.add(row.of)
        found |= pending
    return RequesterFacts(frozenset(found)), until


def load_facts(connection: Connection, sop_uid: str, requester: Requester) -> Loaded:
    """Facts for one decision without memory: on any connection, also inside a write transaction."""
    number = connection.execute(select(photo.c.photo).where(photo.c.sop_uid == sop_uid)).scalar_one_or_none()
    loader = Loader(connection, requester)
    return loader.absent(sop_uid) if number is None else loader.photos([number])[0]
