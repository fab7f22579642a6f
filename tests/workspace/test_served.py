"""``photospine serve`` before a real Orthanc: pages, renditions, DICOMweb and OHIF show what is permitted alone."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
from PIL import Image, ImageChops, ImageStat
from playwright.sync_api import Browser, Request
from playwright.sync_api import Error as PlaywrightError

from consent.audit.read import Archive as AuditArchive
from consent.directive import Data, Directive, Reach, Rule, Span
from consent.site import Site
from consent.store.engine import reading, transaction
from consent.store.people import drop_directive
from consent.store.sites import load_site
from consent.types import Effect, Right
from fhir_mapping.store.record import RecordStore
from orthanc_plugin.assembly.serve import Served, build
from orthanc_plugin.assembly.settings import Settings
from tests.archive import Archive, Photo, basic
from tests.ports import free_port
from tests.workspace.canvas import colourful
from tests.workspace.client import Client
from tests.workspace.conftest import Running, assets, watched

pytestmark = [pytest.mark.orthanc]

_SIGNED = Span(datetime(2026, 5, 10, tzinfo=UTC), datetime(2026, 5, 11, tzinfo=UTC))
_TOKEN = re.compile(r'name="csrf" value="([^"]+)"')


@dataclass(frozen=True, slots=True)
class Clinic:
    """Anna's visit of three photos: two for her care team, the third for nobody of it; the first for the portfolio."""

    archive: Archive
    settings: Settings
    served: Served
    first: Photo
    second: Photo
    denied: Photo

    def client(self, name: str | None = None) -> Client:
        """A client, signed in where a name is given."""
        client = Client(self.served.app)
        if name is not None:
            token = _TOKEN.findall(client.get("/login").text)[0]
            form = {"csrf": token, "name": name, "password": f"{name}-demo", "next": "/"}
            assert client.post("/login", data=form).status_code == 303
        return client


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    with Archive(tmp_path_factory.mktemp("served"), free_port()) as archive:
        archive.account("clinician", "TREAT", "BTG")
        archive.account("marketing", "PORTFOLIO", "WEB")
        archive.account("integrator", "TREAT", rights=(Right.STORE,))
        archive.patient("anna")
        _put(archive, {"resourceType": "Patient", "id": "anna", "birthDate": "1980-01-01",
                       "identifier": [{"system": "urn:mrn", "value": "PID-anna"}],
                       "name": [{"family": "Familyanna", "given": ["Given"]}]})  # fmt: skip
        photos = [archive.photo("anna", view=str(number), pixels=_pixels(number)) for number in (1, 2, 3)]
        archive.consent(
            _directive("no", Effect.DENY, "TREAT", data=(Data(Reach.PHOTO, str(photos[2].facts.document)),))
        )
        archive.consent(
            _directive("yes", Effect.PERMIT, "PORTFOLIO", data=(Data(Reach.PHOTO, str(photos[0].facts.document)),))
        )
        settings = replace(
            archive.settings,
            assets=assets(),
            ohif=assets() / "ohif",
            orthanc=f"http://127.0.0.1:{archive.port}",
        )
        served = build(settings)
        try:
            yield Clinic(archive, settings, served, *photos)
        finally:
            served.close()


def _put(archive: Archive, resource: dict[str, object]) -> None:
    with transaction(archive.engine) as connection:
        store = RecordStore(_site(archive))
        store.update(connection, str(resource["resourceType"]), str(resource["id"]), resource, source="urn:test")


def _site(archive: Archive) -> Site:
    with reading(archive.engine) as connection:
        return load_site(connection)


def _directive(name: str, effect: Effect, purpose: str, *, data: tuple[Data, ...] | None = None) -> Directive:
    return Directive(
        consent=name,
        version=1,
        patient="anna",
        scope="patient-privacy",
        status="active",
        signed=_SIGNED,
        performers=("Patient/anna",),
        organizations=("Organization/clinic",),
        root=Rule(path="provision", effect=effect, purposes=frozenset({purpose}), data=data),
    )


def _pixels(seed: int) -> bytes:
    """A colourful JPEG with EXIF that names a place and a person, as a camera might write it."""
    picture = Image.merge(
        "RGB",
        [Image.radial_gradient("L").resize((960, 640)).rotate(90 * seed * step, expand=False) for step in (1, 2, 3)],
    )
    exif = Image.Exif()
    exif[0x013B] = "Secret Photographer"
    exif[0x010F] = "Camera"
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=92, exif=exif, comment=b"a secret comment")
    return out.getvalue()


def _key(photo: Photo) -> str:
    return str(photo.facts.document).removeprefix("DocumentReference/")


def test_a_course_shows_permitted_photos_with_their_own_pixels(clinic: Clinic) -> None:
    client = clinic.client("clinician")
    assert "Given Familyanna" in client.get("/chart?q=familyan").text
    page = client.get("/chart/patient/anna").text
    assert set(re.findall(r"/chart/photo/(d\d+)", page)) == {_key(clinic.first), _key(clinic.second)}
    answer = client.get(f"/chart/photo/{_key(clinic.first)}?width=640")
    with Image.open(io.BytesIO(answer.content)) as shown, Image.open(io.BytesIO(clinic.first.pixels)) as source:
        assert shown.width == 640
        expected = source.convert("RGB").resize(shown.size, Image.Resampling.LANCZOS)
        assert max(ImageStat.Stat(ImageChops.difference(shown.convert("RGB"), expected)).mean) < 2.5


@pytest.mark.parametrize("width", [0, 320, 1600])
def test_a_rendition_holds_pixels_and_nothing_else(clinic: Clinic, width: int) -> None:
    answer = clinic.client("clinician").get(f"/chart/photo/{_key(clinic.first)}?width={width}")
    assert b"secret" in clinic.first.dicom.lower()
    assert b"secret" not in answer.content.lower()
    assert b"Exif" not in answer.content
    assert answer.headers["cache-control"] == "private, no-store"


def test_a_denied_photo_is_nowhere(clinic: Clinic) -> None:
    client = clinic.client("clinician")
    denied, absent = _key(clinic.denied), "d999"
    answers = [client.get(f"/chart/photo/{key}?width=320") for key in (denied, absent)]
    assert [(answer.status_code, answer.content) for answer in answers] == [(404, b""), (404, b"")]
    first = _key(clinic.first)
    answers = [client.get(f"/chart/compare?left={first}&right={key}") for key in (denied, absent)]
    assert answers[0].status_code == answers[1].status_code == 404
    assert answers[0].text == answers[1].text


def test_each_answer_is_in_the_audit(clinic: Clinic) -> None:
    client = clinic.client("clinician")
    before = len(_records(clinic))
    client.get("/chart/patient/anna")
    client.get(f"/chart/photo/{_key(clinic.first)}?width=320")
    client.get(f"/chart/photo/{_key(clinic.denied)}?width=320")
    kinds = [(record["kind"], record.get("effect"), record.get("released")) for record in _records(clinic)[before:]]
    course, *others = kinds[:-2]
    assert course == ("set", None, 2)
    assert set(others) == {("set", None, 0)}, "what is due, next and kept are questions of their own"
    assert kinds[-2:] == [("decision", "permit", None), ("decision", "deny", None)]


def _records(clinic: Clinic) -> list[dict[str, object]]:
    found = AuditArchive(clinic.archive.engine, clinic.settings.audit_folder)
    return [json.loads(row.body) for chain in found.chains() if "/serve/" in chain for row in found.rows(chain)]


def test_the_portfolio_follows_the_consent_at_each_request(clinic: Clinic) -> None:
    client = clinic.client("marketing")
    page = client.get("/portfolio/PORTFOLIO").text
    addresses = re.findall(r'src="(/portfolio/PORTFOLIO/photo/[^"]+)"', page)
    assert len(addresses) == 1
    assert client.get(addresses[0]).status_code == 200
    for word in ("anna", "Family", "PID", clinic.first.sop, _key(clinic.first) + '"', "2026"):
        assert word not in page
    assert "/photo/" not in client.get("/portfolio/WEB").text
    assert client.get("/chart/patient/anna").status_code == 404
    with transaction(clinic.archive.engine) as connection:
        drop_directive(connection, "yes")
    try:
        assert client.get(addresses[0]).status_code == 404
        assert "/photo/" not in client.get("/portfolio/PORTFOLIO").text
    finally:
        clinic.archive.consent(
            _directive("yes", Effect.PERMIT, "PORTFOLIO", data=(Data(Reach.PHOTO, str(clinic.first.facts.document)),))
        )


def test_dicomweb_with_the_cookie_reads_for_treatment_and_does_nothing_else(clinic: Clinic) -> None:
    client = clinic.client("clinician")
    found = client.get("/dicom-web/instances", params={"StudyInstanceUID": clinic.first.study})
    assert {row["00080018"]["Value"][0] for row in found.json()} == {clinic.first.sop, clinic.second.sop}
    assert client.get(clinic.first.wado + "/metadata").status_code == 200
    denied, absent = client.get(clinic.denied.wado), client.get(clinic.denied.wado[:-3] + "999")
    assert (denied.status_code, denied.content) == (absent.status_code, absent.content) == (404, b"")
    assert client.get("/dicom-web/studies", headers={"X-Purpose-Of-Use": "BTG"}).status_code == 404
    assert client.get("/dicom-web/studies", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 404
    assert client.post("/dicom-web/studies", content=b"x").status_code == 404
    assert clinic.client("marketing").get("/dicom-web/studies").status_code == 404
    assert client.request("PUT", "/dicom-web/studies").status_code == 405


def test_dicomweb_with_basic_passes_through_whole(clinic: Clinic) -> None:
    client = clinic.client()
    nobody = client.get("/dicom-web/studies")
    assert (nobody.status_code, nobody.headers["www-authenticate"]) == (
        401,
        'Basic realm="photospine", Bearer realm="photospine"',
    )
    mine = {"Authorization": basic("integrator"), "Accept": "application/dicom"}
    wrong = {"Authorization": "Basic " + base64.b64encode(b"integrator:wrong").decode()}
    assert client.get("/dicom-web/studies", headers=wrong).status_code == 401
    # Names with marks that are percent-encoded mean themselves.
    found = client.get(
        "/dicom-web/studies?PatientID=PID%2Danna&includefield=00081030%2C00080060",
        headers={**mine, "Accept": "application/dicom+json"},
    )
    assert [row["0020000D"]["Value"][0] for row in found.json()] == [clinic.first.study]
    assert found.json()[0]["00201208"]["Value"] == [2]
    # Clients repeat a field's key for each field that they wish for.
    wished = "&".join(f"includefield={tag}" for tag in ("00280101", "00280102"))
    instances = f"/dicom-web/instances?StudyInstanceUID={clinic.first.study}&{wished}"
    rows = client.get(instances, headers={**mine, "Accept": "application/dicom+json"}).json()
    assert [{"00280101", "00280102"} <= row.keys() for row in rows] == [True, True]
    instance = client.get(
        clinic.first.wado, headers={**mine, "Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
    )
    assert instance.status_code == 200
    assert clinic.first.pixels in instance.content


def test_a_search_through_serve_names_the_address_of_serve(clinic: Clinic) -> None:
    """Orthanc's own is on another port, and closed to others."""
    client, mine = clinic.client(), {"Authorization": basic("integrator"), "Accept": "application/dicom+json"}
    public = clinic.settings.public_url
    (study,) = client.get("/dicom-web/studies", headers=mine).json()
    assert study["00081190"]["Value"] == [f"{public}/dicom-web/studies/{clinic.first.study}"]
    described = client.get(f"/dicom-web/studies/{clinic.first.study}/metadata", headers=mine).json()
    assert all(each["7FE00010"]["BulkDataURI"].startswith(f"{public}/dicom-web/studies/") for each in described)


def test_each_field_that_is_to_be_included_is_passed_on(clinic: Clinic) -> None:
    """Client libraries repeat the key, of which Orthanc keeps one; of others that are repeated the first counts."""
    client, mine = clinic.client(), {"Authorization": basic("integrator"), "Accept": "application/dicom+json"}
    found = client.get(
        "/dicom-web/instances?includefield=ImageComments&limit=1&includefield=ImageType&limit=2", headers=mine
    ).json()
    assert [{"00204000", "00080008"} <= row.keys() for row in found] == [True]
    assert client.get("/dicom-web/instances?" + "&".join(["x=1"] * 300), headers=mine).status_code == 400


def test_a_body_that_is_too_large_is_refused_on_the_way(clinic: Clinic) -> None:
    settings = replace(clinic.settings, max_file_megabytes=1, node="small")
    served = build(settings)
    try:

        async def endless() -> AsyncIterator[bytes]:
            for _ in range(40):
                yield b"x" * 65536

        client = Client(served.app)
        headers = {
            "Authorization": basic("integrator"),
            "Content-Type": "multipart/related; type=application/dicom; boundary=x",
        }
        assert client.post("/dicom-web/studies", content=endless(), headers=headers).status_code == 413
        assert client.post("/dicom-web/studies", content=b"x" * 2_000_000, headers=headers).status_code == 413
    finally:
        served.close()


def test_preflights_are_answered_for_viewers_of_other_origins(clinic: Clinic) -> None:
    answer = clinic.client().request("OPTIONS", "/dicom-web/studies", headers={"Origin": "https://viewer.example"})
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    assert "Authorization" in answer.headers["access-control-allow-headers"]


def test_health_says_whether_the_database_answers(clinic: Clinic) -> None:
    assert clinic.client().get("/healthz").json() == {"status": "ok"}


@pytest.mark.browser
def test_ohif_opens_a_partly_permitted_study(clinic: Clinic, browser: Browser) -> None:
    with Running(clinic.served.app, free_port()) as running:
        context = browser.new_context(viewport={"width": 1280, "height": 860})
        visit = watched(context, running.address)
        asked: list[str] = []
        bodies: list[bytes] = []
        visit.page.on("request", lambda request: asked.append(request.url))
        visit.page.on(
            "requestfinished",
            lambda request: bodies.append(_body(request)) if "/dicom-web/" in request.url else None,
        )
        visit.sign_in("clinician")
        visit.page.goto(f"{running.address}/chart/patient/anna")
        visit.page.get_by_role("link", name="Open in OHIF").first.click()
        visit.page.wait_for_function(colourful(300), timeout=60_000)
        thumbnails = visit.page.locator('[data-cy="study-browser-thumbnail"]')
        thumbnails.first.wait_for(timeout=20_000)
        assert thumbnails.count() == 2
        assert not [each for each in visit.complaints if "policy:" in each]
        outside = [url for url in asked if not url.startswith((running.address, "blob:", "data:"))]
        assert outside == []
        assert not [url for url in asked if clinic.denied.sop in url]
        assert not [body for body in bodies if clinic.denied.sop.encode() in body]
        context.close()


def _body(request: Request) -> bytes:
    answer = request.response()
    try:
        return answer.body() if answer is not None else b""
    except PlaywrightError:  # the browser has thrown the body away
        return b""
