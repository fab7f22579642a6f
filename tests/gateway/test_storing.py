"""C-STORE and storage commitment: what comes in is kept unseen, and neither tells of anything else that is here."""

from __future__ import annotations

import io
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, JPEGBaseline8Bit
from pynetdicom import evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode
from pynetdicom.presentation import build_context

from consent.directive import Data, Reach
from consent.identity.peers import Destination
from dicom_bridge.query.known import data_set_digest
from tests.archive import VL_PHOTOGRAPHIC, Photo
from tests.gateway.peers import COMMITMENT, receiver
from tests.gateway.world import LOOPBACK, Gate
from tests.store.world import consent

pytestmark = pytest.mark.orthanc

CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture(scope="module", autouse=True)
def camera(door: Gate) -> None:
    door.peer("CAMERA", "camera")


def send(door: Gate, dataset: Dataset, title: str = "CAMERA") -> int:
    """The status of one C-STORE."""
    contexts = [build_context(dataset.SOPClassUID, JPEGBaseline8Bit)]
    with door.association(title=title, more=contexts) as association:
        return int(association.send_c_store(dataset).Status)


def made(door: Gate, patient: str, seed: int, **more: Any) -> tuple[Photo, Dataset]:
    """A photo that nobody knows yet, as a camera holds it."""
    photo = door.archive.describe(patient, seed, **more)
    return photo, dcmread(io.BytesIO(photo.dicom))


def test_storescu_sends_and_orthanc_has_the_same_data_set(door: Gate, tmp_path: Path) -> None:
    photo, _ = made(door, "anna", 900)
    file = tmp_path / "photo.dcm"
    file.write_bytes(photo.dicom)
    command = ["storescu", "-v", "-xy", "-aet", "CAMERA", "-aec", "PHOTOSPINE", "127.0.0.1", str(door.port), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    kept = door.archive.task("GET", f"{photo.rest}/file", kind="examine")
    assert kept.status == 200
    assert data_set_digest(kept.body) == data_set_digest(photo.dicom)
    assert door.archive.ask(photo.rest, "clinician").status == 403  # unseen until its place is known
    intent, done_record = door.records()[-2:]
    assert (intent["kind"], intent["route"], intent["photo"]) == ("intent", "C-STORE", photo.sop)
    assert (done_record["kind"], done_record["outcome"]) == ("done", "done")


def test_only_who_has_the_right_stores(door: Gate) -> None:
    photo, dataset = made(door, "anna", 901)
    assert send(door, dataset, "VIEWER") == 0x0124
    assert door.archive.task("GET", f"{photo.rest}/attachments", kind="store").status != 200


def test_what_is_no_photo_finds_no_presentation_context(door: Gate) -> None:
    with door.association(title="CAMERA", more=[build_context(CT)]) as association:
        assert not association.is_established


def test_a_data_set_that_is_not_the_commands(door: Gate) -> None:
    _, dataset = made(door, "anna", 902)
    contexts = [build_context(VL_PHOTOGRAPHIC, JPEGBaseline8Bit)]
    with door.association(title="CAMERA", more=contexts) as association:
        answers = []
        for change in ({"SOPInstanceUID": "1.2.3"}, {"StudyInstanceUID": ""}):
            other = Dataset()
            other.update(dataset)
            other.file_meta = dataset.file_meta
            for keyword, value in change.items():
                setattr(other, keyword, value)
            answers.append(_store_as(association, other, str(dataset.SOPInstanceUID)))
    assert answers == [0xA900, 0xC000]


def _store_as(association: Any, dataset: Dataset, sop_uid: str) -> int:
    """Send a data set under another UID than its own."""
    request = C_STORE()
    request.MessageID = 9
    request.AffectedSOPClassUID = UID(VL_PHOTOGRAPHIC)
    request.AffectedSOPInstanceUID = UID(sop_uid)
    request.DataSet = io.BytesIO(encode(dataset, False, True) or b"")
    association._reactor_checkpoint.clear()
    association.dimse.send_msg(request, association.accepted_contexts[0].context_id)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    return int(answer.Status)


def test_a_uid_that_another_photo_has_is_kept_out_and_its_sender_keeps_it(door: Gate) -> None:
    hidden = door.archive.photo("ben")
    hide(door, hidden)
    foreign, dataset = made(door, "mallory", 903)
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(hidden.sop)
    _, free = made(door, "mallory", 904)
    assert (send(door, dataset), send(door, free)) == (0xA700, 0)
    kept = door.archive.task("GET", f"{hidden.rest}/file", kind="examine")
    assert data_set_digest(kept.body) == data_set_digest(hidden.dicom)
    assert commit(door, "CAMERA", hidden.sop, str(free.SOPInstanceUID)) == {
        hidden.sop: 0x0112,
        str(free.SOPInstanceUID): None,
    }
    assert foreign.study


def hide(door: Gate, photo: Photo) -> None:
    document = str(photo.facts.document)
    data = (Data(Reach.PHOTO, document),)
    door.archive.consent(
        consent(f"hide-{document.rpartition('/')[2]}", "deny", "TREAT", photo.facts.patients[0], data=data)
    )


def commit(
    door: Gate, title: str, *uids: str, sop_class: str = VL_PHOTOGRAPHIC, report: Any = None
) -> dict[str, int | None]:
    """What is reported of each object: None, it is here; else the reason."""
    reports: list[Dataset] = []

    def reported(event: Any) -> tuple[int, None]:
        reports.append(event.event_information)
        return 0, None

    with door.association(COMMITMENT, title=title, handlers=[(evt.EVT_N_EVENT_REPORT, reported)]) as association:
        status, _ = association.send_n_action(
            asked(*uids, sop_class=sop_class), 1, COMMITMENT, "1.2.840.10008.1.20.1.1"
        )
        assert status.Status == 0
        until = reports if report is None else report
        for _ in range(200):
            if until:
                break
            time.sleep(0.05)
    (result,) = until
    assert result.TransactionUID == "1.2.3.4"
    kept = {str(each.ReferencedSOPInstanceUID): None for each in result.get("ReferencedSOPSequence") or ()}
    failed = {
        str(each.ReferencedSOPInstanceUID): int(each.FailureReason) for each in result.get("FailedSOPSequence") or ()
    }
    return {**kept, **failed}


def asked(*uids: str, sop_class: str = VL_PHOTOGRAPHIC) -> Dataset:
    """Action information."""
    items = []
    for uid in uids:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
        items.append(item)
    information = Dataset()
    information.TransactionUID = "1.2.3.4"
    information.ReferencedSOPSequence = Sequence(items)
    return information


def test_commitment_confirms_what_the_caller_stored_or_may_see_and_nothing_else(door: Gate) -> None:
    shown, hidden = door.archive.photo("anna"), door.archive.photo("anna")
    hide(door, hidden)
    _, own = made(door, "anna", 905)
    assert send(door, own) == 0
    sop = str(own.SOPInstanceUID)
    assert commit(door, "CAMERA", shown.sop, hidden.sop, "1.2.9", sop) == {
        shown.sop: None,
        hidden.sop: 0x0112,
        "1.2.9": 0x0112,
        sop: None,
    }
    assert commit(door, "VIEWER", sop) == {sop: 0x0112}  # another's, and not linked yet
    assert commit(door, "VIEWER", shown.sop, hidden.sop, sop_class=CT) == {shown.sop: 0x0119, hidden.sop: 0x0112}


def test_commitment_is_reported_where_the_caller_listens(door: Gate) -> None:
    shown = door.archive.photo("anna")
    with receiver(title="LISTENS") as received:
        door.peer(
            "LISTENS", "clinician", networks=LOOPBACK, destination=Destination("127.0.0.1", received.port, tls=False)
        )
        assert commit(door, "LISTENS", shown.sop, report=received.reports) == {shown.sop: None}


def test_malformed_commitment_requests(door: Gate) -> None:
    with door.association(COMMITMENT) as association:
        for information, action, expected in (
            (asked(), 1, 0x0115),
            (asked(""), 1, 0x0115),
            (asked("1.2"), 7, 0x0123),
        ):
            status, _ = association.send_n_action(information, action, COMMITMENT, "1.2.840.10008.1.20.1.1")
            assert status.Status == expected
        status, _ = association.send_n_action(asked("1.2"), 1, COMMITMENT, "1.2.3")
        assert status.Status == 0x0112
