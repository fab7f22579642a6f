"""The same lots asked of another FHIR server: SEKMET, which has no search by lot.

So its client does what a hospital's would: it asks for the Observations that state the lot, reads every product and
every use page by page, and looks for the lot itself. Both hold the same record, and take turns.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks.generated.courses import group
from benchmarks.generated.foundation import foundation
from benchmarks.generated.making import SEED, make
from benchmarks.generated.opened import opened
from benchmarks.generated.products import lots
from benchmarks.generated.size import Size
from benchmarks.generated.truth import Truth
from benchmarks.timing import Times, milliseconds
from consent.store.engine import open_engine

PHOTOS = 10_000
"""What it takes in in a few minutes: by transactions, nothing validated or logged."""

_PORT = 20579
_STARTS = 60.0
_BATCH = 400
_ROUNDS = 3
_USES = ("MedicationAdministration", "MedicationDispense", "MedicationStatement")


def measured(command: str) -> str:
    """Markdown; a sentence where the other server is not there.

    Parameters
    ----------
    command
        Path of SEKMET's own command; empty: it is not measured.
    """
    if not command or shutil.which(command) is None:
        return "\n### The same question, asked of another server\n\nNot measured: PHOTOSPINE_BENCH_SEKMET names none."
    size = Size(PHOTOS)
    with tempfile.TemporaryDirectory(prefix="photospine-bench-") as name:
        folder = Path(name)
        make(f"sqlite:///{folder}/clinic.sqlite3", folder / "truth.sqlite3", size).dispose()
        truth = Truth(folder / "truth.sqlite3")
        with opened(open_engine(f"sqlite:///{folder}/clinic.sqlite3")) as clinic, _sekmet(command, folder) as other:
            started = time.monotonic()
            loaded = other.load(size)
            seconds = time.monotonic() - started
            ours: list[float] = []
            theirs: list[float] = []
            found, true = [0, 0], 0
            for number, lot in truth.lots():
                patients = truth.of(number).patients
                true += len(patients)
                found[0] += len(patients & {each.id for each in clinic.advisory(lot).patients})
                found[1] += len(patients & other.patients(lot))
                for _ in range(_ROUNDS):
                    ours.append(milliseconds(partial(clinic.advisory, lot)))
                    theirs.append(milliseconds(partial(other.patients, lot)))
        truth.close()
    mine, its = Times.of(ours), Times.of(theirs)
    return "\n".join(
        [
            "\n### The same question, asked of another server\n",
            f"SEKMET with the same {loaded:,} resources ({size.photos:,} photos, {size.treatments:,} treatments), "
            f"written in {seconds:.0f} s. It knows no search by lot: its client reads products and uses page by page. "
            "Ours answers with treatments, doses, photos and what each may be shown for besides.\n",
            "| who was given a lot | median, ms | 95th percentile, ms | patients found |\n|---|---:|---:|---:|",
            f"| Photospine | {mine.median:.0f} | {mine.p95:.0f} | {found[0] / true:.3f} |",
            f"| SEKMET | {its.median:.0f} | {its.p95:.0f} | {found[1] / true:.3f} |",
            f"\n**{its.median / mine.median:.1f} times as fast.**",
        ]
    )


class _Sekmet:
    """A client of it."""

    def __init__(self) -> None:
        self._wire = HTTPConnection("127.0.0.1", _PORT, timeout=120)

    def load(self, size: Size) -> int:
        """Write a clinic's record; how many resources that is."""
        known = lots(size, SEED)
        resources = foundation(known)
        for number in range(size.groups):
            resources += group(number, SEED, known).resources
        for start in range(0, len(resources), _BATCH):
            entries = [
                {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
                for each in resources[start : start + _BATCH]
            ]
            answer = self._ask("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
            statuses = {each["response"]["status"][:3] for each in answer["entry"]}
            if not statuses <= {"200", "201"}:
                raise RuntimeError(f"SEKMET took not all that was written: {sorted(statuses)}")
        return len(resources)

    def patients(self, lot: str) -> set[str]:
        """Ids of the patients who were given a lot."""
        medications = {f"Medication/{each['id']}" for each in self._all("Medication") if _bears(each, lot)}
        devices = [each for each in self._all("Device") if _bears(each, lot)]
        told = list(self._all(f"Observation?value-string:exact={quote(lot)}&_count=1000"))
        found = [each["patient"] for each in devices if "patient" in each] + [each["subject"] for each in told]
        for kind in _USES:
            for each in self._all(kind):
                named = (each.get("medicationReference") or {}).get("reference")
                if named in medications or any(_bears(one, lot) for one in each.get("contained") or ()):
                    found.append(each["subject"])
        return {each["reference"].partition("/")[2] for each in found}

    def ready(self) -> bool:
        """Whether it answers."""
        try:
            return bool(self._ask("GET", "/metadata"))
        except OSError:
            self._wire.close()
            return False

    def _all(self, question: str) -> Iterator[dict[str, Any]]:
        """Every page of a search."""
        address: str | None = f"/{question}" if "?" in question else f"/{question}?_count=1000"
        while address is not None:
            page = self._ask("GET", address)
            yield from (entry["resource"] for entry in page.get("entry") or ())
            following = [link["url"] for link in page.get("link") or () if link["relation"] == "next"]
            address = following[0].partition("/fhir")[2] if following else None

    def _ask(self, method: str, address: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        content = None if body is None else json.dumps(body).encode()
        self._wire.request(method, f"/fhir{address}", content, {"Content-Type": "application/fhir+json"})
        answer = self._wire.getresponse()
        read = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"SEKMET answers {answer.status} to {method} {address[:80]}")
        told: dict[str, Any] = json.loads(read)
        return told


def _bears(product: dict[str, Any], lot: str) -> bool:
    carriers = [str(each.get("carrierHRF", "")) for each in product.get("udiCarrier") or ()]
    return (product.get("batch") or {}).get("lotNumber") == lot or any(f"(10){lot}(" in each for each in carriers)


@contextmanager
def _sekmet(command: str, folder: Path) -> Iterator[_Sekmet]:
    settings = {
        "host": "127.0.0.1",
        "port": _PORT,
        "base_url": f"http://127.0.0.1:{_PORT}/fhir",
        "data_dir": str(folder / "sekmet"),
        "simulator": {"enabled": False},
        "server_auth": {"types": ["none"]},
        "validation": {"inbound": "off"},
        "log_inbound": False,
    }
    (folder / "sekmet.yaml").write_text(json.dumps(settings), encoding="utf-8")  # YAML is JSON's superset
    log = (folder / "sekmet.log").open("wb")
    process = subprocess.Popen(
        [command, "serve", "-c", str(folder / "sekmet.yaml")], cwd=folder, stdout=log, stderr=log
    )
    try:
        client = _Sekmet()
        until = time.monotonic() + _STARTS
        while not client.ready():
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("SEKMET does not answer")
            time.sleep(0.2)
        yield client
    finally:
        process.terminate()
        process.wait(timeout=30)
        log.close()
