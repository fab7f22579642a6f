"""Route x verb x account x purpose x consent state x reason: no photo leaks, and none is refused that is permitted."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from tests import counts
from tests.archive import Archive
from tests.matrix.asking import Cell, Judge, Model, number_at
from tests.matrix.clinic import SITES, Clinic
from tests.matrix.doors import DOORS, Level
from tests.matrix.states import STATES
from tests.orthancs import each_orthanc, use
from tests.ports import free_port

pytestmark = pytest.mark.orthanc

SEED = 20_261_125
SMALL, FULL = 1_000, 51_000
SEEN = "matrix: cells whose expectation was moved"
THREADS = 4
PERMITS = 0.40
FEW = (
    *("silent", "permits publishing", "denies treatment", "shows one photo", "hides one photo", "is held"),
    *("is a minor", "has photos on their way", "has photos without a visit", "shown with another who denies"),
)
"""States that every run has, for their reasons."""

REASONS = (
    *("patient-denied", "patient-permitted", "not-covered", "held", "default-deny", "default-permit"),
    *("other-patient", "purpose-not-held", "not-linked", "site-rule", "break-glass", "role-permit"),
)


@pytest.mark.parametrize("orthanc", each_orthanc())
def test_every_cell_of_the_matrix(orthanc: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(orthanc, monkeypatch)
    name = f"matrix of route, verb, account, purpose, consent state and reason: Orthanc {orthanc}"
    started, asked = time.monotonic(), counts.count(name, small=SMALL, full=FULL)
    random = Random(SEED)
    states = list(STATES) if counts.FULL else [*FEW, *random.sample(sorted(STATES.keys() - set(FEW)), 8)]
    with Archive(tmp_path, free_port()) as archive:
        clinic = Clinic(archive, SEED, states, by_lot=30 if counts.FULL else 4)
        rows = _rows(archive)
        failures: list[str] = []
        seen: Counter[str] = Counter()
        total = permits = delayed = 0
        for site, settings in enumerate(SITES):
            clinic.settle(settings)
            model = Model(clinic, site, rows)
            cells = list(model.draw(random, int(asked * 1.06 / len(SITES))))
            random.shuffle(cells)
            for cell in cells:
                seen.update(cell.reasons)
                seen.update((f"state {cell.state}", f"verb {cell.method}", f"asker {cell.asker.name}"))
            total, permits = total + len(cells), permits + sum(cell.permitted for cell in cells)
            faults, late = _all_faults(model, archive.port, cells)
            failures, delayed = failures + faults, delayed + late
    counts.report(name, asked=asked, run=total, failures=len(failures), seed=SEED, started=started)
    missing = sorted({door.route for door in DOORS if not model.offered(door) and door.kind != "closed"})
    took = time.monotonic() - started
    print(f"{orthanc}: {total} cells, {permits} permits, {delayed} late, {took:.0f} s; not offered: {missing}")
    assert not failures, f"{len(failures)} of {total}:\n" + "\n".join(failures[:40])
    assert delayed <= total / 1000 + 1
    assert total >= asked
    assert permits >= PERMITS * total
    assert [reason for reason in REASONS if not seen[reason]] == []


def test_the_matrix_sees_what_it_looks_for(tmp_path: Path) -> None:
    """An answer that holds one photo too many, or one too few, is a fault: with the expectation moved, not the wall."""
    random = Random(SEED)
    with Archive(tmp_path, free_port()) as archive:
        clinic = Clinic(archive, SEED, ("silent", "shows one visit", "hides one photo"), by_lot=0)
        clinic.settle(SITES[0])
        model = Model(clinic, 0, _rows(archive))
        with closing(Judge(model, archive.port, patience=0)) as judge:
            for cell in model.draw(random, counts.count(SEEN, small=150, full=2_000)):
                if cell.method != cell.door.method or cell.door.one_of or cell.door.kind == "system":
                    continue
                if cell.released:
                    # What the answer names is seen to be missing or too many: whole studies where it lists studies.
                    level = min(cell.door.shows, default=cell.door.count_of or Level.PHOTO)
                    one = number_at(clinic.photos[min(cell.released)].planted, level)
                    fewer = frozenset(
                        each for each in cell.released if number_at(clinic.photos[each].planted, level) != one
                    )
                    assert judge.faults(replace(cell, released=fewer, permitted=bool(fewer))), cell
                elif not cell.crossed and cell.door.names != Level.ALL:
                    assert judge.faults(replace(cell, released=frozenset({1}), permitted=True)), cell


def _all_faults(model: Model, port: int, cells: list[Cell]) -> tuple[list[str], int]:
    """What was wrong, and how many answers came too late to be given."""

    def some(part: list[Cell]) -> tuple[list[str], int]:
        with closing(Judge(model, port)) as judge:
            return [f"{cell}: {fault}" for cell in part for fault in judge.faults(cell)], judge.late

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(some, [cells[at::THREADS] for at in range(THREADS)]))
    return [fault for faults, _ in found for fault in faults], sum(late for _, late in found)


def _rows(archive: Archive) -> list[str]:
    """The routes that the wall answers at all, as its canary says; of each it is stated here what it may give."""
    answer = archive.ask(f"/photospine/canary?nonce={secrets.token_hex(16)}").json()
    assert isinstance(answer, dict)
    return list(answer["rows"])
