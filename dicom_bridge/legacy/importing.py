"""An import is carried out: batches of one visit, several on their way at a time, each a batch like any other.

What a batch leaves behind when its process dies, the next import or the worker goes on with: the ledger knows every
file by its hash, and a historical visit by its patient and day. So nothing is lost, and nothing is there twice.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import date
from itertools import islice
from queue import SimpleQueue

from sqlalchemy import Engine

from consent.store.engine import reading
from dicom_bridge.archive import Archive, ArchiveUnavailable
from dicom_bridge.errors import BridgeError
from dicom_bridge.held import Held
from dicom_bridge.legacy.survey import Candidate, Verdict
from dicom_bridge.legacy.visits import Visits
from dicom_bridge.objects.read import read_object
from dicom_bridge.pipeline import Outcome, Pipeline
from dicom_bridge.placing import PATIENT_ID, Place, Waits
from dicom_bridge.plan import Plan, Shown
from dicom_bridge.query.index import whole_text_of
from dicom_bridge.query.nesting import Unfit
from dicom_bridge.query.orthanc_ids import orthanc_ids
from dicom_bridge.settling import FAULTS, Settling
from dicom_bridge.spool import SpoolUnavailable
from fhir_mapping.errors import MappingError
from fhir_mapping.resources.people import visit_facts
from fhir_mapping.store.record import RecordStore

FILES_AT_ONCE, BYTES_AT_ONCE = 32, 96 * 2**20
"""Files, and their bytes, of a batch."""

_VISITS_AT_ONCE = 16
"""Batches whose historical visits are written together: a transaction for each would be most of what it costs."""

_LOG = logging.getLogger(__name__)
_STOPS = (ArchiveUnavailable, SpoolUnavailable)
"""What is no file's fault: the import ends, and is begun again when that is mended."""


@dataclass(frozen=True, slots=True)
class Lane:
    """What one batch at a time is carried with."""

    pipeline: Pipeline
    archive: Archive
    settling: Settling


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a file."""

    candidate: Candidate
    outcome: Outcome | None
    """None: it was not imported; the candidate's text says why."""

    photo: str = ""
    """SOP Instance UID."""


@dataclass(frozen=True, slots=True)
class _Batch:
    candidates: tuple[Candidate, ...]

    @property
    def first(self) -> Candidate:
        return self.candidates[0]

    @property
    def first_stay(self) -> tuple[str, date | None]:
        """Patient and day of its visit."""
        return self.first.patient, self.first.day


class Importer:
    """Carries out what a survey found."""

    def __init__(self, engine: Engine, store: RecordStore, visits: Visits, lanes: Sequence[Lane], base: Plan) -> None:
        """Put it together.

        Parameters
        ----------
        lanes
            As many batches are on their way at a time; each is used by one thread at a time.
        base
            What is said of all: account, user, the day since which the source system knows.
        """
        self._engine, self._store, self._visits, self._base = engine, store, visits, base
        self._lanes: SimpleQueue[Lane] = SimpleQueue()
        self._many = len(lanes)
        for each in lanes:
            self._lanes.put(each)
        self._stopped = threading.Event()

    def carry_out(self, found: Sequence[Candidate], told: Callable[[Done], None]) -> list[Done]:
        """Import what is ready.

        Raises
        ------
        ArchiveUnavailable, SpoolUnavailable, consent.audit.shelf.AuditUnavailable
            What was done is done; the import goes on when it is begun again.
        """
        done: list[Done] = []
        with ThreadPoolExecutor(self._many, "import") as pool:
            running: set[Future[list[Done]]] = set()
            try:
                batches = _batches(found)
                while some := tuple(islice(batches, _VISITS_AT_ONCE)):
                    self._visits.make(self._engine, [each.first_stay for each in some if each.first.new_visit])
                    for batch in some:
                        if len(running) >= 2 * self._many:
                            running = self._gather(running, done, told)
                        running.add(pool.submit(self._take, batch))
                while running:
                    running = self._gather(running, done, told)
            except BaseException:
                self._stopped.set()  # batches that did not begin stay where they are
                raise
        return done

    @staticmethod
    def _gather(
        running: set[Future[list[Done]]], done: list[Done], told: Callable[[Done], None]
    ) -> set[Future[list[Done]]]:
        ready, left = wait(running, return_when=FIRST_COMPLETED)
        for future in ready:
            for each in future.result():
                done.append(each)
                told(each)
        return left

    def _take(self, batch: _Batch) -> list[Done]:
        if self._stopped.is_set():
            return []
        lane = self._lanes.get()
        try:
            if batch.first.is_object:
                return [self._take_object(lane, each) for each in batch.candidates]
            return self._take_files(lane, list(batch.candidates))
        finally:
            self._lanes.put(lane)

    def _take_files(self, lane: Lane, candidates: list[Candidate]) -> list[Done]:
        """Take files in; those that are refused are left, the others taken."""
        done: list[Done] = []
        files: dict[str, bytes] = {}
        for each in candidates:
            try:
                files[each.sha256] = each.file.read()
            except BridgeError as error:
                done.append(_left(each, str(error)))
        while files:
            here = [each for each in candidates if each.sha256 in files]
            try:
                taken = lane.pipeline.take(list(files.values()), self._plan(here))
            except _STOPS:
                raise
            except (BridgeError, MappingError) as error:
                about = getattr(error, "sha256", None)
                blamed = [each for each in here if each.sha256 == about]
                if not blamed and len(here) > 1:  # which of them it is about shows when each goes alone
                    return done + [each for one in here for each in self._take_files(lane, [one])]
                for each in blamed or here:
                    del files[each.sha256]
                    done.append(_left(each, str(error)))
                continue
            by_hash = dict(zip(files, taken, strict=True))
            return done + [Done(each, by_hash[each.sha256].outcome, by_hash[each.sha256].sop_uid) for each in here]
        return done

    def _plan(self, candidates: Sequence[Candidate]) -> Plan:
        first = candidates[0]
        return replace(
            self._base,
            patient=first.patient,
            visit=first.visit,
            session=first.session,
            procedure=first.procedure,
            clinician=first.clinician,
            photographer=first.photographer,
            photos=tuple(
                Shown(
                    each.sha256,
                    each.region,
                    each.laterality,
                    each.view,
                    each.expression,
                    each.taken,
                    each.source.value,
                )
                for each in candidates
            ),
        )

    def _take_object(self, lane: Lane, candidate: Candidate) -> Done:
        """Store a DICOM object as it is, and link it."""
        try:
            data = candidate.file.read()
            read = read_object(data)
            number = whole_text_of(read.attributes, PATIENT_ID)
            uids = (read.study_instance_uid, read.series_instance_uid, read.sop_instance_uid)
            orthanc_id = orthanc_ids(number, *uids).instance
            lane.archive.store(str(uuid.uuid4()), orthanc_id, data)
            held = Held(
                read.sop_instance_uid, read.series_instance_uid, read.study_instance_uid, orthanc_id, read.attributes
            )
            with reading(self._engine) as connection:
                encounter = self._store.read(connection, "Encounter", candidate.visit).json()
            place = Place(
                candidate.patient,
                candidate.visit,
                candidate.procedure,
                visit_facts(encounter, self._store.site.zone),
            )
            linked = lane.settling.link_at(place, held, data)
        except _STOPS:
            raise
        except (BridgeError, MappingError, Unfit) as error:
            return _left(candidate, str(error))
        except FAULTS as error:
            _LOG.warning("an object could not be linked: %s", type(error).__name__)
            return _left(candidate, "it cannot be linked: a value of it is none")
        if isinstance(linked, Waits):
            return _left(candidate, f"it waits for a person to link it. {linked.why}")
        return Done(candidate, Outcome.ADDED if linked else Outcome.KNOWN, read.sop_instance_uid)


def _left(candidate: Candidate, why: str) -> Done:
    return Done(replace(candidate, verdict=Verdict.LEFT, why=why), None)


def _batches(found: Sequence[Candidate]) -> Iterator[_Batch]:
    """What is ready, in batches of one visit and one treatment."""
    parted: dict[tuple[object, ...], list[Candidate]] = {}
    for each in found:
        if each.verdict is Verdict.READY:
            who = (each.clinician, each.photographer)
            key = (each.patient, each.visit, each.session, each.procedure, who, each.is_object)
            parted.setdefault(key, []).append(each)
    for candidates in parted.values():
        batch: list[Candidate] = []
        size = 0
        for each in candidates:
            if batch and (len(batch) == FILES_AT_ONCE or size + each.file.size > BYTES_AT_ONCE):
                yield _Batch(tuple(batch))
                batch, size = [], 0
            batch.append(each)
            size += each.file.size
        yield _Batch(tuple(batch))
