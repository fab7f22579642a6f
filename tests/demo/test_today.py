"""Whoever opens the demo clinic finds something that is still to be photographed."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from consent.identity.accounts import create
from consent.store.engine import transaction
from fhir_mapping.store.record import RecordStore
from orthanc_plugin.assembly.cli import build
from orthanc_plugin.assembly.demo import around, clinic, courses, resources, today
from orthanc_plugin.assembly.open import open_node
from orthanc_plugin.assembly.settings import load
from orthanc_plugin.assembly.upgrade import upgrade

pytestmark = pytest.mark.fast


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """The record of the demo clinic as it is loaded today, without its photos."""
    file = tmp_path / "photospine.toml"
    file.write_text('[site]\norganization = "clinic"\ntime_zone = "Europe/Athens"\n')
    upgrade(load(file), os_user="test")
    day = datetime.now(clinic.ZONE).date()
    bundles = [resources.foundation(), *resources.visits(), around.around()]
    bundles += [*courses.bundles(lambda _visit, _view: None), today.today(day)]
    with open_node(load(file)) as node, transaction(node.engine) as connection:
        store = RecordStore(node.site)
        for bundle in bundles:
            store.transaction(connection, bundle, source="test")
        create(connection, "clinician", password=None, purposes=["TREAT"])
    return file


def test_the_photos_of_two_weeks_after_are_due_of_the_patient_who_comes_today(settings: Path) -> None:
    words = ["gaps", "--as", "clinician", "--json", "--settings", str(settings)]
    result = CliRunner().invoke(build(), words)
    assert result.exit_code == 0, result.output
    first = json.loads(result.stdout)["patients"][0]
    assert first["patient"] == "demo-eleni"
    assert (first["visit"], first["presence"]) == ("Appointment/demo-eleni-booked", "expected")
    due = [each for each in first["gaps"] if each["state"] == "due"]
    assert [(each["time"], sorted(each["shots"])) for each in due] == [
        ("follow-up-2-weeks", ["frontal-frown", "frontal-rest"])
    ]
