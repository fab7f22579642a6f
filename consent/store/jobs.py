"""Work that nobody waits for: rows taken with a lease, so that any number of workers may run, and none may die.

For each kind and key there is one row. Asking again while somebody works on it makes it run once more afterwards.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, case, delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from consent.store.clock import micros, now
from consent.store.tables import job

#: The stored-hook's kind: something may have arrived in Orthanc.
ARRIVAL = "arrival"

#: Key of an arrival job that asks to hold all objects against the ledger: Orthanc was started.
EVERYTHING = "everything"

#: Stored answers of a patient (the key) are to be decided anew; key ``*``: of everybody whose answers are not settled.
REDECIDE = "redecide"

#: The photos of a patient (the key) are to be judged, each against the reference photo of its view.
JUDGE = "judge"

#: The renditions of the photos of a patient (the key) are to be as the record and her Consents are.
RENDER = "render"


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work, taken."""

    number: int
    kind: str
    key: str
    body: str
    """JSON, as the kind wants it."""

    attempts: int
    """How often it was taken, this time included."""

    revision: int
    until: int
    """End of the lease; it tells this taking from any other."""


def put(connection: Connection, kind: str, key: str, body: str = "{}", not_before: datetime | None = None) -> None:
    """Ask for a piece of work; where the same kind and key waits already, the earlier time holds and this body."""
    due = 0 if not_before is None else micros(not_before)
    _put(connection, [{"kind": kind, "key": key, "body": body, "not_before": due}])


def put_new(connection: Connection, kind: str, key: str, not_before: datetime) -> None:
    """Ask for a piece of work, where the same kind and key neither waits nor is being done: that stays as it is."""
    waits = select(job.c.job).where(job.c.kind == kind, job.c.key == key)
    if connection.execute(waits).first() is None:
        put(connection, kind, key, not_before=not_before)


def put_all(connection: Connection, kinds: Collection[str], keys: Iterable[str], not_before: datetime) -> None:
    """Ask for work of several kinds about the same keys."""
    due, ordered = micros(not_before), sorted(set(keys))
    rows = [{"kind": kind, "key": key, "body": "{}", "not_before": due} for kind in kinds for key in ordered]
    if rows:
        _put(connection, rows)


def _put(connection: Connection, rows: list[dict[str, Any]]) -> None:
    insert = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
    statement = insert(job)
    earlier = statement.excluded.not_before < job.c.not_before
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["kind", "key"],
            set_={
                "body": statement.excluded.body,
                "not_before": case((earlier, statement.excluded.not_before), else_=job.c.not_before),
                "attempts": 0,
                "revision": job.c.revision + 1,
            },
            where=or_(
                earlier, job.c.body != statement.excluded.body, job.c.lease_until.is_not(None), job.c.attempts > 0
            ),
        ),
        [{"attempts": 0, "revision": 1, **row} for row in rows],
    )


def waits(connection: Connection, kind: str, key: str) -> bool:
    """Whether a piece of work is due that nobody took: to ask for it once more would change nothing."""
    untouched = (job.c.not_before == 0) & job.c.lease_until.is_(None) & (job.c.attempts == 0)
    query = select(job.c.job).where(job.c.kind == kind, job.c.key == key, untouched)
    return connection.execute(query).first() is not None


def take(connection: Connection, kinds: Collection[str], lease: timedelta, by: str) -> Job | None:
    """Take the piece of work that is due longest, or whose lease ran out; None where nothing is due.

    Belongs into a short transaction of its own. The work must be :func:`done` or :func:`failed` before the lease ends.
    """
    moment = micros(now(connection))
    row = connection.execute(
        select(job)
        .where(job.c.kind.in_(sorted(kinds)))
        .where(job.c.not_before <= moment)
        .where(or_(job.c.lease_until.is_(None), job.c.lease_until <= moment))
        .order_by(job.c.not_before, job.c.job)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).one_or_none()
    if row is None:
        return None
    until = moment + lease // timedelta(microseconds=1)
    # What is asked for meanwhile has a time of its own then, and does not come before all that waits.
    mine = update(job).where(job.c.job == row.job)
    connection.execute(mine.values(not_before=until, lease_until=until, lease_by=by, attempts=job.c.attempts + 1))
    return Job(row.job, row.kind, row.key, row.body, row.attempts + 1, row.revision, until)


def done(connection: Connection, taken: Job) -> None:
    """The work is done; where it was asked for again meanwhile, it becomes free for the next one."""
    mine = (job.c.job == taken.number) & (job.c.lease_until == taken.until)
    if connection.execute(delete(job).where(mine, job.c.revision == taken.revision)).rowcount == 0:
        connection.execute(update(job).where(mine).values(lease_until=None, lease_by=None, error=None))


def cancel(connection: Connection, kind: str, key: str) -> None:
    """The work is not wanted any more, whoever may be at it."""
    connection.execute(delete(job).where(job.c.kind == kind, job.c.key == key))


def failed(connection: Connection, taken: Job, error: str, retry: timedelta) -> None:
    """The work failed; it is due again after ``retry``. ``error`` names the fault, never a person."""
    due = micros(now(connection)) + retry // timedelta(microseconds=1)
    connection.execute(
        update(job)
        .where(job.c.job == taken.number, job.c.lease_until == taken.until)
        .values(lease_until=None, lease_by=None, error=error[:1000], not_before=due)
    )
