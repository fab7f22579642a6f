"""Objects by others whose pictures tell more than pixels, and objects that name no visit but their patient and day."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from threading import Event
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from sqlalchemy import Row, select

from consent.store.engine import glancing
from consent.store.tables import photo
from dicom_bridge import ledger
from dicom_bridge.objects.uids import fhir_id
from orthanc_plugin.assembly.intake import open_archive
from orthanc_plugin.assembly.worker import Worker, worker_of
from tests.archive import Photo
from tests.photos import Shot, jpeg
from tests.pipeline.sent import encoded, is_seen, send, state_of
from tests.pipeline.world import World

pytestmark = [pytest.mark.orthanc]

SIGNS = (b"Exif", b"SERIAL-4711", b"Owner Secretname")


@contextmanager
def _worker(world: World) -> Iterator[Worker]:
    with world.node("worker") as node, open_archive(node) as archive:
        yield worker_of(node, archive, lambda _: None, Event())


def _send_telling(world: World, seed: int, **attributes: str) -> Photo:
    """An object with a camera's whole file as its picture."""
    made = replace(world.archive.describe("anna", seed), study=f"2.25.88{seed}", series=f"2.25.88{seed}.1")
    dataset = dcmread(BytesIO(made.dicom))
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = made.study, made.series
    dataset.PixelData = encapsulate([jpeg(Shot(seed=seed))])
    dataset["PixelData"].is_undefined_length = True
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    sent = replace(made, dicom=encoded(dataset))
    assert world.archive.store(sent.dicom).status == 200
    return sent


def _taking_its_place(world: World, made: Photo) -> Row[Any]:
    """The photo's row of the instance whose original an object is."""
    with glancing(world.engine) as connection:
        (entry,) = ledger.by_file(connection, hashlib.sha256(made.dicom).hexdigest())
        row = connection.execute(select(photo).where(photo.c.sop_uid == entry.sop_uid)).one()
    assert row.state == "linked"
    return row


def test_a_picture_that_tells_is_linked_as_one_that_does_not(world: World) -> None:
    visit = world.visit()
    made = _send_telling(world, 4100, AccessionNumber=f"ACC-{visit.encounter.rpartition('-')[2]}")
    with _worker(world) as worker:
        worker.look()
    assert state_of(world, made) == "rejected"
    assert not is_seen(world, made)
    row = _taking_its_place(world, made)
    with world.node() as node, open_archive(node) as archive:
        assert archive.original("test", row.orthanc_id) == made.dicom  # what was sent is kept, whole
    for path in (f"/instances/{row.orthanc_id}/file", f"/instances/{row.orthanc_id}/frames/0/raw"):
        answer = world.archive.ask(path, "clinician", "TREAT")
        assert answer.status == 200
        assert not any(sign in answer.body for sign in SIGNS)


def test_a_picture_that_tells_and_waits_is_made_anew_when_it_is_linked_later(world: World) -> None:
    made = _send_telling(world, 4200, AccessionNumber="ACC-later")
    with _worker(world) as worker:
        worker.look()
        assert state_of(world, made) == "examined"
        visit = world.visit()
        world.put(
            {
                "resourceType": "Procedure",
                "id": "later",
                "identifier": [{"system": "urn:request", "value": "ACC-later"}],
                "status": "completed",
                "subject": {"reference": "Patient/anna"},
                "encounter": {"reference": f"Encounter/{visit.encounter}"},
            }
        )
        worker.arrivals.relink()
    assert state_of(world, made) == "rejected"
    row = _taking_its_place(world, made)
    assert not any(
        sign in world.archive.ask(f"/instances/{row.orthanc_id}/file", "clinician", "TREAT").body for sign in SIGNS
    )


def _visit(world: World, patient: str, name: str, day: str, **more: object) -> None:
    world.put(
        {
            "resourceType": "Encounter",
            "id": name,
            "status": "finished",
            "class": {"code": "AMB"},
            "subject": {"reference": f"Patient/{patient}"},
            "period": {"start": day},
        }
        | more
    )


def test_an_object_that_names_no_visit_is_of_its_patients_only_one_of_its_day(world: World) -> None:
    nameless = {"AccessionNumber": "", "StudyDate": "20220203"}
    none = send(world, 4300, **nameless)
    with _worker(world) as worker:
        worker.look()
        assert state_of(world, none) == "examined"
        _visit(world, "anna", "of-that-day", "2022-02-03T09:00:00+02:00")
        _visit(world, "anna", "cancelled-then", "2022-02-03T09:00:00+02:00", status="cancelled")
        _visit(world, "ben", "another-patients", "2022-02-03T09:00:00+02:00")
        worker.arrivals.relink()
        assert state_of(world, none) == "linked"
        with glancing(world.engine) as connection:
            document = world.store.read(connection, "DocumentReference", fhir_id(none.sop)).json()
        assert document["context"]["encounter"] == [{"reference": "Encounter/of-that-day"}]
        _visit(world, "anna", "second-of-that-day", "2022-02-03T15:00:00+02:00")
        several, dateless = send(world, 4301, **nameless), send(world, 4302, AccessionNumber="", StudyDate="")
        named = send(world, 4303, AccessionNumber="ACC-of-nobody", StudyDate="20220203")
        worker.look()
    assert [state_of(world, each) for each in (several, dateless, named)] == ["examined"] * 3


def test_an_object_is_linked_by_the_request_that_it_names(world: World) -> None:
    visit = world.visit()
    world.put(
        {
            "resourceType": "ServiceRequest",
            "id": "asked-for",
            "identifier": [{"value": "RQ-1"}],
            "status": "active",
            "intent": "order",
            "subject": {"reference": "Patient/anna"},
            "encounter": {"reference": f"Encounter/{visit.encounter}"},
        }
    )
    made = send(world, 4400, AccessionNumber="", RequestedProcedureID="RQ-1")
    with _worker(world) as worker:
        worker.look()
    assert state_of(world, made) == "linked"
