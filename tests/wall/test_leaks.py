"""Of a refused photo no byte leaves, by any route, whoever asks: identifiers, names, comments, pixels, counts."""

from __future__ import annotations

import pytest

from consent.directive import Data, Reach
from orthanc_plugin.wall.host import Method
from orthanc_plugin.wall.wall import ROWS
from tests.archive import Archive, Photo
from tests.store.world import consent

pytestmark = pytest.mark.orthanc


@pytest.fixture(scope="module")
def photos(archive: Archive) -> tuple[list[Photo], list[Photo]]:
    """Shown and hidden photos: in a shared series, in a series, a study, and of a patient of their own."""
    shown = [archive.photo("anna", view="1"), archive.photo("anna", view="2")]
    hidden = [
        archive.photo("anna", view="1", name="Hidden^One"),
        archive.photo("anna", view="3", name="Hidden^Two"),
        archive.photo("anna", visit="7", name="Hidden^Three"),
        archive.photo("ben", visit="8", name="Hidden^Four"),
    ]
    for number, photo in enumerate(hidden):
        patient = photo.facts.patients[0]
        data = (Data(Reach.PHOTO, str(photo.facts.document)),)
        archive.consent(consent(f"hide{number}", "deny", "TREAT", patient, data=data))
    return shown, hidden


def _marks(photo: Photo, shown: list[Photo]) -> list[bytes]:
    """What would give the photo away: what no shown photo has in common with it."""
    marks = [photo.sop, photo.orthanc_id, f"comment-{photo.facts.document and str(photo.facts.document)[19:]}-of"]
    marks += ["Hidden^"]
    marks += [] if photo.series in {one.series for one in shown} else [photo.series]
    marks += [] if photo.study in {one.study for one in shown} else [photo.study]
    return [mark.encode() for mark in marks] + [photo.pixels[len(photo.pixels) // 2 :][:48]]


def _paths(archive: Archive, photo: Photo) -> list[str]:
    """Every GET row of the table, filled in with the photo and what it belongs to."""
    from dicom_bridge.query.orthanc_ids import orthanc_ids

    ids = orthanc_ids(f"PID-{photo.facts.patients[0]}", photo.study, photo.series, photo.sop)
    by_level = {"patients": ids.patient, "studies": ids.study, "series": ids.series, "instances": ids.instance}
    values = {
        "study": photo.study,
        "series": photo.series,
        "sop": photo.sop,
        "frame": "0",
        "frames": "1",
        "tag": "7fe00010",
    }
    paths = []
    for row in ROWS:
        if row.method is Method.GET and not row.public:
            paths.append(row.path.format(id=by_level.get(row.path.split("/")[1], ids.instance), **values))
    lists = ["/patients", "/studies", "/series", "/instances"]
    searches = ["/dicom-web/studies", "/dicom-web/series", "/dicom-web/instances"]
    paths += [f"{path}?expand" for path in lists] + [f"{path}?includefield=all&limit=500" for path in searches]
    for search in searches:
        paths += [
            f"{search}?PatientName=hidden*",
            f"{search}?SOPInstanceUID={photo.sop}",
            f"{search}?SeriesInstanceUID={photo.series}&includefield=all",
        ]
    return paths


@pytest.mark.parametrize("account", ["clinician", "marketing", "anna", "admin", None])
def test_no_mark_of_a_refused_photo_in_any_byte(
    archive: Archive, photos: tuple[list[Photo], list[Photo]], account: str | None
) -> None:
    shown, hidden = photos
    answered = 0
    for photo in hidden:
        marks = _marks(photo, shown)
        for path in _paths(archive, photo):
            for accept in ("*/*", "image/jpeg", 'multipart/related; type="application/dicom"; transfer-syntax=*'):
                answer = archive.ask(path, account, headers={"Accept": accept})
                answered += answer.status == 200
                received = answer.everything
                asked_for = path.encode()
                for mark in marks:
                    assert mark not in received or (mark in asked_for and answer.status != 200), (path, accept, mark)
    if account == "clinician":
        assert answered > 100  # what she may see came by the same routes: the search was not in vain


def test_counts_of_a_partly_permitted_study_are_those_of_what_is_shown(
    archive: Archive, photos: tuple[list[Photo], list[Photo]]
) -> None:
    shown, _ = photos
    study = archive.ask(f"/dicom-web/studies?StudyInstanceUID={shown[0].study}", "clinician").json()
    assert isinstance(study, list)
    assert study[0]["00201208"]["Value"] == [len(shown)]
    assert study[0]["00201206"]["Value"] == [len({photo.series for photo in shown})]


def test_refused_and_absent_are_one_and_the_same(archive: Archive, photos: tuple[list[Photo], list[Photo]]) -> None:
    _, hidden = photos
    photo = hidden[3]
    absent = archive.describe("nobody", 999_999, visit="6")
    for one, other in zip(_paths(archive, photo), _paths(archive, absent), strict=True):
        if "{" in one:
            continue
        first, second = archive.ask(one, "clinician"), archive.ask(other, "clinician")
        if photo.sop in one or photo.orthanc_id in one or "/studies/" in one:
            assert (first.status, first.body) == (second.status, second.body), one
