"""Small JSON and rendered photos through the wall, against the same Orthanc without it: both alive, taking turns.

Eight connections ask as 20 accounts. What Orthanc renders is decoded and encoded anew for each request, on both sides.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from http.client import HTTPConnection
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.bare import bare
from benchmarks.sides import recorded, share
from consent.store.engine import transaction
from dicom_bridge.query.orthanc_ids import orthanc_ids
from orthanc_plugin.assembly.archive_process import prove
from tests.archive import Archive, Photo, basic

_PORTS = {"bare": 20575, "walled": 20576}
_WIDTH, _HEIGHT = 4000, 3000
_JSON, _RENDERED = 0.5, 0.95
_KINDS = {
    "an instance's simplified tags": "/instances/{instance}/simplified-tags",
    "an instance": "/instances/{instance}",
    "a series": "/series/{series}",
    "an instance's metadata, DICOMweb": "{wado}/metadata",
    "a rendered frame, 12 megapixels": "{wado}/frames/1/rendered",
}
_ACCEPT = {"metadata": "application/dicom+json", "rendered": "image/jpeg"}


def main(arguments: list[str] | None = None) -> int:
    """Measure, and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--accounts", type=int, default=20)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--requests", type=int, default=100, help="for each connection, side and round; rendered: 1")
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="photospine-bench-"))
    try:
        return _measure(folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(folder: Path, options: argparse.Namespace) -> int:
    archive = Archive(folder / "walled", _PORTS["walled"])
    names = [f"user{number}" for number in range(options.accounts)]
    for name in names:
        archive.account(name, "TREAT")
    photos = _load(archive, folder, options.photos)
    archive.engine.dispose()
    plugin = archive.process.configuration()["Plugins"][1]
    dicom_web = {"Plugins": [plugin], "DicomWeb": {"Enable": True, "Root": "/dicom-web/"}}
    with bare(folder / "bare", _PORTS["bare"], dicom_web), archive:
        standing = prove(archive.process.url, archive.settings)
        for name in names:  # everybody has signed in once, as at work
            assert archive.ask(f"{photos[0].rest}/simplified-tags", name).status == 200
        rates, answers = _race(photos, names, options)
    records = recorded(archive, _counts)
    expected = answers + len(names)
    _report(rates, options, len(standing.rows), records, expected)
    return 0 if records == expected else 1


def _load(archive: Archive, folder: Path, count: int) -> list[Photo]:
    """Photos in an Orthanc without a wall; a copy of its storage, by hard links, is the other's."""
    pixels = _picture()
    photos = []
    with bare(folder / "bare", _PORTS["bare"]):
        wire = HTTPConnection("127.0.0.1", _PORTS["bare"], timeout=60)
        for number in range(count):
            size = {"Rows": _HEIGHT, "Columns": _WIDTH}
            made = archive.describe(f"p{number % 20:03d}", 100_000 + number, pixels=pixels, name="Family^Given", **size)
            wire.request("POST", "/instances", body=made.dicom)
            answer = json.loads(wire.getresponse().read())
            assert answer["Status"] == "Success", answer
            photos.append(replace(made, dicom=b"", pixels=b""))
        wire.close()
    share(folder / "bare" / "storage", folder / "walled" / "orthanc" / "storage")
    with transaction(archive.engine) as connection:
        return [archive.know(connection, photo) for photo in photos]


def _picture() -> bytes:
    """A JPEG of 12 megapixels and about 4 MB."""
    noise = Image.frombytes("RGB", (_WIDTH // 4, _HEIGHT // 4), random.Random(1).randbytes(_WIDTH * _HEIGHT * 3 // 16))
    out = io.BytesIO()
    noise.resize((_WIDTH, _HEIGHT), Image.Resampling.BICUBIC).save(out, "JPEG", quality=88)
    return out.getvalue()


def _race(
    photos: list[Photo], names: list[str], options: argparse.Namespace
) -> tuple[dict[str, dict[str, list[float]]], int]:
    """Answers a second of each kind and side, for every turn; and how many answers the walled side gave."""
    context = multiprocessing.get_context("fork")
    pipes: list[Connection] = []
    workers = []
    for number in range(options.connections):
        mine, theirs = context.Pipe()
        worker = context.Process(target=_client, args=(theirs, photos, names, number), daemon=True)
        worker.start()
        pipes.append(mine)
        workers.append(worker)
    rates: dict[str, dict[str, list[float]]] = {kind: {side: [] for side in _PORTS} for kind in _KINDS}
    answers = 0
    for number in range(options.rounds):
        for kind in _KINDS:
            count = 1 if "rendered" in kind else options.requests
            for side in list(_PORTS) if number % 2 else list(_PORTS)[::-1]:
                started = time.perf_counter()
                for pipe in pipes:
                    pipe.send((side, kind, count))
                done = sum(pipe.recv() for pipe in pipes)
                rates[kind][side].append(done / (time.perf_counter() - started))
                answers += done if side == "walled" else 0
    for pipe in pipes:
        pipe.send(None)
    for worker in workers:
        worker.join(10)
    return rates, answers


def _client(pipe: Connection, photos: list[Photo], names: list[str], seed: int) -> None:
    """One connection for each turn: Orthanc closes those on which nothing is asked for a second."""
    chance = random.Random(seed)
    while (order := pipe.recv()) is not None:
        side, kind, count = order
        wire = HTTPConnection("127.0.0.1", _PORTS[side], timeout=60)
        for _ in range(count):
            photo = chance.choice(photos)
            series = orthanc_ids(f"PID-{photo.facts.patients[0]}", photo.study, photo.series, photo.sop).series
            path = _KINDS[kind].format(instance=photo.orthanc_id, series=series, wado=photo.wado)
            headers = {"Authorization": basic(chance.choice(names))}
            accept = _ACCEPT.get(path.rpartition("/")[2])
            wire.request("GET", path, headers=headers | ({"Accept": accept} if accept else {}))
            answer = wire.getresponse()
            body = answer.read()
            assert answer.status == 200, (side, path, answer.status)
            assert body
        wire.close()
        pipe.send(count)


def _counts(record: Mapping[str, Any]) -> bool:
    """Permitted answers, and sets."""
    return record.get("effect") == "permit" or record.get("kind") == "set"


def _ratio(sides: dict[str, list[float]]) -> float:
    return statistics.median(after / before for before, after in zip(sides["bare"], sides["walled"], strict=True))


def _report(
    rates: dict[str, dict[str, list[float]]], options: argparse.Namespace, rows: int, records: int, expected: int
) -> None:
    print("## Small JSON and rendered photos through the wall\n")
    print(
        f"{options.photos} photos of 12 megapixels, {options.accounts} accounts, {options.connections} connections, "
        f"{options.rounds} turns each; {rows} rows stand.\n"
    )
    print("| asked for | bare Orthanc | behind the wall | ratio | to reach |\n|---|---:|---:|---:|---:|")
    for kind, sides in rates.items():
        bare_rate, walled = (statistics.median(sides[side]) for side in ("bare", "walled"))
        least = _RENDERED if "rendered" in kind else _JSON
        print(f"| {kind} | {bare_rate:.0f}/s | {walled:.0f}/s | × {_ratio(sides):.2f} | × {least:.2f} |")
    print(f"\nRecords {records}, responses {expected}: {'equal' if records == expected else 'NOT EQUAL'}.")


if __name__ == "__main__":
    raise SystemExit(main())
