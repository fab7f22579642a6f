"""``photospine advisory`` and ``photospine consent`` on a node of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from consent.identity.accounts import create
from consent.store.engine import transaction
from consent.types import Right
from fhir_mapping.course.plan import Plan, care_plan
from fhir_mapping.store.record import RecordStore
from orthanc_plugin.assembly.cli import build
from orthanc_plugin.assembly.open import open_node
from orthanc_plugin.assembly.settings import load
from orthanc_plugin.assembly.upgrade import upgrade
from tests.fhir.clinic import RESOURCES, consent_of


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """A node with the clinic's record and three accounts."""
    file = tmp_path / "photospine.toml"
    file.write_text('[site]\ntime_zone = "Europe/Athens"\nchannels = ["instagram"]\n')
    upgrade(load(file), os_user="test")
    with open_node(load(file)) as node, transaction(node.engine) as connection:
        record = RecordStore(node.site)
        for resource in RESOURCES:
            record.update(connection, resource["resourceType"], resource["id"], resource, source="test")
        create(connection, "clinician", password=None, purposes=["TREAT"], rights=[Right.CONSENT])
        create(connection, "compliance", password=None, purposes=["PATSFTY"])
        create(connection, "marketing", password=None, purposes=["WEB"])
    return file


def _run(settings: Path, *words: str) -> tuple[int, str]:
    result = CliRunner().invoke(build(), [*words, "--settings", str(settings)])
    return result.exit_code, result.output


def test_the_advisory_names_patient_and_treatment(settings: Path) -> None:
    status, output = _run(settings, "advisory", "LOT-0071", "--as", "compliance")
    assert status == 0
    for word in ("Ānderson", "Patient/anna", "Procedure/p1", "Exactly this batch", "2027-01-31"):
        assert word in output
    (treatment,) = [line for line in output.splitlines() if "Procedure/p1" in line]
    assert treatment.split()[0] == "treatment"
    assert "MedicationAdministration/" in treatment  # a line tells all of it, however narrow the window is
    status, output = _run(settings, "advisory", "LOT-0071", "--expiry", "2030-01", "--json", "--as", "compliance")
    assert status == 0
    found = json.loads(output)
    assert [each["fit"] for each in found["products"]] == ["other-expiry"]
    assert [each["id"] for each in found["patients"]] == ["anna"]
    status, output = _run(settings, "advisory", "NONE", "--as", "compliance")
    assert (status, "No product on record" in output) == (0, True)


def test_the_advisory_says_what_did_not_take_place(settings: Path) -> None:
    with open_node(load(settings)) as node, transaction(node.engine) as connection:
        given = next(each for each in RESOURCES if each["id"] == "ma1") | {"status": "entered-in-error"}
        RecordStore(node.site).update(connection, "MedicationAdministration", "ma1", given, source="test")
    _, output = _run(settings, "advisory", "LOT-0071", "--as", "compliance")
    (treatment,) = [line for line in output.splitlines() if "Procedure/p1" in line]
    assert "entered-in-error: not counted as a treatment" in treatment


@pytest.mark.parametrize("words", [[""], ["--", "-"], ["LOT-0071", "--expiry", "13/2027"]])
def test_the_advisory_refuses_what_nothing_could_answer(settings: Path, words: list[str]) -> None:
    result = CliRunner().invoke(build(), ["advisory", "--as", "compliance", "--settings", str(settings), *words])
    assert (result.exit_code, result.output.startswith(("A batch question names", "The expiry is a date"))) == (1, True)


@pytest.mark.parametrize("account", [["--as", "clinician"], ["--as", "nobody"], []])
def test_the_advisory_is_refused_without_the_purpose(
    settings: Path, account: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PHOTOSPINE_ACCOUNT", raising=False)
    assert _run(settings, "advisory", "LOT-0071", *account)[0] == 1


def test_a_consent_is_posted_listed_and_withdrawn(settings: Path, tmp_path: Path) -> None:
    file = tmp_path / "consent.json"
    file.write_text(json.dumps(consent_of("c1", "permit", "WEB")))
    assert _run(settings, "consent", "post", str(file), "--as", "marketing")[0] == 1
    status, output = _run(settings, "consent", "post", str(file), "--as", "clinician")
    assert (status, "Consent/c1, version 1" in output) == (0, True)
    status, output = _run(settings, "consent", "list", "--patient", "demo-anna", "--as", "clinician")
    assert (status, "permit WEB" in output) == (0, True)
    assert _run(settings, "consent", "list", "--patient", "demo-anna", "--as", "marketing")[0] == 1

    words = ["consent", "withdraw", "--patient", "anna", "--purpose", "WEB", "--json", "--as", "clinician"]
    status, output = _run(settings, *words)
    assert (status, json.loads(output)["ended"]) == (0, ["c1"])
    status, output = _run(settings, "consent", "list", "--patient", "anna", "--json", "--as", "clinician")
    assert sorted((each["status"], each["says"]) for each in json.loads(output)) == [
        ("active", "deny WEB"),
        ("inactive", "permit WEB"),
    ]
    words = ["consent", "withdraw", "--patient", "anna", "--purpose", "HLEGAL", "--as", "clinician"]
    status, output = _run(settings, *words)
    assert (status, "recorded, not followed" in output) == (0, True)


def test_a_refused_consent_says_which_element(settings: Path, tmp_path: Path) -> None:
    file = tmp_path / "consent.json"
    file.write_text(json.dumps(consent_of("c1", "permit", "SOCIAL")))
    status, output = _run(settings, "consent", "post", str(file), "--as", "clinician")
    assert (status, "Consent.provision.actor" in output) == (1, True)
    file.write_text("{")
    assert _run(settings, "consent", "post", str(file), "--as", "clinician")[0] == 1


def test_the_basis_of_a_session_is_told(settings: Path) -> None:
    plan = care_plan(Plan("anna", "Lines", done=("Procedure/p1",))) | {"id": "plan"}
    with open_node(load(settings)) as node, transaction(node.engine) as connection:
        RecordStore(node.site).update(connection, "CarePlan", "plan", plan, source="test")
    status, output = _run(settings, "basis", "Procedure/p1", "--as", "clinician")
    assert (status, "Procedure/p1 belongs to CarePlan/plan" in output) == (0, True)
    status, output = _run(settings, "basis", "CarePlan/plan", "--json", "--as", "clinician")
    assert status == 0
    assert [each["upper"] for each in json.loads(output)["carries"]] == ["Procedure/p1"]


@pytest.mark.parametrize("words", [("Procedure/none",), ("1.2.3",), ("DocumentReference/none",)])
def test_what_is_not_there_has_no_basis(settings: Path, words: tuple[str, ...]) -> None:
    status, output = _run(settings, "basis", *words, "--as", "clinician")
    assert (status, "may not be seen" in output) == (1, True)
    status, output = _run(settings, "basis", *words, "--as", "marketing")
    assert (status, "TREAT" in output) == (1, True)


def test_an_advisory_is_opened_worked_through_and_closed(settings: Path, tmp_path: Path) -> None:
    who = ("--as", "compliance")
    notice = tmp_path / "notice.txt"
    notice.write_text("Lot: LOT-0071 (expiry 01/2027)\n", "utf-8")
    status, output = _run(settings, "advisory", "notice", str(notice), *who)
    assert (status, "LOT-0071  expiry 2027-01  on record" in output) == (0, True), output
    status, output = _run(settings, "advisory", "open", "LOT-0071", "--notice", str(notice), "--json", *who)
    assert status == 0, output
    advisory = json.loads(output)["advisory"]
    assert json.loads(output)["answer"]["question"]["lots"][0]["expiry"] == "2027-01"
    status, output = _run(settings, "advisory", "close", advisory, *who)
    assert (status, "1 of 1 patients are left" in output) == (1, True)
    for step in ("contacted", "reviewed", "attested"):
        words = ("--patient", "Patient/anna", "--step", step, "--note", "well", "--by", "phone")
        assert _run(settings, "advisory", "done", advisory, *words, *who)[0] == 0
    status, output = _run(settings, "advisory", "close", advisory, *who)
    assert (status, "closed, 0 patients left" in output) == (0, True), output
    assert advisory in _run(settings, "advisory", "list", *who)[1]
    for ending in ("pdf", "csv", "json"):
        file = tmp_path / f"report.{ending}"
        assert _run(settings, "advisory", "report", advisory, "--output", str(file), *who)[0] == 0
        assert file.stat().st_size > 100
        assert _run(settings, "advisory", "report", advisory, "--output", str(file), *who)[0] == 1
    assert _run(settings, "advisory", "report", advisory, "--output", str(tmp_path / "r.doc"), *who)[0] == 1
    assert _run(settings, "advisory", "show", "none", *who)[0] == 1
    assert _run(settings, "advisory", "--product", "Toxin A", "--since", "2026-01", *who)[0] == 0
    assert _run(settings, "advisory", "--udi", "(01)09504000059119", *who)[0] == 1
