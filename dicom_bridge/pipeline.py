"""From files to photos: what is known already is gone on with, what is new is announced and delivered.

The steps, and what each leaves behind, are drawn in :mod:`dicom_bridge.way`.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum

from sqlalchemy import Connection

from consent.store import clock
from consent.store.engine import glancing, reading, rehearsal
from consent.store.photos import PhotoState, by_sop, rejected_among
from dicom_bridge import ledger
from dicom_bridge.announcing import announce
from dicom_bridge.batch import Item
from dicom_bridge.belonging import series_of, study_of
from dicom_bridge.delivery import Delivery
from dicom_bridge.errors import BridgeError
from dicom_bridge.intake import IncomingPhoto, read_photo
from dicom_bridge.ledger import AnnouncedAlready, Entry, State
from dicom_bridge.linking import Fresh
from dicom_bridge.objects import uids
from dicom_bridge.plan import Plan
from dicom_bridge.query.orthanc_ids import orthanc_ids
from dicom_bridge.recovery import Recovery
from dicom_bridge.way import Arrow, Way
from fhir_mapping.errors import MappingError
from fhir_mapping.resources.people import PatientFacts, VisitFacts

_TRIES = 20
"""So often photos are numbered anew when others of their view are faster."""

_BESIDE = ("also", "session", "procedure", "clinician", "photographer", "taken", "record")
"""What a plan says of a photo beside its place."""


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

    derivation: str | None = None
    """How its viewing copy was made now, where that is not the file's own picture bit for bit."""


class Pipeline:
    """Takes files in. One for each process."""

    def __init__(self, way: Way, site_key: bytes, ids: Callable[[], str] = lambda: str(uuid.uuid4())) -> None:
        """Put a pipeline together.

        Parameters
        ----------
        site_key
            Key that the UIDs of photos are made with.
        ids
            Makes ids of batches.
        """
        self._way, self._key, self._ids = way, site_key, ids
        self._delivery, self._recovery = Delivery(way), Recovery(way)

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
                photos.append(read_photo(data, self._way.limits, self._way.site.zone, self._way.kept))
        for _ in range(_TRIES):
            try:
                return self._take(photos, plan)
            except AnnouncedAlready:  # somebody sent photos of this view at the same time: now they are known
                continue
        return self._take(photos, plan)

    def _take(self, photos: Sequence[IncomingPhoto], plan: Plan) -> list[Taken]:
        with glancing(self._way.engine) as connection:
            plan = self._way.treatments.of_visit(connection, plan)
            plan = self._way.treatments.since_baseline(connection, plan)
            study = study_of(connection, self._way.linker.store, self._key, plan)
            known = {photo.sha256: ledger.by_file(connection, photo.sha256) for photo in photos}
            rejected = rejected_among(connection, [each.sop_uid for entries in known.values() for each in entries])
        series = {photo.sha256: series_of(self._key, plan.of(photo.sha256), study) for photo in photos}
        for photo in photos:
            for entry in known[photo.sha256]:
                if entry.state not in (State.DONE, State.ABANDONED):
                    # Whatever became of the first one: here it is again.
                    self._way.spool.keep(entry.sop_uid, photo.data)
        fresh: dict[str, IncomingPhoto] = {}
        taken: dict[str, Taken] = {}
        strangers: dict[str, IncomingPhoto] = {}
        for photo in photos:
            hers = [entry for entry in known[photo.sha256] if entry.patient == plan.patient]
            mine = next((entry for entry in hers if entry.sop_uid not in rejected), None)
            if hers and mine is None:
                with _about(photo.sha256):
                    raise PhotoKnown(
                        f"this file was photo {hers[0].sop_uid} of this patient, and somebody corrected that; "
                        "whose photo it is, is said by `photospine link`, not by sending the file again"
                    )
            if mine is not None:
                with _about(photo.sha256):
                    _require_same_place(mine, study, series[photo.sha256])
                if self._finish(mine):
                    with _about(photo.sha256):
                        self._require_nothing_new(mine, plan.of(photo.sha256))
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
        for group, linked in ((fresh, plan), (strangers, replace(plan, linked=False))):
            if group:
                done = self._take_new(list(group.values()), linked, study, series)
                taken |= dict(zip(group, done, strict=True))
        return [taken[photo.sha256] for photo in photos]

    # --- files that are known ---------------------------------------------------------------------------------------

    def _require_nothing_new(self, entry: Entry, plan: Plan) -> None:
        """What comes beside a file that is known would be dropped, so it must be what came with it before."""
        with glancing(self._way.engine) as connection:
            found = ledger.plan_of(connection, entry.batch)
            former = plan if found is None else Plan.loads(found[0]).of(entry.sha256)
            for option in _BESIDE:
                said = getattr(plan, option)
                if said in (None, ()) or said == getattr(former, option):
                    continue
                if option == "procedure" and self._way.linker.is_of(connection, entry, f"Procedure/{said}"):
                    continue
                name = "also-region" if option == "also" else option
                raise PhotoKnown(
                    f"--{name}: this file is photo {entry.sop_uid} of this patient already, and came without this; "
                    "what is known is changed in the record, not by sending the file again"
                )

    def _result(self, entry: Entry) -> Taken:
        with glancing(self._way.engine) as connection:
            found = ledger.plan_of(connection, entry.batch)
            now = by_sop(connection, entry.sop_uid)  # a person may have linked it since
        linked = found is None or Plan.loads(found[0]).linked or (now is not None and now.state is PhotoState.LINKED)
        if not linked:
            return Taken(Outcome.UNLINKED, entry.sop_uid, None)
        return Taken(Outcome.KNOWN, entry.sop_uid, uids.fhir_id(entry.sop_uid))

    def _finish(self, entry: Entry) -> bool:
        """Finish a photo that somebody began; False where it had been given up, and is to be begun anew."""
        with glancing(self._way.engine) as connection:
            now = ledger.entry(connection, entry.sop_uid)
        if now is None:
            return False
        if now.state is State.ABANDONED:
            self._recovery.abandon(entry.batch)
            return False
        if now.state is not State.DONE:
            self._recovery.recover(entry.batch)
        else:  # another process finished it, perhaps while this one kept the file again
            self._way.spool.drop(entry.sop_uid)
        return True

    # --- files that are new -----------------------------------------------------------------------------------------

    def _take_new(self, photos: list[IncomingPhoto], plan: Plan, study: str, series: Mapping[str, str]) -> list[Taken]:
        way, batch = self._way, self._ids()
        with reading(way.engine) as connection:
            patient, visit = way.treatments.read(connection, plan)
            first = {each: ledger.next_instance_number(connection, each) for each in set(series.values())}
        items = []
        for photo in photos:
            shown = series[photo.sha256]
            items.append(self._item(photo, plan, batch, study, shown, first[shown], patient))
            first[shown] += 1
        entries = [item.entry for item in items]
        wrapped = []
        for item in items:
            with _about(item.photo.sha256):
                wrapped.append(item.wrapped(plan, patient, visit, way.site.zone))
        fresh = [item.fresh(plan, object_.attributes) for item, object_ in zip(items, wrapped, strict=True)]
        self._rehearse(plan, visit, fresh)
        way.archive.changes(batch, 0, 1)  # an archive that does not answer is found out before anything is kept
        way.spool.keep_all([(item.entry.sop_uid, item.photo.data) for item in items])
        way.at(Arrow.SPOOLED)
        intent = announce(way, batch, plan, entries, lambda now: self._require_nobody_elses(now, plan, entries))
        self._delivery.deliver_all(
            [(item.entry, object_.file(), item.photo) for item, object_ in zip(items, wrapped, strict=True)]
        )
        self._delivery.commit(plan, intent, fresh)
        outcome = Outcome.ADDED if plan.linked else Outcome.UNLINKED
        return [
            Taken(
                outcome,
                entry.sop_uid,
                uids.fhir_id(entry.sop_uid) if plan.linked else None,
                object_.copy.derivation,
            )
            for entry, object_ in zip(entries, wrapped, strict=True)
        ]

    def _item(
        self,
        photo: IncomingPhoto,
        plan: Plan,
        batch: str,
        study: str,
        series: str,
        number: int,
        patient: PatientFacts,
    ) -> Item:
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
        return Item(photo, entry)

    def _rehearse(self, plan: Plan, visit: VisitFacts, photos: Sequence[Fresh]) -> None:
        """Write the record and take it back: what the commit would refuse is refused before anything is kept.

        Where no record comes with the photos, one of each kind is enough, and those of which something is there: what
        is written of the others differs from it in names, times and hashes alone, which this product made itself.
        """
        way = self._way
        if plan.record is None and plan.linked:
            with glancing(way.engine) as connection:
                there = way.linker.there(connection, photos)
            of_kind = {_kind(plan.of(each.entry.sha256)): each for each in photos}
            examples = {each.entry.sop_uid for each in of_kind.values()} | there
            photos = [each for each in photos if each.entry.sop_uid in examples]
        record = way.treatments.prepare(plan)
        with glancing(way.engine) as connection:
            now = clock.now(connection)
        way.linker.check(plan, visit, photos, now)
        try:
            with rehearsal(way.engine) as connection:
                self._delivery.write(connection, plan, record, photos)
        except MappingError as error:
            with glancing(way.engine) as connection:
                if any(ledger.entry(connection, photo.entry.sop_uid) is not None for photo in photos):
                    raise AnnouncedAlready("a photo was announced by another process meanwhile") from error
            raise

    @staticmethod
    def _require_nobody_elses(connection: Connection, plan: Plan, entries: Sequence[Entry]) -> None:
        """No file is known as another patient's photo by now."""
        if plan.linked and ledger.known_for_others(connection, plan.patient, [entry.sha256 for entry in entries]):
            raise AnnouncedAlready("a file was announced as another patient's photo meanwhile")


def _kind(plan: Plan) -> tuple[object, ...]:
    """What tells photos apart in what is written of them, beside names, times and hashes."""
    return (plan.region, plan.laterality, plan.view, plan.expression, plan.taken is None, plan.taken_from)


def _require_same_place(entry: Entry, study: str, series: str) -> None:
    if (entry.study_uid, entry.series_uid) != (study, series):
        raise PhotoKnown(
            f"this file is photo {entry.sop_uid} of this patient already, of another visit or view; "
            "a photo's place is corrected by linking it anew, not by sending it again"
        )


@contextmanager
def _about(sha256: str) -> Iterator[None]:
    """Have an error say which file it is about."""
    try:
        yield
    except BridgeError as error:
        error.sha256 = sha256
        raise
