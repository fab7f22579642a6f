"""The way that a batch goes: what its steps work with, and the places on it where a process may die.

    read -> spool -> announce -> store -> attach -> commit -> clear

Before the announcement nothing is kept. After it, recovery goes forward: the spool holds the originals, the ledger the
plan, and each step finds out what was done already. A photo is visible from the commit on, and not before; the commit
is one SQL transaction of the record, the index, the photo's row and the ledger.

A correction goes the same way without a spool, for the archive has the original; in front of its commit goes the
document that rejects the former instance. Until the commit the former one is visible, from then on the new one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Engine

from consent.audit.chain import Chain
from consent.site import Site
from dicom_bridge.archive import Archive
from dicom_bridge.intake import Identifying, Limits
from dicom_bridge.linking import Linker
from dicom_bridge.spool import Spool
from dicom_bridge.tasks import Tasks
from dicom_bridge.treatment import Treatments


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
    TOLD = "told"
    """Orthanc has the document that rejects the former instance, the ledger does not say so."""

    NOTED = "noted"
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


@dataclass(frozen=True, slots=True)
class Way:
    """What the steps of a batch work with. One for each process."""

    engine: Engine
    chain: Chain
    archive: Archive
    spool: Spool
    treatments: Treatments
    linker: Linker
    tasks: Tasks
    site: Site
    door: str
    """What the audit record names as the door that photos came in by."""

    limits: Limits
    kept: tuple[Identifying, ...] = ()
    """What of EXIF that identifies goes into objects."""

    at: Callable[[Arrow], None] = lambda _: None
    """Called at each arrow."""
