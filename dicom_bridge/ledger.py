"""The ledger of photos on their way: one row for each, whose state only rises."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from consent.store.clock import micros, now
from consent.store.write import among
from dicom_bridge.errors import BridgeError
from dicom_bridge.tables import ledger, ledger_batch


class State(StrEnum):
    """How far a photo has come."""

    INTENT = "intent"
    """Announced; the file lies in the spool, and the object may be in Orthanc already."""

    STORED = "stored"
    """The object is in Orthanc."""

    ATTACHED = "attached"
    """The original is attached to it, and its hash was read back."""

    DONE = "done"
    """The record, the index and the photo's row are committed."""

    ABANDONED = "abandoned"
    """It cannot go on: its original is gone. Its object, which nobody ever saw, is being removed from Orthanc."""


_ORDER = (State.INTENT, State.STORED, State.ATTACHED, State.DONE)


class LedgerRefused(BridgeError):
    """A row would go back, is missing, or was given up. The caller has lost track of its photos."""


class AnnouncedAlready(BridgeError):
    """Another process announced one of the photos in the meantime. Ask the ledger again."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One photo on its way."""

    sop_uid: str
    sha256: str
    patient: str
    study_uid: str
    series_uid: str
    state: State
    orthanc_id: str
    batch: str
    instance_number: int


def announce(connection: Connection, batch: str, plan: str, intent: str, entries: Iterable[Entry]) -> None:
    """Write a batch with its photos, all in state ``intent``.

    Raises
    ------
    AnnouncedAlready
        The transaction must be rolled back.
    """
    moment = micros(now(connection))
    connection.execute(insert(ledger_batch).values(batch=batch, plan=plan, intent=intent, created=moment))
    _insert(connection, batch, entries, moment)


def announce_alone(connection: Connection, batch: str, entries: Sequence[Entry]) -> None:
    """Write objects of ours that follow from no files, in state ``intent``, but those that are there already.

    There is no plan to go on with where a process dies: whoever asks for them again announces the rest, and goes on.

    Raises
    ------
    AnnouncedAlready
        The transaction must be rolled back.
    """
    known = select(ledger.c.sop_uid).where(among(connection, ledger.c.sop_uid, {each.sop_uid for each in entries}))
    there = set(connection.execute(known).scalars())
    fresh = [each for each in entries if each.sop_uid not in there]
    if fresh:
        _insert(connection, batch, fresh, micros(now(connection)))


def _insert(connection: Connection, batch: str, entries: Iterable[Entry], moment: int) -> None:
    rows = [
        {
            "sop_uid": entry.sop_uid,
            "sha256": entry.sha256,
            "patient": entry.patient,
            "study_uid": entry.study_uid,
            "series_uid": entry.series_uid,
            "state": State.INTENT.value,
            "orthanc_id": entry.orthanc_id,
            "batch": batch,
            "instance_number": entry.instance_number,
            "updated": moment,
        }
        for entry in entries
    ]
    try:
        connection.execute(insert(ledger), rows)
    except IntegrityError:
        raise AnnouncedAlready("a photo of this batch was announced by another process meanwhile") from None


def rise(connection: Connection, sop_uid: str, state: State) -> None:
    """Let a photo rise to a state; one that is there or beyond stays where it is.

    Raises
    ------
    LedgerRefused
        There is no such row, or it was given up.
    """
    row = connection.execute(select(ledger.c.state).where(ledger.c.sop_uid == sop_uid)).scalar_one_or_none()
    if row is None:
        raise LedgerRefused(f"the ledger has no photo {sop_uid}")
    if State(row) is State.ABANDONED:
        raise LedgerRefused(f"photo {sop_uid} was given up")
    if _ORDER.index(State(row)) < _ORDER.index(state):
        connection.execute(
            update(ledger).where(ledger.c.sop_uid == sop_uid).values(state=state.value, updated=micros(now(connection)))
        )


def rise_all(connection: Connection, sop_uids: Sequence[str], state: State) -> None:
    """Let several photos rise likewise.

    Raises
    ------
    LedgerRefused
    """
    mine = among(connection, ledger.c.sop_uid, sop_uids)
    states = list(connection.execute(select(ledger.c.state).where(mine)).scalars())
    if len(states) < len(sop_uids):
        raise LedgerRefused("the ledger lacks a photo of a batch")
    if State.ABANDONED in states:
        raise LedgerRefused("a photo of a batch was given up")
    below = [each.value for each in _ORDER[: _ORDER.index(state)]]
    connection.execute(
        update(ledger).where(mine, ledger.c.state.in_(below)).values(state=state.value, updated=micros(now(connection)))
    )


def move(connection: Connection, sop_uid: str, orthanc_id: str) -> None:
    """A photo that Orthanc does not have will have another id there: its patient has another number meanwhile."""
    connection.execute(
        update(ledger)
        .where(ledger.c.sop_uid == sop_uid, ledger.c.state.not_in((State.DONE.value, State.ABANDONED.value)))
        .values(orthanc_id=orthanc_id, updated=micros(now(connection)))
    )


def entry(connection: Connection, sop_uid: str) -> Entry | None:
    """The row of a photo."""
    row = connection.execute(select(ledger).where(ledger.c.sop_uid == sop_uid)).one_or_none()
    return None if row is None else _entry(row)


def by_file(connection: Connection, sha256: str) -> list[Entry]:
    """All photos made from a file, whoever it was sent for."""
    return [_entry(row) for row in connection.execute(select(ledger).where(ledger.c.sha256 == sha256))]


def known_for_others(connection: Connection, patient: str, digests: Collection[str]) -> bool:
    """Whether one of the files is a photo of somebody else than this patient."""
    query = select(ledger.c.sop_uid).where(
        among(connection, ledger.c.sha256, set(digests)), ledger.c.patient != patient
    )
    return connection.execute(query.limit(1)).first() is not None


def by_orthanc_id(connection: Connection, orthanc_id: str) -> Entry | None:
    """The row of an object in Orthanc."""
    row = connection.execute(select(ledger).where(ledger.c.orthanc_id == orthanc_id)).one_or_none()
    return None if row is None else _entry(row)


def of_batch(connection: Connection, batch: str, *, lock: bool = False) -> list[Entry]:
    """The photos of a batch, in the order of their instance numbers; ``lock`` keeps them from other writers."""
    query = select(ledger).where(ledger.c.batch == batch).order_by(ledger.c.instance_number, ledger.c.sop_uid)
    return [_entry(row) for row in connection.execute(query.with_for_update() if lock else query)]


def plan_of(connection: Connection, batch: str) -> tuple[str, str] | None:
    """A batch's plan, and the id of the audit record that announced it; None where there is none (any more)."""
    row = connection.execute(
        select(ledger_batch.c.plan, ledger_batch.c.intent).where(ledger_batch.c.batch == batch)
    ).one_or_none()
    return None if row is None else (row.plan, row.intent)


def open_batches(connection: Connection, before: datetime) -> list[str]:
    """Batches announced before an instant and not committed yet."""
    rows = connection.execute(
        select(ledger_batch.c.batch)
        .join(ledger, ledger.c.batch == ledger_batch.c.batch)
        .where(ledger.c.state != State.DONE.value, ledger_batch.c.created < micros(before))
        .distinct()
    )
    return sorted(rows.scalars())


def give_up(connection: Connection, batch: str) -> bool:
    """Mark the photos of a batch for removal; False where one of them is done, so that nothing may be removed."""
    states = {entry.state for entry in of_batch(connection, batch, lock=True)}
    if State.DONE in states or not states:
        return False
    connection.execute(
        update(ledger)
        .where(ledger.c.batch == batch)
        .values(state=State.ABANDONED.value, updated=micros(now(connection)))
    )
    return True


def unfinished(connection: Connection) -> set[str]:
    """SOP Instance UIDs of all photos that are on their way."""
    return set(connection.execute(select(ledger.c.sop_uid).where(ledger.c.state != State.DONE.value)).scalars())


def forget(connection: Connection, batch: str) -> None:
    """Take a batch back whose objects are removed: its photos were never seen by anybody."""
    connection.execute(delete(ledger).where(ledger.c.batch == batch, ledger.c.state == State.ABANDONED.value))
    connection.execute(delete(ledger_batch).where(ledger_batch.c.batch == batch))


def next_instance_number(connection: Connection, series_uid: str) -> int:
    """One more than the highest instance number of a series."""
    highest = connection.execute(
        select(func.max(ledger.c.instance_number)).where(ledger.c.series_uid == series_uid)
    ).scalar_one_or_none()
    return (highest or 0) + 1


def _entry(row: Row[tuple[object, ...]]) -> Entry:
    return Entry(
        sop_uid=row.sop_uid,
        sha256=row.sha256,
        patient=row.patient,
        study_uid=row.study_uid,
        series_uid=row.series_uid,
        state=State(row.state),
        orthanc_id=row.orthanc_id,
        batch=row.batch,
        instance_number=row.instance_number,
    )
