"""A permitted instance through the wall, against the same Orthanc without it: both alive, taking turns.

Eight connections ask for whole instances of 4 MB in random order, as 200 accounts; every answer is decided and its
record is on the disk before the first byte leaves. The photos share the bytes of one file on the disk, so that the
page cache, which is the same for both sides, does not decide the outcome.

Two more sides tell what no wall could do without, on this machine at this load: ``durable`` is the bare Orthanc, whose
client first writes as many bytes as a record has to a file of its own and waits until they are on the disk; ``asking``
is an Orthanc whose Python plugin lets every request pass.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import shutil
import socket
import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.bare import bare
from benchmarks.sides import recorded, share
from consent.identity import accounts
from consent.store.engine import transaction
from orthanc_plugin.assembly.archive_process import prove
from tests.archive import Archive, Photo, basic

_SIZE = 4_000_000
_BARE, _WALLED, _ASKING = 20490, 20491, 20492
_SIDES = {
    "bare": "bare Orthanc",
    "walled": "behind the wall",
    "durable": "bare, and a synced write by the client",
    "asking": "bare, and a Python filter that lets everything pass",
}
_PORTS = {"bare": _BARE, "walled": _WALLED, "durable": _BARE, "asking": _ASKING}
_RECORD = b"r" * 900
_ROUTE = "GET /instances/{id}/file"


def main(arguments: list[str] | None = None) -> int:
    """Measure, and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=5000)
    parser.add_argument("--accounts", type=int, default=200)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--requests", type=int, default=60, help="for each connection, side and round")
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="photospine-bench-"))
    try:
        return _measure(folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(folder: Path, options: argparse.Namespace) -> int:
    archive = Archive(folder / "walled", _WALLED)
    names = [f"user{number}" for number in range(options.accounts)]
    with transaction(archive.engine) as connection:
        for name in names:
            accounts.create(connection, name, password=f"{name}-demo", purposes=("TREAT",))
    photos = _load(archive, folder, options.photos)
    paths = [f"{photo.rest}/file" for photo in photos]
    archive.engine.dispose()
    with bare(folder / "bare", _BARE), bare(folder / "asking", _ASKING, _asking(folder, archive)), archive:
        standing = prove(archive.process.url, archive.settings)
        for number, name in enumerate(names):  # everybody has signed in once, as at work
            assert archive.ask(paths[number % len(paths)], name).status == 200
        os.sync()  # what the preparation left to be written is not the race's
        flat, paced = _race(folder, paths, names, options)
    records = recorded(archive, _counts)
    responses = len(names) + len(flat.times["walled"]) + len(paced.times["walled"])
    _report(flat, paced, options, len(standing.rows), records, responses)
    return 0 if records == responses else 1


def _load(archive: Archive, folder: Path, count: int) -> list[Photo]:
    """Photos in an Orthanc without a wall; copies of its storage, by hard links, are the others'."""
    pixels = b"\xff\xd8" + random.Random(1).randbytes(_SIZE - 4) + b"\xff\xd9"
    photos: list[Photo] = []
    storage = folder / "bare" / "storage"
    with bare(folder / "bare", _BARE):
        wire = HTTPConnection("127.0.0.1", _BARE, timeout=60)
        for number in range(count):
            patient, seed = f"p{number % 500:03d}", 100_000 + number
            photo = archive.describe(patient, seed, pixels=pixels, name="Family^Given")
            wire.request("POST", "/instances", body=photo.dicom)
            answer = json.loads(wire.getresponse().read())
            assert answer["Status"] == "Success", answer
            wire.close()
            photos.append(replace(photo, dicom=b"", pixels=b""))
            if number % 100 == 99:
                _fold(storage)
    _fold(storage)
    share(storage, folder / "walled" / "orthanc" / "storage", folder / "asking" / "storage")
    with transaction(archive.engine) as connection:
        return [archive.know(connection, photo) for photo in photos]


def _fold(storage: Path) -> None:
    """Let files of one size be one file."""
    first: dict[int, Path] = {}
    for file in sorted(storage.rglob("*")):
        if not file.is_file() or file.name.startswith("index"):
            continue
        status = file.stat()
        if status.st_size < _SIZE:
            continue
        shared = first.setdefault(status.st_size, file)
        if shared.stat().st_ino != status.st_ino:
            file.unlink()
            os.link(shared, file)


def _asking(folder: Path, archive: Archive) -> dict[str, object]:
    """What makes Orthanc ask Python at each request, and Python say yes."""
    script = folder / "asking.py"
    script.write_text("import orthanc\n\northanc.RegisterIncomingHttpRequestFilter(lambda uri, **request: True)\n")
    return {"Plugins": archive.process.configuration()["Plugins"][:1], "PythonScript": str(script)}


@dataclass(slots=True)
class _Outcome:
    """What one way of asking gave, for each side."""

    times: dict[str, list[float]]
    """Milliseconds of every request."""

    rates: dict[str, list[float]]
    """Answers a second, for every turn."""


def _race(folder: Path, paths: list[str], names: list[str], options: argparse.Namespace) -> tuple[_Outcome, _Outcome]:
    """Flat out first, then paced at half of what the bare Orthanc gave: queues hide what a request itself costs."""
    context = multiprocessing.get_context("fork")
    pipes: list[Connection] = []
    workers = []
    for number in range(options.connections):
        mine, theirs = context.Pipe()
        worker = context.Process(target=_client, args=(theirs, folder, paths, names, number), daemon=True)
        worker.start()
        pipes.append(mine)
        workers.append(worker)
    flat = _turns(pipes, options, 0.0)
    pause = 2 * options.connections / statistics.median(flat.rates["bare"])
    paced = _turns(pipes, options, pause)
    for pipe in pipes:
        pipe.send(None)
    for worker in workers:
        worker.join(10)
    return flat, paced


def _turns(pipes: list[Connection], options: argparse.Namespace, pause: float) -> _Outcome:
    found = _Outcome({side: [] for side in _SIDES}, {side: [] for side in _SIDES})
    for number in range(options.rounds):
        for turn in range(len(_SIDES)):
            side = list(_SIDES)[(number + turn) % len(_SIDES)]  # no side always goes first
            started = time.perf_counter()
            for pipe in pipes:
                pipe.send((side, options.requests, pause))
            times = [each for pipe in pipes for each in pipe.recv()]
            found.times[side] += times
            found.rates[side].append(len(times) / (time.perf_counter() - started))
    return found


def _client(pipe: Connection, folder: Path, paths: list[str], names: list[str], seed: int) -> None:
    """One connection: asks, reads the whole answer, measures; with a pause, once in each such stretch of time."""
    chance = random.Random(seed)
    buffer = bytearray(1 << 20)
    records = os.open(folder / f"records-{seed}", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    while (order := pipe.recv()) is not None:
        side, count, pause = order
        times = []
        with socket.create_connection(("127.0.0.1", _PORTS[side]), timeout=30) as wire:
            for _ in range(count):
                path, name = chance.choice(paths), chance.choice(names)
                request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {basic(name)}\r\n\r\n".encode()
                started = time.perf_counter()
                if side == "durable":
                    os.write(records, _RECORD)
                    os.fdatasync(records)
                wire.sendall(request)
                _read(wire, buffer)
                spent = time.perf_counter() - started
                times.append(spent * 1000)
                time.sleep(max(0.0, chance.uniform(0.5, 1.5) * pause - spent))
        pipe.send(times)
    os.close(records)


def _read(wire: socket.socket, buffer: bytearray) -> None:
    head = b""
    while b"\r\n\r\n" not in head:
        part = wire.recv(4096)
        assert part, "the connection was closed"
        head += part
    head, _, body = head.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    assert length > _SIZE
    left = length - len(body)
    while left:
        got = wire.recv_into(buffer, min(left, len(buffer)))
        assert got, "the connection was closed"
        left -= got


def _counts(record: Mapping[str, Any]) -> bool:
    """Permitted answers on this route."""
    return record.get("route") == _ROUTE and record.get("effect") == "permit"


def _added(outcome: _Outcome, side: str, share: float) -> str:
    """Milliseconds at this share of a side's requests, and what that is more than the bare Orthanc's."""
    spent, bare_spent = (sorted(outcome.times[each])[int(share * len(outcome.times[each]))] for each in (side, "bare"))
    return f"{spent:.2f} ms" if side == "bare" else f"{spent:.2f} ms, {spent - bare_spent:+.2f}"


def _report(
    flat: _Outcome, paced: _Outcome, options: argparse.Namespace, rows: int, records: int, responses: int
) -> None:
    half = statistics.median(paced.rates["bare"])
    print("## A permitted instance through the wall\n")
    print(
        f"{options.photos} photos of 4 MB in random order, {options.accounts} accounts, {options.connections} "
        f"connections, {len(flat.times['walled'])} requests to each side flat out and as many paced at {half:.0f}/s, "
        f"in {options.rounds} turns each; {rows} rows stand.\n"
    )
    print("| | paced, median | paced, 95th percentile | flat out, median | flat out, 95th percentile | throughput |")
    print("|---|---|---|---|---|---|")
    for side, title in _SIDES.items():
        cells = [_added(outcome, side, share) for outcome in (paced, flat) for share in (0.5, 0.95)]
        ratio = statistics.median(w / b for b, w in zip(flat.rates["bare"], flat.rates[side], strict=True))
        print(f"| {title} | {' | '.join(cells)} | {statistics.median(flat.rates[side]):.0f}/s, × {ratio:.2f} |")
    print("| target for the wall | +1 ms | +2 ms | +1 ms | +2 ms | × 0.85 |")
    print(f"\nRecords {records}, responses {responses}: {'equal' if records == responses else 'NOT EQUAL'}.")


if __name__ == "__main__":
    raise SystemExit(main())
