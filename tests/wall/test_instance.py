"""One instance: permitted, Orthanc answers natively; refused and absent are one and the same."""

from __future__ import annotations

import json

import pytest

from tests.archive import Archive, Photo
from tests.store.world import consent

pytestmark = pytest.mark.orthanc


@pytest.fixture(scope="module")
def photo(archive: Archive) -> Photo:
    return archive.photo("anna")


NATIVE = (
    "",
    "/file",
    "/tags",
    "/simplified-tags",
    "/preview",
    "/rendered",
    "/frames",
    "/frames/0/raw",
    "/frames/0/rendered",
    "/attachments/dicom/data",
)
WADO = ("", "/metadata", "/frames/1", "/rendered", "/bulk/7fe00010")


@pytest.mark.parametrize("suffix", NATIVE)
def test_a_clinician_gets_what_orthanc_says_of_a_permitted_instance(
    archive: Archive, photo: Photo, suffix: str
) -> None:
    answer = archive.ask(photo.rest + suffix, "clinician")
    assert answer.status == 200
    assert answer.body


def test_the_file_is_the_one_that_was_stored(archive: Archive, photo: Photo) -> None:
    assert archive.ask(photo.rest + "/file", "clinician").body == photo.dicom


@pytest.mark.parametrize("suffix", WADO)
def test_dicomweb_gives_a_permitted_instance(archive: Archive, photo: Photo, suffix: str) -> None:
    answer = archive.ask(photo.wado + suffix, "clinician")
    assert answer.status == 200, answer


def test_the_addresses_of_binary_values_in_metadata_open(archive: Archive) -> None:
    profile = b"a colour profile".ljust(128)
    photo = archive.photo("anna", visit="6", ICCProfile=profile)
    (found,) = json.loads(archive.ask(f"{photo.wado}/metadata", "clinician").body)
    address = found["00282000"]["BulkDataURI"].partition(str(archive.port))[2]
    answer = archive.ask(address, "clinician")
    assert answer.status == 200
    assert profile in answer.body
    assert archive.ask(address, "marketing", "PORTFOLIO").status == 403


@pytest.mark.parametrize("suffix", NATIVE + WADO)
@pytest.mark.parametrize("account", [None, "marketing", "admin", "nobody"])
def test_everybody_else_gets_an_empty_refusal(archive: Archive, photo: Photo, suffix: str, account: str | None) -> None:
    base = photo.wado if suffix in WADO else photo.rest
    answer = archive.ask(base + suffix, account)
    assert (answer.status, answer.body) == (403, b"")
    absent = archive.ask(base.replace(photo.orthanc_id, "0" * 8 + "-00000000" * 4).replace(photo.sop, "1.2.3"), account)
    assert absent == answer


def test_uids_must_belong_together(archive: Archive, photo: Photo) -> None:
    other = archive.photo("ben")
    mixed = photo.wado.replace(photo.study, other.study, 1)
    assert archive.ask(mixed, "clinician").status == 403


def test_portfolio_opens_rendered_pixels_and_nothing_else(archive: Archive) -> None:
    shown = archive.photo("ben", visit="2")
    archive.consent(consent("portfolio-ben", "permit", "PORTFOLIO", "ben"))
    for suffix in ("/rendered", "/preview", "/frames/0/rendered"):
        answer = archive.ask(shown.rest + suffix, "marketing", "PORTFOLIO")
        assert answer.status == 200, suffix
        for mark in (b"PID-ben", b"Familyben", shown.sop.encode(), shown.orthanc_id.encode(), b"comment-"):
            assert mark not in answer.everything
    answer = archive.ask(shown.wado + "/rendered", "marketing", "PORTFOLIO")
    assert answer.status == 200
    assert shown.sop.encode() not in answer.everything
    for path in (shown.rest, f"{shown.rest}/file", f"{shown.rest}/tags", f"{shown.rest}/frames/0/raw", shown.wado):
        assert archive.ask(path, "marketing", "PORTFOLIO").status == 403
    assert archive.ask(f"{shown.wado}/metadata", "marketing", "PORTFOLIO").status == 403
    assert archive.ask(f"{shown.rest}/rendered", "marketing", "WEB").status == 403


def test_a_denial_counts_with_the_next_request(archive: Archive) -> None:
    taken = archive.photo("anna", visit="3")
    assert archive.ask(f"{taken.rest}/file", "clinician").status == 200
    archive.consent(consent("no-anna", "deny", "TREAT", "anna"))
    assert archive.ask(f"{taken.rest}/file", "clinician").status == 403
    archive.consent(consent("no-anna", "deny", "TREAT", "anna", version=2, status="inactive"))
    assert archive.ask(f"{taken.rest}/file", "clinician").status == 200


@pytest.mark.parametrize("purpose", ["PORTFOLIO", "TREAT, BTG", "HCOMPL", "BTG", ""])
def test_a_purpose_not_held_or_doubled_is_refused(archive: Archive, photo: Photo, purpose: str) -> None:
    assert archive.ask(f"{photo.rest}/file", "clinician", purpose).status == 403


def test_an_examined_photo_is_not_there(archive: Archive) -> None:
    waiting = archive.photo("anna", visit="4", state="examined")
    assert archive.ask(f"{waiting.rest}/file", "clinician").status == 403
