"""The worker's part: judges the photos of a patient whose verdicts are missing, or are of another reference or judge.

A job is asked for in the transaction that writes a photo into the record, or another one in its place, or that merges
records or undoes it: then other photos may be the earliest of their views. What is to be done follows from the record
alone, so that a job may be done twice, by any process, or anew from its beginning: a photo is judged where no
Observation says what would be said now. Pixels are read from the archive with a ticket of our own work, which the audit
chain names before.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, exists, literal, select

from consent.audit.chain import Chain
from consent.audit.record import AuditRecord, Kind
from consent.store import clock, jobs, photos
from consent.store.engine import reading, transaction
from consent.store.photos import PhotoState
from consent.store.tables import photo, photo_patient
from dicom_bridge.archive import Archive, file_at_hand
from dicom_bridge.compare.renditions import NotRendered
from dicom_bridge.judging import choosing, sayings
from dicom_bridge.judging.asked import ALL, ask
from dicom_bridge.judging.choosing import Candidate, Pair
from dicom_bridge.judging.distance import lens_of
from dicom_bridge.judging.landmarks import MODEL, Landmarks, NoLandmarks, open_landmarks
from dicom_bridge.judging.measure import Measured, measure
from dicom_bridge.judging.stored import picture_of
from dicom_bridge.judging.verdicts import Blind, judge, unjudged
from dicom_bridge.judging.wanted import asked_for, wanted
from dicom_bridge.protocols.protocol import Protocol, Shot, Target
from dicom_bridge.settling import examination
from fhir_mapping import references
from fhir_mapping.course.appraised import appraisals
from fhir_mapping.resources.appraisal import Appraisal, Verdict, appraisal_id, observation
from fhir_mapping.store.kinds import SOURCE
from fhir_mapping.store.record import RecordStore
from fhir_mapping.tables import fhir_reference

NAME, VERSION = "Photospine judge", "2"
"""What an Observation names as its device; another version judges all photos anew that it comes across."""

AT_ONCE = 12
"""Photos of a patient that are judged before other work has its turn: some seconds."""

_SWEPT = 2000
"""Photos that are looked through at once for such as nobody judged."""

_KEPT = 48
"""Measured photos that are remembered: a reference is asked for again with every photo of its view."""


@dataclass(frozen=True, slots=True)
class _Eyes:
    """What photos are looked at with."""

    landmarks: Landmarks | None
    blind: Blind | None
    numbers: bool
    """Whether numpy is there."""


class Judging:
    """Judges photos; one for each process."""

    def __init__(
        self,
        engine: Engine,
        chain: Chain,
        archive: Archive,
        store: RecordStore,
        *,
        door: str,
        protocols: Callable[[], Iterable[Protocol]] = tuple,
    ) -> None:
        self._engine, self._chain, self._archive, self._store, self._door = engine, chain, archive, store, door
        self._protocols = protocols
        self._measured: OrderedDict[tuple[str, bool], Measured] = OrderedDict()

    def begin(self) -> None:
        """Look through all photos for such as nobody judged: those of before an upgrade, or of an import."""
        with transaction(self._engine) as connection:
            jobs.put(connection, jobs.JUDGE, ALL, not_before=clock.now(connection))

    def work(self, key: str, body: str) -> None:
        """Do a job."""
        if key == ALL:
            self._sweep(int(json.loads(body).get("after", 0)))
        else:
            self._patient(key)

    def _sweep(self, after: int) -> None:
        judged = exists(
            select(literal(1)).where(
                fhir_reference.c.type == "Observation",
                fhir_reference.c.path == "focus",
                fhir_reference.c.target == literal("DocumentReference/") + photo.c.document,
            )
        )
        with transaction(self._engine) as connection:
            numbers = list(
                connection.execute(
                    select(photo.c.photo)
                    .where(photo.c.photo > after, photo.c.state == PhotoState.LINKED.value)
                    .order_by(photo.c.photo)
                    .limit(_SWEPT)
                ).scalars()
            )
            if not numbers:
                return
            missing = (
                select(photo_patient.c.patient)
                .distinct()
                .join(photo, photo.c.photo == photo_patient.c.photo)
                .where(
                    photo.c.photo > after,
                    photo.c.photo <= numbers[-1],
                    photo.c.state == PhotoState.LINKED.value,
                    photo.c.document.is_not(None),
                    ~judged,
                )
            )
            ask(connection, connection.execute(missing).scalars().all())
            jobs.put(connection, jobs.JUDGE, ALL, json.dumps({"after": numbers[-1]}), not_before=clock.now(connection))

    def _patient(self, patient: str) -> None:
        with reading(self._engine) as connection:
            shown = choosing.candidates(connection, self._store, patient)
            known = appraisals(connection, self._store, [each.reference for each in shown])
            asked = wanted(connection, self._store, patient, shown, self._protocols())
            former = appraisals(connection, self._store, choosing.formers(shown, self._store.base))
        for each in former.values():
            self._take_back(each)
        eyes = _eyes()
        due = [
            each
            for each in choosing.pairs(shown)
            if _is_due(each, asked.get(each.photo.reference), known.get(each.photo.reference), eyes)
        ]
        judged = 0
        for pair in due:
            if judged == AT_ONCE:
                with transaction(self._engine) as connection:
                    ask(connection, [patient])
                return
            judged += self._judge(patient, pair, asked.get(pair.photo.reference), eyes)

    def _judge(self, patient: str, pair: Pair, asked: Shot | None, eyes: _Eyes) -> bool:
        """Judge a photo; False where the archive does not have it, or it was corrected meanwhile."""
        verdicts = self._verdicts(patient, pair, asked, eyes)
        if verdicts is None:
            return False
        said = Appraisal(
            pair.photo.reference,
            verdicts,
            NAME,
            VERSION,
            None if pair.against is None else pair.against.reference,
            None if eyes.landmarks is None else MODEL,
            None if asked is None else asked_for(asked),
        )
        intent = self._intent(patient, pair.photo.sop_uid, said.photo)
        with self._chain.written(intent), transaction(self._engine) as connection:
            here = [each.sop_uid for each in (pair.photo, pair.against) if each is not None]
            linked = all(_linked(connection, each) for each in here)  # else one was corrected, and is asked for anew
            if linked:
                self._write(connection, said)
        return linked

    def _write(self, connection: Connection, said: Appraisal) -> None:
        document = self._store.read(connection, "DocumentReference", references.id_of(said.photo)).json()
        made = self._store.own("Observation", observation(said, document, clock.now(connection)))
        self._store.update(connection, "Observation", appraisal_id(said.photo), made, source=SOURCE)

    def _take_back(self, said: Appraisal) -> None:
        """What was said of a photo that was corrected is marked as an error, as its document is."""
        with reading(self._engine) as connection:
            document = self._store.read(connection, "DocumentReference", references.id_of(said.photo)).json()
        if document.get("status") != "entered-in-error":
            return
        intent = self._intent("", "", said.photo)
        with self._chain.written(intent), transaction(self._engine) as connection:
            self._write(connection, said)

    def _intent(self, patient: str, sop_uid: str, document: str) -> AuditRecord:
        return AuditRecord(
            Kind.INTENT,
            self._door,
            "judge",
            photo=sop_uid or None,
            patient=patient or None,
            subject=f"Observation/{appraisal_id(document)}",
        )

    def _verdicts(self, patient: str, pair: Pair, asked: Shot | None, eyes: _Eyes) -> tuple[Verdict, ...] | None:
        """What is said of a photo; None: the archive does not have it, and somebody is told of that otherwise."""
        if eyes.blind is not None and not eyes.numbers:
            return unjudged(eyes.blind.why)
        card = asked is not None and asked.target is Target.COLOUR_CARD
        try:
            mine = self._look(patient, pair.photo, eyes, card=card)
        except NotRendered as error:
            return unjudged(sayings.unknown(str(error)))
        if mine is None:
            return None
        against = None
        if pair.against is not None:
            try:
                against = self._look(patient, pair.against, eyes, card=card)
            except NotRendered as error:
                return unjudged(sayings.unknown(sayings.OF_REFERENCE.of(why=str(error))))
            if against is None:
                return None
        return judge(mine, against, eyes.blind, asked)

    def _look(self, patient: str, one: Candidate, eyes: _Eyes, *, card: bool) -> Measured | None:
        key = one.sop_uid, card
        known = self._measured.get(key)
        if known is None:
            self._chain.append([examination(f"judge {patient}", [one.orthanc_id], self._door)])
            data = file_at_hand(self._archive, f"judge {patient}", one.orthanc_id)
            if data is None:
                return None
            known = measure(picture_of(data), eyes.landmarks, lens_of(data), card=card and eyes.blind is None)
            self._measured[key] = known
            while len(self._measured) > _KEPT:
                self._measured.popitem(last=False)
        self._measured.move_to_end(key)
        return known


def _is_due(pair: Pair, asked: Shot | None, known: Appraisal | None, eyes: _Eyes) -> bool:
    against = None if pair.against is None else pair.against.reference
    model = None if eyes.landmarks is None else MODEL
    wants = None if asked is None else asked_for(asked)
    said = None if known is None else (known.reference, known.version, known.model, known.asked)
    return said != (against, VERSION, model, wants)


def _linked(connection: Connection, sop_uid: str) -> bool:
    row = photos.by_sop(connection, sop_uid)
    return row is not None and row.state is PhotoState.LINKED


def _eyes() -> _Eyes:
    try:
        import numpy  # noqa: F401
    except ImportError:
        return _Eyes(None, Blind(sayings.unknown(sayings.NO_VISION)), False)
    try:
        return _Eyes(open_landmarks(), None, True)
    except NoLandmarks as error:
        return _Eyes(None, Blind(sayings.unknown(str(error))), True)
