"""From files to photos: every arrow is a step that can be taken again, by any process.

    read -> spool -> announce -> store -> attach -> commit -> clear

Before the announcement nothing is kept. After it, recovery goes forward: the spool holds the originals, the ledger the
plan, and each step finds out what was done already. A photo is visible from the commit on, and not before; the commit
is one SQL transaction of the record, the index, the photo's row and the ledger.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from consent.audit.chain import Chain, outcome
from consent.audit.record import AuditRecord, Kind
from consent.site import Site
from consent.store import clock, jobs
from consent.store.engine import glancing, reading, transaction
from consent.store.versions import lock
from consent.types import Laterality
from dicom_bridge import ledger
from dicom_bridge.archive import Archive
from dicom_bridge.errors import BridgeError
from dicom_bridge.held import Held, keep_unseen
from dicom_bridge.intake import IncomingPhoto, Limits, read_photo
from dicom_bridge.ledger import AnnouncedAlready, Entry, State
from dicom_bridge.linking import Fresh, Linker
from dicom_bridge.objects import uids
from dicom_bridge.objects.description import PatientModule, PhotoDescription, VisitModule
from dicom_bridge.objects.photo import WrappedPhoto, wrap
from dicom_bridge.objects.read import read_object
from dicom_bridge.objects.vocabulary import find_expression, find_region, find_view
from dicom_bridge.placing import fhir_id
from dicom_bridge.plan import Plan
from dicom_bridge.query.orthanc_ids import orthanc_ids
from dicom_bridge.spool import Spool, SpoolRefused
from dicom_bridge.tasks import Tasks
from fhir_mapping import dates
from fhir_mapping.errors import MappingError
from fhir_mapping.resources.people import PatientFacts, VisitFacts
from fhir_mapping.store.prepared import Entry as RecordEntry
from fhir_mapping.store.record import RecordStore

RECOVER = "recover"
"""Kind of the job that goes on with a batch; its key is the batch."""

_TRIES = 20
"""So often photos are numbered anew when others of their view are faster."""

_BESIDE = ("session", "procedure", "clinician", "photographer", "taken", "record")
"""What a plan says of a photo beside its place."""

_UNANNOUNCED = timedelta(days=1)


class Arrow(StrEnum):
    """The places between two steps, where a process may die."""

    SPOOLED = "spooled"
    INTENDED = "intended"
    """The audit chain has the intent, the ledger does not."""

    ANNOUNCED = "announced"
    SENT = "sent"
    """Orthanc has the object, the ledger does not say so."""

    STORED = "stored"
    ADDED = "added"
    """Orthanc has the original, the ledger does not say so."""

    ATTACHED = "attached"
    WRITTEN = "written"
    """Within the commit: all is written, nothing committed."""

    COMMITTED = "committed"
    CONCLUDED = "concluded"
    """The audit chain has the outcome; the spool is still full."""

    CLEARED = "cleared"

    GIVEN_UP = "given-up"
    """The ledger says that a batch's objects are to be removed."""

    REMOVED = "removed"
    """One of them is."""

    REGRETTED = "regretted"
    """The audit chain has the outcome; nobody was asked to send the files again yet."""

    FORGOTTEN = "forgotten"


class PhotoKnown(BridgeError):
    """The file is a photo of this patient already, of another visit or view, or came with another treatment, record or
    time. It is linked anew or changed in the record, not sent again."""


class Outcome(StrEnum):
    """What became of a file."""

    ADDED = "added"
    KNOWN = "known"
    """It was this photo before; nothing changed."""

    UNLINKED = "unlinked"
    """The file is known as another patient's photo: kept unseen, and a person decides."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one file."""

    outcome: Outcome
    sop_uid: str
    document: str | None
    """Id of its DocumentReference; None where it is not linked."""


@dataclass(frozen=True, slots=True)
class _Item:
    photo: IncomingPhoto
    entry: Entry


class Pipeline:
    """Takes files in. One for each process."""

    def __init__(
        self,
        engine: Engine,
        chain: Chain,
        archive: Archive,
        spool: Spool,
        store: RecordStore,
        *,
        site: Site,
        site_key: bytes,
        public_url: str,
        door: str,
        limits: Limits,
        at: Callable[[Arrow], None] = lambda _: None,
        ids: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        """Put a pipeline together.

        Parameters
        ----------
        site_key
            Key that the UIDs of photos are made with.
        public_url
            How browsers reach ``serve``; DocumentReferences point there.
        at
            Called at each arrow.
        """
        self._engine, self._chain, self._archive, self._spool = engine, chain, archive, spool
        self._site, self._key, self._door, self._limits = site, site_key, door, limits
        self._at, self._ids = at, ids
        self._linker, self._tasks = Linker(store, site, public_url), Tasks(store)

    # --- taking in --------------------------------------------------------------------------------------------------

    def take(self, files: Sequence[bytes], plan: Plan) -> list[Taken]:
        """Take files in as photos of one visit and view, with the record that comes with them: all, or none.

        Raises
        ------
        FileRefused, PhotoKnown, UnknownCode
            Nothing was kept.
        fhir_mapping.errors.MappingError
            The record cannot be written so. Nothing was kept.
        ArchiveUnavailable, AuditUnavailable
            The batch is announced or not; where it is, the worker goes on with it.
        """
        photos = []
        for data in files:
            with _about(hashlib.sha256(data).hexdigest()):
                photos.append(read_photo(data, self._limits, self._site.zone))
        for _ in range(_TRIES):
            try:
                return self._take(photos, plan)
            except AnnouncedAlready:  # somebody sent photos of this view at the same time: now they are known
                continue
        return self._take(photos, plan)

    def _take(self, photos: Sequence[IncomingPhoto], plan: Plan) -> list[Taken]:
        study, series = self._series(plan)
        with glancing(self._engine) as connection:
            known = {photo.sha256: ledger.by_file(connection, photo.sha256) for photo in photos}
        for photo in photos:
            for entry in known[photo.sha256]:
                if entry.state not in (State.DONE, State.ABANDONED):
                    self._spool.keep(entry.sop_uid, photo.data)  # whatever became of the first one: here it is again
        fresh: dict[str, IncomingPhoto] = {}
        taken: dict[str, Taken] = {}
        strangers: dict[str, IncomingPhoto] = {}
        for photo in photos:
            uid = uids.sop_instance_uid(self._key, plan.patient, photo.sha256)
            mine = next((entry for entry in known[photo.sha256] if entry.sop_uid == uid), None)
            if mine is not None:
                with _about(photo.sha256):
                    self._require_same_place(mine, study, series)
                if self._finish(mine):
                    with _about(photo.sha256):
                        self._require_nothing_new(mine, plan)
                    taken[photo.sha256] = self._result(mine)
                    continue
            if any(entry.patient != plan.patient for entry in known[photo.sha256]):
                strangers[photo.sha256] = photo
            else:
                fresh[photo.sha256] = photo
        if fresh and plan.record is not None and any(each.outcome is Outcome.KNOWN for each in taken.values()):
            raise PhotoKnown(
                "--record: it was written with photos of this call that are known already, and would be written twice; "
                "send the new files alone, and name their treatment by --procedure"
            )
        for group, linked in ((fresh, True), (strangers, False)):
            if group:
                done = self._take_new(list(group.values()), _with_link(plan, linked), study, series)
                taken |= dict(zip(group, done, strict=True))
        return [taken[photo.sha256] for photo in photos]

    def _series(self, plan: Plan) -> tuple[str, str]:
        study = uids.study_instance_uid(self._key, plan.visit)
        series = uids.series_instance_uid(
            self._key,
            plan.visit,
            region=plan.region,
            laterality=plan.laterality,
            view=plan.view,
            expression=plan.expression,
        )
        return study, series

    def _require_same_place(self, entry: Entry, study: str, series: str) -> None:
        if (entry.study_uid, entry.series_uid) != (study, series):
            raise PhotoKnown(
                f"this file is photo {entry.sop_uid} of this patient already, of another visit or view; "
                "a photo's place is corrected by linking it anew, not by sending it again"
            )

    def _require_nothing_new(self, entry: Entry, plan: Plan) -> None:
        """What comes beside a file that is known would be dropped, so it must be what came with it before."""
        with glancing(self._engine) as connection:
            found = ledger.plan_of(connection, entry.batch)
            former = plan if found is None else Plan.loads(found[0])
            for option in _BESIDE:
                said = getattr(plan, option)
                if said is None or said == getattr(former, option):
                    continue
                if option == "procedure" and self._linker.is_of(connection, entry, f"Procedure/{said}"):
                    continue
                raise PhotoKnown(
                    f"--{option}: this file is photo {entry.sop_uid} of this patient already, and came without this; "
                    "what is known is changed in the record, not by sending the file again"
                )

    def _result(self, entry: Entry) -> Taken:
        with glancing(self._engine) as connection:
            found = ledger.plan_of(connection, entry.batch)
        linked = found is None or Plan.loads(found[0]).linked
        if not linked:
            return Taken(Outcome.UNLINKED, entry.sop_uid, None)
        return Taken(Outcome.KNOWN, entry.sop_uid, fhir_id(entry.sop_uid))

    def _finish(self, entry: Entry) -> bool:
        """Finish a photo that somebody began; False where it had been given up, and is to be begun anew."""
        with glancing(self._engine) as connection:
            now = ledger.entry(connection, entry.sop_uid)
        if now is None:
            return False
        if now.state is State.ABANDONED:
            self.abandon(entry.batch)
            return False
        if now.state is not State.DONE:
            self.recover(entry.batch)
        return True

    def _take_new(self, photos: list[IncomingPhoto], plan: Plan, study: str, series: str) -> list[Taken]:
        batch = self._ids()
        with reading(self._engine) as connection:
            patient, visit = self._linker.read(connection, plan)
            first = ledger.next_instance_number(connection, series)
        items = [
            self._item(photo, plan, batch, study, series, first + place, patient) for place, photo in enumerate(photos)
        ]
        wrapped = []
        for item in items:
            with _about(item.photo.sha256):
                wrapped.append(self._wrap(item, plan, patient, visit))
        self._rehearse(items, wrapped, plan, visit)
        self._archive.changes(batch, 0, 1)  # an archive that does not answer is found out before anything is kept
        for item in items:
            self._spool.keep(item.entry.sop_uid, item.photo.data)
        self._at(Arrow.SPOOLED)
        announced = self._intent([item.entry for item in items], plan)
        (intent,) = self._chain.append([announced])
        self._at(Arrow.INTENDED)
        try:
            with transaction(self._engine) as connection:
                lock(connection)
                if ledger.next_instance_number(connection, series) != first:
                    raise AnnouncedAlready("photos of this view were announced by another process meanwhile")
                ledger.announce(connection, batch, plan.dumps(), intent, [item.entry for item in items])
                jobs.put(connection, RECOVER, batch, not_before=_later(clock.now(connection)))
        except (AnnouncedAlready, SQLAlchemyError):
            self._chain.append([outcome(announced, intent, "failed")])
            raise
        self._at(Arrow.ANNOUNCED)
        for item, object_ in zip(items, wrapped, strict=True):
            self._deliver(item, object_.file(), batch)
        self._commit(items, [object_.attributes for object_ in wrapped], plan, intent)
        if not plan.linked:
            return [Taken(Outcome.UNLINKED, item.entry.sop_uid, None) for item in items]
        return [Taken(Outcome.ADDED, item.entry.sop_uid, fhir_id(item.entry.sop_uid)) for item in items]

    def _item(
        self,
        photo: IncomingPhoto,
        plan: Plan,
        batch: str,
        study: str,
        series: str,
        number: int,
        patient: PatientFacts,
    ) -> _Item:
        uid = uids.sop_instance_uid(self._key, plan.patient, photo.sha256)
        entry = Entry(
            sop_uid=uid,
            sha256=photo.sha256,
            patient=plan.patient,
            study_uid=study,
            series_uid=series,
            state=State.INTENT,
            orthanc_id=orthanc_ids(patient.id, study, series, uid).instance,
            batch=batch,
            instance_number=number,
        )
        return _Item(photo, entry)

    def _wrap(self, item: _Item, plan: Plan, patient: PatientFacts, visit: VisitFacts) -> WrappedPhoto:
        taken = item.photo.camera.taken_local if plan.taken is None else dates.known(plan.taken, self._site.zone)
        return wrap(
            item.photo,
            patient=PatientModule(patient.id, patient.issuer, patient.name, patient.birth_date, patient.sex),
            visit=VisitModule(
                study_instance_uid=item.entry.study_uid,
                started=visit.started,
                accession_number=visit.accession_number,
                admission_id=visit.admission_id,
            ),
            description=PhotoDescription(
                sop_instance_uid=item.entry.sop_uid,
                series_instance_uid=item.entry.series_uid,
                region=find_region(plan.region),
                laterality=Laterality(plan.laterality),
                view=find_view(plan.view),
                expression=None if plan.expression is None else find_expression(plan.expression),
                session=plan.session,
                taken=taken,
                instance_number=item.entry.instance_number,
            ),
        )

    def _intent(self, entries: Sequence[Entry], plan: Plan) -> AuditRecord:
        digests = sorted(entry.sha256 for entry in entries)
        return AuditRecord(
            kind=Kind.INTENT,
            door=self._door,
            route="ingest",
            account=plan.account,
            os_user=plan.os_user,
            patient=plan.patient,
            subject=f"Encounter/{plan.visit}",
            digest=hashlib.sha256("\n".join(digests).encode()).hexdigest(),
            details={"originals": digests, "photos": sorted(entry.sop_uid for entry in entries)},
        )

    def _rehearse(self, items: Sequence[_Item], wrapped: Sequence[WrappedPhoto], plan: Plan, visit: VisitFacts) -> None:
        """Write the record and take it back: what the commit would refuse is refused before anything is kept."""

        class _Rehearsed(Exception):
            pass

        attributes = [each.attributes for each in wrapped]
        record = self._linker.prepare(plan)
        with glancing(self._engine) as connection:
            now = clock.now(connection)
        self._linker.check(plan, visit, self._fresh(items, attributes, plan), now)
        try:
            with transaction(self._engine) as connection:
                self._write(connection, items, attributes, plan, record)
                raise _Rehearsed
        except _Rehearsed:
            return
        except MappingError as error:
            with glancing(self._engine) as connection:
                if any(ledger.entry(connection, item.entry.sop_uid) is not None for item in items):
                    raise AnnouncedAlready("a photo was announced by another process meanwhile") from error
            raise

    # --- the steps after the announcement ---------------------------------------------------------------------------

    def _deliver(self, item: _Item, file: bytes, batch: str) -> None:
        """Object and original into Orthanc; each step finds out what is there already."""
        entry = item.entry
        self._archive.store(batch, entry.orthanc_id, file)
        self._at(Arrow.SENT)
        self._rise(entry, State.STORED)
        self._at(Arrow.STORED)
        self._archive.attach_original(batch, entry.orthanc_id, item.photo.data)
        self._at(Arrow.ADDED)
        self._rise(entry, State.ATTACHED)
        self._at(Arrow.ATTACHED)

    def _rise(self, entry: Entry, state: State) -> None:
        with transaction(self._engine) as connection:
            ledger.rise(connection, entry.sop_uid, state)

    def _commit(
        self,
        items: Sequence[_Item],
        attributes: Sequence[dict[str, Any]],
        plan: Plan,
        intent: str,
    ) -> None:
        entries = [item.entry for item in items]
        record = self._linker.prepare(plan)
        with transaction(self._engine) as connection:
            rows = ledger.of_batch(connection, entries[0].batch, lock=True)
            # A batch is committed whole; another process may have done so while this one was on its way here.
            already = bool(rows) and all(row.state is State.DONE for row in rows)
            if not already:
                self._write(connection, items, attributes, plan, record)
                for entry in entries:
                    ledger.rise(connection, entry.sop_uid, State.DONE)
            self._at(Arrow.WRITTEN)
        self._at(Arrow.COMMITTED)
        if not already:
            self._clear(entries, plan, intent)
        self._at(Arrow.CLEARED)

    def _clear(self, entries: Sequence[Entry], plan: Plan, intent: str) -> None:
        """After the commit: its record of outcome, then nothing is left to do but what may be done twice."""
        self._chain.append([outcome(self._intent(entries, plan), intent, "done")])
        self._at(Arrow.CONCLUDED)
        for entry in entries:
            self._spool.drop(entry.sop_uid)
        with transaction(self._engine) as connection:
            self._tasks.goes_on(connection, entries[0].batch)
            jobs.cancel(connection, RECOVER, entries[0].batch)

    def _write(
        self,
        connection: Connection,
        items: Sequence[_Item],
        attributes: Sequence[dict[str, Any]],
        plan: Plan,
        record: tuple[RecordEntry, ...],
    ) -> None:
        """The record, the index and the photos' rows, on one connection."""
        if not plan.linked:
            for item, values in zip(items, attributes, strict=True):
                entry = item.entry
                held = Held(entry.sop_uid, entry.series_uid, entry.study_uid, entry.orthanc_id, values)
                keep_unseen(connection, held)
                self._tasks.of_another_patient(connection, entry)
            return
        link = self._linker.begin(connection, plan, record)
        self._linker.link(connection, plan, link, self._fresh(items, attributes, plan))

    def _fresh(self, items: Sequence[_Item], attributes: Sequence[dict[str, Any]], plan: Plan) -> list[Fresh]:
        return [
            Fresh(item.entry, self._taken_text(item, plan), values)
            for item, values in zip(items, attributes, strict=True)
        ]

    def _taken_text(self, item: _Item, plan: Plan) -> str | None:
        """When it was taken, as FHIR writes it, in the precision that is known."""
        if plan.taken is not None:
            return plan.taken
        camera = item.photo.camera
        if camera.taken_local is None or camera.taken is None:
            return None
        start, end = camera.taken.start, camera.taken.end
        assert start is not None
        assert end is not None
        exact = (end - start).total_seconds() >= 1
        return dates.date_time(camera.taken_local, "seconds" if exact else "milliseconds")

    # --- recovery ---------------------------------------------------------------------------------------------------

    def recover(self, batch: str) -> None:
        """Go on with a batch that a process left behind, from wherever it stopped.

        Raises
        ------
        SpoolRefused
            An original is gone before Orthanc had it: the batch cannot go on; see :meth:`abandon`.
        """
        with glancing(self._engine) as connection:
            found = ledger.plan_of(connection, batch)
            entries = ledger.of_batch(connection, batch)
        if found is None:
            return
        plan, intent = Plan.loads(found[0]), found[1]
        if all(entry.state is State.DONE for entry in entries):
            self._clear(entries, plan, intent)
            return
        if any(entry.state is State.ABANDONED for entry in entries):
            self.abandon(batch)
            return
        with reading(self._engine) as connection:
            patient, visit = self._linker.read(connection, plan)
        items, attributes = [], []
        for entry in entries:
            photo = read_photo(self._original(entry, batch), self._limits, self._site.zone)
            stored = self._archive.file(batch, entry.orthanc_id)
            item = _Item(photo, entry if stored is not None else self._placed(entry, patient))
            items.append(item)
            if stored is None:
                wrapped = self._wrap(item, plan, patient, visit)
                file, values = wrapped.file(), wrapped.attributes
            else:
                file, values = stored, read_object(stored).attributes
            self._deliver(item, file, batch)
            attributes.append(values)
        self._commit(items, attributes, plan, intent)

    def _placed(self, entry: Entry, patient: PatientFacts) -> Entry:
        """The entry with the id that its object will have in Orthanc now."""
        orthanc_id = orthanc_ids(patient.id, entry.study_uid, entry.series_uid, entry.sop_uid).instance
        if orthanc_id == entry.orthanc_id or entry.orthanc_id in self._archive.instances(entry.batch):
            return entry
        with transaction(self._engine) as connection:
            ledger.move(connection, entry.sop_uid, orthanc_id)
        return replace(entry, orthanc_id=orthanc_id)

    def abandon(self, batch: str) -> None:
        """Take a batch back that cannot go on: an original is gone. Nobody ever saw its photos; a person is told.

        The ledger says first that the objects are to be removed; a batch that was committed meanwhile stays.
        """
        with transaction(self._engine) as connection:
            found = ledger.plan_of(connection, batch)
            entries = ledger.of_batch(connection, batch)
            if found is None or not ledger.give_up(connection, batch):
                return
        self._at(Arrow.GIVEN_UP)
        for entry in entries:
            self._archive.remove(batch, entry.orthanc_id)
            self._at(Arrow.REMOVED)
        plan, intent = Plan.loads(found[0]), found[1]
        self._chain.append([outcome(self._intent(entries, plan), intent, "failed")])
        self._at(Arrow.REGRETTED)
        with transaction(self._engine) as connection:
            self._tasks.originals_lost(connection, plan.patient, entries)
            self._tasks.goes_on(connection, batch)
            ledger.forget(connection, batch)
            jobs.cancel(connection, RECOVER, batch)
        self._at(Arrow.FORGOTTEN)

    def stands_still(self, batch: str) -> None:
        """Tell a person of a batch that was tried often and does not get through; it is tried on."""
        with transaction(self._engine) as connection:
            found = ledger.plan_of(connection, batch)
            if found is not None:
                entries = ledger.of_batch(connection, batch)
                self._tasks.stands_still(connection, batch, Plan.loads(found[0]).patient, entries)

    def sweep(self) -> int:
        """Remove originals that were spooled and never announced, a day later; how many there were."""
        with glancing(self._engine) as connection:
            return self._spool.sweep(ledger.unfinished(connection), clock.now(connection) - _UNANNOUNCED)

    def _original(self, entry: Entry, batch: str) -> bytes:
        """From the spool, else from Orthanc where it is attached already."""
        try:
            return self._spool.read(entry.sop_uid, entry.sha256)
        except SpoolRefused:
            attached = self._archive.original(batch, entry.orthanc_id)
            if attached is not None and hashlib.sha256(attached).hexdigest() == entry.sha256:
                return attached
            raise


@contextmanager
def _about(sha256: str) -> Iterator[None]:
    """Have an error say which file it is about."""
    try:
        yield
    except BridgeError as error:
        error.sha256 = sha256
        raise


def _with_link(plan: Plan, linked: bool) -> Plan:
    return plan if linked else Plan(**{**_values(plan), "linked": False})


def _values(plan: Plan) -> dict[str, Any]:
    return {name: getattr(plan, name) for name in Plan.__slots__}


def _later(moment: datetime) -> datetime:
    """When a worker may go on with a batch whose own process should have finished by then."""
    return moment + timedelta(seconds=30)
