"""A generated clinic written into a database, in steps of which each is whole."""

from __future__ import annotations

import gc
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine, func, select

from benchmarks.generated.courses import group
from benchmarks.generated.foundation import SITE, foundation
from benchmarks.generated.loading import load, quick, settled
from benchmarks.generated.patients import patient_id
from benchmarks.generated.products import lots
from benchmarks.generated.size import SESSIONS, Size
from benchmarks.generated.truth import Truth
from consent.store.engine import open_engine
from consent.store.tables import patient, site_state
from fhir_mapping.tables import fhir_resource
from tests.database import fresh

SEED = 1
_STEP = 100
"""Groups of five patients that are written by one transaction: 10,000 photos."""

WRITTEN = datetime(2026, 5, 31, 9, tzinfo=UTC)
"""When everything was written, as the record has it: after the last photo, before what is signed."""


def make(
    url: str, truth: Path, size: Size, *, seed: int = SEED, told: Callable[[int], None] = lambda patients: None
) -> Engine:
    """Make a clinic, or go on with one that was begun with this size and seed; its engine.

    Parameters
    ----------
    told
        Is told after each step how many patients there are.
    """
    gc.disable()  # each step makes a million objects that go together
    try:
        return _made(url, truth, size, seed, told)
    finally:
        gc.enable()


def _made(url: str, truth: Path, size: Size, seed: int, told: Callable[[int], None]) -> Engine:
    engine = _begun(url)
    known = lots(size, seed)
    kept = Truth(truth)
    kept.tell_lots(known)
    with engine.connect() as connection:
        quick(connection)
        first = int(connection.execute(select(func.count()).select_from(patient)).scalar_one()) // len(SESSIONS)
        begun = connection.execute(select(fhir_resource.c.id).limit(1)).first() is not None
        connection.commit()
        kept.forget_from(patient_id(first * len(SESSIONS)))
        if not begun:
            with connection.begin():
                load(connection, foundation(known), (), WRITTEN)
        for start in range(first, size.groups, _STEP):
            made = [group(number, seed, known) for number in range(start, min(start + _STEP, size.groups))]
            shots = [shot for each in made for shot in each.shots]
            kept.tell((what for each in made for what in each.given), shots)
            with connection.begin():
                load(connection, [one for each in made for one in each.resources], shots, WRITTEN)
            gc.collect()
            told(min(start + _STEP, size.groups) * len(SESSIONS))
        settled(connection)
    kept.close()
    return engine


def _begun(url: str) -> Engine:
    """The database at an address; a new one where there is none."""
    engine = open_engine(url, make=True)
    with engine.connect() as connection:
        there = engine.dialect.has_table(connection, site_state.name)
    if there:
        return engine
    engine.dispose()
    return fresh(url, SITE)
