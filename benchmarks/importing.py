"""Importing a folder of photos, beside Orthanc's raw acceptance of the same objects, and beside dcmtk's tools.

``photospine import`` reads a folder; the objects that it made are then stored by POST to an Orthanc without a wall,
with as many requests in flight as the import had batches, and by one alone; and the same files become objects by
``img2dcm``, sent by one ``storescu`` association. All are alive in one run and take turns.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import HTTPConnection
from pathlib import Path

from PIL import Image

from benchmarks.bare import bare
from consent.store.engine import glancing
from dicom_bridge import ledger
from dicom_bridge.legacy.patterns import pattern
from dicom_bridge.legacy.survey import Wishes
from dicom_bridge.pipeline import Outcome
from dicom_bridge.plan import Plan
from orthanc_plugin.assembly import legacy
from orthanc_plugin.assembly.intake import open_archive
from orthanc_plugin.assembly.open import Node
from tests.archive import Archive
from tests.photos import Shot, jpeg
from tests.pipeline.world import World

LANES = 4
ROUNDS = 4
EACH_VISIT = 25
_BARE, _WALLED, _DICOM = 20481, 20482, 20483
_RATIO, _TOOLS = 0.8, 2.0
_VIEWS = ("frontal", "left-lateral", "right-lateral", "left-oblique", "right-oblique")


def main(arguments: list[str] | None = None) -> int:
    """Measure, and print Markdown; 1 where a peer is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=400, help="of all rounds; 10,000 is the full count")
    parser.add_argument("--megapixels", type=float, default=12)
    options = parser.parse_args(arguments)
    if shutil.which("img2dcm") is None or shutil.which("storescu") is None:
        print("img2dcm and storescu (dcmtk) are missing", file=sys.stderr)
        return 1
    folder = Path(tempfile.mkdtemp(prefix="photospine-bench-"))
    try:
        return _measure(folder, options.files // ROUNDS, options.megapixels)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(folder: Path, many: int, megapixels: float) -> int:
    pictures = [_picture(seed, megapixels) for seed in range(4)]
    ours: list[float] = []
    raw: dict[int, list[float]] = {1: [], LANES: []}
    tools: list[float] = []
    more = {"DicomServerEnabled": True, "DicomPort": _DICOM, "DicomAet": "BARE", "DicomAlwaysAllowStore": True}
    with Archive(folder / "walled", _WALLED) as archive, bare(folder / "bare", _BARE, more):
        world = World(archive)
        with world.node("import") as node:
            for round_ in range(ROUNDS):
                place = folder / f"round-{round_}"
                _fill(place, pictures, round_, many)
                seconds, objects = _import(node, place)
                assert len(objects) == many
                ours.append(many / seconds)
                order = [1, LANES] if round_ % 2 else [LANES, 1]
                for flight in order:
                    raw[flight].append(many / _timed(partial(_post, objects, flight)))
                    _empty()
                tools.append(_dcmtk(place, min(many, 40)))
                shutil.rmtree(place)
    size = statistics.mean(len(each) for each in pictures) / 1e6
    ratio = statistics.median(ours) / max(statistics.median(each) for each in raw.values())
    beside = statistics.median(ours) / statistics.median(tools)
    print("## Importing a folder\n")
    print(
        f"{many * ROUNDS} JPEGs of {megapixels:g} megapixels, {size:.1f} MB, {EACH_VISIT} of a visit in "
        f"{len(_VIEWS)} views; looked at, wrapped, stored with their originals, in the record; {ROUNDS} rounds.\n"
    )
    print("| photos a second | median |\n|---|---|")
    print(f"| `photospine import` | {statistics.median(ours):.1f} |")
    for flight, rates in raw.items():
        print(f"| the same objects by POST to a bare Orthanc, {flight} in flight | {statistics.median(rates):.1f} |")
    print(f"| `img2dcm` for each, one `storescu` association | {statistics.median(tools):.1f} |\n")
    print(
        f"Ratio to raw acceptance {ratio:.2f} ({'' if ratio >= _RATIO else 'not '}at least {_RATIO}); beside dcmtk's "
        f"tools {beside:.1f} times ({'' if beside >= _TOOLS else 'not '}at least {_TOOLS:g})."
    )
    return 0


def _picture(seed: int, megapixels: float) -> bytes:
    height = int((megapixels * 1e6 * 3 / 4) ** 0.5)
    return _noisy(seed, height * 4 // 3, height)


def _noisy(seed: int, width: int, height: int) -> bytes:
    """A photo of ordinary size: smooth, with some grain."""
    small = Image.frombytes("L", (width // 8, height // 8), random.Random(seed).randbytes((width // 8) * (height // 8)))
    grain = small.resize((width, height), Image.Resampling.BICUBIC)
    exif = Image.open(io.BytesIO(jpeg(Shot(seed=seed)))).info["exif"]
    stream = io.BytesIO()
    Image.merge("RGB", (grain, grain.rotate(180), grain)).save(stream, "JPEG", quality=82, exif=exif)
    return stream.getvalue()


def _fill(place: Path, pictures: Sequence[bytes], round_: int, many: int) -> None:
    """A folder of files, no two of them alike: a comment (T.81 B.2.4.5) in front of the picture tells them apart."""
    for number in range(many):
        patient, visit = ("anna", "ben")[number // EACH_VISIT % 2], number // EACH_VISIT
        name = f"{_VIEWS[number % len(_VIEWS)]} {number}.jpg"
        day = f"{2000 + round_}-{visit // 28 % 12 + 1:02}-{visit % 28 + 1:02}"
        path = place / f"PID-{patient}" / day / "face" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        comment = f"{round_} {number}".encode()
        data = pictures[number % len(pictures)]
        path.write_bytes(data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + data[2:])
    os.sync()


def _import(node: Node, place: Path) -> tuple[float, list[bytes]]:
    """Seconds that the import of a folder takes, and the objects that it made."""
    wishes = Wishes((pattern("{patient}/{date:%Y-%m-%d}/{region}/{view} {}.jpg"),))
    base = Plan("clinician", "bench", "", "", "", "", "")
    told = legacy.Told()
    started = time.perf_counter()
    found = legacy.survey(node, legacy.files_below(node, [place]), wishes, LANES, told)
    done = legacy.carry_out(node, found, base, LANES, told)
    seconds = time.perf_counter() - started
    assert all(each.outcome is Outcome.ADDED for each in done), [each.candidate.why for each in done][:3]
    objects = []
    with open_archive(node) as archive, glancing(node.engine) as connection:
        for each in done:
            entry = ledger.entry(connection, each.photo)
            assert entry is not None
            file = archive.file("bench", entry.orthanc_id)
            assert file is not None
            objects.append(file)
    return seconds, objects


def _post(objects: Sequence[bytes], flight: int) -> None:
    """Store objects by POST /instances, on connections that are kept."""

    def some(first: int) -> None:
        connection = HTTPConnection("127.0.0.1", _BARE, timeout=60)
        for each in objects[first::flight]:
            connection.request("POST", "/instances", body=each, headers={"Content-Type": "application/dicom"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
        connection.close()

    with ThreadPoolExecutor(flight) as pool:
        list(pool.map(some, range(flight)))


def _empty() -> None:
    """The bare Orthanc forgets everything, so that the next store is one."""
    connection = HTTPConnection("127.0.0.1", _BARE, timeout=600)
    connection.request("GET", "/patients")
    for each in json.loads(connection.getresponse().read()):
        connection.request("DELETE", f"/patients/{each}")
        connection.getresponse().read()
    connection.close()


def _dcmtk(place: Path, many: int) -> float:
    """Files a second: ``img2dcm`` for each, then one association."""
    files = sorted(place.rglob("*.jpg"))[:many]
    out = place / "objects"
    out.mkdir()

    def work() -> None:
        for number, file in enumerate(files):
            keys = [word for key in ("PatientID=P", "Modality=XC", "PatientName=N") for word in ("-k", key)]
            subprocess.run(["img2dcm", "-vlp", str(file), str(out / f"{number}.dcm"), *keys], check=True)
        subprocess.run(["storescu", "-xy", "-aec", "BARE", "127.0.0.1", str(_DICOM), "+sd", str(out)], check=True)

    return many / _timed(work)


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    raise SystemExit(main())
