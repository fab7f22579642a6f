"""``/advisory``: asked, confirmed, opened, worked through and closed, by whoever works for patient safety alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.fhir.clinic import Clinic, build, context, open_clinic
from tests.ports import free_port
from tests.workspace.client import Client
from tests.workspace.conftest import Running, assets, watched
from tests.workspace.safety import application, populate

_NOTICE = "FIELD SAFETY NOTICE\nToxin A, lots: LOT-0071 (expiry 01/2027) and C3709C3.\n<b>Call us.</b>"


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    build(tmp_path)
    made = open_clinic(tmp_path)
    populate(made)
    made.photo("f8", "anna", "v1", context=context("v1", "2026-06-01T10:00:00+03:00"))
    yield made
    made.close()


@pytest.fixture
def client(clinic: Clinic) -> Client:
    return _signed_in(clinic, "compliance")


def _signed_in(clinic: Clinic, name: str) -> Client:
    client = Client(application(clinic))
    _post(client, "/login", {"name": name, "password": f"{name}-demo", "next": "/"}, token_of="/login")
    return client


def _post(
    client: Client, path: str, form: Mapping[str, object], *, token_of: str = "/advisory", status: int = 303
) -> str:
    token = re.findall(r'name="csrf" value="([^"]+)"', client.get(token_of).text)[0]
    answer = client.post(path, data={"csrf": token, **form})
    assert answer.status_code == status, answer.text
    return answer.headers.get("location", "") or answer.text


@pytest.mark.fast
def test_the_three_sets_with_contacts_photos_and_consent(client: Client) -> None:
    text = client.get("/advisory/found?lot=LOT-0071").text
    assert "3 photos" not in text
    assert "Anna Ānderson" in text
    assert "+30 210 000 0001" in text
    assert "Berg, Mia" not in text
    assert "Mia Berg, mother" in text
    assert "reads alike" in text
    assert text.count('src="/advisory/photo/') == 4
    assert client.get("/advisory/photo/f1?width=320").headers["content-type"] == "image/jpeg"
    assert client.get("/").headers["location"] == "/advisory"


@pytest.mark.fast
@pytest.mark.parametrize("query", ["", "lot=--", "lot=A&expiry=soon", "udi=(01)09504000059119"])
def test_a_question_that_cannot_be_read_comes_back_with_its_fault(client: Client, query: str) -> None:
    answer = client.get(f"/advisory/found?{query}")
    assert (answer.status_code, 'role="alert"' in answer.text) == (400, True)


@pytest.mark.fast
def test_a_udi_that_is_far_too_long_is_said_to_be_so(client: Client) -> None:
    answer = client.get("/advisory/found", params={"udi": "7" * 20_000})
    assert (answer.status_code, "it has 1 to 400 characters" in answer.text) == (400, True)


_GERMAN = {"accept-language": "de"}


@pytest.mark.fast
def test_it_is_said_in_german_and_the_report_stays_english(clinic: Clinic, client: Client) -> None:
    clinic.put(
        {"resourceType": "MedicationAdministration", "id": "far", "status": "not-done",
         "subject": {"reference": "Patient/ben"}, "medicationReference": {"reference": "Medication/near"},
         "effectiveDateTime": "2026-05-03",
         "dosage": {"dose": {"value": 0.5, "unit": "mL"}, "site": {"text": "right cheek"}}}
    )  # fmt: skip
    place = _post(client, "/advisory/open", {"lot": "LOT-0071", "expiry": "2027-01", "since": "2026-02-01"})
    page = client.get(place, headers=_GERMAN).text
    for text in (
        "Charge LOT-0071 Verfallsdatum Jan. 2027, ab 1. Feb. 2026",
        "Genau diese Charge",
        "liest sich gleich",
        "nicht durchgeführt: nicht gezählt",
        "verwendbar bis 31. Jan. 2027",
        "Telefon +30 210 000 0001",
        "0,5 mL",
        "Wange rechts",
        "Behandlung in dieser Klinik",
        "Kontaktiert",
    ):
        assert text in page, text
    for text in ("TREAT", "2027-01-31", "reads alike", "phone +30", "Contacted"):
        assert text not in page, text
    report = client.get(f"{place}/report.csv", headers=_GERMAN).text
    assert "reads alike" in report
    assert "phone +30 210 000 0001" in report
    assert "right cheek" in report
    assert '"valueString": "reads alike"' in client.get(f"{place}/report.json", headers=_GERMAN).text


@pytest.mark.fast
@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("lot=--", "Eine Charge enthält einen Buchstaben"),
        ("lot=A&expiry=soon", "Das Verfallsdatum ist ein Datum: JJJJ-MM oder JJJJ-MM-TT."),
        ("udi=(01)09504000059119", "Die UDI ist nicht lesbar: (01) endet auf 9, die Prüfziffer wäre 8."),
        ("udi=(01)123", "Die UDI ist nicht lesbar: (01) hat 14 Ziffern."),
        ("udi=%2BA123", "Das Prüfzeichen wäre"),
    ],
)
def test_what_cannot_be_asked_is_said_in_german(client: Client, query: str, said: str) -> None:
    answer = client.get(f"/advisory/found?{query}", headers=_GERMAN)
    assert (answer.status_code, said in answer.text) == (400, True)


@pytest.mark.fast
def test_a_notice_is_asked_only_once_it_is_confirmed(clinic: Clinic, client: Client) -> None:
    text = _post(client, "/advisory/notice", {"notice": _NOTICE}, status=200)
    assert '<mark class="lot">LOT-0071</mark>' in text
    assert "&lt;b&gt;Call us." in text
    assert re.findall(r'name="pick" value="([^"]*)"', text) == ["LOT-0071\t2027-01", "C3709C3\t"]
    assert not any(each["route"] == "advisory" for each in clinic.records())
    form = {"pick": ["LOT-0071\t2027-01"], "lot": "L0T-9\n", "notice": _NOTICE}
    place = _post(client, "/advisory/open", form)
    shown = client.get(place).text
    assert "lot LOT-0071 expiry Jan 2027, lot L0T-9" in shown
    assert "0 of 2 attested" in shown


@pytest.mark.fast
def test_an_advisory_is_worked_through_and_closed(client: Client) -> None:
    place = _post(client, "/advisory/open", {"lot": "LOT-0071"})
    assert _post(client, "/advisory/open", {"lot": " LOT-0071 "}) == place
    for patient in ("anna", "ben"):
        early = {"patient": patient, "step": "attested"}
        assert "reviewed before" in _post(client, f"{place}/done", early, status=400)
        for step in ("contacted", "reviewed", "attested"):
            form = {"patient": patient, "step": step, "note": f"<i>{step}</i>"}
            assert _post(client, f"{place}/done", form).startswith(place)
    shown = client.get(place).text
    assert "2 of 2 attested" in shown
    assert "&lt;i&gt;reviewed&lt;/i&gt;" in shown
    assert _post(client, f"{place}/close", {}) == place
    assert ">closed<" in client.get("/advisory").text
    for ending, start in (("pdf", b"%PDF-"), ("csv", b'\xef\xbb\xbf"set",'), ("json", b"{")):
        answer = client.get(f"{place}/report.{ending}")
        assert answer.content.startswith(start)
        assert answer.content == client.get(f"{place}/report.{ending}").content


@pytest.mark.fast
def test_what_has_changed_is_shown_until_it_is_taken_in(clinic: Clinic, client: Client) -> None:
    place = _post(client, "/advisory/open", {"lot": "LOT-0071"})
    clinic.put(
        {"resourceType": "MedicationAdministration", "id": "late", "status": "completed",
         "subject": {"reference": "Patient/ben"}, "medicationReference": {"reference": "Medication/lot7"},
         "effectiveDateTime": "2026-05-05"}
    )  # fmt: skip
    assert "1 found, 0 no longer found" in client.get(place).text
    assert _post(client, f"{place}/again", {}) == place
    assert "no longer found" not in client.get(place).text


@pytest.mark.fast
def test_a_range_and_a_product_are_confirmed_with_the_lots(client: Client) -> None:
    notice = {"notice": "Toxin A, lots LOT-0070 to LOT-0072 (expiry 01/2027)"}
    text = _post(client, "/advisory/notice", notice, status=200)
    (picked,) = re.findall(r'name="range" value="([^"]*)"', text)
    assert picked.split("\t") == ["2027-01", "LOT-0070", "LOT-0071", "LOT-0072"]
    assert "<option>Toxin A</option>" in text
    place = _post(client, "/advisory/open", {"range": picked, "product": "Toxin A", **notice})
    shown = client.get(place).text
    assert "LOT-0072 expiry Jan 2027, Toxin A" in shown
    assert "Anna \u0100nderson" in shown


@pytest.mark.fast
def test_a_notice_that_cannot_be_asked_comes_back_with_what_was_chosen(client: Client) -> None:
    form = {"notice": _NOTICE, "pick": "LOT-0071\t2027-01", "lot": "--", "since": "2026-02-01"}
    text = _post(client, "/advisory/open", form, status=400)
    assert 'role="alert"' in text
    assert re.findall(r'name="pick" value="([^"]*)"( checked)?', text) == [
        ("LOT-0071\t2027-01", " checked"),
        ("C3709C3\t", ""),
    ]
    assert 'value="2026-02-01"' in text


@pytest.mark.fast
def test_two_at_once_are_told_and_keep_what_they_typed(client: Client) -> None:
    place = _post(client, "/advisory/open", {"lot": "LOT-0071"})
    seen = re.findall(r'name="seen" value="([0-9]+)"', client.get(place).text)[0]
    step = {"patient": "anna", "step": "contacted", "seen": seen}
    _post(client, f"{place}/done", {**step, "note": "first"})
    text = _post(client, f"{place}/done", {**step, "note": "second & last"}, status=412)
    assert "Somebody was faster: contacted, by compliance" in text
    assert 'value="second &amp; last"' in text
    assert " · compliance: <bdi>first</bdi>" in text


@pytest.mark.fast
def test_it_is_not_closed_while_something_is_open(client: Client) -> None:
    place = _post(client, "/advisory/open", {"lot": "LOT-0071"})
    assert "2 of 2 patients are left" in _post(client, f"{place}/close", {}, status=400)


@pytest.mark.fast
def test_nobody_else_gets_in_and_nothing_tells_what_is_there(clinic: Clinic, client: Client) -> None:
    place = _post(client, "/advisory/open", {"lot": "LOT-0071"})
    absent = "/advisory/advisory-none"
    for name in ("clinician", "anna"):
        other = _signed_in(clinic, name)
        for path in ("/advisory", "/advisory/found?lot=LOT-0071", place, absent, f"{place}/report.pdf"):
            assert other.get(path).status_code == 404, (name, path)
        assert other.get("/advisory/photo/f1").status_code == 404
        assert other.post("/advisory/open", data={"lot": "LOT-0071"}).status_code == 404
    assert client.get(absent).status_code == 404
    assert client.get(f"{place}/report.exe").status_code == 404
    assert client.post("/advisory/open", data={"lot": "LOT-0071"}).status_code == 404
    assert client.post(f"{place}/done", data={"csrf": "x", "patient": "anna", "step": "reviewed"}).status_code == 404
    _post(client, f"{place}/done", {"patient": "nobody", "step": "reviewed"}, status=404)
    stranger = Client(application(clinic))
    assert stranger.get(place).headers["location"].startswith("/login")


@pytest.mark.browser
def test_it_works_in_a_browser_and_can_be_read_by_all(clinic: Clinic, browser: Browser) -> None:
    with Running(application(clinic, packages=assets()), free_port()) as running:
        visit = watched(browser.new_context(viewport={"width": 1280, "height": 900}), running.address)
        visit.sign_in("compliance")
        page = visit.page
        pages = {"start": "/advisory", "found": "/advisory/found?lot=LOT-0071"}
        axe = (assets() / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")
        for path in pages.values():
            visit.go(path)
            page.evaluate(axe)
            assert page.evaluate("axe.run().then(r => r.violations.map(v => v.id))") == []
        visit.go("/advisory")
        page.get_by_label("Its text").fill(_NOTICE)
        page.get_by_role("button", name="Read it").click()
        page.get_by_role("button", name="Confirm").wait_for()
        page.evaluate(axe)
        assert page.evaluate("axe.run().then(r => r.violations.map(v => v.id))") == []
        page.get_by_role("checkbox").nth(1).uncheck()
        page.get_by_role("button", name="Confirm").click()
        page.get_by_role("heading", name="lot LOT-0071 expiry Jan 2027").wait_for()
        case = page.get_by_role("article").filter(has_text="Anna")
        case.get_by_label("What was said").fill("Called; she is well")
        case.get_by_role("button", name="Contacted").click()
        page.get_by_text("· compliance: Called; she is well").wait_for()
        page.evaluate(axe)
        assert page.evaluate("axe.run().then(r => r.violations.map(v => v.id))") == []
        assert visit.complaints == []
        page.context.close()
