"""Accounts bring objects by STOW-RS: looked at first, recorded, and unseen until the worker has found their place."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

import httpx
import pytest
from pydicom import dcmread

from consent.audit.read import Archive as AuditArchive
from consent.store.engine import transaction
from consent.types import Right
from dicom_bridge.deposit import Failure
from dicom_bridge.query.nesting import MAX_DEPTH
from dicom_bridge.query.orthanc_ids import orthanc_ids
from orthanc_plugin.assembly.serve import Served, build
from tests.archive import Archive, Photo, basic
from tests.ports import free_port
from tests.workspace.client import Client

pytestmark = [pytest.mark.orthanc]

CT = "1.2.840.10008.5.1.4.1.1.2"
ENDS_ORTHANC = 60
"""Levels of nesting that end every Orthanc that was measured."""


@dataclass(frozen=True, slots=True)
class Door:
    archive: Archive
    served: Served
    known: Photo

    def stow(
        self, objects: Sequence[bytes], account: str | None = "sender", study: str | None = None, **headers: str
    ) -> httpx.Response:
        body = b"".join(b"--b\r\nContent-Type: application/dicom\r\n\r\n" + each + b"\r\n" for each in objects)
        sent = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b', **headers}
        if account is not None:
            sent["Authorization"] = basic(account)
        path = "/dicom-web/studies" + ("" if study is None else f"/{study}")
        return Client(self.served.app).post(path, content=body + b"--b--\r\n", headers=sent)

    def holds(self, orthanc_id: str) -> bool:
        return self.archive.task("GET", f"/instances/{orthanc_id}/attachments", kind="store").status == 200


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with Archive(tmp_path_factory.mktemp("deposits"), free_port()) as archive:
        archive.account("clinician", "TREAT")
        archive.account("sender", rights=(Right.STORE,))
        archive.account("portal", "PATRQT", rights=(Right.STORE,), confined_to="anna")
        archive.patient("anna")
        known = archive.photo("anna")
        served = build(archive.settings)
        try:
            yield Door(archive, served, known)
        finally:
            served.close()


def _with(dicom: bytes, **values: Any) -> bytes:
    dataset, out = dcmread(BytesIO(dicom)), BytesIO()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _deep(dicom: bytes, levels: int) -> bytes:
    inner = b""
    for _ in range(levels):
        item = struct.pack("<HHI", 0xFFFE, 0xE000, len(inner)) + inner
        inner = struct.pack("<HH2sHI", 0x7FE1, 0x1010, b"SQ", 0, len(item)) + item
    return dicom + inner


def _failures(answer: httpx.Response) -> list[int]:
    return [each["00081197"]["Value"][0] for each in answer.json().get("00081198", {}).get("Value", ())]


def _records(door: Door, photo: str) -> list[dict[str, Any]]:
    audit = AuditArchive(door.archive.engine, door.archive.settings.audit_folder)
    found = [json.loads(row.body) for chain in audit.chains() for row in audit.rows(chain)]
    intents = [each for each in found if each["kind"] == "intent" and each.get("photo") == photo]
    names = {f"{each['chain']}#{each['sequence']}" for each in intents}
    return intents + [each for each in found if each.get("intent") in names]


def test_what_is_stored_is_recorded_and_nobody_sees_it(door: Door) -> None:
    made = [door.archive.describe("anna", seed, visit="2") for seed in (901, 902)]
    answer = door.stow([each.dicom for each in made])
    assert answer.status_code == 200
    stored = answer.json()["00081199"]["Value"]
    assert [each["00081155"]["Value"] for each in stored] == [[each.sop] for each in made]
    assert stored[0]["00081190"]["Value"][0].endswith(made[0].wado)
    for each in made:
        assert door.holds(each.orthanc_id)
        assert door.archive.ask(f"{each.rest}/file", "clinician", "TREAT").status == 403
        intent, done = _records(door, each.sop)
        assert (intent["door"], intent["account"], intent["route"]) == ("serve", "sender", "POST /dicom-web/studies")
        assert done["outcome"] == "done"


def test_orthanc_itself_takes_nothing_from_an_account(door: Door) -> None:
    """Its DICOMweb goes down into a deep object before the wall is asked about it."""
    made = door.archive.describe("anna", 903)
    for account in ("sender", "clinician", None):
        headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'}
        body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + made.dicom + b"\r\n--b--\r\n"
        reply = door.archive.ask("/dicom-web/studies", account, method="POST", headers=headers, body=body)
        assert (reply.status, reply.body) == (403, b"")
    assert not door.holds(made.orthanc_id)


@pytest.mark.parametrize("levels", [MAX_DEPTH, ENDS_ORTHANC])
def test_a_deep_object_does_not_reach_orthanc(door: Door, levels: int) -> None:
    made = door.archive.describe("anna", 904)
    answer = door.stow([_deep(made.dicom, levels)])
    assert (answer.status_code, _failures(answer)) == (409, [Failure.CANNOT_UNDERSTAND])
    assert not door.holds(made.orthanc_id)


def test_one_as_deep_as_may_be_is_read_at_every_door(door: Door) -> None:
    """Orthanc goes down into it for each of them, on its small stack."""
    made = door.archive.describe("anna", 906)
    made = replace(made, dicom=_deep(made.dicom, MAX_DEPTH - 1))
    assert door.stow([made.dicom]).status_code == 200
    with transaction(door.archive.engine) as connection:
        door.archive.know(connection, made)
    for path in ("", "/file", "/tags", "/simplified-tags", "/header", "/frames"):
        assert door.archive.ask(made.rest + path, "clinician", "TREAT").status == 200
    for path in ("", "/metadata", "/frames/1"):
        assert door.archive.ask(made.wado + path, "clinician", "TREAT", headers={"Accept": "*/*"}).status == 200, path


def test_an_object_that_is_no_photo_is_refused_at_both_doors(door: Door) -> None:
    made = door.archive.describe("anna", 905)
    other = _with(made.dicom, SOPClassUID=CT)
    answer = door.stow([other])
    assert (answer.status_code, _failures(answer)) == (409, [Failure.CLASS_NOT_SUPPORTED])
    door.archive.store(other)
    assert not door.holds(made.orthanc_id)


@pytest.mark.parametrize(
    "sop_class", ["1.2.840.10008.5.1.4.1.1.77.1.7", "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.104.1"]
)
def test_the_classes_that_accompany_photos_are_taken(door: Door, sop_class: str) -> None:
    made = door.archive.describe("anna", 910 + int(sop_class[-1]))
    assert door.stow([_with(made.dicom, SOPClassUID=sop_class)]).status_code == 200
    assert door.holds(made.orthanc_id)


def test_a_uid_that_is_known_of_another_patient_says_no_more_than_any_failure(door: Door) -> None:
    stolen = _with(door.known.dicom, PatientID="PID-somebody", StudyInstanceUID="2.25.5", SeriesInstanceUID="2.25.6")
    answer = door.stow([stolen])
    assert answer.status_code == 409
    dataset = dcmread(BytesIO(stolen))
    assert answer.json() == {
        "00081198": {
            "vr": "SQ",
            "Value": [
                {
                    "00081150": {"vr": "UI", "Value": [dataset.SOPClassUID]},
                    "00081155": {"vr": "UI", "Value": [dataset.SOPInstanceUID]},
                    "00081197": {"vr": "US", "Value": [Failure.PROCESSING]},
                }
            ],
        }
    }
    assert not door.holds(orthanc_ids("PID-somebody", "2.25.5", "2.25.6", door.known.sop).instance)
    _, done = _records(door, door.known.sop)
    assert done["outcome"] == "failed"
    assert door.archive.ask(f"{door.known.rest}/file", "clinician", "TREAT").body == door.known.dicom


@pytest.mark.parametrize("identity", ["Müller 7", " padded ", "", "Ω" * 30])
def test_an_object_of_an_odd_patient_id_is_told_to_be_stored(door: Door, identity: str) -> None:
    """Whether Orthanc has it is asked by the id that Orthanc makes of it."""
    made = door.archive.describe("anna", 950 + len(identity))
    sent = _with(made.dicom, PatientID=identity, StudyInstanceUID=f"2.25.95{len(identity)}")
    answer = door.stow([sent])
    assert (answer.status_code, _failures(answer)) == (200, [])


def test_the_same_object_again_changes_nothing(door: Door) -> None:
    assert door.stow([door.known.dicom]).status_code == 200
    assert door.archive.ask(f"{door.known.rest}/file", "clinician", "TREAT").body == door.known.dicom


def test_some_of_several_are_stored(door: Door) -> None:
    good, other = door.archive.describe("anna", 920), door.archive.describe("anna", 921, visit="3")
    answer = door.stow([good.dicom, b"no object", other.dicom], study=good.study)
    assert answer.status_code == 202
    assert [each["00081155"]["Value"] for each in answer.json()["00081199"]["Value"]] == [[good.sop]]
    assert _failures(answer) == [Failure.CANNOT_UNDERSTAND, Failure.NOT_OF_THIS_STUDY]
    assert (door.holds(good.orthanc_id), door.holds(other.orthanc_id)) == (True, False)


def test_who_may_not_store(door: Door) -> None:
    made = door.archive.describe("anna", 930)
    assert door.stow([made.dicom], None).status_code == 401
    for account in ("clinician", "portal"):
        answer = door.stow([made.dicom], account)
        assert (answer.status_code, answer.content) == (404, b"")
    assert not door.holds(made.orthanc_id)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/dicom"}, 415),
        ({"Content-Type": 'multipart/related; type="application/dicom+json"; boundary=b'}, 415),
        ({"Content-Type": 'multipart/related; type="application/dicom"'}, 415),
        ({"Content-Type": 'multipart/related; type="application/dicom"; boundary=other'}, 400),
        ({"Accept": "application/dicom+xml"}, 406),
    ],
)
def test_a_body_that_is_none(door: Door, headers: dict[str, str], status: int) -> None:
    made = door.archive.describe("anna", 940)
    answer = door.stow([made.dicom], **headers)
    assert (answer.status_code, answer.content) == (status, b"")
    assert not door.holds(made.orthanc_id)
