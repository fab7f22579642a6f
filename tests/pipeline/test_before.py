"""Photos that were in Orthanc before the wall came: seen by nobody, worked off in pieces, and seen once linked."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from threading import Event

import pytest
from pydicom import dcmread
from sqlalchemy import func, select
from typer.testing import CliRunner

from consent.store.engine import glancing
from consent.store.tables import photo
from dicom_bridge.arrivals import Examined
from dicom_bridge.query.orthanc_ids import orthanc_ids
from orthanc_plugin.assembly.cli import build
from orthanc_plugin.assembly.intake import open_archive
from orthanc_plugin.assembly.worker import worker_of
from tests.archive import Archive, Photo
from tests.counts import count, report
from tests.pipeline.bare import bare, send
from tests.pipeline.sent import encoded, is_seen, state_of
from tests.pipeline.world import ACSN, World
from tests.ports import free_port

pytestmark = [pytest.mark.orthanc]

NAME = "objects-before-the-wall"
OBJECTS = count(NAME, small=120, full=2_500)
CT = "1.2.840.10008.5.1.4.1.1.2"
MEGABYTE = 2**20


@dataclass(frozen=True, slots=True)
class Hospital:
    world: World
    placed: Photo
    """Names the visit that the record knows."""

    later: Photo
    """Names a visit that the record is told of later."""

    ct: Photo


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    archive = Archive(tmp_path_factory.mktemp("before"), free_port())
    photos = [_object(archive, number, f"OLD-{number % 40}") for number in range(OBJECTS - 3)]
    placed, later, ct = (_object(archive, 90_000 + number, f"ACC-{number}") for number in range(3))
    ct = replace(ct, dicom=_classed(ct.dicom))
    with bare(archive.process, archive.port):
        send(archive.port, [each.dicom for each in (*photos, placed, later, ct)])
    with archive:
        yield Hospital(World(archive), placed, later, ct)


def _object(archive: Archive, seed: int, accession: str) -> Photo:
    made = archive.describe("anna", seed)
    study, series = f"2.25.88{seed}", f"2.25.88{seed}.1"
    dataset = dcmread(BytesIO(made.dicom))
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.AccessionNumber = study, series, accession
    orthanc_id = orthanc_ids("PID-anna", study, series, made.sop).instance
    return replace(made, dicom=encoded(dataset), study=study, series=series, orthanc_id=orthanc_id)


def _classed(dicom: bytes) -> bytes:
    dataset = dcmread(BytesIO(dicom))
    dataset.SOPClassUID = CT
    return encoded(dataset)


def _visit(world: World, accession: str) -> None:
    world.put(
        {
            "resourceType": "Encounter",
            "id": f"visit-{accession.lower()}",
            "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "subject": {"reference": "Patient/anna"},
            "identifier": [{"type": ACSN, "system": "urn:accession", "value": accession}],
            "period": {"start": "2026-05-03T10:00:00+03:00"},
        }
    )


def _known(world: World) -> int:
    with glancing(world.engine) as connection:
        return connection.execute(select(func.count()).select_from(photo)).scalar_one()


class _Stopped(BaseException):
    """Somebody pulled the plug."""


def _look(world: World, *, objects: int | None = None) -> Examined:
    """A worker's look at everything, ended after so many objects."""
    left = [objects]

    def told() -> None:
        if left[0] is not None:
            left[0] -= 1
            if left[0] == 0:
                raise _Stopped

    with world.node("worker") as node, open_archive(node) as archive:
        return worker_of(node, archive, lambda _: None, Event()).arrivals.look(everything=True, told=told)


def test_an_orthanc_full_of_photos_is_taken_behind_the_wall(hospital: Hospital) -> None:
    world, started = hospital.world, time.monotonic()
    assert not is_seen(world, hospital.placed)
    assert world.archive.ask("/dicom-web/studies", "clinician", "TREAT").json() == []
    _visit(world, "ACC-0")
    with pytest.raises(_Stopped):
        _look(world, objects=OBJECTS // 3)
    assert _known(world) == OBJECTS // 3
    tracemalloc.start()
    answer = CliRunner().invoke(build(), ["worker", "--once", "--json", "--settings", str(world.file)])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert answer.exit_code == 0, answer.output
    found = json.loads(answer.stdout)
    assert found["examined"] == OBJECTS - OBJECTS // 3
    assert (found["others"], found["refused"]) == (1, 0)
    assert peak < 64 * MEGABYTE
    assert _known(world) == OBJECTS
    assert state_of(world, hospital.placed) == "linked"
    assert is_seen(world, hospital.placed)
    assert (state_of(world, hospital.later), is_seen(world, hospital.later)) == ("examined", False)
    assert (state_of(world, hospital.ct), is_seen(world, hospital.ct)) == ("other", False)
    assert _look(world).examined == 0
    report(NAME, asked=OBJECTS, run=OBJECTS, failures=0, started=started)


def test_one_that_waits_is_seen_once_its_visit_is_told(hospital: Hospital) -> None:
    world = hospital.world
    _visit(world, "ACC-1")
    with world.node("worker") as node, open_archive(node) as archive:
        arrivals = worker_of(node, archive, lambda _: None, Event()).arrivals
        linked = 0
        for _ in range(OBJECTS // 1000 + 1):
            linked += arrivals.relink()
    assert linked == 1
    assert is_seen(world, hospital.later)
