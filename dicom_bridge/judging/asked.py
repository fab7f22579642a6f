"""Asking for photos to be judged: a row of the jobs table, in the transaction that makes it necessary."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from consent.store import clock, jobs

ALL = "*"
"""Key: photos of whomever that nobody judged yet."""


def ask(connection: Connection, patients: Iterable[str]) -> None:
    """Have the photos of patients judged, after whatever is more urgent."""
    jobs.put_all(connection, [jobs.JUDGE], patients, clock.now(connection))
