"""``photospine gaps`` on a node of its own."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from consent.identity.accounts import create
from consent.store.engine import transaction
from fhir_mapping.store.record import RecordStore
from orthanc_plugin.assembly.cli import build
from orthanc_plugin.assembly.open import open_node
from orthanc_plugin.assembly.settings import load
from orthanc_plugin.assembly.upgrade import upgrade
from tests.gaps.clinic import ZONE
from tests.gaps.sentences import FOLDER

pytestmark = pytest.mark.fast


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """A node whose patient was treated 20 days ago, and photographed by nobody; a protocol of the clinic's own."""
    file = tmp_path / "photospine.toml"
    file.write_text('protocols = "own"\n[site]\ntime_zone = "Europe/Athens"\n')
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "toxin-glabella.toml").write_bytes((FOLDER / "protocols" / "toxin-glabella.toml").read_bytes())
    upgrade(load(file), os_user="test")
    with open_node(load(file)) as node, transaction(node.engine) as connection:
        record = RecordStore(node.site)
        day = datetime.now(ZONE) - timedelta(days=20)
        for resource in (
            {"resourceType": "Patient", "id": "anna", "identifier": [{"value": "4711"}], "name": [{"family": "A"}]},
            {
                "resourceType": "Procedure",
                "id": "s1",
                "status": "completed",
                "code": {"text": "Toxin"},
                "subject": {"reference": "Patient/anna"},
                "bodySite": [{"coding": [{"system": "http://snomed.info/sct", "code": "244083007"}]}],
                "performedDateTime": day.isoformat(timespec="seconds"),
            },
        ):
            record.update(connection, str(resource["resourceType"]), str(resource["id"]), resource, source="test")
        create(connection, "clinician", password=None, purposes=["TREAT"])
        create(connection, "marketing", password=None, purposes=["WEB"])
    return file


def _run(settings: Path, *words: str) -> tuple[int, str]:
    result = CliRunner().invoke(build(), ["gaps", *words, "--settings", str(settings)])
    return result.exit_code, result.output


def test_what_is_missing_is_told(settings: Path) -> None:
    for words in ((), ("--patient", "4711"), ("--patient", "anna")):
        status, output = _run(settings, "--as", "clinician", *words)
        assert status == 0
        assert "Patient/anna" in output
        assert "due     Toxin: No photos at follow-up 2 weeks" in output
        assert "baseline" not in output
    status, output = _run(settings, "--as", "clinician", "--all")
    assert "lost    Toxin: No photos at baseline" in output


def test_it_is_told_to_machines(settings: Path) -> None:
    status, output = _run(settings, "--as", "clinician", "--json", "--all")
    assert status == 0
    (hers,) = json.loads(output)["patients"]
    assert [(each["time"], each["kind"], each["state"]) for each in hers["gaps"]] == [
        ("baseline", "missing-time-point", "lost"),
        ("follow-up-2-weeks", "missing-time-point", "due"),
    ]
    assert hers["gaps"][1]["shots"] == ["rest", "frown"]


def test_the_index_of_the_months(settings: Path) -> None:
    status, output = _run(settings, "--as", "clinician", "--clinic")
    assert status == 0
    (row,) = output.splitlines()[1:]
    assert row.split()[1:] == ["0.00", "2", "0", "0", "0"]
    status, output = _run(settings, "--as", "clinician", "--clinic", "--json")
    assert "patients" not in json.loads(output)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--as", "marketing"), "does not hold the purpose TREAT"),
        ((), "say on whose behalf"),
        (("--as", "clinician", "--patient", "nobody"), "No Patient is named so"),
        (("--as", "clinician", "--patient", "anna", "--clinic"), "do not go together"),
    ],
)
def test_what_is_refused(settings: Path, words: tuple[str, ...], said: str) -> None:
    status, output = _run(settings, *words)
    assert status == 1
    assert said in output


def test_a_protocol_that_cannot_be_used_is_told(settings: Path) -> None:
    (settings.parent / "own" / "bad.toml").write_text("version = 1\n")
    _, output = _run(settings, "--as", "clinician")
    assert "bad.toml:1" in output
