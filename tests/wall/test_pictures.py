"""Rendered photos of studies and series, thumbnails, WADO-URI: the first that may be seen, never another."""

from __future__ import annotations

import io
from urllib.parse import urlencode

import pytest
from PIL import Image
from pydicom import dcmread

from consent.types import Requester
from tests.archive import Archive, Photo, Reply
from tests.store.world import consent
from tests.wall.partly import Partly, hide, make

pytestmark = pytest.mark.orthanc

CLINICIAN = Requester("clinician", ("TREAT", "BTG"))
EXPLICIT, JPEG, JPEG_2000 = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90"


@pytest.fixture(scope="module")
def partly(archive: Archive) -> Partly:
    return make(archive)


def _image(reply: Reply) -> Image.Image:
    assert reply.status == 200, reply
    found = Image.open(io.BytesIO(reply.body))
    assert reply.header("Content-Type") == Image.MIME[str(found.format)]
    return found.convert("RGB")


def _like(one: Image.Image, other: Image.Image) -> bool:
    pairs = zip(one.tobytes(), other.resize(one.size).tobytes(), strict=True)
    return sum(abs(a - b) for a, b in pairs) / len(one.tobytes()) < 4


def _drawn(photo: Photo) -> Image.Image:
    return Image.open(io.BytesIO(photo.pixels)).convert("RGB")


def _study(photo: Photo) -> str:
    return f"/dicom-web/studies/{photo.study}"


def _series(photo: Photo) -> str:
    return f"{_study(photo)}/series/{photo.series}"


def _wado(photo: Photo, **more: str) -> str:
    uids = {"studyUID": photo.study, "seriesUID": photo.series, "objectUID": photo.sop}
    return "/wado?" + urlencode({"requestType": "WADO", **uids, **more})


@pytest.mark.parametrize("kind", ["rendered", "thumbnail"])
def test_the_first_that_may_be_seen_is_shown(archive: Archive, partly: Partly, kind: str) -> None:
    patient = "ben"
    hidden, shown = (archive.photo(patient, visit="3", view="4") for _ in range(2))
    hide(archive, hidden, f"the first of {kind}")
    for base in (_study(shown), _series(shown)):
        found = _image(archive.ask(f"{base}/{kind}", "clinician"))
        assert _like(found, _drawn(shown))
        assert not _like(found, _drawn(hidden))
    hide(archive, shown, f"the second of {kind}")
    for base in (_study(shown), _series(shown)):
        refused = archive.ask(f"{base}/{kind}", "clinician")
        assert (refused.status, refused.body) == (404, b"")
        assert refused == archive.ask(f"/dicom-web/studies/2.25.1/{kind}", "clinician")


@pytest.mark.parametrize(
    ("query", "accept", "size", "kind"),
    [
        ("", "*/*", (96, 64), "JPEG"),
        ("?viewport=48,48", "image/jpeg", (48, 32), "JPEG"),
        ("?viewport=48,48&quality=30", "image/png;q=0.1, image/jpeg", (48, 32), "JPEG"),
        ("?viewport=32,300", "image/png", (32, 21), "PNG"),
        ("?accept=image/png", "image/jpeg", (96, 64), "PNG"),
    ],
)
@pytest.mark.parametrize("level", ["study", "series"])
def test_sizes_and_types(
    archive: Archive, partly: Partly, level: str, query: str, accept: str, size: tuple[int, int], kind: str
) -> None:
    base = _study(partly.shown[0]) if level == "study" else _series(partly.shown[2])
    answer = archive.ask(f"{base}/rendered{query}", "clinician", headers={"Accept": accept})
    assert _image(answer).size == size
    assert Image.open(io.BytesIO(answer.body)).format == kind


def test_thumbnails_of_one_photo(archive: Archive, partly: Partly) -> None:
    one, hidden = partly.shown[1], partly.hidden[0]
    path = f"{one.wado}/thumbnail"
    for answer in (archive.ask(path, "clinician"), archive.as_account(path, CLINICIAN, "TREAT")):
        found = _image(answer)
        assert max(found.size) == 256
        assert _like(found, _drawn(one))
    refused = archive.ask(f"{hidden.wado}/thumbnail", "clinician")
    assert (refused.status, refused.body) == (403, b"")
    assert refused == archive.ask(f"{_series(one)}/instances/2.25.1/thumbnail", "clinician")
    assert (
        archive.ask(f"{_study(hidden)}/series/{hidden.series}/instances/{one.sop}/thumbnail", "clinician").status == 403
    )


@pytest.mark.parametrize("query", ["viewport=0,5", "viewport=9000,5", "viewport=5", "quality=0", "quality=x"])
def test_sizes_that_cannot_be_had(archive: Archive, partly: Partly, query: str) -> None:
    assert archive.ask(f"{_study(partly.shown[0])}/rendered?{query}", "clinician").status == 400
    assert archive.ask(f"{partly.shown[0].wado}/thumbnail?{query}", "clinician").status == 400
    headers = {"Accept": "image/gif"}
    assert archive.ask(f"{_study(partly.shown[0])}/rendered", "clinician", headers=headers).status == 406


def test_publishing_may_have_pixels_alone(archive: Archive, partly: Partly) -> None:
    shown = archive.photo("ben", visit="4")
    other = archive.photo("ben", visit="4", region="http://snomed.info/sct|22943007")
    archive.consent(consent("portfolio", "permit", "PORTFOLIO", "ben"))
    marks = [each.encode() for each in ("PID-ben", "Familyben", shown.sop, other.sop, shown.orthanc_id, "comment-")]
    for path in (
        f"{_study(shown)}/rendered",
        f"{_series(shown)}/thumbnail",
        f"{shown.wado}/thumbnail",
        _wado(shown),
        _wado(shown, contentType="image/png", rows="20", columns="20"),
    ):
        answer = archive.ask(path, "marketing", "PORTFOLIO")
        assert _image(answer)
        assert not any(mark in answer.everything for mark in marks)
    assert archive.ask(_wado(shown, contentType="application/dicom"), "marketing", "PORTFOLIO").status == 403
    assert archive.ask(_study(shown), "marketing", "PORTFOLIO").status == 404
    assert archive.ask(f"{_study(shown)}/rendered", "marketing", "WEB").status == 404
    for path in (f"{_study(shown)}/rendered", f"{shown.wado}/thumbnail", _wado(shown)):
        assert archive.ask(path).status == 403
        assert archive.ask(path, "admin").status in (403, 404)


# --- WADO-URI -------------------------------------------------------------------------------------------------------


def test_wado_uri_gives_files_and_pictures(archive: Archive, partly: Partly) -> None:
    one = partly.shown[0]
    whole = archive.ask(_wado(one, contentType="application/dicom"), "clinician")
    assert (whole.status, whole.body) == (200, one.dicom)
    assert whole.header("Content-Type") == "application/dicom"
    assert archive.ask(_wado(one, contentType="application/dicom", transferSyntax=JPEG), "clinician").body == one.dicom
    decoded = archive.ask(_wado(one, contentType="application/dicom", transferSyntax=EXPLICIT), "clinician")
    read = dcmread(io.BytesIO(decoded.body))
    assert read.file_meta.TransferSyntaxUID == EXPLICIT
    assert _like(Image.fromarray(read.pixel_array), _drawn(one))
    other = _wado(one, contentType="application/dicom", transferSyntax=JPEG_2000)
    assert archive.ask(other, "clinician").status == 406
    for more, size in (
        ({}, (96, 64)),
        ({"contentType": "image/jpeg", "imageQuality": "50"}, (96, 64)),
        ({"contentType": "image/png,image/jpeg"}, (96, 64)),
        ({"rows": "32"}, (48, 32)),
        ({"columns": "24", "rows": "400", "frameNumber": "1"}, (24, 16)),
    ):
        assert _image(archive.ask(_wado(one, **more), "clinician")).size == size


def test_wado_uri_by_ticket(archive: Archive, partly: Partly) -> None:
    one, hidden = partly.shown[0], partly.hidden[0]
    for photo, status in ((one, 200), (hidden, 403)):
        query = {"requestType": "WADO", "studyUID": photo.study, "seriesUID": photo.series, "objectUID": photo.sop}
        assert archive.as_account("/wado", CLINICIAN, "TREAT", query).status == status


def test_wado_uri_refuses_what_is_hidden_absent_or_half_named(archive: Archive, partly: Partly) -> None:
    one, hidden = partly.shown[0], partly.hidden[0]
    refused = archive.ask(_wado(hidden), "clinician")
    assert (refused.status, refused.body) == (403, b"")
    for more in ({}, {"contentType": "application/dicom"}, {"rows": "5"}, {"contentType": "image/png"}):
        assert archive.ask(_wado(hidden, **more), "clinician") == refused
        assert archive.ask(_wado(one, **{**more, "objectUID": "2.25.1"}), "clinician") == refused
        assert archive.ask(_wado(one, **{**more, "studyUID": partly.hidden[2].study}), "clinician") == refused
        assert archive.ask(_wado(one, **{**more, "seriesUID": hidden.series}), "clinician") == refused
        for missing in ("studyUID", "seriesUID", "objectUID"):
            assert archive.ask(_wado(one, **{**more, missing: ""}), "clinician") == refused
    for first, second in ((one, hidden), (hidden, one)):  # of repeated keys one counts, for the decision and the photo
        answer = archive.ask(f"{_wado(first)}&objectUID={second.sop}&seriesUID={second.series}", "clinician")
        assert answer.status == 403 or _like(_image(answer), _drawn(one))


@pytest.mark.parametrize(
    "more",
    [
        {"requestType": "STOW"},
        {"contentType": "image/gif"},
        {"contentType": "application/dicom", "rows": "5"},
        {"transferSyntax": JPEG},
        {"contentType": "application/dicom", "transferSyntax": "x"},
        {"rows": "0"},
        {"columns": "100000"},
        {"imageQuality": "101"},
        {"frameNumber": "0"},
    ],
    ids=range(9),
)
def test_wado_uri_tells_what_it_cannot_do(archive: Archive, partly: Partly, more: dict[str, str]) -> None:
    for photo in (partly.shown[0], partly.hidden[0]):
        assert archive.ask(_wado(photo, **more), "clinician").status == 400


@pytest.mark.parametrize(
    "key", ["annotation", "anonymize", "region", "windowCenter", "presentationUID", "charset", "x"]
)
def test_wado_uri_passes_over_nothing(archive: Archive, partly: Partly, key: str) -> None:
    assert archive.ask(_wado(partly.shown[0], **{key: "patient"}), "clinician").status == 403


def test_no_such_frame(archive: Archive, partly: Partly) -> None:
    assert archive.ask(_wado(partly.shown[0], frameNumber="2"), "clinician").status == 404


# --- transfer syntaxes of studies -----------------------------------------------------------------------------------


def _accepting(archive: Archive, path: str, *syntaxes: str) -> Reply:
    accept = ", ".join(f'multipart/related; type="application/dicom"; transfer-syntax={each}' for each in syntaxes)
    return archive.ask(path, "clinician", headers={"Accept": accept})


def test_a_study_leaves_as_stored_or_decoded(archive: Archive, partly: Partly) -> None:
    from tests.wall.test_sets import _parts

    path = _study(partly.shown[0])
    stored = [photo.dicom for photo in partly.shown]
    for syntaxes in ((JPEG,), ("*",), (f"{EXPLICIT};q=0.5", JPEG), (JPEG_2000, JPEG)):
        assert _parts(_accepting(archive, path, *syntaxes)) == stored
    answer = _accepting(archive, path, EXPLICIT, f"{JPEG};q=0.5")
    read = [dcmread(io.BytesIO(part)) for part in _parts(answer)]
    assert [each.SOPInstanceUID for each in read] == [photo.sop for photo in partly.shown]
    assert {each.file_meta.TransferSyntaxUID for each in read} == {EXPLICIT}
    for each, photo in zip(read, partly.shown, strict=True):
        assert _like(Image.fromarray(each.pixel_array), _drawn(photo))
    assert not any(mark in answer.everything for mark in partly.marks())
    assert _accepting(archive, path, JPEG_2000).status == 406
    assert _accepting(archive, _study(partly.hidden[2]), JPEG_2000).status == 404


def test_decoding_has_a_bound(archive: Archive) -> None:
    large = archive.photo("anna", visit="6")
    from consent.store.engine import transaction
    from dicom_bridge.objects.attributes import attributes_json
    from dicom_bridge.query.index import save_instance

    dataset = dcmread(io.BytesIO(large.dicom))
    dataset.Rows, dataset.Columns = 20_000, 20_000
    with transaction(archive.engine) as connection:
        save_instance(connection, large.number, large.sop, attributes_json(dataset))
    assert _accepting(archive, _series(large), EXPLICIT).status == 406
    assert _accepting(archive, _series(large), EXPLICIT, f"{JPEG};q=0.1").status == 200
