"""The doors to a question: each gives the same photos, in one record, and tells nothing of those that are refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from consent.identity.accounts import create
from consent.store.engine import reading, transaction
from consent.store.tables import photo, photo_due
from consent.types import Request, Requester
from fhir_mapping.api.sight import FULFILS
from fhir_mapping.outcome.outcome import Outcome, observation
from fhir_mapping.outcome.vocabulary import Rater
from fhir_mapping.projections.written import Setting
from fhir_mapping.question import asking, index
from fhir_mapping.question.answer import Found, Portion
from fhir_mapping.question.asking import ask
from fhir_mapping.question.facets import Facet
from fhir_mapping.question.text import parse
from fhir_mapping.treatment.session import Amount
from orthanc_plugin.assembly.cli import build as command_line
from orthanc_plugin.assembly.open import open_node
from orthanc_plugin.assembly.settings import load
from orthanc_plugin.assembly.upgrade import upgrade
from tests.fhir.clinic import (
    BASE,
    FACE,
    HAND,
    RESOURCES,
    SITE,
    Clinic,
    build,
    consent_of,
    context,
    open_clinic,
    region,
    requesters,
)

_PHOTOS = "/DocumentReference/$photos"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """Anna's photos f1 (of treatment p1), f2, and h1, a hand that she keeps from her care team; Ben's b1."""
    folder = tmp_path_factory.mktemp("asked")
    build(folder)
    clinic = open_clinic(folder)
    clinic.photo("h1", "anna", "v1", extension=[region(HAND, "L")], context=context("v1", "2026-05-03T10:09:00+03:00"))
    data = [{"meaning": "instance", "reference": {"reference": "DocumentReference/h1"}}]
    clinic.put(consent_of("no-hand", "deny", "TREAT", provision={"data": data}))
    clinic.put(consent_of("show-f1", "permit", "WEB", provision={
        "data": [{"meaning": "instance", "reference": {"reference": "DocumentReference/f1"}}]}))  # fmt: skip
    yield clinic
    clinic.close()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Clinic]:
    """The clinic to be changed by one test."""
    build(tmp_path)
    clinic = open_clinic(tmp_path)
    yield clinic
    clinic.close()


def _ids(bundle: dict[str, Any]) -> list[str]:
    return [each["resource"]["id"] for each in bundle["entry"] if each["search"]["mode"] == "match"]


def _counts(bundle: dict[str, Any]) -> dict[str, dict[str, int]]:
    (parameters,) = [each["resource"] for each in bundle["entry"] if each["resource"]["resourceType"] == "Parameters"]
    found: dict[str, dict[str, int]] = {}
    for facet in parameters["parameter"]:
        name, *values = facet["part"]
        found[name["valueCode"]] = {each["part"][0]["valueString"]: each["part"][1]["valueInteger"] for each in values}
    return found


def test_the_operation_answers_with_photos_and_counts_of_those_that_may_be_seen(shared: Clinic) -> None:
    before = len(shared.records())
    answer = shared.get("clinician", f"{_PHOTOS}?_facets=area,side,lot")
    bundle = answer.json()
    assert (answer.status_code, bundle["type"], bundle["total"]) == (200, "searchset", 3)
    assert _ids(bundle) == ["b1", "f2", "f1"]
    counts = _counts(bundle)
    assert counts["lot"] == {"LOT-0071": 1}
    assert "85562004" not in json.dumps(counts), "a value that a refused photo alone has is not named"
    assert counts["area"]["http://snomed.info/sct|73897004"] == 3
    (record,) = shared.records()[before:]
    assert (record["kind"], record["released"], record["refused"]) == ("set", 3, 1)
    assert record["details"]["counted"] == 3


def test_refused_and_absent_are_answered_alike(shared: Clinic) -> None:
    refused = shared.get("clinician", f"{_PHOTOS}?area=hand&_facets=area").json()
    absent = shared.get("clinician", f"{_PHOTOS}?area=neck&_facets=area").json()
    assert refused["total"] == absent["total"] == 0
    assert refused["entry"] == absent["entry"]
    first = shared.get("clinician", f"{_PHOTOS}?_count=1").json()
    taken = first["link"][1]["url"].rpartition("_page=")[2].partition(".")[0]
    pages = [shared.get("clinician", f"{_PHOTOS}?_page={taken}.{each}").json() for each in ("h1", "h0")]
    assert pages[0]["entry"] == pages[1]["entry"]


def test_pages_hold_every_photo_once(shared: Clinic) -> None:
    found, path = [], f"{_PHOTOS}?area=face&_count=1&_facets=view"
    for _ in range(5):
        bundle = shared.get("clinician", path).json()
        found += _ids(bundle)
        links = {each["relation"]: each["url"] for each in bundle["link"]}
        assert bundle["total"] == 3
        if "next" not in links:
            break
        parts = urlsplit(links["next"])
        path = f"{parts.path.removeprefix('/fhir')}?{parts.query}"
    assert found == ["b1", "f2", "f1"]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("treatment=none", []),
        ("lot=LOT-0071", ["f1"]),
        ("product=Toxin%20A", ["f1"]),
        ("patient=anna&area=face", ["f2", "f1"]),
        ("clinician=d&taken=2026-05-04", ["b1"]),
        ("side=L", ["b1", "f2", "f1"]),
    ],
)
def test_facets_narrow(shared: Clinic, query: str, ids: list[str]) -> None:
    bundle = shared.get("clinician", f"{_PHOTOS}?{query}").json()
    assert [each["resource"]["id"] for each in bundle.get("entry", [])] == ids
    assert bundle["total"] == len(ids)


def test_hair_density_improved_or_better_rated_by_the_patient_is_a_question(shared: Clinic) -> None:
    told = Outcome(
        patient="anna",
        characteristic="hair-density",
        change=2,
        rater=Rater.PATIENT,
        measured=Amount(Decimal(14), "hairs/cm²", "/cm2"),
        before="DocumentReference/f1",
        after="DocumentReference/f2",
        sessions=("Procedure/p1",),
    )
    for number, changed in enumerate(
        ({}, {"rater": Rater.INVESTIGATOR}, {"change": -1}, {"characteristic": "hair-line"}, {"change": None})
    ):
        shared.put(observation(replace(told, **changed)) | {"id": f"judged-{number}"})  # type: ignore[arg-type]
    for query, ids in (
        ("hair-density$improved..$patient", ["f2", "f1"]),
        ("hair-density$very-much-improved..$patient", []),
        ("hair-density$worse$patient", ["f2", "f1"]),
        ("hair-density$worse$investigator", []),
        ("hair-density$improved..$measured", []),
        ("urn:photospine:outcome|hair-line$$patient", ["f2", "f1"]),
    ):
        bundle = shared.get("clinician", f"{_PHOTOS}?outcome={quote(query)}&_facets=setting,outcome").json()
        assert [each["resource"]["id"] for each in bundle["entry"] if each["search"]["mode"] == "match"] == ids, query
    counts = _counts(bundle)
    assert counts["setting"] == {}, "what was measured of her is no setting of a machine"
    assert counts["outcome"]["urn:photospine:outcome|hair-density$much-improved$patient"] == 2
    for number in range(5):
        void = observation(told) | {"id": f"judged-{number}", "status": "entered-in-error"}
        shared.put(void)
    assert shared.get("clinician", f"{_PHOTOS}?outcome=hair-density").json()["total"] == 0


def test_every_door_gives_the_same(shared: Clinic) -> None:
    for account, purpose in (("clinician", "TREAT"), ("anna", "PATRQT"), ("compliance", "HCOMPL")):
        bundle = shared.get(account, f"{_PHOTOS}?area=face").json()
        request = Request(requesters()[account], purpose)
        with reading(shared.engine) as connection:
            found = ask(
                shared.node.decisions,
                connection,
                Setting(SITE, BASE),
                request,
                parse("area=face", SITE.zone),
                Portion(100),
                route="test",
                fulfils=FULFILS,
            )
        searched = shared.get(account, "/DocumentReference").json()
        faces = {each["resource"]["id"] for each in searched.get("entry", [])} - {"h1"}
        assert bundle["total"] == found.total == len(faces)
        assert set(_ids(bundle) if faces else ()) == faces


@pytest.mark.parametrize(
    ("account", "path", "status", "told"),
    [
        ("clinician", f"{_PHOTOS}?colour=red", 400, "no facet 'colour'"),
        ("clinician", f"{_PHOTOS}?area=mars", 400, "area: 'mars' is not a region"),
        ("clinician", f"{_PHOTOS}?_facets=patient", 400, "_facets names"),
        ("clinician", f"{_PHOTOS}?_count=x", 400, "_count"),
        ("clinician", f"{_PHOTOS}?_page=5", 400, "_page"),
        ("clinician", f"{_PHOTOS}?_page=1.a/b", 400, "_page"),
        ("marketing", f"{_PHOTOS}?area=face", 403, "does not read"),
        ("admin", _PHOTOS, 403, "does not read"),
    ],
)
def test_what_cannot_be_asked_is_told(shared: Clinic, account: str, path: str, status: int, told: str) -> None:
    answer = shared.get(account, path)
    assert answer.status_code == status
    assert told in answer.json()["issue"][0]["diagnostics"]
    assert shared.ask(account, "POST", _PHOTOS).status_code == 405


def test_the_statement_names_the_operation(shared: Clinic) -> None:
    statement = shared.get("clinician", "/metadata").json()
    (photos,) = [each for each in statement["rest"][0]["resource"] if each["type"] == "DocumentReference"]
    assert {each["name"] for each in photos["operation"]} == {"basis", "explain", "photos", "treatment"}


def test_a_question_that_must_wait_is_told_so_and_recorded_by_nobody(
    shared: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "MOST_LIVE", 0)
    monkeypatch.setattr(asking, "PATIENCE", 0.0)
    with transaction(shared.engine) as connection:
        numbers = connection.execute(select(photo.c.photo)).scalars().all()
        connection.execute(photo_due.insert(), [{"photo": each} for each in numbers])
    before = len(shared.records())
    answer = shared.get("clinician", f"{_PHOTOS}?area=face")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["issue"][0]["code"] == "transient"
    assert len(shared.records()) == before
    monkeypatch.setattr(asking, "PATIENCE", 10.0)
    assert shared.get("clinician", f"{_PHOTOS}?area=face").json()["total"] == 3


def test_a_patient_is_told_nothing_of_the_treatment_of_somebody_beside_her(fresh: Clinic) -> None:
    subject = {"reference": "Patient/ben"}
    fresh.put({"resourceType": "Procedure", "id": "his", "status": "completed", "subject": subject,
               "code": {"text": "Peel that he keeps to himself"}, "performedDateTime": "2026-05-04"})  # fmt: skip
    also = {"url": "urn:photospine:also-shows", "valueReference": {"reference": "Patient/anna"}}
    taken = context("v2", "2026-05-04T10:05:00+03:00", "Procedure/his")
    fresh.photo("both", "ben", "v2", extension=[region(FACE, "L"), also], context=taken)

    def found(requester: Requester, question: str) -> Found:
        with reading(fresh.engine) as connection:
            return ask(
                fresh.node.decisions,
                connection,
                Setting(SITE, BASE),
                Request(requester, "TREAT"),
                parse(question, SITE.zone),
                Portion(100, None, (Facet.AREA, Facet.TREATMENT)),
                route="test",
                fulfils=FULFILS,
            )

    peel = "treatment=Peel that he keeps to himself"
    everybody = requesters()["clinician"]
    hers_alone = replace(everybody, confined_to=frozenset({"anna"}))
    assert found(everybody, peel).total == 1
    hers = found(hers_alone, "area=face")
    assert (hers.total, (hers.counts[Facet.AREA] or {})["http://snomed.info/sct|73897004"]) == (3, 3)
    assert not [each for each in hers.counts[Facet.TREATMENT] or {} if "Peel" in each]
    assert found(hers_alone, peel).total == 0


def test_an_emergency_is_about_the_patient_that_the_question_names(fresh: Clinic) -> None:
    fresh.put({"resourceType": "Patient", "id": "anna-once", "link": [
        {"other": {"reference": "Patient/anna"}, "type": "replaced-by"}]})  # fmt: skip
    visit = next(each for each in RESOURCES if each["resourceType"] == "Encounter" and each["id"] == "v1")
    fresh.put(visit | {"id": "v9", "subject": {"reference": "Patient/anna-once"}})
    fresh.photo("once", "anna-once", "v9", extension=[region(FACE, "L")])
    request = Request(requesters()["clinician"], "BTG", emergency_reason="bleeding")
    for patient in ("anna", "anna-once"):
        with reading(fresh.engine) as connection:
            found = ask(
                fresh.node.decisions,
                connection,
                Setting(SITE, BASE),
                request,
                parse(f"patient={patient}", SITE.zone),
                Portion(100),
                route="test",
                fulfils=FULFILS,
            )
        assert found.total == 3, "the photo from before her records were one, too"
        assert fresh.records()[-1]["override"] is True


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A node with the clinic's record, its photos and three accounts."""
    folder = tmp_path_factory.mktemp("command")
    file = folder / "photospine.toml"
    file.write_text('[site]\ntime_zone = "Europe/Athens"\nchannels = ["instagram"]\n')
    upgrade(load(file), os_user="test")
    with open_node(load(file)) as node:
        clinic = Clinic(node.engine, _record(node), node.chain, folder, None, None)  # type: ignore[arg-type]
        for resource in RESOURCES:
            clinic.put(resource)
        clinic.photo("f1", "anna", "v1", context=context("v1", "2026-05-03T10:00:00+03:00", "Procedure/p1"))
        clinic.photo("b1", "ben", "v2", extension=[region(FACE, "L")])
        clinic.put(consent_of("show", "permit", "WEB", signed=f"{datetime.now(SITE.zone):%Y-%m-%d}"))
        with transaction(node.engine) as connection:
            create(connection, "clinician", password=None, purposes=["TREAT"])
            create(connection, "marketing", password=None, purposes=["WEB"])
    return file


def _record(node: Any) -> Any:
    from orthanc_plugin.assembly.record import record_store

    return record_store(node)


def _run(settings: Path, *words: str) -> tuple[int, str]:
    result = CliRunner().invoke(command_line(), ["photos", *words, "--settings", str(settings)])
    return result.exit_code, result.output


def test_the_command_lists_and_counts(settings: Path) -> None:
    status, output = _run(settings, "area=face", "--as", "clinician", "--count", "area", "--count", "side", "--json")
    assert status == 0, output
    found = json.loads(output)
    assert found["question"] == "area=face"
    assert (found["total"], found["next"]) == (2, None)
    assert {each["document"] for each in found["photos"]} == {"f1", "b1"}
    assert found["counts"]["side"] == {"L": 2, "R": 1, "B": 1}
    status, output = _run(settings, "lot=LOT-0071", "--as", "clinician")
    assert status == 0
    assert "DocumentReference/f1" in output
    assert "1 photos" in output


def test_the_command_goes_on_where_the_last_list_ended(settings: Path) -> None:
    first = json.loads(_run(settings, "--as", "clinician", "--limit", "1", "--json")[1])
    second = json.loads(_run(settings, "--as", "clinician", "--limit", "1", "--json", "--after", first["next"])[1])
    assert {first["photos"][0]["document"], second["photos"][0]["document"]} == {"f1", "b1"}
    assert second["next"] is None


def test_a_purpose_that_shows_no_identifiers_is_told_counts_alone(settings: Path) -> None:
    status, output = _run(settings, "area=face", "--as", "marketing", "--count", "area", "--json")
    assert status == 0, output
    found = json.loads(output)
    assert (found["total"], found["photos"]) == (1, [])
    for facet in ("patient=anna", "lot=LOT-0071", "taken=2026-05", "taken=2026-05-03"):
        assert _run(settings, facet, "--as", "marketing")[0] == 1
    assert _run(settings, "taken=2026", "--as", "marketing", "--count", "area")[0] == 0, "whole years may be asked for"
    for counted in ("patient", "lot", "photographer"):
        assert _run(settings, "--as", "marketing", "--count", counted)[0] == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["area"], "'area' is not FACET=VALUE"),
        (["area=mars"], "area: 'mars'"),
        (["--count", "patient"], "--count"),
        (["--after", "x"], "--after"),
        (["--purpose", "WEB"], "does not hold this purpose"),
    ],
)
def test_the_command_tells_what_it_cannot_read(settings: Path, words: list[str], told: str) -> None:
    status, output = _run(settings, *words, "--as", "clinician")
    assert status == 1
    assert told in output
