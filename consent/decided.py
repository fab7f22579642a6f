"""Stored answers for sets, written by ``decide()`` alone."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from consent.store.engine import before_commit


def settle_before_commit(connection: Connection, patients: Iterable[str]) -> None:
    """Decide the answers of these patients anew at the end of the transaction."""
    before_commit(connection, settle_some, patients)


def settle_some(connection: Connection, patients: set[str]) -> None:
    """Decide what can be decided quickly; stale answers are decided live until the worker settles them."""
