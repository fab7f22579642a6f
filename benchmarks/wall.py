"""A permitted instance through the wall, against the same Orthanc without it: both alive, taking turns.

Eight connections ask for whole instances of 4 MB in random order, as 200 accounts; every answer is decided and its
record is on the disk before the first byte leaves. The photos share the bytes of one file on the disk, so that the
page cache, which is the same for both sides, does not decide the outcome.

A third side tells what durability alone costs on this disk at this load: the bare Orthanc, whose client first writes
as many bytes as a record has to a file of its own and waits until they are on the disk.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from multiprocessing.connection import Connection
from pathlib import Path

from consent.audit.read import Archive as AuditArchive
from consent.identity import accounts
from consent.store.engine import transaction
from orthanc_plugin.assembly.archive_process import prove
from tests.archive import Archive, Photo, basic

_SIZE = 4_000_000
_BARE, _WALLED = 20490, 20491
_SIDES = ("bare", "walled", "durable")
_PORTS = {"bare": _BARE, "walled": _WALLED, "durable": _BARE}
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
    with bare(folder, _BARE), archive:
        standing = prove(archive.process.url, archive.settings)
        for number, name in enumerate(names):  # everybody has signed in once, as at work
            assert archive.ask(paths[number % len(paths)], name).status == 200
        os.sync()  # what the preparation left to be written is not the race's
        flat, paced = _race(folder, paths, names, options)
    records = _records(archive)
    responses = len(names) + len(flat.times["walled"]) + len(paced.times["walled"])
    _report(flat, paced, options, len(standing.rows), records, responses)
    return 0 if records == responses else 1


def _load(archive: Archive, folder: Path, count: int) -> list[Photo]:
    """Photos in an Orthanc without a wall; a copy of its storage, by hard links, is the other's."""
    pixels = b"\xff\xd8" + random.Random(1).randbytes(_SIZE - 4) + b"\xff\xd9"
    photos: list[Photo] = []
    storage = folder / "bare" / "storage"
    with bare(folder, _BARE):
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
                _share(storage)
    _share(storage)
    target = folder / "walled" / "orthanc" / "storage"
    shutil.copytree(storage, target, copy_function=os.link)
    for index in target.glob("index*"):  # each side writes an index of its own
        index.unlink()
        shutil.copy2(storage / index.name, index)
    with transaction(archive.engine) as connection:
        return [archive.know(connection, photo) for photo in photos]


def _share(storage: Path) -> None:
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


@contextlib.contextmanager
def bare(folder: Path, port: int) -> Iterator[None]:
    """Orthanc without any plugin, otherwise configured alike."""
    home = folder / "bare"
    home.mkdir(exist_ok=True)
    configuration = {
        "StorageDirectory": str(home / "storage"),
        "IndexDirectory": str(home / "storage"),
        "HttpPort": port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomServerEnabled": False,
        "WebDavEnabled": False,
        "HttpCompressionEnabled": False,
        "KeepAlive": True,
        "TcpNoDelay": True,
        "HttpThreadsCount": 50,
        "Plugins": [],
    }
    (home / "orthanc.json").write_text(json.dumps(configuration))
    with (home / "log").open("ab") as log:
        process = subprocess.Popen(
            ["Orthanc", str(home / "orthanc.json")], stdout=log, stderr=log, start_new_session=True
        )
    try:
        until = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert time.monotonic() < until, "the bare Orthanc did not start"
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(20)


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
            side = _SIDES[(number + turn) % len(_SIDES)]  # no side always goes first
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


def _records(archive: Archive) -> int:
    """Permitted answers on this route in all chains of the walled node."""
    chains = AuditArchive(archive.engine, archive.settings.audit_folder)
    records = (json.loads(row.body) for chain in chains.chains() for row in chains.rows(chain))
    return sum(each.get("route") == _ROUTE and each.get("effect") == "permit" for each in records)


def _report(
    flat: _Outcome, paced: _Outcome, options: argparse.Namespace, rows: int, records: int, responses: int
) -> None:
    ratios = {
        side: statistics.median(w / b for b, w in zip(flat.rates["bare"], flat.rates[side], strict=True))
        for side in _SIDES
    }
    half = statistics.median(paced.rates["bare"])
    print("## A permitted instance through the wall\n")
    print(
        f"{options.photos} photos of 4 MB in random order, {options.accounts} accounts, {options.connections} "
        f"connections, {len(flat.times['walled'])} requests to each side flat out and as many paced at {half:.0f}/s, "
        f"in {options.rounds} turns each; {rows} rows stand.\n"
    )
    print("| | bare Orthanc | behind the wall | difference | target | bare, and a synced write by the client |")
    print("|---|---|---|---|---|---|")
    for way, outcome in (("paced", paced), ("flat out", flat)):
        for name, share, target in (("median", 0.5, "+1 ms"), ("95th percentile", 0.95, "+2 ms")):
            one, two, three = (sorted(outcome.times[side])[int(share * len(outcome.times[side]))] for side in _SIDES)
            print(
                f"| {way}, {name} | {one:.2f} ms | {two:.2f} ms | {two - one:+.2f} ms | {target} "
                f"| {three:.2f} ms, {three - one:+.2f} ms |"
            )
    middle = {side: statistics.median(values) for side, values in flat.rates.items()}
    print(
        f"| throughput | {middle['bare']:.0f}/s | {middle['walled']:.0f}/s | × {ratios['walled']:.2f} | × 0.85 "
        f"| {middle['durable']:.0f}/s, × {ratios['durable']:.2f} |"
    )
    print(f"\nRecords {records}, responses {responses}: {'equal' if records == responses else 'NOT EQUAL'}.")


if __name__ == "__main__":
    raise SystemExit(main())
