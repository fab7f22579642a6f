"""Versions: every change of a fact is seen by the next decision on every node.

Each transaction that changes what a decision reads ends in :func:`consent.store.people.changed` for the patients
concerned, or in :func:`site_changed`. Both raise the versions that every decision compares, and mark the stored answers
stale in the same transaction; deciding them anew may follow later.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, Select, select, text, update

from consent.store.engine import once
from consent.store.tables import patient, patient_state, site_state
from consent.store.write import among

_LOCK = text("SELECT pg_advisory_xact_lock(7410266031)")


def lock(connection: Connection) -> None:
    """Let one transaction at a time change facts, so that no stored answer is decided from facts half-changed.

    SQLite has one writer anyway. On PostgreSQL the lock is held until the transaction ends; take it before any row.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK)


def group(connection: Connection, patients: Iterable[str]) -> set[str]:
    """The patients, with every record of the same persons after merges."""
    asked = set(patients)
    if not asked:
        return asked
    survivors = select(patient.c.survivor).where(among(connection, patient.c.patient, asked))
    query = select(patient.c.patient).where(patient.c.survivor.in_(survivors))
    found = once(connection, ("group", frozenset(asked)), lambda: frozenset(connection.execute(query).scalars()))
    return asked | found


def records(patients: Iterable[str]) -> Select[str]:
    """A query of the records that :func:`group` gives of patients who are known, for conditions."""
    asked, every = patient.alias(), patient.alias()
    return (
        select(every.c.patient)
        .join(asked, asked.c.survivor == every.c.survivor)
        .where(asked.c.patient.in_(sorted(patients)))
    )


def raise_versions(connection: Connection, patients: Iterable[str]) -> set[str]:
    """Raise the versions of the patients and of all records merged with theirs; their stored answers become stale."""
    lock(connection)
    everyone = group(connection, patients)
    if everyone:
        connection.execute(
            update(patient).where(among(connection, patient.c.patient, everyone)).values(version=patient.c.version + 1)
        )
        connection.execute(
            update(patient_state).where(among(connection, patient_state.c.patient, everyone)).values(stale=True)
        )
    return everyone


def site_changed(connection: Connection, *, answers: bool) -> None:
    """Raise the version of the site.

    Parameters
    ----------
    answers
        Whether stored answers could change too: settings and the parents of organisations do that. Memberships do
        not, because patients whose rules name persons or groups have no stored answers that a set would read.
    """
    lock(connection)
    values = {"version": site_state.c.version + 1}
    if answers:
        values["epoch"] = site_state.c.epoch + 1
    connection.execute(update(site_state).values(values))
