"""The photographs of a session on its page: what is there, what is missing, and closing them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from tests.fhir.clinic import Clinic
from tests.protocols.closable import FROWN, opened, shot
from tests.workspace.client import Client
from tests.workspace.planned import people, signed_in

PAGE = "/chart/session/tox"


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    made = opened(tmp_path)
    shot(made, "n1", "rest")
    yield made
    made.close()


@pytest.fixture
def client(clinic: Clinic) -> Client:
    return signed_in(clinic, people(), "clinician")


def _fields(text: str) -> dict[str, str]:
    found = re.findall(r'<input type="hidden" name="(csrf|version)" value="([^"]*)"', text)
    return {name: unescape(value) for name, value in found}


def _send(client: Client, **more: str) -> tuple[int, str]:
    fields = _fields(client.get(PAGE).text) | more
    answer = client.post(f"{PAGE}/close", data=fields, headers={"Origin": "http://testserver"})
    return answer.status_code, answer.text


def test_the_page_asks_for_a_reason_and_closes_with_it(client: Client) -> None:
    page = client.get(PAGE).text
    assert "1 of 2 taken" in page
    assert "Not closed" in page
    assert "Before the first treatment" in page
    assert "/chart/photo/n1?" in page
    status, told = _send(client)
    assert (status, "say why" in told) == (422, True)
    status, told = _send(client, **{f"why-{FROWN}": "other"})
    assert (status, "in a sentence" in told) == (422, True)
    assert re.search(r'<option value="other" selected>', told)  # what was typed stays
    status, _ = _send(client, **{f"why-{FROWN}": "other", f"told-{FROWN}": "Eyelid <swollen>"})
    assert status == 303
    page = client.get(PAGE).text
    assert '<span class="badge">Closed</span>' in page
    assert "Missing: Another reason, Eyelid &lt;swollen&gt;" in page
    assert re.search(r"Closed</span> <small>[^<]+, 15 Jun 2026, 12:00<", page)  # by whom, and when
    assert "Close the photographs" not in page


def test_a_page_from_elsewhere_or_of_before_closes_nothing(client: Client) -> None:
    why = {f"why-{FROWN}": "forgotten"}
    assert _send(client, csrf="x", **why)[0] == 400
    assert client.post(f"{PAGE}/close", data=_fields(client.get(PAGE).text) | why,
                       headers={"Origin": "http://elsewhere"}).status_code == 400  # fmt: skip
    before = _fields(client.get(PAGE).text)
    assert _send(client, **why)[0] == 303
    answer = client.post(f"{PAGE}/close", data=before | why, headers={"Origin": "http://testserver"})
    assert (answer.status_code, "closed by somebody else" in answer.text) == (409, True)


def test_who_reads_sees_it_and_does_not_close(clinic: Clinic) -> None:
    reader = signed_in(clinic, people(), "doctor")
    page = reader.get(PAGE).text
    assert "1 of 2 taken" in page
    assert "Close the photographs" not in page
    data = _fields(page) | {f"why-{FROWN}": "forgotten"}
    assert reader.post(f"{PAGE}/close", data=data, headers={"Origin": "http://testserver"}).status_code == 404
    other = signed_in(clinic, people(), "marketing")
    for path in (PAGE, "/protocols", "/protocols/rhinoplasty", "/protocols/rhinoplasty/card.pdf"):
        assert other.get(path).status_code == 404


def test_the_next_session_tells_what_the_protocol_still_wants(client: Client) -> None:
    page = client.get("/chart/patient/anna/next").text
    assert "The protocol still wants" in page
    assert "Glabella, frontal, frown" in page
    assert "Glabella, frontal, face at rest" not in page  # it is there
    assert '<a href="/protocols/toxin-glabella">Botulinum toxin, glabella</a>' in page


def test_protocols_have_pages_and_cards(client: Client) -> None:
    assert "Botulinum toxin, glabella" in client.get("/protocols").text
    page = client.get("/protocols/rhinoplasty").text
    assert "Nose, cephalic, face at rest" in page
    assert page.count('<svg class="pose"') == 8
    card = client.get("/protocols/rhinoplasty/card.pdf")
    assert (card.headers["content-type"], card.content[:5]) == ("application/pdf", b"%PDF-")
    assert client.get("/protocols/none").status_code == 404
