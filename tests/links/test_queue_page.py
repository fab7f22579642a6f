"""``/waiting``: photos that wait are linked by two presses, by who may, and are seen by nobody else."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape

import pytest
from PIL import Image
from playwright.sync_api import Browser, expect
from starlette.applications import Starlette

from consent.types import Right
from orthanc_plugin.assembly.serve import build
from tests.links.world import Links
from tests.ports import free_port
from tests.workspace.axe import faults
from tests.workspace.client import Client
from tests.workspace.conftest import Running, assets, watched

pytestmark = [pytest.mark.orthanc]


@pytest.fixture(scope="module")
def app(clinic: Links) -> Iterator[Starlette]:
    clinic.archive.account("both", "TREAT", rights=(Right.LINK, Right.RECONCILE, Right.RECORD))
    served = build(replace(clinic.settings, assets=assets()))
    try:
        yield served.app
    finally:
        served.close()


def _enter(app: Starlette, name: str) -> Client:
    client = Client(app)
    token = re.findall(r'name="csrf" value="([^"]+)"', client.get("/login").text)[0]
    form = {"csrf": token, "name": name, "password": f"{name}-demo", "next": "/"}
    assert client.post("/login", data=form).status_code == 303
    return client


def _form(page: str) -> dict[str, str]:
    """The hidden fields of the form that links."""
    form = re.findall(r'<form class="ask sheet-of sure".*?</form>', page, re.DOTALL)[0]
    return {name: unescape(value) for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form)}


def test_a_suggestion_and_one_more_press_link_a_photo(clinic: Links, app: Starlette) -> None:
    clinic.person("quinn")
    visit = clinic.visit("quinn")
    made = clinic.sent(8100, StudyDate="20260503", ContentDate="20260503", PatientID="PID-quinn")
    client = _enter(app, "both")
    page = client.get("/waiting").text
    card = page[page.index(f"photo-{made.sop}") :]
    assert "NOBODY-8100" in card
    assert "No visit" in card
    (choice, *_) = [unescape(each) for each in re.findall(rf'href="(/waiting/{re.escape(made.sop)}\?[^"]+)"', card)]
    assert f"visit={visit.encounter}" in choice
    assert clinic.records("waiting")[-1]["account"] == "both"
    looked = client.get(choice)
    assert looked.status_code == 200
    assert "Given Familyquinn" in looked.text
    answer = client.post(f"/waiting/{made.sop}", data=_form(looked.text))
    assert answer.status_code == 303, answer.text
    assert clinic.row(made.sop).state == "linked"
    assert made.sop not in client.get("/waiting").text
    assert client.get(f"/waiting/{made.sop}").status_code == 404
    assert client.get(f"/waiting/{made.sop}/picture").status_code == 404


def test_a_patient_is_found_a_visit_is_made_and_a_region_is_said(clinic: Links, app: Starlette) -> None:
    clinic.person("rosa")
    made = clinic.sent(8200, StudyDate="20190305", ContentDate="20190305", AcquisitionDateTime="", PatientID="UNKNOWN")
    client = _enter(app, "both")
    address = f"/waiting/{made.sop}"
    assert f"{address}?patient=rosa" in client.get(f"{address}?q=familyrosa").text
    page = client.get(f"{address}?patient=rosa").text
    assert "Make one" in page
    token = re.findall(r'name="csrf" value="([^"]+)"', page)[-1]
    answer = client.post(f"{address}/visit", data={"csrf": token, "patient": "rosa", "region": "cheek"})
    assert answer.status_code == 303, answer.text
    place = answer.headers["location"]
    looked = client.get(f"{place}&laterality=R&view=frontal")
    assert looked.status_code == 200, looked.text
    assert "another one that says this takes its place" in looked.text
    assert client.post(address, data=_form(looked.text)).status_code == 303
    assert clinic.row(made.sop).state == "rejected"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("patient=nobody", "no such patient"),
        ("patient=anna&visit=nowhere", 'role="alert"'),
        ("patient=anna&visit={bens}", "Visit: "),
        ("patient=anna&visit={annas}&region=moon", "unknown region"),
        ("patient=anna&visit={annas}&laterality=X", 'role="alert"'),
    ],
)
def test_what_does_not_fit_is_said_and_nothing_is_linked(clinic: Links, app: Starlette, query: str, said: str) -> None:
    made = clinic.sent(8300 + len(query))
    words = query.format(bens=clinic.visit("ben").encounter, annas=clinic.visit("anna").encounter)
    answer = _enter(app, "both").get(f"/waiting/{made.sop}?{words}")
    assert (answer.status_code, said in unescape(answer.text)) == (400, True)
    assert "Link it" not in answer.text


def test_it_is_said_in_german(clinic: Links, app: Starlette) -> None:
    made = clinic.sent(8350)
    client, german = _enter(app, "both"), {"accept-language": "de"}
    page = client.get("/waiting", headers=german).text
    card = page[page.index(f"photo-{made.sop}") :]
    assert "Kein Besuch und keine Behandlung der Akte hat die Auftragsnummer" in card
    assert "<dt>Auftragsnummer (Accession Number)</dt>" in card
    visits = [clinic.visit("ben").encounter, clinic.visit("anna").encounter]
    looked = [
        client.get(f"/waiting/{made.sop}?patient=anna&visit={visit}&region=lower-eyelid&laterality=R", headers=german)
        for visit in visits
    ]
    assert f"Besuch: Wählen Sie einen Besuch von Patient/anna; Encounter/{visits[0]} ist keiner." in looked[0].text
    assert '<option value="lower-eyelid" selected>Unterlid</option>' in looked[1].text
    assert "<dd>Unterlid</dd>" in looked[1].text
    assert "<dd>rechts</dd>" in looked[1].text


def test_nobody_else_sees_that_anything_waits(clinic: Links, app: Starlette) -> None:
    made = clinic.sent(8400)
    visit = clinic.visit("anna")
    for name in ("clinician", "marketing"):
        client = _enter(app, name)
        assert "/waiting" not in client.get("/chart").text
        for path in ("/waiting", f"/waiting/{made.sop}", f"/waiting/{made.sop}/picture"):
            answer = client.get(path)
            assert (answer.status_code, made.sop in answer.text) == (404, False)
    linker = _enter(app, "linker")  # who may link, and does not reconcile: everything but the picture
    page = linker.get("/waiting").text
    assert made.sop in page
    assert "/picture" not in page
    assert linker.get(f"/waiting/{made.sop}/picture").status_code == 404
    assert Client(app).get("/waiting").status_code == 303
    assert Client(app).get(f"/waiting/{made.sop}/picture").status_code == 404
    form = {"patient": "anna", "visit": visit.encounter}
    assert linker.post(f"/waiting/{made.sop}", data=form).status_code == 404  # without its token
    assert clinic.row(made.sop).state == "examined"


def test_the_picture_is_pixels_alone_and_a_record_each_time(clinic: Links, app: Starlette) -> None:
    made = clinic.sent(8500)
    client = _enter(app, "both")
    before = len(clinic.records("waiting picture"))
    answer = client.get(f"/waiting/{made.sop}/picture?width=320")
    assert answer.headers["content-type"] == "image/jpeg"
    shown = Image.open(io.BytesIO(answer.content))
    assert not shown.getexif()
    assert len(clinic.records("waiting picture")) == before + 1


@pytest.mark.browser
def test_it_is_obvious_in_a_browser(clinic: Links, app: Starlette, browser: Browser) -> None:
    clinic.person("sara")
    clinic.visit("sara")
    made = clinic.sent(8600, StudyDate="20260503", ContentDate="20260503", PatientID="PID-sara")
    with Running(app, free_port()) as running:
        context = browser.new_context(viewport={"width": 1280, "height": 860})
        visit = watched(context, running.address)
        visit.sign_in("both")
        visit.go("/waiting")
        assert faults(visit) == []
        visit.page.locator(f'[id="photo-{made.sop}"] .suggestion').first.click()
        expect(visit.page.get_by_role("button", name="Link it")).to_be_focused()
        assert faults(visit) == []
        visit.page.keyboard.press("Enter")
        expect(visit.page.get_by_role("status")).to_have_text("It is linked.")
        assert visit.complaints == []
        context.close()
    assert clinic.row(made.sop).state == "linked"
