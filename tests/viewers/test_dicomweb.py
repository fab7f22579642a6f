"""A DICOMweb library that other people wrote walks through partly permitted studies and meets no error."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
import requests
from dicomweb_client import DICOMwebClient
from PIL import Image
from pydicom import dcmread
from requests.exceptions import HTTPError

from tests.archive import Archive, Photo
from tests.ports import free_port
from tests.viewers.patterns import PATTERNS, Study, populate

pytestmark = [pytest.mark.orthanc]

_AS_STORED = (("application/dicom", "*"),)
_JPEG = (("image/jpeg", "1.2.840.10008.1.2.4.50"),)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    with Archive(tmp_path_factory.mktemp("viewers"), free_port()) as running:
        yield running


@pytest.fixture(scope="module")
def studies(archive: Archive) -> dict[str, Study]:
    return {study.pattern: study for study in populate(archive)}


@pytest.fixture(scope="module")
def client(archive: Archive) -> DICOMwebClient:
    session = requests.Session()
    session.trust_env = False
    session.auth = ("clinician", "clinician-demo")
    return DICOMwebClient(f"http://127.0.0.1:{archive.port}/dicom-web", session=session)


def _values(rows: list[dict[str, Any]], tag: str) -> list[str]:
    return sorted(row[tag]["Value"][0] for row in rows)


def _sops(photos: tuple[Photo, ...]) -> list[str]:
    return sorted(photo.sop for photo in photos)


@pytest.mark.parametrize("pattern", [each for each in PATTERNS if "p" in each])
def test_the_rest_of_a_study_is_whole(client: DICOMwebClient, studies: dict[str, Study], pattern: str) -> None:
    study = studies[pattern]
    (found,) = client.search_for_studies(search_filters={"StudyInstanceUID": study.uid})
    series = {photo.series for photo in study.permitted}
    assert (found["00201206"]["Value"], found["00201208"]["Value"]) == ([len(series)], [len(study.permitted)])
    rows = client.search_for_series(study.uid)
    assert _values(rows, "0020000E") == sorted(series)
    for row in rows:
        uid = row["0020000E"]["Value"][0]
        mine = tuple(photo for photo in study.permitted if photo.series == uid)
        assert row["00201209"]["Value"] == [len(mine)]
        assert _values(client.search_for_instances(study.uid, uid), "00080018") == _sops(mine)
        assert _values(client.retrieve_series_metadata(study.uid, uid), "00080018") == _sops(mine)
        whole = client.retrieve_series(study.uid, uid, media_types=_AS_STORED)
        assert sorted(each.SOPInstanceUID for each in whole) == _sops(mine)
    assert _values(client.retrieve_study_metadata(study.uid), "00080018") == _sops(study.permitted)
    whole = client.retrieve_study(study.uid, media_types=_AS_STORED)
    kept = {photo.sop: dcmread(BytesIO(photo.dicom)).PixelData for photo in study.permitted}
    assert {each.SOPInstanceUID: each.PixelData for each in whole} == kept
    first = study.permitted[0]
    place = (first.study, first.series, first.sop)
    assert client.retrieve_instance_metadata(*place)["00080018"]["Value"] == [first.sop]
    (frame,) = client.retrieve_instance_frames(*place, frame_numbers=[1], media_types=_JPEG)
    assert bytes(frame).rstrip(b"\0") == first.pixels
    shown = client.retrieve_instance_rendered(*place, media_types=(("image/jpeg",)))
    with Image.open(BytesIO(shown)) as picture:
        assert picture.size == (480, 320)


@pytest.mark.parametrize("pattern", [each for each in PATTERNS if "d" in each])
def test_of_the_refused_a_client_is_told_what_it_is_told_of_nothing(
    client: DICOMwebClient, studies: dict[str, Study], pattern: str
) -> None:
    study = studies[pattern]
    for photo in study.refused:
        said = []
        for sop in (photo.sop, "2.25.1"):
            assert client.search_for_instances(search_filters={"SOPInstanceUID": sop}) == []
            with pytest.raises(HTTPError) as error:
                client.retrieve_instance(photo.study, photo.series, sop, media_types=_AS_STORED)
            answer = error.value.response
            said.append((answer.status_code, answer.content, sorted(answer.headers)))
        assert said[0] == said[1]


def test_a_study_whose_every_photo_is_refused_does_not_exist(client: DICOMwebClient, studies: dict[str, Study]) -> None:
    study = studies["dddddd"]
    assert client.search_for_studies(search_filters={"StudyInstanceUID": study.uid}) == []
    assert client.search_for_series(study.uid) == client.search_for_series("2.25.1") == []
    answers = []
    for uid in (study.uid, "2.25.1"):
        with pytest.raises(HTTPError) as error:
            client.retrieve_study(uid, media_types=_AS_STORED)
        answers.append((error.value.response.status_code, error.value.response.content))
    assert answers[0] == answers[1]
