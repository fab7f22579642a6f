"""Portfolios that are kept: what they find, what fell out and for whom it is told why, and their export."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from consent.audit.shelf import AuditUnavailable
from consent.store.engine import reading, transaction
from consent.store.photos import by_sop, reject
from consent.types import Request
from consent.wording import Wording, worded
from dicom_bridge.publish import exporting, fallen, sheet
from dicom_bridge.publish.bundle import bundle
from dicom_bridge.publish.fallen import Fate
from dicom_bridge.publish.tracing import trace
from fhir_mapping.errors import NotFound
from fhir_mapping.question.question import Question, Token
from orthanc_plugin.workspace.language import COOKIE
from orthanc_plugin.workspace.portfolio_book import PortfolioBook
from tests.fhir.clinic import Clinic, requesters, uid_of
from tests.publish.pages import application, book_of
from tests.publish.scene import MARKETING, agree, scene, shoot, withdraw
from tests.workspace.client import Client

_WHO = re.compile(rb"anna|anderson|1990|demo-|2026-0[34]|Secret|urn:oid|2\.25\.|\xc4\x80nderson", re.IGNORECASE)
"""What would tell whose pictures they are, or lead to her."""


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    made = scene(tmp_path)
    shoot(made, "t1", "2026-03-03", "toxin1")
    shoot(made, "t2", "2026-04-03", "toxin2")
    shoot(made, "s1", "2026-03-03", "toxin1", view="left-oblique")
    shoot(made, "s2", "2026-04-05", "toxin2", view="left-oblique")
    shoot(made, "h1", "2026-03-03", "his", patient="ben")
    shoot(made, "h2", "2026-04-03", "his", patient="ben")
    yield made
    made.close()


@pytest.fixture
def book(clinic: Clinic) -> PortfolioBook:
    return book_of(clinic)


def _request(account: str = MARKETING) -> Request:
    return Request(requesters()[account], "PORTFOLIO")


_NUMBERED = worded("Session %(number)s", number=2)


def _signed_in(clinic: Clinic, name: str) -> Client:
    client = Client(application(clinic))
    _post(client, "/login", {"name": name, "password": f"{name}-demo", "next": "/"}, token_of="/login")
    return client


def _post(client: Client, path: str, form: Mapping[str, object], *, token_of: str = "/portfolio/PORTFOLIO") -> str:
    token = re.findall(r'name="csrf" value="([^"]+)"', client.get(token_of).text)[0]
    answer = client.post(path, data={"csrf": token, **form})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def test_an_export_is_read_by_people_in_their_language_and_by_machines_in_one(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[list[str], str]] = []

    def spy(rows: Sequence[sheet.Row], title: str, say: Callable[[Wording], str]) -> bytes:
        (pair, *_) = [row.pair for row in rows]
        drawn.append(([pair.before.when, pair.after.when, pair.area, pair.view, pair.title], say(_NUMBERED)))
        return sheet.sheet(rows, title, say)

    monkeypatch.setattr("dicom_bridge.publish.bundle.sheet", spy)
    client = _signed_in(clinic, MARKETING)
    place = _post(client, "/portfolio/PORTFOLIO/saved", {"name": "Faces", "treatment": "toxin"})
    manifests = []
    for code in ("en", "de"):
        client.cookies.set(COOKIE, code)
        token = re.findall(r'name="csrf" value="([^"]+)"', client.get(place).text)[0]
        files = zipfile.ZipFile(io.BytesIO(client.post(f"{place}/export", data={"csrf": token}).content))
        manifests.append((files.read("manifest.csv"), files.read("manifest.json")))
    assert manifests[0] == manifests[1]
    assert b"Before" in manifests[0][0]
    (english, of), (german, von) = drawn
    assert (english[0], german[0], of, von) == ("Before", "Vorher", "Session 2", "Sitzung 2")
    assert (english[2], german[2]) == ("Face", "Gesicht")
    assert all(type(each) is str for each in (*english, *german)), "said, and not to be said by whoever draws"


def test_a_portfolio_is_saved_opened_exported_and_removed(clinic: Clinic) -> None:
    client = _signed_in(clinic, MARKETING)
    place = _post(client, "/portfolio/PORTFOLIO/saved", {"name": "Faces <b>", "treatment": "toxin"})
    text = client.get(place).text
    assert "Faces &lt;b&gt;" in text
    assert "2 pairs" in text
    assert "toxin" in text
    assert not _WHO.search(client.get(place).content.replace(b"2026", b""))
    assert "Faces &lt;b&gt;" in client.get("/portfolio/PORTFOLIO").text
    assert "Faces" not in client.get("/portfolio/WEB").text
    token = re.findall(r'name="csrf" value="([^"]+)"', text)[0]
    answer = client.post(f"{place}/export", data={"csrf": token})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    names = zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    assert names[:3] == ["manifest.json", "manifest.csv", "portfolio.pdf"]
    assert len(names) == 3 + 4
    assert client.post(f"{place}/export", data={"csrf": "x"}).status_code == 404
    assert _post(client, f"{place}/remove", {}) == "/portfolio/PORTFOLIO"
    assert client.get(place).status_code == 404


@pytest.mark.parametrize(
    ("account", "status"), [("clinician", 404), ("anna", 404), ("compliance", 404), ("doctor", 200)]
)
def test_a_portfolio_opens_for_whoever_holds_its_purpose(
    clinic: Clinic, book: PortfolioBook, account: str, status: int
) -> None:
    saved = book.save(_request(), "Faces", Question(), route="test")
    client = _signed_in(clinic, account)
    assert client.get(f"/portfolio/PORTFOLIO/saved/{saved.id}").status_code == status
    assert client.get(f"/portfolio/WEB/saved/{saved.id}").status_code == 404
    assert client.get("/portfolio/PORTFOLIO/saved/none").status_code == 404


def test_what_came_and_what_went_is_told_and_taken_in(clinic: Clinic, book: PortfolioBook) -> None:
    saved = book.save(_request(), "Faces", Question(), route="test")
    assert book.open(_request(), "Faces", "test").page.changes == fallen.Changes()
    newer = shoot(clinic, "t3", "2026-05-03", "toxin2")
    opened = book.open(_request(), saved.id, "test")
    assert [fate for _, fate in opened.page.changes.gone] == [Fate.REPLACED]
    assert [after for _, after in opened.page.changes.came] == [newer]
    photo = {"data": [{"meaning": "instance", "reference": {"reference": "DocumentReference/s2"}}]}
    agree(clinic, "no", provision={"type": "deny"} | photo)
    assert book.open(_request(), saved.id, "test").page.changes.counted(Fate.INELIGIBLE) == 1
    text = _signed_in(clinic, MARKETING).get(f"/portfolio/PORTFOLIO/saved/{saved.id}").text
    assert "1 is no longer eligible" in text
    assert "1 is replaced by a newer photo of the same view" in text
    assert "1 pair became eligible" in text
    book.take_in(_request(), saved.id, "test")
    assert book.open(_request(), saved.id, "test").page.changes == fallen.Changes()
    withdraw(clinic, "no")
    assert len(book.open(_request(), saved.id, "test").page.changes.came) == 1


def test_a_pair_that_is_not_asked_for_any_more_and_one_behind_others(clinic: Clinic, book: PortfolioBook) -> None:
    toxin = Question(treatment=frozenset({Token("toxin")}))
    book.save(_request(), "Newest", toxin, most=1, route="test")
    book.save(_request(), "All", toxin, route="test")
    shoot(clinic, "r1", "2026-03-03", "toxin1", view="right-oblique")
    shoot(clinic, "r2", "2026-05-05", "toxin2", view="right-oblique")
    gone = book.open(_request(), "Newest", "test").page.changes.gone
    assert [fate for _, fate in gone] == [Fate.BEHIND]
    laser = clinic.get("integrator", "/Procedure/toxin2").json()
    laser["code"]["coding"][0]["code"] = "laser"
    clinic.put(laser)
    gone = book.open(_request(), "All", "test").page.changes.gone
    assert [fate for _, fate in gone] == [Fate.UNASKED, Fate.UNASKED]


def test_only_compliance_is_told_why(clinic: Clinic, book: PortfolioBook) -> None:
    saved = book.save(_request(), "Faces", Question(), route="test")
    kept = book.saved.pairs(saved)
    with reading(clinic.engine) as connection:
        assert fallen.reasons(connection, saved, kept) == []
    with transaction(clinic.engine) as connection:
        found = by_sop(connection, uid_of("s2"))
        assert found is not None
        reject(connection, found)
    corrected = _told(clinic, book)
    with reading(clinic.engine) as connection:
        assert [each.lines for each in fallen.reasons(connection, saved, kept)] == [
            ("The photo was corrected, unlinked or removed.",)
        ]
    withdraw(clinic)
    with reading(clinic.engine) as connection:
        reasons = {each.document: " ".join(each.lines) for each in fallen.reasons(connection, saved, kept)}
    assert "default" in reasons["t1"] or "said nothing" in reasons["t1"], reasons
    assert "Patient/anna" in reasons["t1"]
    # Marketing reads the same sentence of both: a photo that was corrected, and a Consent that was withdrawn.
    assert corrected == ["1 is no longer eligible"]
    assert _told(clinic, book) == ["2 are no longer eligible"]


def _told(clinic: Clinic, book: PortfolioBook) -> list[str]:
    text = (
        _signed_in(clinic, MARKETING).get(f"/portfolio/PORTFOLIO/saved/{book.saved.read(_request(), 'Faces').id}").text
    )
    return re.findall(r"<li>([^<]*)</li>", text)


def test_an_export_holds_nothing_that_tells_who_it_is(clinic: Clinic, book: PortfolioBook) -> None:
    book.save(_request(), "Faces", Question(), route="test")
    made = book.export(_request(), "Faces", "Portfolio", "test")
    again = book.export(_request(), "Faces", "Portfolio", "test")
    assert made.body == again.body, "equal items give equal bytes"
    assert made.id != again.id
    archive = zipfile.ZipFile(io.BytesIO(made.body))
    files = {name: archive.read(name) for name in archive.namelist()}
    told = json.loads(files["manifest.json"])
    assert (told["purpose"], told["pairs"], len(told["pictures"])) == ("PORTFOLIO", 2, 4)
    for row in told["pictures"]:
        picture = files[row["file"]]
        assert hashlib.sha256(picture).hexdigest() == row["sha256"]
        with Image.open(io.BytesIO(picture)) as opened:
            assert not opened.getexif()
            assert "comment" not in opened.info
            assert opened.format == "JPEG"
        assert [each["version"] for each in row["consents"]] == [1]
        assert not _WHO.search(picture[:4096])
    for name in ("manifest.json", "manifest.csv"):
        assert not _WHO.search(files[name]), name
    assert not _WHO.search(re.sub(rb"stream.*?endstream", b"", files["portfolio.pdf"], flags=re.DOTALL))
    assert not _WHO.search("".join(archive.namelist()).encode())
    rows = list(csv.DictReader(io.StringIO(files["manifest.csv"].decode("utf-8-sig"))))
    assert [row["sha256"] for row in rows] == [row["sha256"] for row in told["pictures"]]
    assert {row["when"] for row in rows} == {"Before", "After 4 weeks", "After 5 weeks"}


def test_an_export_is_on_record_and_compliance_finds_the_way_back(clinic: Clinic, book: PortfolioBook) -> None:
    book.save(_request(), "Faces", Question(), route="test")
    before = len(clinic.records())
    made = book.export(_request(), "Faces", "Portfolio", "test")
    records = clinic.records()[before:]
    last = records[-1]
    assert (last["kind"], last["route"], last["account"], last["released"]) == ("set", "portfolio/export", MARKETING, 4)
    assert (last["details"]["export"], last["details"]["sha256"]) == (made.id, made.sha256)
    decided = [each for each in records if each["kind"] == "decision" and each["route"] == "portfolio/export"]
    assert len(decided) == 4, "each photo is decided anew"
    with reading(clinic.engine) as connection:
        whole = trace(connection, made.sha256)
        one = trace(connection, made.entries[0].before.sha256)
    assert {each.document for each in whole} == {"t1", "t2", "s1", "s2"}
    assert {(each.consent, each.version) for row in whole for each in row.consents} == {("yes", 1)}
    assert [(each.export, each.by, each.purpose) for each in one] == [(made.id, MARKETING, "PORTFOLIO")]


def test_what_is_withdrawn_while_an_export_is_made_is_not_in_it(
    clinic: Clinic, book: PortfolioBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    book.save(_request(), "Faces", Question(), route="test")
    real, made = bundle, list[Any]()

    def slow(*words: Any) -> bytes:
        if not made:
            photo = {"data": [{"meaning": "instance", "reference": {"reference": "DocumentReference/s1"}}]}
            agree(clinic, "no", provision={"type": "deny"} | photo)
        made.append(words)
        return real(*words)

    monkeypatch.setattr(exporting, "bundle", slow)
    export = book.export(_request(), "Faces", "Portfolio", "test")
    assert (len(made), len(export.entries), export.left_out) == (2, 1, 1)
    assert zipfile.ZipFile(io.BytesIO(export.body)).namelist()[-1].startswith("pictures/001-after-")
    with reading(clinic.engine) as connection:
        assert {each.document for each in trace(connection, export.sha256)} == {"t1", "t2"}


def test_nothing_is_exported_that_cannot_be_recorded(
    clinic: Clinic, book: PortfolioBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    book.save(_request(), "Faces", Question(), route="test")

    def full(*_: object) -> list[str]:
        raise AuditUnavailable("the disk is full")

    monkeypatch.setattr(clinic.chain, "append", full)
    with pytest.raises(AuditUnavailable):
        book.export(_request(), "Faces", "Portfolio", "test")


@pytest.mark.parametrize(
    ("form", "fault"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "Taken"}, "another question is called so"),
        ({"name": "a", "area": "mars"}, "area"),
        ({"name": "a", "taken": "2026-03"}, "whole years"),
        ({"name": "a", "alike": "many"}, "comparability"),
        ({"name": "a", "alike": "101"}, "comparability"),
    ],
)
def test_what_cannot_be_kept_is_told_with_its_remedy(
    clinic: Clinic, book: PortfolioBook, form: dict[str, str], fault: str
) -> None:
    book.save(_request(), "Taken", Question(), route="test")
    client = _signed_in(clinic, MARKETING)
    token = re.findall(r'name="csrf" value="([^"]+)"', client.get("/portfolio/PORTFOLIO").text)[0]
    answer = client.post("/portfolio/PORTFOLIO/saved", data={"csrf": token, **form})
    assert answer.status_code == 400
    assert fault in answer.text
    assert [each.name for each in book.saved.listed(_request())] == ["Taken"]


def test_a_confined_account_keeps_nothing(clinic: Clinic, book: PortfolioBook) -> None:
    own = replace(requesters()[MARKETING], confined_to=frozenset({"anna"}))
    with pytest.raises(NotFound):
        book.save(Request(own, "PORTFOLIO"), "Mine", Question(), route="test")
    assert book.saved.listed(Request(own, "PORTFOLIO")) == []


def test_a_portfolio_asks_for_pairs_that_are_comparable(clinic: Clinic, book: PortfolioBook) -> None:
    pairs = book.open(_request(), book.save(_request(), "All", Question(), route="test").id, "test").page.pairs
    scores = sorted({each.alike for each in pairs})
    assert len(scores) >= 1
    assert 0 < scores[0] < 100, "what is not known is not proved"
    exact = book.save(_request(), "Alike", Question(), least=scores[-1], route="test")
    assert len(book.open(_request(), exact.id, "test").page.pairs) == sum(each.alike == scores[-1] for each in pairs)
    more = book.save(_request(), "More", Question(), least=scores[-1] + 1, route="test")
    assert book.open(_request(), more.id, "test").page.pairs == ()
