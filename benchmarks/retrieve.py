"""A partly permitted study, whole: by WADO-RS and as an archive, against a bare Orthanc that holds the permitted alone.

Both sides are alive and take turns; one client reads every byte and throws it away. Every third photo of the study is
refused. The bare Orthanc is asked for what costs it least: WADO-RS as stored (``transfer-syntax=*``), and its archive,
which it compresses. ``PHOTOSPINE_TEST_ORTHANC`` chooses another Orthanc, for both sides.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bare import bare
from benchmarks.sides import recorded
from consent.directive import Data, Reach
from consent.identity import accounts
from consent.store.engine import transaction
from dicom_bridge.query.orthanc_ids import orthanc_ids
from orthanc_plugin.assembly.archive_process import prove
from tests.archive import Archive, Photo, basic, chosen
from tests.store.world import consent

_SIZE = 4_000_000
_BARE, _WALLED = 20493, 20494
_ACCOUNT = "clinician"
_AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_KINDS = {"WADO-RS": "GET /dicom-web/studies/{study}", "archive": "GET /studies/{id}/archive"}
_BUFFER = bytearray(1 << 20)


@dataclass(frozen=True, slots=True)
class _Study:
    """A study of so many permitted photos."""

    count: int
    paths: dict[str, str]


def main(arguments: list[str] | None = None) -> int:
    """Measure, and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, nargs="*", default=[5, 20, 50], help="permitted photos of each study")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="photospine-bench-"))
    try:
        return _measure(folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(folder: Path, options: argparse.Namespace) -> int:
    archive = Archive(folder / "walled", _WALLED)
    with transaction(archive.engine) as connection:
        accounts.create(connection, _ACCOUNT, password=f"{_ACCOUNT}-demo", purposes=("TREAT",))
    archive.patient("anna")
    plugins = archive.process.configuration()["Plugins"]
    more = {"Plugins": plugins[1:], "DicomWeb": {"Enable": True, "Root": "/dicom-web/"}}
    with bare(folder / "bare", _BARE, more, chosen().get("program", "Orthanc")), archive:
        standing = prove(archive.process.url, archive.settings)
        studies = [_load(archive, number, count) for number, count in enumerate(options.photos, 1)]
        times: dict[tuple[int, str, str], list[float]] = {}
        for _ in range(options.rounds):
            for study in studies:
                for kind, path in study.paths.items():
                    for side, port in _turn(len(times)):
                        times.setdefault((study.count, kind, side), []).append(_fetch(port, path, study.count))
    records = recorded(archive, _counts)
    responses = sum(len(spent) for (_, _, side), spent in times.items() if side == "walled")
    _report(times, options, len(standing.rows), records, responses)
    return 0 if records == responses else 1


def _turn(number: int) -> list[tuple[str, int]]:
    """Both sides; none always goes first."""
    sides = [("bare", _BARE), ("walled", _WALLED)]
    return sides if number % 2 else sides[::-1]


def _load(archive: Archive, visit: int, count: int) -> _Study:
    """Store a study on both sides, of which every third photo is refused on the one and missing on the other."""
    chance, permitted = random.Random(visit), 0
    number = 0
    while permitted < count:
        number += 1
        pixels = b"\xff\xd8" + chance.randbytes(_SIZE - 4) + b"\xff\xd9"
        photo = archive.photo("anna", visit=str(visit), view=str(number % 3 + 1), pixels=pixels)
        if number % 3 == 0:
            data = (Data(Reach.PHOTO, str(photo.facts.document)),)
            archive.consent(consent(f"hide-{visit}-{number}", "deny", "TREAT", "anna", data=data))
        else:
            permitted += 1
            _post(photo)
    ids = orthanc_ids("PID-anna", photo.study, photo.series, photo.sop)
    return _Study(count, {"WADO-RS": f"/dicom-web/studies/{photo.study}", "archive": f"/studies/{ids.study}/archive"})


def _post(photo: Photo) -> None:
    wire = http.client.HTTPConnection("127.0.0.1", _BARE, timeout=60)
    wire.request("POST", "/instances", body=photo.dicom)
    assert json.loads(wire.getresponse().read())["Status"] == "Success"
    wire.close()


def _fetch(port: int, path: str, count: int) -> float:
    """Milliseconds until the last byte of a whole answer."""
    wire = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    started = time.perf_counter()
    wire.request("GET", path, headers={"Accept": _AS_STORED, "Authorization": basic(_ACCOUNT)})
    answer = wire.getresponse()
    received = 0
    while got := answer.readinto(_BUFFER):
        received += got
    spent = (time.perf_counter() - started) * 1000
    wire.close()
    assert answer.status == 200, answer.status
    assert count * _SIZE * 0.99 < received < count * _SIZE * 1.01, received
    return spent


def _counts(record: Mapping[str, Any]) -> bool:
    """Sets that were released by these routes."""
    return record.get("route") in _KINDS.values() and bool(record.get("released"))


def _report(
    times: dict[tuple[int, str, str], list[float]], options: argparse.Namespace, rows: int, records: int, responses: int
) -> None:
    print("## A partly permitted study, whole\n")
    print(
        f"Photos of 4 MB, every third one refused; {options.rounds} turns each, median of whole answers by one client; "
        f"the ratio is of rates, of the median of turns; {rows} rows stand.\n"
    )
    print("| permitted photos | | bare Orthanc | behind the wall | ratio | target |")
    print("|---|---|---|---|---|---|")
    for count in options.photos:
        for kind in _KINDS:
            plain, walled = (times[count, kind, side] for side in ("bare", "walled"))
            ratio = statistics.median(p / w for p, w in zip(plain, walled, strict=True))
            print(
                f"| {count} | {kind} | {statistics.median(plain):.0f} ms | {statistics.median(walled):.0f} ms "
                f"| × {ratio:.2f} | × 1.0 |"
            )
    print(f"\nRecords {records}, responses {responses}: {'equal' if records == responses else 'NOT EQUAL'}.")


if __name__ == "__main__":
    raise SystemExit(main())
