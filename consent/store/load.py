"""Facts for decisions, loaded in one snapshot."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Connection, select

from consent.codec import directive_from_json, photo_from_json, site_from_json
from consent.directive import Directive, Span
from consent.facts import Facts, Held, PatientFacts, PhotoFacts, Representation, RequesterFacts
from consent.rules.site import SiteRuleId
from consent.site import Site
from consent.store import clock
from consent.store.schema import require_revision, schema_column
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
OTHER = "other"
"""The state of an object that is no photo."""

SHOWN = (LINKED, OTHER)
"""The states in which ``decide`` hears of a photo; in any other it is as if it were not there."""

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
    belongs_until: datetime | None = None
    """Until when the requester belongs to what the facts say, without a write; None: without end."""


class Memory(Protocol):
    """What a loader may find remembered, and what it leaves behind; :class:`consent.store.cache.FactsCache`."""

    def now(self, connection: Connection) -> datetime:
        """The time of a decision."""

    def known_photo(self, sop_uid: str, version: int) -> PhotoFacts | None:
        """The photo's facts, where they are remembered in this version."""

    def known_patient(self, identity: str, version: int) -> PatientFacts | None:
        """The patient's facts, where they are remembered in this version."""

    def keep_photo(self, sop_uid: str, version: int, facts: PhotoFacts) -> None:
        """Keep a photo's facts."""

    def keep_patient(self, identity: str, facts: PatientFacts) -> None:
        """Keep a patient's facts."""

    def keep(self, loader: Loader) -> None:
        """Keep what a loader read in a snapshot of committed facts."""


class Loader:
    """Loads facts on one connection, for one requester.

    With a cache, the connection must see committed facts alone (:func:`consent.store.engine.reading`): versions that
    a transaction wrote and may yet take back must not be remembered.
    """

    def __init__(
        self,
        connection: Connection,
        requester: Requester,
        cache: Memory | None = None,
        *,
        now: Clock = clock.now,
    ) -> None:
        self.connection, self._cache = connection, cache
        self.requester = requester
        self.now = now(connection) if cache is None else cache.now(connection)
        self.site = load_site_facts(connection)
        self.belongs = belongs_to(connection, requester, self.site, self.now)
        self._people: dict[str, PatientFacts] = {}
        if cache is not None:
            cache.keep(self)

    def absent(self, sop_uid: str) -> Loaded:
        """What is known of a photo that is not there."""
        facts = Facts(self.site.site, None, {}, self.belongs[0], self.site.parents)
        return Loaded(None, sop_uid, None, facts, self.now, {"site": self.site.version}, self.belongs[1])

    def photos(self, numbers: Collection[int]) -> list[Loaded]:
        """The photos with these numbers, sorted by number; unknown numbers are left out."""
        rows = self.connection.execute(
            select(
                photo.c.photo, photo.c.sop_uid, photo.c.orthanc_id, photo.c.state, photo.c.version, photo_facts.c.body
            )
            .join(photo_facts, photo_facts.c.photo == photo.c.photo)
            .where(among(self.connection, photo.c.photo, numbers))
            .order_by(photo.c.photo)
        ).all()
        bound: dict[int, list[str]] = {}
        for number, identity in self.connection.execute(
            select(photo_patient.c.photo, photo_patient.c.patient).where(
                among(self.connection, photo_patient.c.photo, [row.photo for row in rows])
            )
        ):
            bound.setdefault(number, []).append(identity)
        people = self.patients({identity for each in bound.values() for identity in each})
        found = []
        for row in rows:
            mine = {identity: people[identity] for identity in bound.get(row.photo, ()) if identity in people}
            current = len(mine) == len(bound.get(row.photo, ()))
            shown = self._photo(row) if row.state in SHOWN else None
            versions = {"site": self.site.version, "photo": row.version}
            versions |= {"Patient/" + identity: each.version for identity, each in mine.items()}
            facts = Facts(self.site.site, shown, mine, self.belongs[0], self.site.parents, current)
            orthanc_id = row.orthanc_id if shown is not None else None
            found.append(Loaded(row.photo, row.sop_uid, orthanc_id, facts, self.now, versions, self.belongs[1]))
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
            self.connection.execute(select(patient).where(among(self.connection, patient.c.patient, wanted))).all()
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
        connection = self.connection
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
        for row in self.connection.execute(
            select(photo_patient.c.patient, photo_facts.c.body)
            .join(photo, photo.c.photo == photo_patient.c.photo)
            .join(photo_facts, photo_facts.c.photo == photo.c.photo)
            .where(among(self.connection, photo_patient.c.patient, everyone), photo.c.state == LINKED)
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
    """The settings, with the parents of organisations.

    Raises
    ------
    consent.store.sites.NoSite, consent.store.schema.WrongSchema
        They are not there, or nobody knows what this database's columns mean.
    """
    row = connection.execute(select(site_state, schema_column())).one_or_none()
    if row is None:
        raise NoSite("the settings of the site are not in the database: run 'photospine db upgrade'")
    require_revision(row.schema_revision)
    parents = connection.execute(select(organization_parent.c.organization, organization_parent.c.parent))
    return SiteFacts(row.version, row.epoch, site_from_json(row.body), {each[0]: each[1] for each in parents})


Belonging = tuple[str, Span]
"""What somebody belongs to, and when."""


def belongs_to(
    connection: Connection, requester: Requester, site: SiteFacts, now: datetime
) -> tuple[RequesterFacts, datetime | None]:
    """Everything that the requester belongs to now, and until when that holds without a change in the record."""

    def stated(members: Collection[str]) -> list[Belonging]:
        rows = connection.execute(
            select(membership.c.of, membership.c.start, membership.c.end).where(
                among(connection, membership.c.member, members)
            )
        )
        return [(row.of, Span(clock.instant_or_none(row.start), clock.instant_or_none(row.end))) for row in rows]

    return followed(stated, requester, site, now)


def followed(
    stated: Callable[[Collection[str]], list[Belonging]], requester: Requester, site: SiteFacts, now: datetime
) -> tuple[RequesterFacts, datetime | None]:
    """:func:`belongs_to`, by what is stated of some members."""
    if requester.reference is None:
        return RequesterFacts(), None
    found = {requester.reference}
    pending = {requester.reference}
    until: datetime | None = None
    employed = False
    while pending:
        rows = stated(pending)
        above = {site.parents[each] for each in pending if each in site.parents}
        pending = above - found
        for of, span in rows:
            employed = employed or of.startswith(_EMPLOYERS)
            for bound in (span.start, span.end):
                if bound is not None and bound > now and (until is None or bound < until):
                    until = bound
            if span.contains(now) and of not in found:
                pending.add(of)
        found |= pending
    stays_unknown = requester.reference.startswith(_STAFF) and not employed
    return RequesterFacts(frozenset(found), _own_organization(site) if stays_unknown else frozenset()), until


_STAFF = ("Practitioner/", "Device/")
_EMPLOYERS = ("Organization/", "PractitionerRole/")


def _own_organization(site: SiteFacts) -> frozenset[str]:
    """The site's organisation, with its parts and those that it is part of."""
    own = f"Organization/{site.site.organization}"
    parts = {each for each in site.parents if own in _line(each, site)}
    return frozenset(parts.union(_line(own, site)))


def _line(organization: str, site: SiteFacts) -> list[str]:
    """An organisation and those that it is part of, nearest first."""
    found: list[str] = []
    here: str | None = organization
    while here is not None and here not in found:
        found.append(here)
        here = site.parents.get(here)
    return found
