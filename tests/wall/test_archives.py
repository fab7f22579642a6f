"""Archives and media: a ZIP of permitted photos, never of others, and never complete where one was withdrawn."""

from __future__ import annotations

import io
import json
import socket
import subprocess
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.fileset import FileSet

from consent.identity import accounts
from consent.store.engine import transaction
from tests.archive import Archive, Photo, Reply, basic
from tests.wall.partly import Partly, hide, ids_of, make

pytestmark = pytest.mark.orthanc


@pytest.fixture(scope="module")
def partly(archive: Archive) -> Partly:
    return make(archive)


def _opened(reply: Reply) -> zipfile.ZipFile:
    assert reply.status == 200, reply
    assert reply.header("Content-Type") == "application/zip"
    found = zipfile.ZipFile(io.BytesIO(reply.body))
    assert found.testzip() is None
    return found


def _holds(reply: Reply, photos: tuple[Photo, ...]) -> None:
    """Exactly these photos, byte for byte, and a DICOMDIR where it is a medium."""
    found = _opened(reply)
    files = [found.read(name) for name in found.namelist() if name != "DICOMDIR"]
    assert files == [photo.dicom for photo in photos]


def _posted(
    archive: Archive, path: str, value: object, account: str = "clinician", purpose: str | None = None
) -> Reply:
    return archive.ask(path, account, purpose, method="POST", body=json.dumps(value).encode())


@pytest.mark.parametrize("kind", ["archive", "media"])
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("level", ["patients", "studies", "series"])
def test_an_archive_of_what_may_be_seen(archive: Archive, partly: Partly, kind: str, method: str, level: str) -> None:
    ids = partly.ids
    name = {"patients": ids.patient, "studies": ids.study, "series": ids.series}[level]
    answer = archive.ask(f"/{level}/{name}/{kind}", "clinician", method=method, body=b"" if method == "POST" else None)
    _holds(answer, partly.shown[:2] if level == "series" else partly.shown)
    assert not any(mark in answer.everything for mark in partly.marks())


@pytest.mark.parametrize("path", ["/tools/create-archive", "/tools/create-media", "/tools/create-media-extended"])
def test_an_archive_of_chosen_resources_of_any_level(archive: Archive, partly: Partly, path: str) -> None:
    everything = [ids_of(photo) for photo in partly.shown + partly.hidden]
    chosen = [each.instance for each in everything] + [everything[0].series, everything[-1].patient]
    for value in (chosen, {"Resources": chosen}, {"Resources": chosen, "Synchronous": True, "Asynchronous": False}):
        answer = _posted(archive, path, value)
        _holds(answer, partly.shown)
        assert not any(mark in answer.everything for mark in partly.marks())
    if "extended" not in path:
        answer = archive.ask(f"{path}?resources={','.join(chosen)}", "clinician")
        _holds(answer, partly.shown)


def test_folders_are_named_as_orthanc_names_them(archive: Archive, partly: Partly) -> None:
    found = _opened(archive.ask(f"/studies/{partly.ids.study}/archive", "clinician"))
    seed = str(partly.shown[0].facts.document).rpartition("d")[2]
    assert found.namelist()[0] == f"PID-anna Familyanna Given{seed}/ACC1 Visit 1/XC Series of 1/XC000000.dcm"
    assert found.namelist()[1].endswith("/XC Series of 1/XC000001.dcm")
    assert found.namelist()[2].endswith("/XC Series of 2/XC000000.dcm")


def test_a_medium_has_a_directory_that_others_read(archive: Archive, partly: Partly, tmp_path: Path) -> None:
    found = _opened(archive.ask(f"/patients/{partly.ids.patient}/media", "clinician"))
    assert found.namelist() == ["IMAGES/IM0", "IMAGES/IM1", "IMAGES/IM2", "DICOMDIR"]
    found.extractall(tmp_path)
    read = FileSet(dcmread(tmp_path / "DICOMDIR"))
    assert [instance.SOPInstanceUID for instance in read] == [photo.sop for photo in partly.shown]
    assert [instance.load().PatientID for instance in read] == ["PID-anna"] * 3
    assert read.find_values("StudyDate") == ["20260501"]
    read._stage["t"].cleanup()  # pydicom leaves it to the collector, which warns
    dumped = subprocess.run(
        ["dcmdump", "-q", "+P", "0004,1430", str(tmp_path / "DICOMDIR")], capture_output=True, text=True, check=True
    )
    kinds = [line.split("[")[1].split("]")[0] for line in dumped.stdout.splitlines()]
    assert kinds == ["PATIENT", "STUDY", "SERIES", "IMAGE", "IMAGE", "SERIES", "IMAGE"]


@pytest.mark.parametrize("kind", ["archive", "media"])
@pytest.mark.parametrize("account", ["clinician", "marketing", "admin", "anna"])
def test_refused_and_absent_are_one_and_the_same(archive: Archive, partly: Partly, kind: str, account: str) -> None:
    nothing = "00000000-00000000-00000000-00000000-00000000"
    hidden = ids_of(partly.hidden[2 if account == "clinician" else 3])
    for path, named in (
        (f"/studies/{{}}/{kind}", hidden.study),
        (f"/series/{{}}/{kind}", hidden.series),
        (f"/tools/create-{kind}?resources={{}}", hidden.instance),
    ):
        refused = archive.ask(path.format(named), account)
        assert (refused.status, refused.body) == (404, b"")
        assert refused == archive.ask(path.format(nothing), account)
    refused = _posted(archive, f"/tools/create-{kind}", [hidden.study], account)
    assert refused == _posted(archive, f"/tools/create-{kind}", [nothing], account)
    assert refused == _posted(archive, f"/tools/create-{kind}", [], account)
    assert refused.status == 404


def test_publishing_yields_no_archive(archive: Archive, partly: Partly) -> None:
    path = f"/studies/{partly.ids.study}/archive"
    assert archive.ask(path, "marketing", "PORTFOLIO").status == 404
    assert archive.ask(path).status == 403
    assert _posted(archive, "/tools/create-archive", [partly.ids.study], "marketing", "PORTFOLIO").status == 404


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"7",
        b"[7]",
        b'["../"]',
        b"{}",
        b'{"Resources": 7}',
        b'{"Resources": [], "Asynchronous": true}',
        b'{"Resources": [], "Synchronous": false}',
        b'{"Resources": [], "Transcode": "1.2.840.10008.1.2"}',
        b'{"Resources": [], "Filename": "x"}',
        b"[" * 100_000 + b"]" * 100_000,
        b" " * 1_100_000 + b"[]",
    ],
    ids=range(13),
)
def test_what_cannot_be_honoured_is_told_so(archive: Archive, partly: Partly, body: bytes) -> None:
    assert archive.ask("/tools/create-archive", "clinician", method="POST", body=body).status == 400
    assert archive.ask("/studies", "clinician").status == 200


def test_a_job_a_name_or_transcoding_is_not_to_be_had(archive: Archive, partly: Partly) -> None:
    path = f"/studies/{partly.ids.study}/archive"
    assert _posted(archive, path, {"Asynchronous": True}).status == 400
    assert _posted(archive, path, {"Synchronous": True}).status == 200
    for query in ("filename=x", "transcode=1.2.840.10008.1.2", "lossy-quality=1"):
        assert archive.ask(f"{path}?{query}", "clinician").status == 403
    assert archive.ask("/tools/create-archive?resources=x", "clinician").status == 400
    assert archive.ask("/tools/create-archive", "clinician").status == 400
    assert archive.ask("/jobs", "clinician").status == 403


def test_one_record_names_what_left(archive: Archive, partly: Partly) -> None:
    before = len(_records(archive))
    archive.ask(f"/studies/{partly.ids.study}/archive", "clinician")
    (record,) = _records(archive)[before:]
    assert (record["kind"], record["route"], record["released"]) == ("set", "GET /studies/{id}/archive", 3)
    assert record["refused"] == 2


def test_a_photo_withdrawn_in_the_middle_ends_the_archive_there(archive: Archive) -> None:
    """A slow reader has the first photos on the way; then the last is denied."""
    large = b"\xff\xd8" + bytes(range(256)) * 24_000 + b"\xff\xd9"
    photos = [archive.photo("ben", visit="7", pixels=large) for _ in range(4)]
    path = f"/studies/{ids_of(photos[0]).study}"
    hide(archive, photos[3], "not for the archive")
    for route in (f"{path}/archive", f"{path}/media"):
        _, received = _slowly(archive, route, lambda: None)
        _holds(Reply(200, (("Content-Type", "application/zip"),), received), tuple(photos[:3]))
    head, received = _slowly(archive, f"{path}/archive", lambda: hide(archive, photos[2], "hidden in the middle"))
    if b"content-length" not in head.lower():  # else it was made whole, and decided, before its first byte was sent
        assert 2 * len(large) < len(received) < 3 * len(large)
        with pytest.raises(zipfile.BadZipFile):
            zipfile.ZipFile(io.BytesIO(received))
    assert archive.ask(f"{path}/archive", "clinician").status == 200


def test_who_is_disabled_in_the_middle_gets_no_more(archive: Archive) -> None:
    large = b"\xff\xd8" + bytes(range(256)) * 24_000 + b"\xff\xd9"
    photos = [archive.photo("anna", visit="6", pixels=large) for _ in range(4)]
    study = ids_of(photos[0]).study
    for number, path in enumerate((f"/studies/{study}/archive", f"/dicom-web/studies/{photos[0].study}")):
        name = f"leaver{number}"
        archive.account(name, "TREAT")
        assert len(archive.ask(path, name).body) > 4 * len(large)
        before = len(_records(archive))
        head, received = _slowly(archive, path, partial(_disable, archive, name), name)
        if b"content-length" not in head.lower():
            assert len(received) < 4 * len(large)
            assert [each["reason"] for each in _records(archive)[before:] if each["kind"] == "decision"] == [
                "purpose-not-held"
            ]
        assert archive.ask(path, name).status == 403


def _disable(archive: Archive, name: str) -> None:
    with transaction(archive.engine) as connection:
        accounts.disable(connection, name)


def _slowly(
    archive: Archive, path: str, meanwhile: Callable[[], None], account: str = "clinician"
) -> tuple[bytes, bytes]:
    """Head and body of an answer, read only after something happened that it was too large to overtake."""
    head = (f"GET {path} HTTP/1.1", "Host: x", "Connection: close", f"Authorization: {basic(account)}", "", "")
    with socket.socket() as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 17)
        wire.settimeout(30)
        wire.connect(("127.0.0.1", archive.port))
        wire.sendall("\r\n".join(head).encode())
        received = wire.recv(1)
        meanwhile()
        while part := wire.recv(1 << 20):
            received += part
    head_received, _, body = received.partition(b"\r\n\r\n")
    return head_received, body


def _records(archive: Archive) -> list[dict[str, object]]:
    from consent.audit.read import Archive as Chains

    chains = Chains(archive.engine, archive.settings.audit_folder)
    return [json.loads(row.body) for chain in chains.chains() for row in chains.rows(chain)]
