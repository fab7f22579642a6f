"""``photospine worker``: everything that nobody waits for. Any number may run, and none is needed for refusing."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TypeVar

from consent import decided
from consent.audit.notary import Notary
from consent.store import clock, jobs
from consent.store.engine import glancing, transaction
from consent.store.jobs import Job
from dicom_bridge import ledger
from dicom_bridge.archive import Archive, ArchiveUnavailable
from dicom_bridge.arrivals import Arrivals
from dicom_bridge.batch import RECOVER
from dicom_bridge.compare.rendering import Rendering
from dicom_bridge.gaps.tasks import GapTasks
from dicom_bridge.judging.job import Judging
from dicom_bridge.protocols.reading import all_protocols
from dicom_bridge.recovery import Recovery
from dicom_bridge.spool import SpoolRefused
from dicom_bridge.tasks import Tasks
from fhir_mapping.projections.written import Setting
from fhir_mapping.question import projection as facets
from orthanc_plugin.assembly.intake import corrections, open_archive, way
from orthanc_plugin.assembly.issuers import Refresher, Web
from orthanc_plugin.assembly.open import Node
from orthanc_plugin.assembly.record import record_store
from orthanc_plugin.assembly.watched import Watched, watched_of
from orthanc_plugin.wall.hooks import COLLISION

ROLE = "worker"
LOOK_SECONDS = 0.25
"""How often it looks for jobs."""

CHANGES_SECONDS = 5.0
"""How often it reads Orthanc's changes, called or not."""

WAITING_SECONDS = 60.0
"""How often it looks for the places of objects that wait."""

WATCHED_SECONDS = 2.0
"""How often it looks into the watched folder."""

ISSUERS_SECONDS = 1.0
"""How often it looks whether keys of an issuer should be fetched."""

CHECKPOINT_SECONDS = 10.0
"""How often it looks whether the audit chains have grown."""

STOP_SECONDS = 4.0
"""So long a look at the chains may go on after a stop; what it has not signed then is signed at the next start."""

SWEEP_SECONDS = 3600.0
"""How often it removes what was spooled and never announced."""

GAPS_SECONDS = 120.0
"""How often it looks which photos of today's visitors are due, for the Tasks about them."""

ALL_GAPS_SECONDS = 3600.0
"""How often it looks at everybody's."""

EVERYTHING_SECONDS = 3600.0
"""How often it looks for answers that ran out, and then for renditions that must not be kept any more."""

FACETS_SECONDS = 0.5
"""How often it looks for photos that are due to be indexed by their facets."""

FACETS_AT_ONCE = 2000
"""Photos that it indexes before it looks for other work."""

KINDS = (jobs.ARRIVAL, jobs.REDECIDE, RECOVER, COLLISION, jobs.JUDGE, jobs.RENDER)
_LEASE = timedelta(seconds=120)
_RETRY = timedelta(seconds=10)
_TOLD_AFTER = 6
"""So often, over some minutes, a batch is tried before a person is told."""

_LEFT_BEHIND = timedelta(seconds=30)
_LOG = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(slots=True)
class Worker:
    """One worker."""

    node: Node
    recovery: Recovery
    arrivals: Arrivals
    issuers: Refresher
    tasks: Tasks
    judging: Judging
    rendering: Rendering
    gaps: GapTasks
    watched: Watched | None = None
    stopped: threading.Event = field(default_factory=threading.Event)
    _notary: Notary = field(init=False)
    _away: bool = False
    """Orthanc did not answer: when it does again, all of it is compared."""

    def __post_init__(self) -> None:
        self._notary = self.node.notary

    def run(self) -> None:
        """Work until stopped."""
        self.attempt("recover", self.recover_open)
        self.attempt("judging", self.judging.begin)
        self.attempt("rendering", self.rendering.begin)
        self._away = True
        changes = waiting = sweeping = issuers = indexing = due = all_due = watching = everything = 0.0
        while not self.stopped.is_set():
            worked = self.attempt("job", self.one_job)
            if time.monotonic() >= changes:
                self.attempt("changes", self.look)
                changes = time.monotonic() + CHANGES_SECONDS
            if time.monotonic() >= waiting:
                self.attempt("waiting", self.arrivals.relink)
                waiting = time.monotonic() + WAITING_SECONDS
            if self.watched is not None and time.monotonic() >= watching:
                taken = self.attempt("watched folder", self.watched.step)
                watching = time.monotonic() + WATCHED_SECONDS
                worked = worked or bool(taken)
            if time.monotonic() >= issuers:
                self.attempt("issuers", self.issuers.step)
                issuers = time.monotonic() + ISSUERS_SECONDS
            if time.monotonic() >= indexing:
                indexed = self.attempt("facets", self.index_due)
                indexing = time.monotonic() + (0.0 if indexed else FACETS_SECONDS)
                worked = worked or bool(indexed)
            if time.monotonic() >= due:
                whole = time.monotonic() >= all_due
                self.attempt("photos due", partial(self.keep_gaps, today_alone=not whole))
                due = time.monotonic() + GAPS_SECONDS
                all_due = time.monotonic() + ALL_GAPS_SECONDS if whole else all_due
            if time.monotonic() >= everything:
                self.attempt("answers", self.decide_anew)
                self.attempt("rendering", self.rendering.clear)
                everything = time.monotonic() + EVERYTHING_SECONDS
            if time.monotonic() >= sweeping:
                self.attempt("sweep", self.recovery.sweep)
                sweeping = time.monotonic() + SWEEP_SECONDS
            if not worked:
                self.stopped.wait(LOOK_SECONDS)

    def index_due(self) -> int:
        """Index photos whose facets have changed; tells how many."""
        return facets.work(self.node.engine, Setting(self.node.site, self.node.settings.fhir_base), most=FACETS_AT_ONCE)

    def keep_gaps(self, *, today_alone: bool) -> None:
        """Keep the Tasks about photos that are due as the record is, by the site's protocols of now."""
        self.gaps.keep(tuple(all_protocols(self.node.settings.protocols)), today_alone=today_alone)

    def sign(self) -> None:
        """Sign the heads of the audit chains until stopped."""
        while not self.stopped.is_set():
            self.sign_once()
            self.stopped.wait(CHECKPOINT_SECONDS)

    def sign_once(self) -> None:
        """Sign what is due; a chain that must not be signed is a person's matter."""
        for chain, why in (self.attempt("checkpoints", self._notary.sign) or {}).items():
            self.attempt("tell", partial(self._tell, chain, why))
        self.attempt("copies of checkpoints", self._notary.copy)

    def _tell(self, chain: str, why: str) -> None:
        with transaction(self.node.engine) as connection:
            self.tasks.chain_refused(connection, chain, why)

    def look(self, *, everything: bool = False) -> None:
        """Look at what arrived; at everything, where Orthanc was away meanwhile."""
        try:
            self.arrivals.look(everything=everything or self._away)
        except ArchiveUnavailable:
            self._away = True
            raise
        self._away = False

    def attempt(self, what: str, work: Callable[[], T]) -> T | None:
        """Do a piece of work; what fails is logged by its kind and tried again later."""
        try:
            return work()
        except Exception as error:  # noqa: BLE001  # an outermost edge: one fault must not end all other work
            _LOG.warning("%s failed: %s", what, type(error).__name__)
            return None

    def recover_open(self, older: timedelta = _LEFT_BEHIND) -> None:
        """Go on with every batch that another process left behind: open, and announced so long ago."""
        with glancing(self.node.engine) as connection:
            batches = ledger.open_batches(connection, clock.now(connection) - older)
        for batch in batches:
            self.attempt("recover", partial(self._recover, batch))

    def decide_anew(self) -> None:
        """Have everybody's answers that ran out be decided anew."""
        with transaction(self.node.engine) as connection:
            jobs.put_new(connection, jobs.REDECIDE, decided.EVERYBODY, not_before=clock.now(connection))

    def one_job(self) -> bool:
        """Take one job and do it; False where none is due."""
        with transaction(self.node.engine) as connection:
            job = jobs.take(connection, KINDS, _LEASE, self.node.chain.name)
        if job is None:
            return False
        try:
            self._do(job)
        except Exception as error:  # noqa: BLE001  # an outermost edge: the job is tried again later, others go on
            retry = _RETRY * min(job.attempts, 30)
            with transaction(self.node.engine) as connection:
                jobs.failed(connection, job, type(error).__name__, retry)
            if isinstance(error, ArchiveUnavailable):
                return False  # Orthanc is away: wait like for no job
            if job.kind == RECOVER and job.attempts >= _TOLD_AFTER:
                self.attempt("tell", lambda: self.recovery.stands_still(job.key))
        else:
            with transaction(self.node.engine) as connection:
                jobs.done(connection, job)
        return True

    def _do(self, job: Job) -> None:
        if job.kind == jobs.ARRIVAL:
            self.look(everything=job.key == jobs.EVERYTHING)
        elif job.kind == RECOVER:
            self._recover(job.key)
        elif job.kind == COLLISION:
            told = json.loads(job.body)
            self.arrivals.collided(told["sop_uid"], told["id"], told["digest"])
        elif job.kind == jobs.JUDGE:
            self.judging.work(job.key, job.body)
        elif job.kind == jobs.RENDER:
            self.rendering.work(job.key, job.body)
        else:
            decided.work(self.node.engine, job)

    def _recover(self, batch: str) -> None:
        try:
            self.recovery.recover(batch)
        except SpoolRefused:
            self.recovery.abandon(batch)


def run(node: Node, stopped: threading.Event, at: Callable[[str], None] = lambda _: None) -> None:
    """Work until ``stopped`` is set."""
    with open_archive(node) as archive:
        worker = worker_of(node, archive, at, stopped)
        signing = threading.Thread(target=worker.sign, name="checkpoints", daemon=True)  # a long job must not delay it
        signing.start()
        try:
            worker.run()
        finally:
            stopped.set()
            signing.join(STOP_SECONDS)


def worker_of(node: Node, archive: Archive, at: Callable[[str], None], stopped: threading.Event) -> Worker:
    """A worker, put together from its parts."""
    carried = way(node, archive, at)
    arrivals = Arrivals(
        node.engine,
        node.chain,
        archive,
        carried.linker,
        carried.tasks,
        door=ROLE,
        at=at,
        place_clean=corrections(node, archive, at).place,
    )
    issuers = Refresher(node.engine, Web(node.settings.ca_file).get)
    judging = Judging(
        node.engine,
        node.chain,
        archive,
        record_store(node),
        door=ROLE,
        protocols=lambda: all_protocols(node.settings.protocols),
    )
    rendering = Rendering(node.engine, node.chain, archive, door=ROLE)
    gaps = GapTasks(node.engine, node.point, carried.linker.store)
    watched = watched_of(node, archive)
    return Worker(node, Recovery(carried), arrivals, issuers, carried.tasks, judging, rendering, gaps, watched, stopped)
