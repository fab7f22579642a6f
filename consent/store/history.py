"""Facts as they were: kept when they change, in the same transaction, so that an answer can be decided again.

What is written is what ceases to hold, with the last version in which it held: the facts in a version are those of the
first row that is not older, or today's where there is none. So nothing is written for what never changes, and what was
there before this was kept is known too. A Consent that several rows name is kept once, by its digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from consent.codec import (
    directive_from_json,
    directive_to_json,
    directives_in,
    patient_from_json,
    patient_to_json,
    photo_from_json,
    site_from_json,
)
from consent.directive import Span
from consent.facts import PatientFacts, PhotoFacts, RequesterFacts
from consent.rules.site import SiteRuleId
from consent.site import Site
from consent.store import clock
from consent.store.load import SHOWN, Belonging, Loader, SiteFacts, followed, load_site_facts
from consent.store.sites import NoSite, site_or_none
from consent.store.tables import facts_then, membership, organization_parent, patient, photo, photo_facts, site_state
from consent.store.versions import group
from consent.store.write import among, insert_missing
from consent.types import Requester

_PATIENT, _PHOTO, _SITE, _MEMBERS, _CONSENT = "patient", "photo", "site", "members", "consent"
_ALWAYS = (1 << 63) - 1


# --- before a change --------------------------------------------------------------------------------------------------


def supersede_patients(connection: Connection, patients: Iterable[str]) -> None:
    """Facts of these patients, and of all records merged with theirs, are about to change."""
    everyone = group(connection, patients)
    if not everyone:
        return
    try:
        found = Loader(connection, Requester("")).patients(everyone)
    except NoSite:  # nothing can have been decided yet
        return
    until = clock.micros(clock.now(connection))
    rows: list[dict[str, Any]] = []
    consents: dict[str, str] = {}
    for identity in sorted(everyone & set(found)):
        facts = found[identity]
        bodies = [directive_to_json(each) for each in facts.directives]
        words = [hashlib.sha256(body.encode()).hexdigest() for body in bodies]
        consents.update(zip(words, bodies, strict=True))
        rows.append(_row(_PATIENT, identity, facts.version, until, patient_to_json(facts, words)))
    rows += [_row(_CONSENT, word, 0, _ALWAYS, body) for word, body in consents.items()]
    insert_missing(connection, facts_then, rows)


def supersede_photos(connection: Connection, fresh: Mapping[int, tuple[str, str]]) -> None:
    """Photos are about to be written: number -> their new state, and their new facts as text."""
    if not fresh:
        return
    until = clock.micros(clock.now(connection))
    rows = connection.execute(
        select(photo.c.photo, photo.c.version, photo.c.state, photo_facts.c.body)
        .join(photo_facts, photo_facts.c.photo == photo.c.photo)
        .where(among(connection, photo.c.photo, fresh))
    ).all()
    insert_missing(
        connection,
        facts_then,
        [
            _row(_PHOTO, str(row.photo), row.version, until, json.dumps([row.state, row.body], ensure_ascii=False))
            for row in rows
            if fresh[row.photo] != (row.state, row.body)
        ],
    )


def supersede_site(connection: Connection) -> None:
    """The settings, or the parents of organisations, are about to change."""
    row = connection.execute(select(site_state.c.version, site_state.c.body)).one_or_none()
    if row is None:
        return
    parents = connection.execute(select(organization_parent.c.organization, organization_parent.c.parent))
    body = json.dumps([row.body, {each[0]: each[1] for each in parents}], ensure_ascii=False)
    until = clock.micros(clock.now(connection))
    insert_missing(connection, facts_then, [_row(_SITE, "", row.version, until, body)])


def supersede_results(connection: Connection, before: Site, after: Site) -> None:
    """The settings change: where results are no longer read of photos, what was read must not be lost."""
    rule = SiteRuleId.SIGNATURE_AFTER_RESULT
    if rule in before.rules_on and rule not in after.rules_on:
        supersede_patients(connection, connection.execute(select(patient.c.patient)).scalars())


def supersede_members(connection: Connection, source: str, fresh: Sequence[Mapping[str, Any]]) -> None:
    """What one resource states of memberships is about to change."""
    rows = [dict(row) for row in connection.execute(_members().where(membership.c.source == source)).mappings()]
    version = connection.execute(select(site_state.c.version)).scalar_one_or_none()
    if version is None or rows == [dict(row) for row in fresh]:
        return
    until = clock.micros(clock.now(connection))
    insert_missing(connection, facts_then, [_row(_MEMBERS, source, version, until, json.dumps(rows))])


def results_are_read(connection: Connection) -> bool:
    """Whether facts of a patient depend on her photos."""
    site = site_or_none(connection)
    return site is not None and SiteRuleId.SIGNATURE_AFTER_RESULT in site.rules_on


def _members() -> Any:
    return select(membership).order_by(membership.c.source, membership.c.position)


def _row(kind: str, key: str, version: int, until: int, body: str) -> dict[str, Any]:
    return {"kind": kind, "key": key, "version": version, "until": until, "body": body}


def numbers_of(connection: Connection, sop_uid: str) -> tuple[int, ...]:
    """The numbers that a SOP Instance UID has and had, the present one last.

    A photo keeps its number. An object that is no photo may be gone, and have another where it came back.
    """
    table = facts_then.c
    told = connection.execute(
        select(table.key, table.body).where(table.kind == _PHOTO, table.body.contains(sop_uid, autoescape=True))
    )
    former = {int(row.key) for row in told if photo_from_json(json.loads(row.body)[1]).photo == sop_uid}
    present = connection.execute(select(photo.c.photo).where(photo.c.sop_uid == sop_uid)).scalars().all()
    return (*sorted(former - set(present)), *present)


# --- afterwards -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Past:
    """The facts as they were, on one connection in a snapshot."""

    connection: Connection
    at: datetime | None = None
    """By time, to the length of a commit; None: by the versions that are given."""

    def site(self, version: int = 0) -> SiteFacts:
        """The settings and the parents of organisations."""
        found = self._then(_SITE, "", version)
        now = load_site_facts(self.connection)
        if found is None:
            return now
        body, parents = json.loads(found[1])
        return SiteFacts(found[0], now.epoch, site_from_json(body), parents)

    def patient(self, identity: str, version: int = 0) -> PatientFacts | None:
        """A patient's facts; None where there never was such a patient."""
        found = self._then(_PATIENT, identity, version)
        if found is None:
            return Loader(self.connection, Requester("")).patients([identity]).get(identity)
        table = facts_then.c
        rows = self.connection.execute(
            select(table.key, table.body).where(
                table.kind == _CONSENT, among(self.connection, table.key, directives_in(found[1]))
            )
        )
        return patient_from_json(found[1], found[0], {row.key: directive_from_json(row.body) for row in rows})

    def photo(self, number: int, version: int = 0) -> PhotoFacts | None:
        """A photo's facts, where it was linked, or is none; None: it was not, or it is unknown."""
        found = self._then(_PHOTO, str(number), version)
        if found is not None:
            state, body = json.loads(found[1])
        else:
            row = self.connection.execute(
                select(photo.c.state, photo_facts.c.body)
                .join(photo_facts, photo_facts.c.photo == photo.c.photo)
                .where(photo.c.photo == number)
            ).one_or_none()
            if row is None:
                return None
            state, body = row
        return photo_from_json(body) if state in SHOWN else None

    def requester(self, requester: Requester, site: SiteFacts, now: datetime, version: int = 0) -> RequesterFacts:
        """What the record said of the requester."""
        table = facts_then.c
        newest = (
            select(table.key, func.min(table.version).label("version"))
            .where(table.kind == _MEMBERS, self._holds(version))
            .group_by(table.key)
            .subquery()
        )
        former = self.connection.execute(
            select(table.key, table.body)
            .join(newest, (newest.c.key == table.key) & (newest.c.version == table.version))
            .where(table.kind == _MEMBERS)
        ).all()
        known = {row.key for row in former}
        rows = [each for row in former for each in json.loads(row.body)]
        rows += [dict(row) for row in self.connection.execute(_members()).mappings() if row["source"] not in known]
        by_member: dict[str, list[Belonging]] = {}
        for row in rows:
            span = Span(clock.instant_or_none(row["start"]), clock.instant_or_none(row["end"]))
            by_member.setdefault(row["member"], []).append((row["of"], span))

        def stated(members: Collection[str]) -> list[Belonging]:
            return [each for member in sorted(members) for each in by_member.get(member, ())]

        return followed(stated, requester, site, now)[0]

    def _holds(self, version: int) -> ColumnElement[bool]:
        if self.at is not None:
            return facts_then.c.until > clock.micros(self.at)
        return facts_then.c.version >= version

    def _then(self, kind: str, key: str, version: int) -> tuple[int, str] | None:
        """The first row that is not older; None: today's facts are those of then."""
        table = facts_then.c
        row = self.connection.execute(
            select(table.version, table.body)
            .where(table.kind == kind, table.key == key, self._holds(version))
            .order_by(table.version)
            .limit(1)
        ).one_or_none()
        return None if row is None else (row.version, row.body)
