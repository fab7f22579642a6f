"""The patient's own pages beside her photos, and the page of compliance: who saw what, and why."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from consent.identity import accounts
from consent.store.engine import reading, transaction
from tests.fhir.clinic import consent_of, uid_of
from tests.workspace.consenting import PASSWORD, Consenting, consenting, csrf

pytestmark = pytest.mark.fast

_CONSENT, _SEEN = "/me/patient/anna/consent", "/me/patient/anna/seen"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Consenting]:
    with consenting(tmp_path) as made:
        yield made


def test_she_reads_what_her_photos_may_be_used_for_and_why_she_does_not_see_them(place: Consenting) -> None:
    place.clinic.put(consent_of("yes", "permit", "TEACH"))
    client = place.signed_in("anna")
    assert f'href="{_CONSENT}"' in client.get("/me/patient/anna").text
    page = client.get(_CONSENT).text
    assert "There are 6 photos of you here." in page
    assert re.search(r"<h2>Teaching in the clinic</h2>.*?All 6", page, re.DOTALL)
    assert "Why you see 0 of 6 here yourself" in page
    assert "Nobody has signed a Yes to your own view" in page
    for hidden in ("b1", "Ben", "g1", "Dr. Markou"):
        assert hidden not in page


def test_she_takes_back_by_one_press_and_it_holds_at_once(place: Consenting) -> None:
    place.clinic.put(consent_of("yes", "permit", "TEACH"))
    client = place.signed_in("anna")
    token = csrf(client.get(_CONSENT).text)
    for wrong in ({"csrf": "guessed", "use": "TEACH"}, {"csrf": token, "use": "HLEGAL"}, {"csrf": token}):
        assert client.post(f"{_CONSENT}/withdraw", data=wrong).status_code == 404
    assert re.search(r"<h2>Teaching in the clinic</h2>.*?All 6", client.get(_CONSENT).text, re.DOTALL)
    answer = client.post(f"{_CONSENT}/withdraw", data={"csrf": token, "use": "TEACH"})
    assert answer.headers["location"] == f"{_CONSENT}?withdrawn"
    assert re.search(r"<h2>Teaching in the clinic</h2>.*?None", client.get(_CONSENT).text, re.DOTALL)
    with reading(place.clinic.engine) as connection:
        ended = place.clinic.record.read(connection, "Consent", "yes").json()
    assert ended["status"] == "inactive"


def test_she_reads_who_saw_her_photos_in_plain_words(place: Consenting) -> None:
    doctor = place.signed_in()
    assert doctor.get("/chart/photo/g1").status_code == 200
    doctor.get("/chart/photo/b1")
    page = place.signed_in("anna").get(_SEEN).text
    assert re.search(r"<b>Dr. Markou</b><span>1 photo for your treatment", page)
    assert "Ben" not in page
    earlier = re.findall(r'href="([^"]+until=[^"]+)"', page)[0]
    assert "Nobody was shown a photo" in place.signed_in("anna").get(earlier).text


def test_an_emergency_is_told_to_her_as_one(place: Consenting) -> None:
    doctor = place.signed_in()
    form = "/chart/patient/anna/emergency"
    doctor.post(form, data={"csrf": csrf(doctor.get(form).text), "reason": "nobody to ask"})
    doctor.get("/emergency/photo/g1")
    page = place.signed_in("anna").get(_SEEN).text
    assert re.search(r'<b>Dr. Markou</b><span>1 photo <b class="lost">in an emergency</b>', page)
    assert "nobody to ask" not in page


def test_nobody_else_opens_them_not_even_a_proxy(place: Consenting) -> None:
    with transaction(place.clinic.engine) as connection:
        accounts.create(
            connection, "mother", password=PASSWORD, purposes=("PATRQT",), reference="RelatedPerson/mother",
            confined_to="anna",
        )  # fmt: skip
    for name in ("mother", "doctor", "compliance"):
        client = place.signed_in(name)
        absent = client.get("/there-is-no-such-page").text
        for path in (_CONSENT, _SEEN, f"{_CONSENT}/yes/paper"):
            answer = client.get(path)
            assert (answer.status_code, answer.text) == (404, absent), (name, path)
    anna = place.signed_in("anna")
    assert anna.get("/me/patient/ben/consent").status_code == 404
    assert anna.get("/me/patient/ben/seen").status_code == 404


def test_compliance_reads_who_saw_a_photo_and_why(place: Consenting) -> None:
    place.clinic.put(consent_of("no", "deny", "WEB"))
    place.signed_in().get("/chart/photo/g1")
    client = place.signed_in("compliance")
    assert client.get("/").headers["location"] == "/review"
    for word in ("DocumentReference/g1", "g1", uid_of("g1")):
        page = client.get("/review", params={"photo": word}).text
        assert "Shown to Dr. Markou." in page
    asked = {"photo": "g1", "account": "marketing", "purpose": "WEB"}
    page = client.get("/review", params=asked).text
    assert "A Consent of the patient denies it." in page
    assert "Consent no, version 1" in page
    assert "/photo/g1" not in page
    assert "No photo is named so" in client.get("/review?photo=nothing").text
    assert "There is no such account" in client.get("/review", params=asked | {"account": "nobody"}).text
    told = [(each["route"], each.get("subject")) for each in place.clinic.records() if each["kind"] == "read"]
    assert ("/review/who", f"audit of {uid_of('g1')}") in told
    assert ("/review/why", "explanation of g1") in told


def test_compliance_reads_it_in_german(place: Consenting) -> None:
    place.clinic.put(consent_of("no", "deny", "WEB"))
    place.signed_in().get("/chart/photo/g1")
    client = place.signed_in("compliance")
    asked = {"photo": "g1", "account": "marketing", "purpose": "WEB"}
    page = client.get("/review", params=asked, headers={"accept-language": "de"}).text
    for text in (
        "<td>Behandlung in dieser Klinik</td>",
        '<option value="WEB" selected>Website</option>',
        "Die Angaben waren vollständig",
        "Eine Einwilligung der Patientin verbietet es.",
        "Sie verbietet Website",
        "Unterschrieben von: ",
        "Die Angaben sind die dieses Augenblicks.",
    ):
        assert text in page, text


def test_compliance_is_told_of_emergencies(place: Consenting) -> None:
    doctor = place.signed_in()
    form = "/chart/patient/anna/emergency"
    doctor.post(form, data={"csrf": csrf(doctor.get(form).text), "reason": "nobody <b>to</b> ask"})
    page = place.signed_in("compliance").get("/review").text
    assert "nobody &lt;b&gt;to&lt;/b&gt; ask" in page
    assert "Patient anna" in page


@pytest.mark.parametrize("name", ["doctor", "marketing", "anna"])
def test_the_review_is_for_compliance_alone(place: Consenting, name: str) -> None:
    client = place.signed_in(name)
    absent = client.get("/there-is-no-such-page").text
    answer = client.get("/review?photo=g1")
    assert (answer.status_code, answer.text) == (404, absent)
