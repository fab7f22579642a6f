"""Objects that reach Orthanc as DICOM: linked by what they name, waiting otherwise, and seen by nobody until then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from threading import Event

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from sqlalchemy import select, update

from consent.store import jobs
from consent.store.engine import glancing, transaction
from consent.store.tables import job, photo
from dicom_bridge.placing import fhir_id
from dicom_bridge.tables import archive_cursor
from orthanc_plugin.assembly.intake import open_archive
from orthanc_plugin.assembly.worker import Worker, worker_of
from tests.archive import Photo
from tests.pipeline.world import World

pytestmark = [pytest.mark.orthanc, pytest.mark.xdist_group("pipeline")]


@contextmanager
def _worker(world: World) -> Iterator[Worker]:
    with world.node("worker") as node, open_archive(node) as archive:
        yield worker_of(node, archive, lambda _: None, Event())


def _sent(world: World, seed: int, **attributes: str) -> Photo:
    """An object that somebody else sends, in a study of its own; ``attributes`` are DICOM keywords."""
    made = replace(world.archive.describe("anna", seed), study=f"2.25.88{seed}", series=f"2.25.88{seed}.1")
    dataset = dcmread(BytesIO(made.dicom))
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = made.study, made.series
    for keyword, value in attributes.items():
        if keyword == "RequestedProcedureID":
            item = Dataset()
            item.RequestedProcedureID = value
            dataset.RequestAttributesSequence = [item]
        else:
            setattr(dataset, keyword, value)
    sent = replace(made, dicom=_bytes(dataset))
    answer = world.archive.task("POST", "/instances", kind="store", body=sent.dicom)
    assert answer.status == 200
    return replace(sent, orthanc_id=str(answer.json()["ID"]))  # type: ignore[index]


def _bytes(dataset: Dataset) -> bytes:
    out = BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _state(world: World, made: Photo) -> str | None:
    with glancing(world.engine) as connection:
        return connection.execute(select(photo.c.state).where(photo.c.sop_uid == made.sop)).scalar_one_or_none()


def _seen(world: World, made: Photo) -> bool:
    status = world.archive.ask(f"/instances/{made.orthanc_id}/file", "clinician", "TREAT").status
    assert status in (200, 403)
    return status == 200


def test_the_hook_wakes_the_worker(world: World) -> None:
    with transaction(world.engine) as connection:
        connection.execute(job.delete().where(job.c.kind == jobs.ARRIVAL))
    _sent(world, 100)
    with glancing(world.engine) as connection:
        assert connection.execute(select(job.c.key).where(job.c.kind == jobs.ARRIVAL)).scalars().all() == ["*"]


@pytest.mark.parametrize("by", ["AccessionNumber", "AdmissionID", "RequestedProcedureID"])
def test_an_object_is_linked_by_what_it_names(world: World, by: str) -> None:
    visit = world.visit()
    seed = 200 + len(by)
    number = visit.encounter.rpartition("-")[2]
    if by == "RequestedProcedureID":
        world.put(
            {
                "resourceType": "Procedure",
                "id": f"request-{number}",
                "identifier": [{"system": "urn:request", "value": f"RP-{number}"}],
                "status": "completed",
                "code": {"text": "Laser"},
                "subject": {"reference": "Patient/anna"},
                "encounter": {"reference": f"Encounter/{visit.encounter}"},
            }
        )
    named = {"AccessionNumber": f"ACC-{number}", "AdmissionID": f"V-{number}", "RequestedProcedureID": f"RP-{number}"}
    made = _sent(world, seed, **({"AccessionNumber": ""} | {by: named[by]}))
    assert not _seen(world, made)
    with _worker(world) as worker:
        worker.look()
    assert _state(world, made) == "linked"
    assert _seen(world, made)
    with glancing(world.engine) as connection:
        document = world.store.read(connection, "DocumentReference", fhir_id(made.sop)).json()
        study = world.store.read(connection, "ImagingStudy", fhir_id(made.study)).json()
    assert document["context"]["encounter"] == [{"reference": f"Encounter/{visit.encounter}"}]
    assert study["series"][0]["instance"][0]["uid"] == made.sop
    if by == "RequestedProcedureID":
        assert document["context"]["related"] == [{"reference": f"Procedure/request-{number}"}]


@pytest.mark.parametrize("what", ["nothing", "another patient", "two visits"])
def test_an_object_whose_place_is_not_certain_waits_unseen(world: World, what: str) -> None:
    one, other = world.visit(), world.visit()
    first, second = (each.encounter.rpartition("-")[2] for each in (one, other))
    attributes = {
        "nothing": {"AccessionNumber": "no-such"},
        "another patient": {"AccessionNumber": f"ACC-{first}", "PatientID": "PID-ben"},
        "two visits": {"AccessionNumber": f"ACC-{first}", "AdmissionID": f"V-{second}"},
    }[what]
    made = _sent(world, 300 + len(what), **attributes)
    documents = world.count("DocumentReference")
    with _worker(world) as worker:
        worker.look()
        worker.look()
        worker.arrivals.relink()
    assert _state(world, made) == "examined"
    assert not _seen(world, made)
    assert world.count("DocumentReference") == documents


def test_an_object_that_waits_is_linked_when_its_visit_is_told(world: World) -> None:
    made = _sent(world, 400, AccessionNumber="LATER-1")
    with _worker(world) as worker:
        worker.look()
        assert _state(world, made) == "examined"
        visit = world.visit()
        with glancing(world.engine) as connection:
            encounter = world.store.read(connection, "Encounter", visit.encounter).json()
        encounter["identifier"].append({"system": "urn:accession", "value": "LATER-1"})
        del encounter["meta"]
        world.put(encounter)
        worker.arrivals.relink()
    assert _state(world, made) == "linked"
    assert _seen(world, made)


def test_what_no_callback_told_of_is_found_by_comparing_everything(world: World) -> None:
    visit = world.visit()
    made = _sent(world, 500, AccessionNumber=f"ACC-{visit.encounter.rpartition('-')[2]}")
    with _worker(world) as worker:
        with transaction(world.engine) as connection:
            if connection.execute(update(archive_cursor).values(last=1 << 40)).rowcount == 0:
                worker.arrivals._advance(1 << 40)
        worker.look()  # `Last` is behind the cursor: an older copy of the archive was put back
    assert _state(world, made) == "linked"


def test_a_photo_that_the_archive_lost_is_told_to_a_person_once(world: World) -> None:
    visit = world.visit()
    made = _sent(world, 600, AccessionNumber=f"ACC-{visit.encounter.rpartition('-')[2]}")
    with _worker(world) as worker:
        worker.look()
        tasks = world.count("Task")
        removed = world.archive.task("DELETE", f"/instances/{made.orthanc_id}", kind="remove")
        assert removed.status == 200
        worker.look(everything=True)
        worker.look(everything=True)
    assert world.count("Task") == tasks + 1


def test_an_object_with_the_uid_of_a_known_photo_is_not_kept_and_a_person_is_told(world: World) -> None:
    visit = world.visit()
    (taken,) = world.take(visit)
    objects, tasks = world.instances(), world.count("Task")
    made = world.archive.describe("ben", 700, visit="7", view="1")
    dataset = dcmread(BytesIO(made.dicom))
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = taken.sop_uid
    world.archive.task("POST", "/instances", kind="store", body=_bytes(dataset))
    assert world.instances() == objects
    with _worker(world) as worker:
        while worker.one_job():
            pass
    assert world.count("Task") == tasks + 1
    world.whole(visit)


def test_an_object_that_was_sent_again_is_one_photo(world: World) -> None:
    visit = world.visit()
    made = _sent(world, 800, AccessionNumber=f"ACC-{visit.encounter.rpartition('-')[2]}")
    with _worker(world) as worker:
        worker.look()
        documents = world.count("DocumentReference")
        assert world.archive.task("POST", "/instances", kind="store", body=made.dicom).status == 200
        worker.look(everything=True)
    assert world.count("DocumentReference") == documents
