"""C-GET and C-MOVE of 4 MB photos by the gateway, against Orthanc's own DICOM server: both alive, in turns.

Three receivers ask for a whole study: one that takes JPEG Baseline and reads what comes as fast as it can; dcmtk's
``getscu +xy``, which writes files; and dcmtk's ``storescp +xy`` as the destination of a C-MOVE.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import random
import shutil
import socket
import statistics
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection
from pathlib import Path

from PIL import Image
from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode, encode

from benchmarks.bare import bare
from consent.store.engine import transaction
from tests.archive import VL_PHOTOGRAPHIC, Archive, Photo
from tests.gateway.world import gate

_SIZE = 4_000_000
_PIXELS = (4000, 3000)
_BARE, _WALLED, _NATIVE, _RECEIVER = 20493, 20494, 20495, 20496
_JPEG, _IMPLICIT = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2"
_STUDY_GET = "1.2.840.10008.5.1.4.1.2.2.3"
_TITLES = {"get": "C-GET, JPEG Baseline", "getscu": "dcmtk `getscu +xy`", "move": "C-MOVE to dcmtk `storescp +xy`"}
_TARGETS = {"get": 0.65, "getscu": 1.5, "move": 0.65}
_FIRST = 50.0
_SIDES = ("native", "gateway")


@dataclass(slots=True)
class _Outcome:
    """Milliseconds for each photo, of every turn; and until the first photo was there."""

    each: dict[str, list[float]] = field(default_factory=lambda: {side: [] for side in _SIDES})
    first: dict[str, list[float]] = field(default_factory=lambda: {side: [] for side in _SIDES})


def main(arguments: list[str] | None = None) -> int:
    """Measure, and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=20, help="in the study")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="photospine-bench-"))
    try:
        return _measure(folder, options.photos, options.rounds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(folder: Path, count: int, rounds: int) -> int:
    archive = Archive(folder / "walled", _WALLED)
    archive.account("viewer", "TREAT")
    archive.patient("anna")
    native = {
        "DicomServerEnabled": True,
        "DicomPort": _NATIVE,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
        "DicomModalities": {"RECEIVER": ["RECEIVER", "127.0.0.1", _RECEIVER]},
    }
    photos = _load(archive, folder, count)
    study = photos[0].study
    received = folder / "received"
    received.mkdir()
    outcomes = {name: _Outcome() for name in _TITLES}
    with bare(folder / "bare", _BARE, native), archive, gate(archive) as door, _storescp(received):
        door.peer("VIEWER", "viewer")
        door.destination("RECEIVER", "viewer", _RECEIVER)
        ports = {"native": _NATIVE, "gateway": door.port}
        before = 0
        for number in range(rounds + 1):
            for name, ask in (("get", _get), ("getscu", _getscu), ("move", _movescu)):
                for side in _SIDES[:: 1 if number % 2 else -1]:  # neither side always goes first
                    spent, first = ask(ports[side], study, count, received)
                    if number:  # the first round only warms both up
                        outcomes[name].each[side].append(spent / count)
                        if first is not None:
                            outcomes[name].first[side].append(first)
            before = before or door.resident()
        grown = door.resident() - before
        sets = [each for each in door.records() if each["kind"] == "set"]
    released = sum(int(each["released"]) for each in sets)
    expected = len(_TITLES) * (rounds + 1) * count
    _report(outcomes, count, rounds, grown, released, expected)
    return 0 if released == expected else 1


def _picture() -> bytes:
    """A photo of 12 megapixels and 4 MB, as cameras write them."""
    chance = random.Random(1)
    coarse = Image.frombytes("RGB", (500, 375), chance.randbytes(500 * 375 * 3))
    made = coarse.resize(_PIXELS, Image.Resampling.BILINEAR)
    best = b""
    for quality in range(95, 60, -3):
        out = io.BytesIO()
        made.save(out, "JPEG", quality=quality)
        if not best or abs(len(out.getvalue()) - _SIZE) < abs(len(best) - _SIZE):
            best = out.getvalue()
    return best


def _load(archive: Archive, folder: Path, count: int) -> list[Photo]:
    """One study of photos of 4 MB in an Orthanc without a wall; its storage is copied for the other."""
    photos: list[Photo] = []
    pixels = _picture()
    with bare(folder / "bare", _BARE):
        for number in range(count):
            photo = archive.describe(
                "anna", 100_000 + number, pixels=pixels, Rows=_PIXELS[1], Columns=_PIXELS[0], BurnedInAnnotation="NO"
            )
            wire = HTTPConnection("127.0.0.1", _BARE, timeout=60)
            wire.request("POST", "/instances", body=photo.dicom)
            answer = json.loads(wire.getresponse().read())
            wire.close()
            assert answer["Status"] == "Success", answer
            photos.append(replace(photo, dicom=b"", pixels=b""))
    shutil.copytree(folder / "bare" / "storage", folder / "walled" / "orthanc" / "storage")
    with transaction(archive.engine) as connection:
        return [archive.know(connection, photo) for photo in photos]


@contextlib.contextmanager
def _storescp(folder: Path) -> Iterator[None]:
    process = subprocess.Popen(
        ["storescp", "+xy", "-pdu", "131072", "--ignore", "-od", str(folder), str(_RECEIVER)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(0.5)
        yield
    finally:
        process.terminate()
        process.wait(10)


def _getscu(port: int, study: str, count: int, folder: Path) -> tuple[float, None]:
    words = ["getscu", "+xy", "-S", "-od", str(folder), "-aet", "VIEWER", "-aec", "PHOTOSPINE", "127.0.0.1", str(port)]
    started = time.perf_counter()
    subprocess.run([*words, *_keys(study)], check=True, capture_output=True)
    spent = (time.perf_counter() - started) * 1000
    files = list(folder.iterdir())
    assert len(files) == count, f"{len(files)} of {count} files"
    for file in files:
        file.unlink()
    return spent, None


def _movescu(port: int, study: str, count: int, _: Path) -> tuple[float, None]:
    words = ["movescu", "-v", "-S", "-aem", "RECEIVER", "-aet", "VIEWER", "-aec", "PHOTOSPINE", "127.0.0.1", str(port)]
    started = time.perf_counter()
    done = subprocess.run([*words, *_keys(study)], check=True, capture_output=True, text=True)
    spent = (time.perf_counter() - started) * 1000
    assert "Received Final Move Response (Success)" in done.stdout + done.stderr, done.stdout + done.stderr
    return spent, None


def _keys(study: str) -> list[str]:
    return ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study}"]


# --- a receiver that does nothing but read ----------------------------------------------------------------------------


def _get(port: int, study: str, count: int, _: Path) -> tuple[float, float]:
    """A C-GET of a study; milliseconds that it took, and until the first photo was there."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire.sendall(_associate())
        kind, _answer = _pdu(wire)
        assert kind == 0x02, "the association was not accepted"
        identifier = Dataset()
        identifier.QueryRetrieveLevel, identifier.StudyInstanceUID = "STUDY", study
        data = encode(identifier, True, True)
        assert data is not None
        started = time.perf_counter()
        wire.sendall(_message(1, _command(0x0010, _STUDY_GET, 1, MessageID=1, Priority=0), data))
        first = 0.0
        got = 0
        while True:
            context, command = _receive(wire)
            if command.CommandField == 0x8010:  # C-GET-RSP
                if command.Status != 0xFF00:
                    break
                continue
            got += 1
            first = first or (time.perf_counter() - started) * 1000
            answer = _command(0x8001, VL_PHOTOGRAPHIC, 0x0101, MessageIDBeingRespondedTo=command.MessageID, Status=0)
            wire.sendall(_message(context, answer, b""))
        spent = (time.perf_counter() - started) * 1000
        assert (got, command.Status) == (count, 0), (got, command.Status)
        wire.sendall(b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00")
        _pdu(wire)
    return spent, first


def _associate() -> bytes:
    """An A-ASSOCIATE-RQ (PS3.8 9.3.2) for C-GET, with the role of a receiver of photos."""
    contexts = b"".join(
        _item(0x20, bytes((number, 0, 0, 0)) + _item(0x30, abstract.encode()) + _item(0x40, syntax.encode()))
        for number, abstract, syntax in ((1, _STUDY_GET, _IMPLICIT), (3, VL_PHOTOGRAPHIC, _JPEG))
    )
    name = VL_PHOTOGRAPHIC.encode()
    user = _item(0x51, struct.pack(">L", 131_072)) + _item(0x52, b"2.25.1")
    user += _item(0x54, struct.pack(">H", len(name)) + name + b"\x00\x01")
    titles = b"PHOTOSPINE".ljust(16) + b"VIEWER".ljust(16)
    body = struct.pack(">HH", 1, 0) + titles + bytes(32) + _item(0x10, b"1.2.840.10008.3.1.1.1") + contexts
    body += _item(0x50, user)
    return struct.pack(">BBL", 1, 0, len(body)) + body


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(value)) + value


def _command(number: int, sop_class: str, data_set: int, **values: int) -> bytes:
    command = Dataset()
    command.AffectedSOPClassUID, command.CommandField, command.CommandDataSetType = sop_class, number, data_set
    for keyword, value in values.items():
        setattr(command, keyword, value)
    body = encode(command, True, True)
    assert body is not None
    return struct.pack("<HHLL", 0, 0, 4, len(body)) + body


def _message(context: int, command: bytes, data: bytes) -> bytes:
    parts = [(command, 0x03)] + ([(data, 0x02)] if data else [])
    return b"".join(
        struct.pack(">BBLLBB", 4, 0, len(part) + 6, len(part) + 2, context, control) + part for part, control in parts
    )


def _receive(wire: socket.socket) -> tuple[int, Dataset]:
    """The next message's context and command; its data set is read, and thrown away."""
    command = b""
    parsed: Dataset | None = None
    while True:
        kind, body = _pdu(wire)
        assert kind == 0x04, f"a PDU of type {kind}"
        at = 0
        while at < len(body):
            length, context, control = struct.unpack_from(">LBB", body, at)
            if control & 1:
                command += bytes(body[at + 6 : at + 4 + length])
                if control & 2:
                    parsed = decode(io.BytesIO(command), True, True)
                    if parsed.CommandDataSetType == 0x0101:
                        return context, parsed
            elif control & 2:
                assert parsed is not None
                return context, parsed
            at += 4 + length


_BUFFER = bytearray(1 << 21)


def _pdu(wire: socket.socket) -> tuple[int, memoryview]:
    head = memoryview(bytearray(6))
    _fill(wire, head)
    kind, _, length = struct.unpack(">BBL", head)
    body = memoryview(_BUFFER)[:length]
    _fill(wire, body)
    return kind, body


def _fill(wire: socket.socket, view: memoryview) -> None:
    got = 0
    while got < len(view):
        count = wire.recv_into(view[got:])
        assert count, "the connection was closed"
        got += count


def _report(outcomes: dict[str, _Outcome], count: int, rounds: int, grown: int, released: int, expected: int) -> None:
    print("## C-GET and C-MOVE\n")
    print(f"A study of {count} photos of 4 MB, {rounds} times by each side and receiver; medians.\n")
    print("| | native, each photo | gateway, each photo | rate | target | first photo, native | gateway | target |")
    print("|---|---|---|---|---|---|---|---|")
    for name, outcome in outcomes.items():
        native, ours = (statistics.median(outcome.each[side]) for side in _SIDES)
        ratio = statistics.median(n / g for n, g in zip(*(outcome.each[side] for side in _SIDES), strict=True))
        first = [f"{statistics.median(times):.0f} ms" if times else "–" for times in outcome.first.values()]
        print(
            f"| {_TITLES[name]} | {native:.1f} ms | {ours:.1f} ms | × {ratio:.2f} | × {_TARGETS[name]} | "
            f"{first[0]} | {first[1]} | {f'{_FIRST:.0f} ms' if outcome.first['native'] else '–'} |"
        )
    print(f"\nMemory of the gateway after the first round and after the last: {grown / 2**20:+.0f} MB.")
    print(f"Photos recorded {released}, sent {expected}: {'equal' if released == expected else 'NOT EQUAL'}.")


if __name__ == "__main__":
    raise SystemExit(main())
