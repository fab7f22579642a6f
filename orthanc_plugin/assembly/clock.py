"""The node's clock, before what was recorded by it: the doctor names that, and a person may say that it is right."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack
from datetime import UTC, datetime

from sqlalchemy.exc import SQLAlchemyError

from consent.audit.chain import open_chain
from consent.audit.read import Archive
from consent.audit.record import AuditRecord, Kind
from consent.errors import ConsentError
from consent.store import clock
from consent.store.engine import glancing, open_engine
from consent.store.steady import TOLERANCE, ClockJumped, require_after
from orthanc_plugin.assembly.finding import Finding, untried
from orthanc_plugin.assembly.open import CLI
from orthanc_plugin.assembly.settings import Settings

CLOCK_REMEDY = (
    "see that the clock is right (timedatectl), then start Orthanc, serve and worker anew; where it is right, and was "
    "not when records were made, stop them first and run 'photospine doctor --accept-clock'"
)
ROUTE = "doctor --accept-clock"


def accept(settings: Settings, *, os_user: str) -> int:
    """Put a record of this very moment behind the last one of each of the node's chains; tells how many they are.

    The node's processes have to be stopped: a chain has one writer.

    Raises
    ------
    AuditUnavailable
        A process of the node is at work still.
    """
    engine = open_engine(settings.database)
    try:
        chains = [chain.split("/") for chain in Archive(engine, settings.audit_folder).chains()]
    finally:
        engine.dispose()
    mine = sorted({(role, int(slot)) for node, role, slot in chains if node == settings.node})
    with ExitStack() as closing:
        for role, slot in mine:  # in the order of their slots, so that each is the first that is free
            chain = open_chain(settings.database, settings.audit_folder, settings.node, role, sole=slot == 0)
            closing.callback(chain.close)
            chain.append([AuditRecord(Kind.TASK, CLI, ROUTE, os_user=os_user, subject="clock")])
    return len(mine)


def clock_finding(settings: Settings) -> Finding:
    """The clock must not stand before what was recorded by it, nor elsewhere than the database's."""
    what = "clock"
    engine = open_engine(settings.database)
    try:
        with glancing(engine) as connection:
            moment = clock.now(connection)
        apart = abs((moment - datetime.now(UTC)).total_seconds())
        if apart > TOLERANCE.total_seconds():
            return Finding(what, False, f"this machine's is {apart:.0f} s off the database's", CLOCK_REMEDY)
        require_after(Archive(engine, settings.audit_folder).newest(clock.micros(moment)), moment)
    except ClockJumped as error:
        return Finding(what, False, str(error), CLOCK_REMEDY)
    except (ConsentError, SQLAlchemyError, sqlite3.Error):
        return untried(what)  # the fault is named elsewhere
    finally:
        engine.dispose()
    return Finding(what, True, "not before what was recorded")
