"""QIDO-RS over 100,000 photos through the wall, against Orthanc's own on the same objects: both alive, taking turns.

The objects are little (no pixels), loaded once into an Orthanc without a wall; the walled one has a copy of its
storage. One patient in ten has denied treatment the use of one photo. Every question is new, one after the other.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from typing import Any

from sqlalchemy import Engine, insert, select, update

from benchmarks.bare import bare
from benchmarks.little import EACH, SERIES, VISITS, Little, Template
from benchmarks.sides import recorded, share
from consent.codec import directive_to_json
from consent.decided import decide_all, stored_purposes, write
from consent.directive import Data, Directive, Reach, Region, Rule, Span
from consent.facts import PhotoFacts
from consent.site import Site
from consent.store.clock import micros, now
from consent.store.engine import transaction
from consent.store.photos import PhotoRow, PhotoState, save_photos
from consent.store.tables import directive, patient, patient_state, site_state
from consent.types import Effect
from dicom_bridge.query.index import save_instances
from dicom_bridge.query.orthanc_ids import orthanc_ids
from orthanc_plugin.assembly.archive_process import prove
from tests.archive import Archive, basic

_BARE, _WALLED = 20573, 20574
_TO_REACH = 5.0
_FACE = "http://snomed.info/sct|89545001"
_TAKEN = datetime(2026, 5, 3, 7, tzinfo=UTC)
_BIRTH = datetime(1980, 1, 1, tzinfo=UTC)
_BATCH = 2000

_KINDS: dict[str, Callable[[Little], str]] = {
    "studies of a Patient ID": lambda one: f"studies?PatientID={one.patient}",
    "studies by an Accession Number": lambda one: f"studies?AccessionNumber={one.accession}",
    "studies by the beginning of a name, 50": lambda one: f"studies?PatientName={one.name[:6]}*&limit=50",
    "studies of a month, 50": lambda one: f"studies?StudyDate={one.date[:6]}01-{one.date[:6]}31&limit=50",
    "studies of a year, 50, every attribute": lambda one: (
        f"studies?StudyDate={one.date[:4]}0101-{one.date[:4]}1231&limit=50&includefield=all"
    ),
    "studies with a modality, 50": lambda one: f"studies?ModalitiesInStudy={one.modality}&limit=50",
    "the newest studies, 50": lambda one: "studies?limit=50",
    "series of a study": lambda one: f"studies/{one.study}/series",
    "instances of a study, every attribute": lambda one: f"studies/{one.study}/instances?includefield=all",
}


def main(arguments: list[str] | None = None) -> int:
    """Measure, and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="photospine-bench-"))
    try:
        return _measure(folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(folder: Path, options: argparse.Namespace) -> int:
    load(folder / "bare", options.photos)
    archive = Archive(folder / "walled", _WALLED)
    share(folder / "bare" / "storage", folder / "walled" / "orthanc" / "storage")
    fill(archive.engine, options.photos)
    archive.account("clinician", "TREAT")
    archive.engine.dispose()
    plugin = archive.process.configuration()["Plugins"][1]
    dicom_web = {"Plugins": [plugin], "DicomWeb": {"Enable": True, "Root": "/dicom-web/"}}
    with bare(folder / "bare", _BARE, dicom_web), archive:
        standing = prove(archive.process.url, archive.settings)
        times, asked = _race(options)
    records = recorded(archive, _counts)
    _report(times, options, len(standing.rows), records, asked)
    return 0 if records == asked else 1


def load(home: Path, count: int) -> None:
    """Store the photos' objects in an Orthanc without a wall."""
    template = Template()

    def store(first: int) -> None:
        wire = HTTPConnection("127.0.0.1", _BARE, timeout=120)
        for number in range(first, count, 4):
            wire.request("POST", "/instances", body=template.file(Little(number)))
            answer = json.loads(wire.getresponse().read())
            assert answer["Status"] == "Success", answer
        wire.close()

    with bare(home, _BARE):
        threads = [Thread(target=store, args=(first,)) for first in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wire = HTTPConnection("127.0.0.1", _BARE, timeout=120)
        wire.request("GET", "/statistics")
        assert json.loads(wire.getresponse().read())["CountInstances"] == count


def fill(engine: Engine, count: int) -> None:
    """Make the photos known, with all answers settled."""
    template = Template()
    purposes = stored_purposes(Site())
    people = dict.fromkeys(Little(number).patient for number in range(0, count, VISITS * SERIES * EACH))
    for names in _batches(list(people)):
        birth = {"birth_start": micros(_BIRTH), "birth_end": micros(_BIRTH + timedelta(days=1))}
        state = {"stale": True, "live": False, "valid_from": 0, "epoch": 0}
        with transaction(engine) as connection:
            connection.execute(
                insert(patient), [{"patient": name, "version": 1, "survivor": name, **birth} for name in names]
            )
            connection.execute(
                insert(patient_state),
                [{"patient": name, "purpose": purpose, **state} for name in names for purpose in purposes],
            )
            signed = [_denial(name) for name in names if _denies(name)]
            if signed:
                connection.execute(insert(directive), signed)
    for photos in _batches([Little(number) for number in range(count)]):
        with transaction(engine) as connection:
            numbers = save_photos(connection, [_row(one) for one in photos])
            save_instances(
                connection,
                [(number, one.sop, template.attributes(one)) for number, one in zip(numbers, photos, strict=True)],
            )
    with transaction(engine) as connection:
        # Of those who signed nothing every answer is the purpose's default; to decide it 100,000 times takes minutes.
        epoch = connection.execute(select(site_state.c.epoch)).scalar_one()
        settled = {"stale": False, "valid_from": micros(now(connection)), "epoch": epoch}
        connection.execute(update(patient_state).values(settled))
        for name in people:
            if _denies(name):
                write(connection, decide_all(connection, name))
    with engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()


def _batches(items: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(items), _BATCH):
        yield items[start : start + _BATCH]


def _row(one: Little) -> PhotoRow:
    facts = PhotoFacts(
        photo=one.sop,
        patients=(one.patient,),
        known_since={one.patient: _TAKEN},
        document=f"DocumentReference/{one.number}",
        imaging_study=f"ImagingStudy/{one.study}",
        encounter=f"Encounter/{one.study}",
        links=frozenset({f"Encounter/{one.study}"}),
        author="Practitioner/d",
        custodian="Organization/clinic",
        taken=Span(_TAKEN, _TAKEN + timedelta(seconds=1)),
        regions=(Region(_FACE),),
    )
    return PhotoRow(
        facts=facts,
        series_uid=one.series,
        study_uid=one.study,
        orthanc_id=orthanc_ids(one.patient, one.study, one.series, one.sop).instance,
        state=PhotoState.LINKED,
        area=_FACE,
        view="frontal",
        procedure=None,
    )


def _denies(name: str) -> bool:
    return name.endswith("7")


def _denial(name: str) -> Mapping[str, object]:
    """One patient's denial for her fourth photo."""
    moment = _TAKEN + timedelta(days=1)
    number = int(name[1:]) * VISITS * SERIES * EACH + 3
    signed = Directive(
        consent=f"no-{name}",
        version=1,
        patient=name,
        scope="patient-privacy",
        status="active",
        signed=Span(moment, moment + timedelta(seconds=1)),
        performers=(f"Patient/{name}",),
        organizations=("Organization/clinic",),
        root=Rule(
            "provision",
            Effect.DENY,
            frozenset({"TREAT"}),
            data=(Data(Reach.PHOTO, f"DocumentReference/{number}"),),
        ),
    )
    return {"consent": signed.consent, "patient": name, "version": 1, "body": directive_to_json(signed)}


def _race(options: argparse.Namespace) -> tuple[dict[str, dict[str, list[float]]], int]:
    """Milliseconds for each kind of question and side; and how many answers the walled side gave."""
    chance = random.Random(5)
    ports = {"bare": _BARE, "walled": _WALLED}
    times: dict[str, dict[str, list[float]]] = {kind: {"bare": [], "walled": []} for kind in _KINDS}
    asked = 1
    _ask(_WALLED, "studies?PatientID=nobody")  # signed in, as at work
    for number in range(options.rounds):
        for kind, make in _KINDS.items():
            path = make(Little(chance.randrange(options.photos)))
            found = {}
            for side in ("bare", "walled") if number % 2 else ("walled", "bare"):
                started = time.perf_counter()
                found[side] = _ask(ports[side], path)
                times[kind][side].append((time.perf_counter() - started) * 1000)
            asked += 1
            # what was refused may be missing, and nothing else
            assert 0 <= found["bare"] - found["walled"] <= 1, (path, found)
    return times, asked


def _ask(port: int, path: str) -> int:
    """How many answers a question has. Each opens a connection, since Orthanc closes idle ones after a second."""
    wire = HTTPConnection("127.0.0.1", port, timeout=120)
    wire.request(
        "GET",
        f"/dicom-web/{path}",
        headers={"Authorization": basic("clinician"), "Accept": "application/dicom+json"},
    )
    answer = wire.getresponse()
    body = answer.read()
    wire.close()
    assert answer.status in (200, 204), (path, answer.status)
    return len(json.loads(body)) if body else 0


def _counts(record: Mapping[str, Any]) -> bool:
    """Sets recorded for QIDO."""
    return record["kind"] == "set" and "/dicom-web/" in record.get("route", "")


def _report(
    times: Mapping[str, Mapping[str, list[float]]], options: argparse.Namespace, rows: int, records: int, asked: int
) -> None:
    print(f"## QIDO-RS over {options.photos:,} photos\n")
    print(f"SQLite, one connection, {options.rounds} questions of each kind to each side; {rows} rows stand.\n")
    print("| question | bare Orthanc, median | behind the wall, median | as fast |\n|---|---:|---:|---:|")
    ratios = []
    for kind, sides in times.items():
        bare_spent, walled = (statistics.median(sides[side]) for side in ("bare", "walled"))
        ratios.append(bare_spent / walled)
        print(f"| {kind} | {bare_spent:.1f} ms | {walled:.1f} ms | × {ratios[-1]:.1f} |")
    print(f"\n**× {min(ratios):.1f} for the slowest kind, × {statistics.median(ratios):.1f} the median** ", end="")
    print(f"(to reach: × {_TO_REACH:.0f}).")
    print(f"\nRecords {records}, responses {asked}: {'equal' if records == asked else 'NOT EQUAL'}.")


if __name__ == "__main__":
    raise SystemExit(main())
