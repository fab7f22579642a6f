"""A visit's photographs, closed by the command; the file that comes later opens them again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from consent.store.engine import glancing
from dicom_bridge.protocols.closing import closing_id
from orthanc_plugin.assembly.cli import build
from tests.pipeline.commands import ingest
from tests.pipeline.world import World

pytestmark = [pytest.mark.orthanc]
FROWN = "toxin-glabella/frontal-frown"


def _session(world: World, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(build(), ["session", *words, "--settings", str(world.file), "--as", "clinician"])
    return done.exit_code, done.output


def _told(world: World, visit: str) -> dict[str, Any]:
    status, told = _session(world, "show", visit, "--json")
    assert status == 0, told
    return dict(json.loads(told))


def test_a_visit_is_closed_and_a_file_opens_it_again(world: World) -> None:
    rest, frown = world.visit(), world.visit()
    world.put(
        {
            "resourceType": "Procedure",
            "id": "toxin",
            "status": "completed",
            "code": {"text": "Botulinum toxin"},
            "subject": {"reference": "Patient/anna"},
            "encounter": {"reference": f"Encounter/{rest.encounter}"},
            "bodySite": [{"coding": [{"system": "http://snomed.info/sct", "code": "244083007"}]}],
            "performedDateTime": "2026-05-03T11:00:00+03:00",
        }
    )
    assert ingest(world, rest, expression="rest", procedure="toxin").exit_code == 0
    told = _told(world, rest.encounter)
    assert told["state"] == "open"
    assert {each["shot"]: bool(each["photo"]) for each in told["photos"]} == {
        "toxin-glabella/frontal-rest": True,
        FROWN: False,
    }
    status, said = _session(world, "close", rest.encounter)
    assert (status, f"{FROWN}: Glabella, frontal, frown: the photo is not there; say why." in said) == (1, True)
    for wrong in (FROWN, f"{FROWN}=", "=forgotten"):
        assert _session(world, "close", rest.encounter, "--missing", wrong)[0] == 1
    status, said = _session(
        world, "close", rest.encounter, "--missing", f"{FROWN}=other:Lamp broken", "--name", "The nurse"
    )
    assert status == 0, said
    assert "closed by The nurse" in said
    assert "missing: Another reason: Lamp broken" in said
    # The file is of another visit's folder, and of this visit by what is said of it.
    later = ingest(world, frown, visit=rest.encounter, expression="frown")
    assert later.exit_code == 0, later.output
    assert _told(world, rest.encounter)["state"] == "reopened"
    status, said = _session(world, "close", rest.encounter)
    assert status == 0, said
    told = _told(world, rest.encounter)
    assert (told["state"], all(each["photo"] for each in told["photos"])) == ("closed", True)
    with glancing(world.engine) as connection:
        kept = world.store.read(connection, "Observation", closing_id(rest.encounter))
    assert kept.version == 3


def test_the_setting_forbids_what_no_reason_excuses(world: World) -> None:
    visit = world.visit()
    world.put({"resourceType": "Procedure", "id": "nose", "status": "completed", "code": {"text": "Rhinoplasty"},
               "subject": {"reference": "Patient/anna"}, "encounter": {"reference": f"Encounter/{visit.encounter}"},
               "performedDateTime": "2026-05-03T11:00:00+03:00"})  # fmt: skip
    missing = [each["shot"] for each in _told(world, visit.encounter)["photos"]]
    assert len(missing) == 8
    why = [word for each in missing for word in ("--missing", f"{each}=patient-declined")]
    text = world.file.read_text("utf-8")
    try:
        world.file.write_text(f'baseline = "required"\n{text}', "utf-8")
        status, said = _session(world, "close", visit.encounter, *why)
        assert (status, "before the first treatment" in said) == (1, True)
        world.file.write_text(f'baseline = "always"\n{text}', "utf-8")
        assert "'baseline' is one of asked, required" in _session(world, "close", visit.encounter, *why)[1]
    finally:
        world.file.write_text(text, "utf-8")
    assert _session(world, "close", visit.encounter, *why)[0] == 0
