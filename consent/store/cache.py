"""Facts remembered by version, and compared with the database at each decision.

The comparison is one query. It reads the versions of the site, the photo and every patient whose Consents bind the
photo; whatever is remembered under another version is loaded anew, in a snapshot of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, select, text

from consent.codec import photo_from_json
from consent.facts import Facts, PatientFacts, PhotoFacts, RequesterFacts
from consent.live import MOST_QUESTIONS, LiveAnswers
from consent.store import clock
from consent.store.engine import glancing, reading
from consent.store.load import LINKED, SHOWN, Clock, Loaded, Loader, SiteFacts
from consent.store.quick import Quick
from consent.store.remembered import Remembered
from consent.store.schema import require_revision, schema_column
from consent.store.steady import Steady
from consent.store.tables import patient, photo, photo_facts, photo_patient, site_state
from consent.store.write import among
from consent.types import Requester

_VERSIONS_COLUMNS = (
    site_state.c.version.label("site_version"),
    schema_column(),
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
        self._engine, self._now = engine, now
        self._steady = Steady()
        self._photos: Remembered[str, PhotoFacts] = Remembered(most)
        self._patients: Remembered[str, PatientFacts] = Remembered(most)
        self._requesters: Remembered[str, tuple[RequesterFacts, datetime | None]] = Remembered(1000)
        self._site: SiteFacts | None = None
        self.answers: LiveAnswers = Remembered(MOST_QUESTIONS)
        """What was decided live of sets; each is compared with the database by itself."""
        self._postgresql = engine.dialect.name == "postgresql"
        self._versions = Quick(engine, _VERSIONS[engine.dialect.name], "sop_uid")
        self._bodies = Quick(engine, _BODY, "sop_uid")

    def photo(self, sop_uid: str, requester: Requester) -> Loaded:
        """Facts for one decision, current when this was called or later.

        Raises
        ------
        sqlalchemy.exc.SQLAlchemyError, consent.errors.ConsentError
            The database cannot be asked, or not by this software, or its clock cannot be right; the answer is then
            ``facts-unavailable``.
        """
        rows = self._versions.rows(sop_uid)
        if self._now is not None:
            with glancing(self._engine) as connection:
                now = self._now(connection)
        elif rows and self._postgresql:
            now = self._steady.see(clock.instant(rows[0].moment))
        else:
            now = self.host_now()
        remembered = self._remembered(rows, sop_uid, requester, now, self._shown) if rows else None
        return remembered if remembered is not None else self._fresh(sop_uid, requester)

    def at_hand(self, sop_uid: str, requester: Requester) -> Loaded | None:
        """As :meth:`photo`, where everything is remembered in the version that the database holds now; else None.

        Nothing but that comparison is asked, by a query that waits for nobody; where it must travel a network, None.
        """
        if not self._versions.direct or self._now is not None:
            return None
        rows = self._versions.rows(sop_uid)
        return self._remembered(rows, sop_uid, requester, self.host_now(), _unknown) if rows else None

    def host_now(self) -> datetime:
        """The host's time, which is SQLite's. Raises :class:`consent.store.steady.ClockJumped`."""
        return self._steady.see(datetime.now(UTC))

    def now(self, connection: Connection) -> datetime:
        """The time of a decision. Raises :class:`consent.store.steady.ClockJumped`."""
        return self._now(connection) if self._now is not None else self._steady.see(clock.now(connection))

    def read(self, sop_uids: Collection[str], requester: Requester) -> None:
        """Remember a few photos, with their patients and the requester, as one snapshot has them.

        Raises
        ------
        sqlalchemy.exc.SQLAlchemyError
            The database cannot be asked.
        """
        with reading(self._engine) as connection:
            numbers = select(photo.c.photo).where(among(connection, photo.c.sop_uid, sop_uids))
            Loader(connection, requester, self).photos(connection.execute(numbers).scalars().all())

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
        require_revision(first.schema_revision)
        site = self._site
        if site is None or site.version != first.site_version:
            return None
        belongs = self._requester(requester, site, now)
        if belongs is None:
            return None
        if first.photo is None or first.state not in SHOWN:
            facts = Facts(site.site, None, {}, belongs[0], site.parents)
            return Loaded(first.photo, sop_uid, None, facts, now, {"site": site.version}, belongs[1])
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
        facts = Facts(site.site, shown, people, belongs[0], site.parents)
        return Loaded(first.photo, sop_uid, first.orthanc_id, facts, now, versions, belongs[1])

    def _shown(self, sop_uid: str, version: int) -> PhotoFacts | None:
        """A photo's facts alone, where nothing else is missing; None where they have another version by now."""
        rows = self._bodies.rows(sop_uid)
        if not rows or rows[0].version != version:
            return None
        facts = photo_from_json(rows[0].body)
        self.keep_photo(sop_uid, version, facts)
        return facts

    def _requester(
        self, requester: Requester, site: SiteFacts, now: datetime
    ) -> tuple[RequesterFacts, datetime | None] | None:
        if requester.reference is None:
            return RequesterFacts(), None
        found = self._requesters.get(requester.reference, site.version)
        if found is None or (found[1] is not None and found[1] <= now):
            return None
        return found

    def _fresh(self, sop_uid: str, requester: Requester) -> Loaded:
        with reading(self._engine) as connection:
            loader = Loader(connection, requester, self)
            number = connection.execute(select(photo.c.photo).where(photo.c.sop_uid == sop_uid)).scalar_one_or_none()
            return loader.photos([number])[0] if number is not None else loader.absent(sop_uid)

    def remember_site(self, facts: SiteFacts) -> None:
        """Keep the settings; an older version never replaces a newer one."""
        if self._site is None or self._site.version < facts.version:
            if self._site is not None and self._site.site.rules_on != facts.site.rules_on:
                self._patients.clear()  # what is read of a patient depends on the rules that are on
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


def _unknown(_sop_uid: str, _version: int) -> None:
    """Reads nothing."""
