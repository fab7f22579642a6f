"""A ticket opens what it was made for, once, and nothing else; objects come in by tickets alone."""

from __future__ import annotations

import hashlib
import json

import pytest

from consent.identity.keys import load as load_keys
from consent.identity.tickets import TicketKeys, TicketMint
from consent.types import Requester
from dicom_bridge.archive import stow
from tests.archive import Archive, Photo

pytestmark = pytest.mark.orthanc

CLINICIAN = Requester("clinician", ("TREAT", "BTG"))


@pytest.fixture(scope="module")
def photo(archive: Archive) -> Photo:
    return archive.photo("anna")


def test_a_ticket_counts_once_and_for_its_own_request(archive: Archive, photo: Photo) -> None:
    ticket = archive.mint.mint_task("GET", f"{photo.rest}/file", job="j", kind="examine")
    assert archive.ask(f"{photo.rest}/tags", headers={"Authorization": ticket}).status == 403
    assert archive.ask(f"{photo.rest}/file", headers={"Authorization": ticket}).body == photo.dicom
    assert archive.ask(f"{photo.rest}/file", headers={"Authorization": ticket}).status == 403


def test_a_ticket_of_another_key_or_node_is_refused(archive: Archive, photo: Photo) -> None:
    path = f"{photo.rest}/file"
    for mint in (
        TicketMint(TicketKeys((b"x" * 32,)), archive.settings.node),
        TicketMint(TicketKeys(load_keys(archive.settings.keys).tickets), "node2"),
    ):
        ticket = mint.mint_task("GET", path, job="j", kind="examine")
        assert archive.ask(path, headers={"Authorization": ticket}).status == 403


def test_a_pass_opens_its_photo_even_where_nobody_may_see_it(archive: Archive) -> None:
    waiting = archive.photo("anna", state="examined")
    path = f"{waiting.rest}/rendered"
    ticket = archive.mint.mint_pass("GET", path, sop_uid=waiting.sop)
    assert archive.ask(path, headers={"Authorization": ticket}).status == 200
    for other in ("/instances", "/dicom-web/studies", "/changes", "/system"):
        ticket = archive.mint.mint_pass("GET", other, sop_uid=waiting.sop)
        assert archive.ask(other, headers={"Authorization": ticket}).status == 403


def test_an_account_by_ticket_sees_what_the_account_sees(archive: Archive, photo: Photo) -> None:
    assert archive.as_account(f"{photo.rest}/file", CLINICIAN, "TREAT").status == 200
    assert archive.as_account("/dicom-web/studies", CLINICIAN, "TREAT", {"limit": "1"}).json() != []
    marketing = Requester("marketing", ("PORTFOLIO",))
    assert archive.as_account(f"{photo.rest}/file", marketing, "PORTFOLIO").status == 403
    assert archive.as_account(f"{photo.rest}/file", marketing, "TREAT").status == 403
    assert archive.as_account(f"{photo.rest}/file", Requester("nobody"), "TREAT").status == 403
    assert archive.as_account("/changes", CLINICIAN, "TREAT").status == 403


def test_a_task_opens_only_rows_marked_for_it(archive: Archive, photo: Photo) -> None:
    assert archive.task("GET", "/changes", {"since": "0", "limit": "2"}, kind="changes").status == 200
    assert archive.task("GET", "/changes", kind="examine").status == 403
    assert archive.task("GET", f"{photo.rest}/file", kind="changes").status == 403
    everything = archive.task("GET", "/instances", {"since": "0", "limit": "1000"}, kind="changes")
    assert photo.orthanc_id in json.loads(everything.body)
    assert archive.task("GET", "/instances", {"expand": ""}, kind="changes").status == 403
    assert archive.task("GET", "/studies", kind="changes").status == 403


def test_storing_is_bound_to_the_body(archive: Archive) -> None:
    made = archive.describe("anna", 9001)
    other = archive.describe("anna", 9002)
    archive.store(other.dicom, ticket_for=made.dicom)
    assert archive.store(made.dicom).status == 200
    # the ticket of one request says nothing of the next one that the same thread of Orthanc serves
    for _ in range(60):
        archive.ask("/dicom-web/studies", method="POST", body=made.dicom)
    present = json.loads(archive.task("GET", "/instances", {"since": "0", "limit": "1000"}, kind="changes").body)
    assert made.orthanc_id in present
    assert other.orthanc_id not in present


def test_one_ticket_stores_the_objects_that_it_names_and_no_other_beside_them(archive: Archive) -> None:
    made = [archive.describe("anna", 9010 + number) for number in range(3)]
    content_type, body = stow([each.dicom for each in made])
    mine = tuple(each.dicom for each in made[:2])
    ticket = archive.mint.mint_task("POST", "/dicom-web/studies", job="test", kind="store", bodies=mine)
    headers = {"Content-Type": content_type, "Accept": "application/dicom+json", "Authorization": ticket}
    archive.ask("/dicom-web/studies", method="POST", body=body, headers=headers)
    present = json.loads(archive.task("GET", "/instances", {"since": "0", "limit": "1000"}, kind="changes").body)
    assert [each.orthanc_id in present for each in made] == [True, True, False]
    with pytest.raises(ValueError, match="at most 32 bodies, not 33"):
        archive.mint.mint_task("POST", "/dicom-web/studies", job="test", kind="store", bodies=[b""] * 33)
    most = archive.mint.mint_task("GET", "/changes", job="x" * 36, kind="changes", bodies=[b""] * 32)
    assert archive.ask("/changes", headers={"Authorization": most}).status == 200


def test_orthancs_own_door_for_objects_opens_to_nothing_from_outside(archive: Archive) -> None:
    made = archive.describe("anna", 9003)
    for kind in ("store", "changes", "examine", "remove"):
        assert archive.task("POST", "/instances", kind=kind, body=made.dicom).status == 403
    for account in ("clinician", "admin"):
        assert archive.ask("/instances", account, method="POST", body=made.dicom).status == 403
        assert archive.ask("/dicom-web/studies", account, method="POST", body=made.dicom).status == 403
    everything = archive.task("GET", "/instances", {"since": "0", "limit": "1000"}, kind="changes")
    assert made.orthanc_id not in json.loads(everything.body)


def test_the_original_is_attached_once_and_read_back(archive: Archive, photo: Photo) -> None:
    path = f"{photo.rest}/attachments/original"
    original = b"\xff\xd8 the file as it came" * 1000
    told = archive.task("PUT", path, kind="store", body=original)
    assert told.status == 200
    assert told.json() == {"sha256": hashlib.sha256(original).hexdigest()}
    assert archive.task("PUT", path, kind="store", body=b"another").status == 409
    back = archive.task("GET", f"{path}/data", kind="store")
    assert hashlib.sha256(back.body).digest() == hashlib.sha256(original).digest()
    assert archive.ask(f"{path}/data", "clinician").status == 403
    assert archive.ask(f"{path}/data", "compliance", "HCOMPL").body == original
    assert archive.ask(f"{path}/data", "compliance", "PATSFTY").status == 403


def test_a_recipe_is_attached_where_it_gives_the_original_alone(archive: Archive) -> None:
    frame = bytes(range(256)) * 20
    photo = archive.photo("anna", visit="8", pixels=frame)
    assert frame in photo.dicom
    original = b"\xff\xd8 before " + frame[2:] + b" behind"
    pieces = [["kept", 10], ["frame", 2, len(frame) - 2], ["kept", 7]]
    path = f"{photo.rest}/attachments/original"

    def recipe(sha256: str) -> bytes:
        said = {"sha256": sha256, "length": len(original), "pieces": pieces}
        return b"photospine-original 1\n" + json.dumps(said).encode() + b"\n" + b"\xff\xd8 before  behind"

    wrong, right = recipe("0" * 64), recipe(hashlib.sha256(original).hexdigest())
    assert archive.task("PUT", path, kind="store", body=wrong).status == 422
    assert archive.task("GET", f"{path}/data", kind="store").status == 404
    told = archive.task("PUT", path, kind="store", body=right)
    assert told.status == 200
    assert told.json() == {"sha256": hashlib.sha256(original).hexdigest()}
    assert archive.task("GET", f"{path}/data", kind="store").body == original
    assert archive.ask(f"{path}/data", "compliance", "HCOMPL").body == original
    assert archive.ask(f"{path}/data", "clinician").status == 403


def test_an_object_under_a_known_uid_is_discarded(archive: Archive, photo: Photo) -> None:
    """Under another patient id it would have another Orthanc id and take the known photo's place in searches by UID."""
    from io import BytesIO

    from pydicom import dcmread

    stranger = dcmread(BytesIO(photo.dicom))
    stranger.PatientID = "SOMEBODY"
    out = BytesIO()
    stranger.save_as(out)
    archive.store(out.getvalue())
    everything = json.loads(archive.task("GET", "/instances", {"since": "0", "limit": "1000"}, kind="changes").body)
    assert photo.orthanc_id in everything
    assert archive.ask(f"{photo.rest}/file", "clinician").body == photo.dicom
    tags = [archive.task("GET", f"/instances/{each}/simplified-tags", kind="examine").body for each in everything]
    assert not any(b"SOMEBODY" in each for each in tags)


def test_removing_needs_its_own_task(archive: Archive) -> None:
    gone = archive.photo("ben", visit="9")
    assert archive.task("DELETE", gone.rest, kind="store").status == 403
    assert archive.task("DELETE", gone.rest, kind="remove").status == 200
    assert archive.task("GET", f"{gone.rest}/file", kind="examine").status == 404
