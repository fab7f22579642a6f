"""Clients that other people wrote: a DICOMweb library reads what is permitted, and DIMSE finds no door at all."""

from __future__ import annotations

import socket
import subprocess
from io import BytesIO

import pytest
import requests
from dicomweb_client import DICOMwebClient
from pydicom import dcmread
from requests.exceptions import HTTPError

from consent.directive import Data, Reach
from tests.archive import Archive, Photo
from tests.store.world import consent

pytestmark = pytest.mark.orthanc

ANY = (("application/dicom", "*"),)


@pytest.fixture(scope="module")
def shown(archive: Archive) -> Photo:
    return archive.photo("anna")


@pytest.fixture(scope="module")
def hidden(archive: Archive, shown: Photo) -> Photo:
    made = archive.photo("anna")
    document = (Data(Reach.PHOTO, str(made.facts.document)),)
    archive.consent(consent("hide", "deny", "TREAT", "anna", data=document))
    return made


def _client(archive: Archive, account: str, purpose: str) -> DICOMwebClient:
    session = requests.Session()
    session.trust_env = False
    session.auth = (account, f"{account}-demo")
    session.headers["X-Purpose-Of-Use"] = purpose
    return DICOMwebClient(f"http://127.0.0.1:{archive.port}/dicom-web", session=session)


def test_a_dicomweb_library_finds_and_reads_what_is_permitted(archive: Archive, shown: Photo, hidden: Photo) -> None:
    client = _client(archive, "clinician", "TREAT")
    (study,) = client.search_for_studies()
    assert study["00201208"]["Value"] == [1]
    (found,) = client.search_for_instances(shown.study, shown.series)
    assert found["00080018"]["Value"] == [shown.sop]
    (described,) = client.retrieve_study_metadata(shown.study)
    assert described["00080018"]["Value"] == [shown.sop]
    (whole,) = client.retrieve_series(shown.study, shown.series, media_types=ANY)
    kept = dcmread(BytesIO(shown.dicom))
    assert whole.PixelData == kept.PixelData
    one = client.retrieve_instance(shown.study, shown.series, shown.sop, media_types=ANY)
    assert one.PixelData == kept.PixelData


def test_a_dicomweb_library_is_told_of_a_hidden_photo_what_it_is_told_of_none(
    archive: Archive, shown: Photo, hidden: Photo
) -> None:
    client = _client(archive, "clinician", "TREAT")
    said = []
    for sop in (hidden.sop, "2.25.1"):
        with pytest.raises(HTTPError) as refused:
            client.retrieve_instance_metadata(hidden.study, hidden.series, sop)
        response = refused.value.response
        said.append((response.status_code, response.content, sorted(response.headers)))
        assert client.search_for_instances(search_filters={"SOPInstanceUID": sop}) == []
    assert said[0] == said[1]
    nothing = _client(archive, "marketing", "PORTFOLIO")
    assert nothing.search_for_studies() == []


def test_no_dimse_door_is_open(archive: Archive) -> None:
    """Orthanc's DICOM server is off: nothing listens at its usual port, and its HTTP port speaks no DIMSE."""
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", 4242)) != 0
    asked = subprocess.run(
        ["echoscu", "-to", "3", "-ta", "3", "-td", "3", "127.0.0.1", str(archive.port)],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert asked.returncode != 0
    assert b"Association Request Failed" in asked.stderr + asked.stdout
    assert archive.ask("/dicom-web/studies", "clinician").status == 200
