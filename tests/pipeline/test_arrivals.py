"""Objects that reach Orthanc as DICOM: linked by what they name, waiting otherwise, and seen by nobody until then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import BytesIO
from threading import Event
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from sqlalchemy import Connection, select

from consent.audit.read import Archive as AuditArchive
from consent.store import jobs
from consent.store.engine import glancing, transaction
from consent.store.tables import job
from dicom_bridge import archive, arrivals, ledger
from dicom_bridge.archive import OrthancArchive
from dicom_bridge.held import Held, keep_unseen
from dicom_bridge.objects.read import read_object
from dicom_bridge.objects.uids import fhir_id
from dicom_bridge.query.nesting import MAX_DEPTH
from dicom_bridge.way import Arrow
from fhir_mapping.resources.document_reference import EXPRESSION_EXTENSION
from fhir_mapping.resources.task import OBJECT_WAITS
from orthanc_plugin.assembly.intake import open_archive
from orthanc_plugin.assembly.worker import Worker, worker_of
from tests.archive import Photo
from tests.pipeline.sent import encoded, is_seen, renamed, send, state_of
from tests.pipeline.world import World

pytestmark = [pytest.mark.orthanc]


@contextmanager
def _worker(world: World) -> Iterator[Worker]:
    with world.node("worker") as node, open_archive(node) as archive:
        yield worker_of(node, archive, lambda _: None, Event())


def _task_of(world: World, made: Photo) -> dict[str, Any]:
    """The one Task that asks a person about an object that waits."""
    (found,) = [
        each
        for each in world.tasks(OBJECT_WAITS)
        if each["input"][0]["valueIdentifier"]["value"] == f"urn:oid:{made.sop}"
    ]
    return found


def _intents(world: World) -> int:
    archive = AuditArchive(world.engine, world.settings.audit_folder)
    return sum(b'"intent"' in row.body for chain in archive.chains() for row in archive.rows(chain))


def test_the_hook_wakes_the_worker(world: World) -> None:
    with transaction(world.engine) as connection:
        connection.execute(job.delete().where(job.c.kind == jobs.ARRIVAL))
    send(world, 100)
    with glancing(world.engine) as connection:
        assert connection.execute(select(job.c.key).where(job.c.kind == jobs.ARRIVAL)).scalars().all() == ["*"]
    with transaction(world.engine) as connection:
        taken = jobs.take(connection, [jobs.ARRIVAL], timedelta(minutes=1), "test")
        assert taken is not None
        assert not jobs.waits(connection, jobs.ARRIVAL, "*")
    send(world, 101)  # while somebody is at it
    with transaction(world.engine) as connection:
        jobs.done(connection, taken)
        assert jobs.waits(connection, jobs.ARRIVAL, "*")


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
    made = send(world, seed, **({"AccessionNumber": ""} | {by: named[by]}))
    assert not is_seen(world, made)
    with _worker(world) as worker:
        worker.look()
    assert state_of(world, made) == "linked"
    assert is_seen(world, made)
    with glancing(world.engine) as connection:
        document = world.store.read(connection, "DocumentReference", fhir_id(made.sop)).json()
        study = world.store.read(connection, "ImagingStudy", fhir_id(made.study)).json()
    assert document["context"]["encounter"] == [{"reference": f"Encounter/{visit.encounter}"}]
    assert study["series"][0]["instance"][0]["uid"] == made.sop
    if by == "RequestedProcedureID":
        assert document["context"]["related"] == [{"reference": f"Procedure/request-{number}"}]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("nothing", "No visit"),
        ("a bar", "No visit"),
        ("another patient", "Patient ID"),
        ("two visits", "more than one visit"),
    ],
)
def test_an_object_whose_place_is_not_certain_waits_unseen_and_says_why(world: World, what: str, said: str) -> None:
    one, other = world.visit(), world.visit()
    first, second = (each.encounter.rpartition("-")[2] for each in (one, other))
    attributes = {
        "nothing": {"AccessionNumber": "no-such"},
        # a number of its own, not a system and a value
        "a bar": {"AccessionNumber": "barred", "AdmissionID": f"urn:visit|V-{first}"},
        "another patient": {"AccessionNumber": f"ACC-{first}", "PatientID": "PID-ben"},
        "two visits": {"AccessionNumber": f"ACC-{first}", "AdmissionID": f"V-{second}"},
    }[what]
    made = send(world, 300 + len(what), **attributes)
    documents, tasks, intents = world.count("DocumentReference"), world.count("Task"), _intents(world)
    with _worker(world) as worker:
        worker.look()
        worker.look()
        worker.arrivals.relink()
    assert state_of(world, made) == "examined"
    assert not is_seen(world, made)
    assert world.count("DocumentReference") == documents
    assert world.count("Task") == tasks + 1
    assert _intents(world) == intents
    task = _task_of(world, made)
    assert (task["status"], said in task["reasonCode"]["text"]) == ("requested", True)
    assert attributes["AccessionNumber"] in {each.get("valueString") for each in task["input"]}
    assert task["meta"]["versionId"] == "1"


def test_an_object_that_waits_is_linked_when_its_visit_is_told(world: World) -> None:
    made = send(world, 400, AccessionNumber="LATER-1")
    with _worker(world) as worker:
        worker.look()
        assert state_of(world, made) == "examined"
        visit = world.visit()
        with glancing(world.engine) as connection:
            encounter = world.store.read(connection, "Encounter", visit.encounter).json()
        encounter["identifier"].append({"system": "urn:accession", "value": "LATER-1"})
        del encounter["meta"]
        world.put(encounter)
        worker.arrivals.relink()
    assert state_of(world, made) == "linked"
    assert is_seen(world, made)
    assert _task_of(world, made)["status"] == "completed"


def test_a_study_of_two_visits_waits_and_is_not_tried_again_and_again(world: World) -> None:
    one, other = world.visit(), world.visit()
    first, second = (each.encounter.rpartition("-")[2] for each in (one, other))
    made = send(world, 410, AccessionNumber=f"ACC-{first}")
    late = send(world, 411, AccessionNumber=f"ACC-{second}", StudyInstanceUID=made.study)
    with _worker(world) as worker:
        worker.look()
        intents = _intents(world)
        for _ in range(3):
            worker.arrivals.relink()
    assert (state_of(world, made), state_of(world, late)) == ("linked", "examined")
    assert not is_seen(world, late)
    assert "another visit" in _task_of(world, late)["reasonCode"]["text"]
    assert _intents(world) == intents


def test_an_object_that_cannot_be_read_is_told_to_a_person_once(world: World) -> None:
    tasks = world.count("Task")
    made = send(world, 421, deep=str(MAX_DEPTH + 4))
    with _worker(world) as worker:
        found = worker.arrivals.look()
        assert (found.examined, found.refused) == (1, 1)
        assert worker.arrivals.look(everything=True).examined == 0
    assert not is_seen(world, made)
    assert world.count("Task") == tasks + 1


def test_a_comparison_reads_the_list_of_objects_to_its_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [send(world, 425 + number) for number in range(5)]
    with _worker(world) as worker:
        worker.look()
        tasks = world.count("Task")
        monkeypatch.setattr(archive, "_PAGE", 2)
        with world.node("worker") as node, open_archive(node) as orthanc:
            assert {each.orthanc_id for each in made} <= orthanc.instances("test")
        assert worker.arrivals.look(everything=True).examined == 0
    assert world.count("Task") == tasks


def test_a_fault_of_one_object_does_not_keep_the_next_one_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    poison = send(world, 430)
    visit = world.visit()
    made = send(world, 431, AccessionNumber=f"ACC-{visit.encounter.rpartition('-')[2]}")

    def stumbles(data: bytes) -> Any:
        if data == poison.dicom:
            raise KeyError("a fault nobody thought of")
        return read_object(data)

    monkeypatch.setattr(arrivals, "read_object", stumbles)
    with _worker(world) as worker:
        worker.look()
    assert (state_of(world, poison), state_of(world, made)) == (None, "linked")
    assert not is_seen(world, poison)


@pytest.mark.parametrize("day", ["99991231", "00010101"])
def test_a_date_at_the_end_of_the_calendar_is_none_and_keeps_nobody_out(world: World, day: str) -> None:
    visit = world.visit()
    number = visit.encounter.rpartition("-")[2]
    made = send(world, 5000 + int(day[:4]), AccessionNumber=f"ACC-{number}", ContentDate=day)
    later = send(world, 20_000 + int(day[:4]), AccessionNumber="no-such")
    with _worker(world) as worker:
        worker.look()
    assert (state_of(world, made), state_of(world, later)) == ("linked", "examined")


@pytest.mark.parametrize(
    "odd", [{"InstanceNumber": "2147483648"}, {"SeriesDescription": "before\x1b$B"}], ids=["a number", "an escape"]
)
def test_an_odd_number_or_description_does_not_keep_an_object_from_its_visit(world: World, odd: dict[str, str]) -> None:
    visit = world.visit()
    made = send(world, 5200 + len(str(odd)), AccessionNumber=f"ACC-{visit.encounter.rpartition('-')[2]}", **odd)
    with _worker(world) as worker:
        worker.look()
    assert state_of(world, made) == "linked"
    with glancing(world.engine) as connection:
        study = world.store.read(connection, "ImagingStudy", fhir_id(made.study)).json()
    assert ("number" in study["series"][0]["instance"][0]) == ("InstanceNumber" not in odd)


def test_an_object_whose_values_nobody_thought_of_keeps_nobody_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(connection: Connection, held: Held) -> int:
        if held.sop_uid == made.sop:
            raise OverflowError
        return keep_unseen(connection, held)

    made, later = send(world, 5100, AccessionNumber="odd"), send(world, 5101, AccessionNumber="no-such")
    monkeypatch.setattr("dicom_bridge.settling.keep_unseen", failing)
    with _worker(world) as worker:
        worker.look()
    assert (state_of(world, made), state_of(world, later)) == (None, "examined")
    assert not is_seen(world, made)


def test_what_no_callback_told_of_is_found_by_comparing_everything(world: World) -> None:
    visit = world.visit()
    made = send(world, 500, AccessionNumber=f"ACC-{visit.encounter.rpartition('-')[2]}")
    with _worker(world) as worker:
        worker.arrivals._advance(1 << 40)
        worker.look()  # `Last` is behind the cursor: an older copy of the archive was put back
    assert state_of(world, made) == "linked"


def test_a_photo_that_the_archive_lost_is_told_to_a_person_once(world: World) -> None:
    visit = world.visit()
    made = send(world, 600, AccessionNumber=f"ACC-{visit.encounter.rpartition('-')[2]}")
    with _worker(world) as worker:
        worker.look()
        tasks = world.count("Task")
        removed = world.archive.task("DELETE", f"/instances/{made.orthanc_id}", kind="remove")
        assert removed.status == 200
        worker.look(everything=True)
        worker.look(everything=True)
    assert world.count("Task") == tasks + 1


@pytest.mark.parametrize("where", ["elsewhere", "in its place"])
@pytest.mark.parametrize("on_its_way", [True, False])
def test_an_object_with_the_uid_of_a_known_photo_is_not_kept_and_a_person_is_told(
    world: World, where: str, on_its_way: bool
) -> None:
    visit = world.visit()
    if on_its_way:
        assert world.ingest_until(Arrow.STORED, 1, visit) == -9
    else:
        world.take(visit)
    (sop,) = world.sops(visit)
    with glancing(world.engine) as connection:
        entry = ledger.entry(connection, sop)
    assert entry is not None
    objects, tasks = world.instances(), world.count("Task")
    if where == "elsewhere":
        dataset = dcmread(BytesIO(renamed(world.archive.describe("ben", 700).dicom, sop)))
    else:
        with world.node() as node, open_archive(node) as archive:
            kept = archive.file("test", entry.orthanc_id)
        assert kept is not None
        dataset = dcmread(BytesIO(kept))
        dataset.ImageComments = "another one"
    for _ in range(2):
        world.archive.store(encoded(dataset))
    assert world.instances() == objects
    with _worker(world) as worker:
        while worker.one_job():
            pass
        assert world.count("Task") == tasks + 1
        world.archive.store(encoded(dataset))
        while worker.one_job():
            pass
        assert world.count("Task") == tasks + 1
        world.due()
        worker.recover_open(timedelta(0))
    world.whole(visit)


def test_an_object_that_took_a_known_uid_unasked_blinds_nobody_and_a_person_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit = world.visit()
    world.take(visit)
    (sop,) = world.sops(visit)
    made = send(world, 710)
    other = renamed(made.dicom, sop)
    tasks = world.count("Task")
    fetch = OrthancArchive.file
    monkeypatch.setattr(
        OrthancArchive, "file", lambda self, job, name: other if name == made.orthanc_id else fetch(self, job, name)
    )
    with _worker(world) as worker:
        worker.look()
        worker.look(everything=True)
    assert world.count("Task") == tasks + 1
    assert not is_seen(world, made)
    world.whole(visit)


def test_an_object_that_was_sent_again_is_one_photo_and_nobodys_matter(world: World) -> None:
    visit = world.visit()
    made = send(world, 800, AccessionNumber=f"ACC-{visit.encounter.rpartition('-')[2]}")
    with _worker(world) as worker:
        worker.look()
        before = [world.count(kind) for kind in ("DocumentReference", "Task")]
        assert world.archive.store(made.dicom).status == 200
        while worker.one_job():
            pass
        worker.look(everything=True)
    assert [world.count(kind) for kind in ("DocumentReference", "Task")] == before


def test_an_expression_that_an_object_states_is_on_record(world: World) -> None:
    visit = world.visit()
    number = visit.encounter.rpartition("-")[2]
    frown, item = Dataset(), Dataset()
    frown.CodeValue, frown.CodingSchemeDesignator, frown.CodeMeaning = "frown", "99PHOTOSPINE", "frown"
    item.ConceptCodeSequence = [frown]
    made = send(world, 260, AccessionNumber=f"ACC-{number}", AcquisitionContextSequence=[item])
    with _worker(world) as worker:
        worker.look(everything=True)
    with glancing(world.engine) as connection:
        document = world.store.read(connection, "DocumentReference", fhir_id(made.sop)).json()
    stated = [each for each in document["extension"] if each["url"] == EXPRESSION_EXTENSION]
    assert [each["valueCodeableConcept"]["coding"][0]["code"] for each in stated] == ["frown"]
