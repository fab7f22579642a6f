"""A batch is announced: in the audit chain first, then in the ledger, from where any process goes on with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from consent.audit.chain import outcome
from consent.store import clock, jobs
from consent.store.engine import transaction
from consent.store.versions import lock
from dicom_bridge import ledger
from dicom_bridge.batch import RECOVER, announcement
from dicom_bridge.errors import BridgeError
from dicom_bridge.ledger import AnnouncedAlready, Entry
from dicom_bridge.plan import Plan
from dicom_bridge.way import Arrow, Way
from fhir_mapping.errors import MappingError

_LEFT_TO_FINISH = timedelta(seconds=30)
"""A batch's own process should have finished by then; a worker may go on with it."""


def announce(way: Way, batch: str, plan: Plan, entries: Sequence[Entry], check: Callable[[Connection], None]) -> str:
    """Announce a batch; the id of its audit record.

    Parameters
    ----------
    check
        Asks once more, in the transaction that announces it, what was asked of the database before; raises
        where that is otherwise by now.

    Raises
    ------
    AnnouncedAlready
        Photos of one of the series were numbered by another process meanwhile, or one of them was announced.
    BridgeError, fhir_mapping.errors.MappingError
        As ``check`` does. Nothing was announced.
    """
    announced = announcement(entries, plan, way.door)
    (intent,) = way.chain.append([announced])
    way.at(Arrow.INTENDED)
    try:
        with transaction(way.engine) as connection:
            lock(connection)
            check(connection)
            _require_numbers(connection, entries)
            ledger.announce(connection, batch, plan.dumps(), intent, entries)
            jobs.put(connection, RECOVER, batch, not_before=clock.now(connection) + _LEFT_TO_FINISH)
    except (BridgeError, MappingError, SQLAlchemyError):
        way.chain.append([outcome(announced, intent, "failed")])
        raise
    way.at(Arrow.ANNOUNCED)
    return intent


def _require_numbers(connection: Connection, entries: Sequence[Entry]) -> None:
    """In each series the instance numbers still begin where they were counted from."""
    first: dict[str, int] = {}
    for entry in entries:
        first[entry.series_uid] = min(entry.instance_number, first.get(entry.series_uid, entry.instance_number))
    for series, number in first.items():
        if ledger.next_instance_number(connection, series) != number:
            raise AnnouncedAlready("photos of this view were announced by another process meanwhile")
