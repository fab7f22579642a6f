"""Modality worklist: asked by dcmtk's findscu, and a photo that comes back by C-STORE closes the gap."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from threading import Event
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import JPEGBaseline8Bit
from pynetdicom.presentation import build_context

from consent.store.engine import glancing
from consent.types import Right
from dicom_bridge.gaps.requests import request_id, shot_code
from dicom_bridge.gateway.worklist import MODALITY_WORKLIST
from orthanc_plugin.assembly.gaps import desk
from orthanc_plugin.assembly.intake import open_archive
from orthanc_plugin.assembly.settings import load
from orthanc_plugin.assembly.worker import worker_of
from tests.archive import Archive
from tests.fhir.clinic import consent_of
from tests.gaps.clinic import ASKS
from tests.gaps.sentences import FOLDER
from tests.gateway.world import Gate, gate
from tests.pipeline.world import ACSN, World
from tests.ports import free_port

pytestmark = pytest.mark.orthanc
GLABELLA = {"coding": [{"system": "http://snomed.info/sct", "code": "244083007"}]}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Anna is here with an accession number, Ben is expected by an appointment; both were treated 17 days ago."""
    with Archive(tmp_path_factory.mktemp("worklist"), free_port()) as archive:
        made = World(archive)
        archive.account("camera", "TREAT", rights=(Right.STORE, Right.CAPTURE))
        archive.account("reader", "TREAT")
        archive.account("portal", "TREAT", rights=(Right.CAPTURE,), confined_to="anna")
        archive.account("studio", "PORTFOLIO", rights=(Right.CAPTURE,))
        with made.file.open("a") as file:
            file.write(f'protocols = "{FOLDER / "protocols"}"\n')
        made.settings = load(made.file)
        zone = made.store.site.zone
        now = datetime.now(zone).replace(microsecond=0)
        for name in ("anna", "ben"):
            made.put(
                {
                    "resourceType": "Procedure",
                    "id": f"s-{name}",
                    "status": "completed",
                    "code": {"text": "Toxin"},
                    "subject": {"reference": f"Patient/{name}"},
                    "bodySite": [GLABELLA],
                    "performedDateTime": (now - timedelta(days=17)).isoformat(),
                }
            )
        made.put(
            {
                "resourceType": "Encounter",
                "id": "here",
                "status": "arrived",
                "identifier": [{"type": ACSN, "value": "ACC-TODAY"}],
                "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
                "subject": {"reference": "Patient/anna"},
                "period": {"start": now.replace(hour=0, minute=5).isoformat()},
            }
        )
        made.put(
            {
                "resourceType": "Appointment",
                "id": "expected",
                "status": "booked",
                "start": now.replace(hour=23, minute=30).isoformat(),
                "end": now.replace(hour=23, minute=45).isoformat(),
                "participant": [{"actor": {"reference": "Patient/ben"}, "status": "accepted"}],
            }
        )
        yield made


@pytest.fixture(scope="module")
def door(world: World) -> Iterator[Gate]:
    with gate(world.archive, protocols=FOLDER / "protocols") as made:
        for title, account in (("CAMERA", "camera"), ("READER", "reader"), ("PORTAL", "portal")):
            made.peer(title, account)
        made.peer("STUDIO", "studio", "PORTFOLIO")
        yield made


def find(door: Gate, *keys: str, title: str = "CAMERA") -> list[str]:
    """Patient IDs of the entries that findscu is given."""
    words = [word for key in ("PatientID", *keys) for word in ("-k", key)]
    said = door.run("findscu", "-W", *words, title=title)
    assert "Find Failed" not in said
    pending = said.partition("Find Response: 1")[2]
    return re.findall(r"\(0010,0020\) LO \[(.*?)\s*\]", pending)


STEP = "ScheduledProcedureStepSequence[0]"


def today(world: World) -> datetime:
    return datetime.now(world.store.site.zone)


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("PatientName", ["PID-anna", "PID-ben"]),
        ("PatientName=*", ["PID-anna", "PID-ben"]),
        ("PatientName=FAMILYA*", ["PID-anna"]),
        ("PatientName=Family?e?^Given", ["PID-ben"]),
        ("PatientName=Nobody*", []),
        ("PatientID=PID-ben", ["PID-ben"]),
        ("PatientID=PID-*", ["PID-anna", "PID-ben"]),
        ("AccessionNumber=ACC-TODAY", ["PID-anna"]),
        (f"{STEP}.Modality=XC", ["PID-anna", "PID-ben"]),
        (f"{STEP}.Modality=CT", []),
        (f"{STEP}.ScheduledStationAETitle=CAMERA", ["PID-anna", "PID-ben"]),
        (f"{STEP}.ScheduledStationAETitle=ANOTHER", []),
        (f"{STEP}.ScheduledProcedureStepStatus=ARRIVED", ["PID-anna"]),
        (f"{STEP}.ScheduledProcedureStepStartTime=2300-", ["PID-ben"]),
        (f"{STEP}.ScheduledProcedureStepStartTime=-0100", ["PID-anna"]),
        (f"RequestedProcedureID={request_id('Appointment/expected')}", ["PID-ben"]),
    ],
)
def test_matching(door: Gate, key: str, found: list[str]) -> None:
    assert find(door, key) == found


@pytest.mark.parametrize(
    ("first", "last", "found"),
    [(0, 0, 2), (-1, 1, 2), (None, 0, 2), (0, None, 2), (1, None, 0), (None, -1, 0), (-3, -2, 0)],
)
def test_days_and_ranges_of_days(world: World, door: Gate, first: int | None, last: int | None, found: int) -> None:
    bounds = ["" if each is None else f"{today(world) + timedelta(days=each):%Y%m%d}" for each in (first, last)]
    value = bounds[0] if first == last else "-".join(bounds)
    assert len(find(door, f"{STEP}.ScheduledProcedureStepStartDate={value}")) == found


def test_an_entry_says_what_is_wanted(world: World, door: Gate) -> None:
    (entry,) = ask(door, patient="PID-anna")
    assert (str(entry.PatientName), entry.AccessionNumber) == ("Familyanna^Given", "ACC-TODAY")
    assert entry.RequestedProcedureID == request_id("Encounter/here")
    step = entry.ScheduledProcedureStepSequence[0]
    assert step.ScheduledProcedureStepDescription == "Toxin, follow-up 2 weeks: 2 photos"
    assert [(each.CodeMeaning, each.CodeValue) for each in step.ScheduledProtocolCodeSequence] == [
        ("Glabella, frontal, face at rest", shot_code("toxin-glabella", "rest")),
        ("Glabella, frontal, frown", shot_code("toxin-glabella", "frown")),
    ]
    assert step.ScheduledProcedureStepStartDate == f"{today(world):%Y%m%d}"
    assert entry.StudyInstanceUID.startswith("2.25.")
    (other,) = ask(door, patient="PID-ben")
    assert other.AccessionNumber == other.RequestedProcedureID == request_id("Appointment/expected")


def ask(door: Gate, *, patient: str = "", title: str = "CAMERA") -> list[Dataset]:
    """The entries, by pynetdicom, whole."""
    with door.association(MODALITY_WORKLIST, title=title) as association:
        answers = list(association.send_c_find(wanted(patient), MODALITY_WORKLIST))
    assert answers[-1][0].Status == 0
    return [found for _, found in answers[:-1] if found is not None]


def wanted(patient: str) -> Dataset:
    step = Dataset()
    step.Modality = step.ScheduledProcedureStepStartDate = step.ScheduledProcedureStepDescription = ""
    step.ScheduledProcedureStepID = ""
    step.ScheduledProtocolCodeSequence = Sequence()
    made = Dataset()
    made.PatientID, made.PatientName, made.AccessionNumber, made.StudyInstanceUID = patient, "", "", ""
    made.RequestedProcedureID = ""
    made.ScheduledProcedureStepSequence = Sequence([step])
    return made


@pytest.mark.parametrize("title", ["READER", "PORTAL", "STUDIO"])
def test_only_who_treats_and_may_photograph_asks(door: Gate, title: str) -> None:
    before = len([each for each in door.records() if each["route"] == "C-FIND MWL"])
    with door.association(MODALITY_WORKLIST, title=title) as association:
        answers = [each.Status for each, _ in association.send_c_find(wanted(""), MODALITY_WORKLIST)]
    assert answers == [0x0124]
    assert len([each for each in door.records() if each["route"] == "C-FIND MWL"]) == before


def test_a_question_is_recorded(door: Gate) -> None:
    ask(door)
    record = door.records()[-1]
    assert (record["kind"], record["route"], record["account"]) == ("set", "C-FIND MWL", "camera")


def test_a_bad_identifier_is_told_so(door: Gate) -> None:
    bad = wanted("")
    bad.ScheduledProcedureStepSequence[0].add_new(0x00400002, "LO", "yesterday")
    two = wanted("")
    two.ScheduledProcedureStepSequence.append(Dataset())
    two.ScheduledProcedureStepSequence[1].Modality = "XC"
    with door.association(MODALITY_WORKLIST, title="CAMERA") as association:
        assert [each.Status for each, _ in association.send_c_find(two, MODALITY_WORKLIST)] == [0xA900]
        assert [each.Status for each, _ in association.send_c_find(wanted("x"), MODALITY_WORKLIST)] == [0]
    assert find(door, f"{STEP}.ScheduledProcedureStepStartDate=20200101") == []


def test_more_than_the_limit_is_told_so(world: World, door: Gate) -> None:
    with (
        gate(world.archive, protocols=FOLDER / "protocols", dimse_most_objects=1) as small,
        small.association(MODALITY_WORKLIST, title="CAMERA") as association,
    ):
        answers = [each.Status for each, _ in association.send_c_find(wanted(""), MODALITY_WORKLIST)]
    assert answers == [0xFF00, 0xA700]


def test_a_photo_that_comes_back_closes_the_gap(world: World, door: Gate) -> None:
    (entry,) = ask(door, patient="PID-anna")
    for number, code in enumerate(entry.ScheduledProcedureStepSequence[0].ScheduledProtocolCodeSequence):
        assert _send(world, door, entry, code, number) == 0
        _link(world)
        with world.node() as node:
            report = desk(node).of_patient(ASKS, "anna", "test")
        assert report is not None
        assert {shot.name for gap in report.people[0].open for shot in gap.shots} == (
            {"frown"} if number == 0 else set()
        )
    assert ask(door, patient="PID-anna") == []
    photos = _documents(world, "anna")
    assert len(photos) == 2
    clinic = [{"reference": f"Organization/{world.store.site.organization}"}]
    hidden = {"meaning": "instance", "reference": {"reference": f"DocumentReference/{photos[0]['id']}"}}
    world.put(consent_of("c1", "deny", "TREAT", provision={"data": [hidden]}, organization=clinic))
    (again,) = ask(door, patient="PID-anna")  # a photo that this caller may not see is as if it were not there
    assert len(again.ScheduledProcedureStepSequence[0].ScheduledProtocolCodeSequence) == 1


def test_a_photo_finds_the_visit_of_an_appointment(world: World, door: Gate) -> None:
    (entry,) = ask(door, patient="PID-ben")
    code = entry.ScheduledProcedureStepSequence[0].ScheduledProtocolCodeSequence[0]
    assert _send(world, door, entry, code, 7) == 0
    _link(world)
    assert _documents(world, "ben") == []
    world.put(
        {
            "resourceType": "Encounter",
            "id": "came",
            "status": "in-progress",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "subject": {"reference": "Patient/ben"},
            "appointment": [{"reference": "Appointment/expected"}],
            "period": {"start": today(world).isoformat(timespec="seconds")},
        }
    )
    _link(world)
    (document,) = _documents(world, "ben")
    assert document["context"]["encounter"] == [{"reference": "Encounter/came"}]


def _send(world: World, door: Gate, entry: Dataset, code: Dataset, number: int) -> int:
    """What a camera sends that was given the entry: the status."""
    patient = str(entry.PatientID).removeprefix("PID-")
    photo = world.archive.describe(patient, 500 + number, visit="9", view=str(number))
    made = dcmread(io.BytesIO(photo.dicom))
    made.PatientID, made.PatientName = entry.PatientID, entry.PatientName
    made.StudyInstanceUID, made.AccessionNumber = entry.StudyInstanceUID, ""
    made.AcquisitionDateTime = f"{today(world):%Y%m%d%H%M%S}"
    for keyword in ("AnatomicRegionSequence", "ViewCodeSequence", "AdmissionID"):
        if keyword in made:
            del made[keyword]
    request = Dataset()
    request.RequestedProcedureID = entry.RequestedProcedureID
    made.RequestAttributesSequence = Sequence([request])
    made.PerformedProtocolCodeSequence = Sequence([code])
    with door.association(title="CAMERA", more=[build_context(made.SOPClassUID, JPEGBaseline8Bit)]) as association:
        return int(association.send_c_store(made).Status)


def _link(world: World) -> None:
    with world.node("worker") as node, open_archive(node) as archive:
        arrivals = worker_of(node, archive, lambda _: None, Event()).arrivals
        arrivals.look(everything=True)
        arrivals.relink()


def _documents(world: World, patient: str) -> list[dict[str, Any]]:
    with glancing(world.engine) as connection:
        found = world.store.search(connection, "DocumentReference", {"patient": f"Patient/{patient}"})
    return [each.json() for each in found]
