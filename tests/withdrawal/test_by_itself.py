"""What ends without anybody's Consent: a period, a merge, an error, another patient; on both nodes, with the next
decision."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection

from consent.directive import Span
from consent.store.clock import micros
from consent.store.engine import transaction
from consent.store.people import merge, save_directive
from tests.archive import TAKEN
from tests.store.world import consent
from tests.withdrawal.doors import refused, shown
from tests.withdrawal.nodes import PATIENT, READERS, Two
from tests.withdrawal.streams import SLOW_SECONDS, Page, Stream

pytestmark = [pytest.mark.orthanc, pytest.mark.postgres]

SECOND = 1_000_000
LASTS = timedelta(seconds=3)


def _write(both: Two, *changes: Callable[[Connection], object]) -> None:
    with transaction(both.engine) as connection:
        for change in changes:
            change(connection)


def test_a_period_ends_and_nobody_writes(both: Two) -> None:
    """Pages that are open and a stream that is on its way end with it, to the moment."""
    end = datetime.now(UTC) + LASTS
    _write(both, lambda c: save_directive(c, consent("until", "permit", "TREAT", periods=(Span(None, end),))))
    key = str(both.photos[0].facts.document).rpartition("/")[2]
    stream = Stream("slow", READERS[0], b"\0DICM")
    asked = threading.Event()

    def ask() -> None:
        while not asked.is_set():
            for node in both.nodes:
                node.archive.ask(f"{both.photos[0].rest}/file", READERS[3])

    with Page(both.first, (f"/chart/photo/{key}?width=320",)), Page(both.second, (f"/chart/patient/{PATIENT}",)):
        asking = threading.Thread(target=ask)
        asking.start()
        time.sleep(max(0.0, (end - datetime.now(UTC)).total_seconds() - 0.4))
        stream.start(both.first.wall, f"/dicom-web/studies/{both.photos[0].study}", pause=SLOW_SECONDS)
        time.sleep(max(0.0, (end - datetime.now(UTC)).total_seconds() + 0.6))
        asked.set()
        asking.join()
        stream.finish()
    records = both.records(micros(end) - SECOND)
    permits = [each for each in records if each.get("effect") == "permit" or each.get("released")]
    late = [(each["at"] - micros(end)) / SECOND for each in permits if each["at"] > micros(end)]
    assert max(late, default=0.0) < 1.0, "decided before, recorded a moment later"
    assert len({each["chain"] for each in permits}) >= 3, "both walls and serve were asked up to the end"
    refused(both)
    _write(both, lambda c: save_directive(c, consent("until", "permit", "TREAT", version=2, status="inactive")))
    shown(both)


def test_a_merge_brings_the_other_record_s_denial(both: Two) -> None:
    shown(both)
    _write(
        both,
        lambda c: save_directive(c, consent("hers", "deny", "TREAT", "zoe")),
        lambda c: merge(c, "zoe", PATIENT),
    )
    refused(both)
    _write(both, lambda c: merge(c, "zoe", None))
    shown(both)


def test_what_was_entered_in_error_is_replaced_by_nothing(both: Two) -> None:
    """The later Consent silenced a denial; entered in error, it never did."""
    later = replace(
        consent("later", "permit", "TREAT", replaces=("earlier",)),
        signed=Span(TAKEN + timedelta(days=9), TAKEN + timedelta(days=9, seconds=1)),
    )
    _write(
        both,
        lambda c: save_directive(c, consent("earlier", "deny", "TREAT")),
        lambda c: save_directive(c, later),
    )
    shown(both)
    _write(both, lambda c: save_directive(c, replace(later, version=2, status="entered-in-error")))
    refused(both)
    _write(
        both,
        lambda c: save_directive(c, consent("earlier", "deny", "TREAT", version=2, status="inactive")),
    )
    shown(both)


def test_another_patient_is_found_to_be_shown(both: Two) -> None:
    """Re-linked to somebody who denies; then back."""
    _write(both, lambda c: save_directive(c, consent("zoes", "deny", "TREAT", "zoe")))
    hers = [replace(each, facts=replace(each.facts, patients=("zoe",))) for each in both.photos]
    _write(both, *(lambda c, each=each: _link(c, both, each) for each in hers))
    refused(both)
    _write(both, *(lambda c, each=each: _link(c, both, each) for each in both.photos))
    shown(both)


def _link(connection: Connection, both: Two, photo: object) -> None:
    both.first.archive.know(connection, photo)  # type: ignore[arg-type]
