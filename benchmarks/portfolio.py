"""A portfolio from a record of up to a million photos: pairs found, decided and exported with their pixels.

``python -m benchmarks.portfolio [--photos N] [--folder FOLDER]`` asks a generated clinic (:mod:`benchmarks.generated`)
for the newest pairs that may be shown, and exports them: a ZIP of pictures, PDF and manifest. Finding, decisions and
records are those of the clinic; the pixels come from a real Orthanc behind the wall, which holds the photos of these
pairs, a picture of 12 megapixels each, under the ids that the clinic's record has for them. Other photos of the clinic
are in no Orthanc: what Orthanc takes for one photo does not depend on how many others there are beside it, and that is
measured elsewhere (``python -m benchmarks.qido``).

Before anything is measured it is proved that the wall stands; afterwards, that each picture that left was decided and
recorded.
"""

from __future__ import annotations

import argparse
import io
import shutil
import tempfile
import time
import zipfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random

import requests
from PIL import Image, ImageDraw, ImageFilter
from sqlalchemy import select

from benchmarks.generated.foundation import BASE, SITE
from benchmarks.generated.making import make
from benchmarks.generated.opened import MARKETING, Opened, opened
from benchmarks.generated.size import Size
from benchmarks.timing import Times
from consent.store.engine import open_engine, reading
from consent.store.tables import photo
from consent.store.write import among
from consent.types import Request
from dicom_bridge.publish.exporting import Exporter
from fhir_mapping.question.question import Question
from fhir_mapping.store.reader import RecordReader
from orthanc_plugin.assembly.archive_process import prove
from orthanc_plugin.workspace.found import Coupled
from orthanc_plugin.workspace.pictures import Originals
from orthanc_plugin.workspace.portfolio_book import described
from orthanc_plugin.workspace.stored_pairs import StoredPairs
from tests.archive import Archive
from tests.ports import free_port

SMALL, PHOTOS = 10_000, 100_000
PAIRS = 50
TO_REACH = 30.0
"""Seconds, for all of it."""

_ROUNDS = 5
_KEY = b"b" * 32
_SIZE = (4000, 3000)
_PICTURES = 8
"""Different ones; each photo has one of them."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One clinic's export, in seconds."""

    photos: int
    found: Times
    exported: Times
    whole: Times
    pairs: int
    megabytes: float


def main(arguments: list[str] | None = None) -> int:
    """Measure, and print Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.portfolio", description="An export at scale.")
    parser.add_argument("--photos", type=int, default=PHOTOS, help="of the larger clinic; 1000000 takes half an hour")
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    parser.add_argument("--folder", type=Path, help="where generated clinics are kept and found again")
    options = parser.parse_args(arguments)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="photospine-bench-"))
    folder.mkdir(exist_ok=True)
    pictures = [picture(seed) for seed in range(_PICTURES)]
    try:
        measured = [
            _measure(folder, Size(photos), pictures, options.rounds)
            for photos in dict.fromkeys((SMALL, options.photos))
        ]
    finally:
        if options.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    _report(measured, sum(map(len, pictures)) / len(pictures))
    return 0 if all(each.pairs == PAIRS for each in measured) else 1


def picture(seed: int) -> bytes:
    """A JPEG of 12 megapixels with as much detail as skin has."""
    random = Random(seed)
    noise = Image.frombytes("L", (1000, 750), random.randbytes(750_000)).resize(_SIZE, Image.Resampling.BICUBIC)
    made = Image.merge("RGB", [noise.point(lambda value, at=at: at + value // 6) for at in (190, 150, 130)])
    draw = ImageDraw.Draw(made)
    draw.ellipse([1200, 300, 2800, 2700], fill=(224, 184, 160))
    out = io.BytesIO()
    Image.blend(made, made.filter(ImageFilter.GaussianBlur(3)), 0.3).save(out, "JPEG", quality=92)
    return out.getvalue()


def _measure(folder: Path, size: Size, pictures: list[bytes], rounds: int) -> Measured:
    database = f"sqlite:///{folder}/clinic-{size.photos}.sqlite3"
    make(database, folder / f"truth-{size.photos}.sqlite3", size).dispose()
    with ExitStack() as stack:
        clinic = stack.enter_context(opened(open_engine(database)))
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="photospine-bench-")))
        archive = stack.enter_context(Archive(scratch / "archive", free_port()))
        prove(f"http://127.0.0.1:{archive.port}", archive.settings)
        record = StoredPairs(clinic.engine, clinic.node.decisions, RecordReader(SITE, base=BASE))
        _fill(archive, clinic, _found(record), pictures)
        session = stack.enter_context(requests.Session())
        session.trust_env = False
        originals = Originals(archive.settings.orthanc, archive.mint, session, most_bytes=64 * 1024 * 1024)
        return _rounds(clinic, archive, record, originals, size.photos, rounds)


def _found(record: StoredPairs) -> tuple[Coupled, ...]:
    return record.pairs(Request(MARKETING, "PORTFOLIO"), "bench", Question(), PAIRS).pairs


def _fill(archive: Archive, clinic: Opened, pairs: tuple[Coupled, ...], pictures: list[bytes]) -> None:
    """Have Orthanc hold the photos of the pairs, under the ids that the clinic's record has for them."""
    numbers = {each.number for pair in pairs for each in (pair.before, pair.after)}
    with reading(clinic.engine) as connection:
        rows = connection.execute(select(photo).where(among(connection, photo.c.photo, numbers))).all()
    for patient in sorted({row.patient for row in rows}):
        archive.patient(patient)
    for place, row in enumerate(rows):
        body = pictures[place % len(pictures)]
        made = archive.photo_of(row.patient, row.study_uid, row.series_uid, row.sop_uid, body, _SIZE)
        assert made.orthanc_id == row.orthanc_id


def _rounds(
    clinic: Opened, archive: Archive, record: StoredPairs, originals: Originals, photos: int, rounds: int
) -> Measured:
    """Find and export, again and again.

    What was exported is written down in the archive's own database: the clinic's is only read.
    """
    request = Request(MARKETING, "PORTFOLIO")
    exporter = Exporter(archive.engine, clinic.node.decisions, originals.picture, _KEY, door="serve")
    found, exported, pairs, size = [], [], 0, 0
    for _ in range(rounds):
        started, before = time.perf_counter(), _records(clinic)
        chosen = described(record, _found(record))
        found.append(time.perf_counter() - started)
        made = exporter.export(request, chosen, "Portfolio", question="", saved="bench")
        exported.append(time.perf_counter() - started - found[-1])
        pairs, size = len(made.entries), len(made.body)
        # What was found, each picture's decision, the export before and after it was written down, and itself.
        assert _records(clinic) - before == 1 + 2 * pairs + 2 + 1, "records = answers"
        assert len(zipfile.ZipFile(io.BytesIO(made.body)).namelist()) == 2 * pairs + 3
    whole = Times.of([one + other for one, other in zip(found, exported, strict=True)])
    return Measured(photos, Times.of(found), Times.of(exported), whole, pairs, size / 1e6)


def _records(clinic: Opened) -> int:
    return sum(sum(1 for _ in clinic.archive.rows(chain)) for chain in clinic.archive.chains())


def _report(measured: list[Measured], bytes_each: float) -> None:
    print("## A portfolio, exported\n")
    print(
        f"The newest {PAIRS} pairs of before and after that PORTFOLIO may show: found, each photo decided and "
        f"recorded, its pixels taken from a real Orthanc behind the wall ({_SIZE[0]} x {_SIZE[1]} pixels, "
        f"{bytes_each / 1e6:.1f} MB each), drawn anew without metadata, and packed with PDF and "
        "manifest. Orthanc holds the photos of these pairs alone. Seconds, the median of each part.\n"
    )
    print("| photos on record | pairs | found | decided and exported | all | slowest | ZIP, MB |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for each in measured:
        parts = (each.found, each.exported, each.whole)
        told = " | ".join(f"{part.median:.2f}" for part in parts)
        print(f"| {each.photos:,} | {each.pairs} | {told} | {each.whole.slowest:.2f} | {each.megabytes:.1f} |")
    last = measured[-1]
    print(
        f"\n**{last.whole.slowest:.1f} s for the slowest over {last.photos:,} photos** "
        f"(to reach: under {TO_REACH:.0f})."
    )


if __name__ == "__main__":
    raise SystemExit(main())
