"""A lot is recalled: who was given it, in a record of up to a million photos, and every other question beside it.

``python -m benchmarks.batch [--photos N]`` generates a clinic of 10,000 photos and one of N
(:mod:`benchmarks.generated`) and asks both: an advisory by lot, for lots drawn at random, held against the truth that
the generator kept to itself; questions by facets (:mod:`benchmarks.facets`); each search parameter of each served type
by itself (:mod:`benchmarks.parameters`). Where PHOTOSPINE_BENCH_SEKMET names the command of another FHIR server, the
same question is asked of it, at a size that it holds (:mod:`benchmarks.peer`). Before anything is measured,
sets and single decisions must agree on photos drawn at random.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import Engine, event, func, select

from benchmarks import facets, parameters, peer
from benchmarks.generated.making import make
from benchmarks.generated.opened import CLINICIAN, MARKETING, SAFETY, Opened, opened
from benchmarks.generated.size import Size
from benchmarks.generated.truth import Concerned, Truth
from benchmarks.timing import Times, Told, milliseconds
from consent.decision import decide
from consent.store.engine import open_engine, reading
from consent.store.load import Loader
from consent.store.tables import photo
from consent.types import Obligation, Request
from fhir_mapping.advisory.batch import Advisory, Fit

SMALL = 10_000
PHOTOS = 100_000
_LOTS = 60
_COLD = 15
_CHECKED = 2000
_ROUNDS = 3
_TO_REACH = 500.0
"""Milliseconds at the 95th percentile."""

_GROWTH = 2.0
_DROP = "import os,sys\nfor name in sys.argv[1:]:\n    f=os.open(name,os.O_RDONLY)\n    os.posix_fadvise(f,0,0,4)\n"


@dataclass(slots=True)
class Judged:
    """What was found, held against the truth."""

    found: int = 0
    true: int = 0
    both: int = 0

    def add(self, found: frozenset[str], true: frozenset[str]) -> None:
        """One more answer."""
        self.found += len(found)
        self.true += len(true)
        self.both += len(found & true)

    @property
    def recall(self) -> float:
        """The share of what is true that was found."""
        return self.both / self.true if self.true else 1.0

    @property
    def precision(self) -> float:
        """The share of what was found that is true."""
        return self.both / self.found if self.found else 1.0


@dataclass(slots=True)
class Asked:
    """The advisories of one clinic."""

    photos: int
    cold: list[float] = field(default_factory=list)
    warm: list[float] = field(default_factory=list)
    statements: int = 0
    patients: int = 0
    """In one answer, at most."""

    found: int = 0
    """In all of them."""

    shown: int = 0
    judged: dict[str, Judged] = field(default_factory=dict)

    @property
    def usual(self) -> float:
        """Patients found by a question, on an average."""
        return self.found / (len(self.warm) / _ROUNDS)


def main(arguments: list[str] | None = None) -> int:
    """Measure, and print Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch", description="Batch advisories at scale.")
    parser.add_argument("--photos", type=int, default=PHOTOS, help="of the larger clinic; 1000000 takes half an hour")
    parser.add_argument("--lots", type=int, default=_LOTS)
    parser.add_argument("--folder", type=Path, help="where generated clinics are kept and found again")
    options = parser.parse_args(arguments)
    kept: Path | None = options.folder
    folder = kept or Path(tempfile.mkdtemp(prefix="photospine-bench-"))
    folder.mkdir(exist_ok=True)
    try:
        return _measure(folder, [Size(SMALL), Size(options.photos)], options.lots)
    finally:
        if kept is None:
            shutil.rmtree(folder, ignore_errors=True)


def _measure(folder: Path, sizes: list[Size], lots: int) -> int:
    asked: list[Asked] = []
    told: dict[str, list[Told]] = {"facets": [], "parameters": []}
    agree = True
    for size in sizes:
        database, truth = folder / f"clinic-{size.photos}.sqlite3", folder / f"truth-{size.photos}.sqlite3"
        make(f"sqlite:///{database}", truth, size).dispose()
        kept = Truth(truth)
        with opened(open_engine(f"sqlite:///{database}")) as clinic:
            agree = agree and _agrees(clinic)
            asked.append(_advisories(clinic, kept, database, lots, size.photos))
            told["facets"].append(facets.measured(clinic))
            told["parameters"].append(parameters.measured(clinic))
        if size == sizes[-1]:
            _head(size, kept)
        kept.close()
    _report(asked, agree)
    for each, to_reach in ((told["facets"], facets.TO_REACH), (told["parameters"], parameters.TO_REACH)):
        print(each[-1].text)
        print(
            f"\n**{each[-1].slowest:.0f} ms for the slowest, {each[0].slowest:.0f} at {SMALL:,} photos** "
            f"(to reach: under {to_reach:.0f})."
        )
    print(peer.measured(os.environ.get("PHOTOSPINE_BENCH_SEKMET", "")))
    right = all(each.recall == each.precision == 1.0 for one in asked for each in one.judged.values())
    return 0 if agree and right else 1


def _advisories(clinic: Opened, truth: Truth, database: Path, count: int, photos: int) -> Asked:
    known = truth.lots()
    drawn = Random(5).sample(known, min(count, len(known)))
    made = Asked(photos)
    for _, lot in drawn[:_COLD]:
        _forget(clinic, database)
        made.cold.append(milliseconds(partial(clinic.advisory, lot)))
    for number, lot in drawn:
        counted = [0]
        with _counting(clinic.engine, counted):
            found = clinic.advisory(lot)
        made.statements = max(made.statements, counted[0])
        made.patients = max(made.patients, len(found.patients))
        made.found += len(found.patients)
        made.shown = max(made.shown, sum(len(each.photos) for each in found.patients))
        _judge(made.judged, found, truth.of(number))
    for _ in range(_ROUNDS):
        for _, lot in drawn:
            made.warm.append(milliseconds(partial(clinic.advisory, lot)))
    return made


def _judge(judged: dict[str, Judged], found: Advisory, true: Concerned) -> None:
    treatments = [each for patient in found.patients for each in patient.treatments]
    exact = {each.reference for each in treatments if each.fit is Fit.EXACT}
    near = {each.reference for each in treatments if each.fit is not Fit.EXACT}
    documents = {photo.document.partition("/")[2] for patient in found.patients for photo in patient.photos}
    for what, here, there in (
        ("patients", {each.id for each in found.patients}, true.patients),
        ("treatments, the lot as printed: exact", exact, true.exact),
        ("treatments, the lot with a slip: near", near, true.near),
        ("photos that may show it", documents, true.documents),
    ):
        judged.setdefault(what, Judged()).add(frozenset(here), frozenset(there))


def _forget(clinic: Opened, database: Path) -> None:
    """Have neither this process nor the operating system hold a page of the database."""
    clinic.engine.dispose()
    # In a process of its own: closing a file drops the locks that SQLite holds on it.
    names = [str(each) for each in database.parent.glob(f"{database.name}*")]
    subprocess.run([sys.executable, "-c", _DROP, *names], check=True)


@contextmanager
def _counting(engine: Engine, counted: list[int]) -> Iterator[None]:
    def count(*_: Any) -> None:
        counted[0] += 1

    event.listen(engine, "before_cursor_execute", count)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", count)


def _agrees(clinic: Opened) -> bool:
    """Whether sets permit of some photos, drawn at random, those that are permitted one by one."""
    with reading(clinic.engine) as connection:
        last = connection.execute(select(func.max(photo.c.photo))).scalar_one()
        drawn = sorted(Random(3).sample(range(1, last + 1), min(_CHECKED, last)))
        for requester in (CLINICIAN, MARKETING, SAFETY):
            request = Request(requester, requester.purposes[0])
            may = clinic.node.decisions.permitted(connection, request, fulfils=frozenset(Obligation))
            query = select(photo.c.photo).where(photo.c.photo.in_(drawn), may.clause(photo.c.photo))
            by_set = set(connection.execute(query).scalars())
            loader = Loader(connection, requester)
            singly = {each.number for each in loader.photos(drawn) if decide(request, each.facts, may.now).permitted}
            if by_set != singly:
                return False
    return True


def _head(size: Size, truth: Truth) -> None:
    photos, patients, treatments = truth.counts()
    print(f"## A lot is recalled, {photos:,} photos\n")
    print(
        f"{patients:,} patients, {treatments:,} treatments, generated from a seed; SQLite, every answer settled, each "
        "question recorded on the disk; one after the other. How the record leads from a treatment to its lot:\n"
    )
    print("| shape | treatments |\n|---|---:|")
    for shape, count in sorted(truth.shapes().items()):
        print(f"| {shape} | {count / treatments:.1%} |")


def _report(asked: list[Asked], agree: bool) -> None:
    print("\n| advisory by lot | " + " | ".join(f"{each.photos:,} photos" for each in asked) + " |")
    print("|---|" + "---:|" * len(asked))
    for name, values in (
        ("lots asked for", [f"{len(each.warm) // _ROUNDS}" for each in asked]),
        ("patients found, at most", [f"{each.patients:,}" for each in asked]),
        ("photos shown, at most", [f"{each.shown:,}" for each in asked]),
        ("statements, at most", [f"{each.statements}" for each in asked]),
        ("median, ms", [f"{Times.of(each.warm).median:.0f}" for each in asked]),
        ("95th percentile, ms", [f"{Times.of(each.warm).p95:.0f}" for each in asked]),
        ("median for a patient found, ms", [f"{Times.of(each.warm).median / each.usual:.2f}" for each in asked]),
        ("slowest of those whose pages nobody held, ms", [f"{Times.of(each.cold).slowest:.0f}" for each in asked]),
    ):
        print(f"| {name} | " + " | ".join(values) + " |")
    print("\n| held against the truth | recall | precision |\n|---|---:|---:|")
    for what in asked[-1].judged:
        both = [each.judged[what] for each in asked]
        recall, precision = min(each.recall for each in both), min(each.precision for each in both)
        print(f"| {what} | {recall:.3f} | {precision:.3f} |")
    small, large = (Times.of(each.warm).p95 for each in asked)
    print(f"\nSets and single decisions {'agree' if agree else '**do not agree**'} on photos drawn at random.")
    print(f"\n**{large:.0f} ms at the 95th percentile** (to reach: under {_TO_REACH:.0f}).")
    print(
        f"\n**{large / small:.2f} times as long at {asked[-1].photos:,} photos as at {asked[0].photos:,}** "
        f"(to reach: at most {_GROWTH:.0f})."
    )


if __name__ == "__main__":
    raise SystemExit(main())
