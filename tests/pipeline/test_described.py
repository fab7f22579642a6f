"""What is said of a photo beside its place: further regions that it shows, and the days since its course began."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from pydicom import dcmread
from sqlalchemy import select
from typer.testing import CliRunner

from consent.codec import photo_from_json
from consent.regions import regions
from consent.store.engine import glancing
from consent.store.tables import photo, photo_facts
from consent.types import Right
from dicom_bridge.plan import Plan
from fhir_mapping.course.views import view_of
from orthanc_plugin.assembly.cli import build
from orthanc_plugin.assembly.intake import open_archive
from tests.pipeline.commands import ingest, refused
from tests.pipeline.world import World

pytestmark = [pytest.mark.orthanc]


def _code(name: str) -> str:
    found = regions().by_name(name)
    assert found is not None
    return found.code


def _document(world: World, result: Any) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    (said,) = json.loads(result.stdout)
    with glancing(world.engine) as connection:
        return world.store.read(connection, "DocumentReference", said["document"]).json()


def test_consents_are_about_every_region_that_a_photo_shows(world: World) -> None:
    visit = world.visit()
    result = ingest(world, visit, "--json", "--also-region", "breast:L", "--also-region", "neck")
    view = view_of(_document(world, result))
    assert view.key[0] == _code("face")
    assert [(each.region.code, each.side) for each in view.also] == [(_code("breast"), "L"), (_code("neck"), None)]
    (sop,) = world.sops(visit)
    with glancing(world.engine) as connection:
        query = select(photo_facts.c.body).join(photo, photo.c.photo == photo_facts.c.photo)
        body = connection.execute(query.where(photo.c.sop_uid == sop)).scalar_one()
    assert [each.code for each in photo_from_json(body).regions] == [_code(each) for each in ("face", "breast", "neck")]
    # The same file with the same words is the same photo; with others it is refused, not half-kept.
    assert ingest(world, visit, "--also-region", "breast:L", "--also-region", "neck").exit_code == 0
    assert ingest(world, visit).exit_code == 0
    different = ingest(world, visit, "--also-region", "hand")
    assert different.exit_code == 1
    assert "--also-region" in different.stderr


def test_a_region_that_is_unknown_is_refused(world: World) -> None:
    refused(world, world.visit(), "--also-region", "unknown region 'breasts'", **{"also-region": "breasts:L"})


def test_a_plan_of_before_is_read() -> None:
    former = Plan("a", "b", "c", "d", "e", "f", "g").dumps().replace('"also":[],', "").replace('"baseline":null,', "")
    assert Plan.loads(former) == Plan("a", "b", "c", "d", "e", "f", "g")
    assert Plan.loads(Plan("a", "b", "c", "d", "e", "f", "g", also=("x|y#R",)).dumps()).also == ("x|y#R",)


def _days(world: World, sop: str) -> list[float]:
    with glancing(world.engine) as connection:
        orthanc = connection.execute(select(photo.c.orthanc_id).where(photo.c.sop_uid == sop)).scalar_one()
    with world.node() as node, open_archive(node) as archive:
        file = archive.file("test", orthanc)
    assert file is not None
    context = dcmread(io.BytesIO(file)).AcquisitionContextSequence
    named = {each.ConceptNameCodeSequence[0].CodeValue: each for each in context}
    if "128740" not in named:
        return []
    assert named["128741"].ConceptCodeSequence[0].CodeValue == "121079"
    assert named["128740"].MeasurementUnitsCodeSequence[0].CodeValue == "d"
    return [float(named["128740"].NumericValue)]


def test_days_since_the_course_began_are_in_the_object(world: World) -> None:
    world.put({"resourceType": "CarePlan", "id": "course", "status": "active", "intent": "plan",
               "subject": {"reference": "Patient/anna"}})  # fmt: skip
    for name, day in (("first", "2026-03-01"), ("second", "2026-05-03")):
        world.put({"resourceType": "Procedure", "id": name, "status": "completed", "code": {"text": "Filler"},
                   "subject": {"reference": "Patient/anna"}, "basedOn": [{"reference": "CarePlan/course"}],
                   "performedDateTime": f"{day}T09:00:00+02:00"})  # fmt: skip
    later, plain = world.visit(), world.visit()
    assert ingest(world, later, procedure="second").exit_code == 0
    assert ingest(world, plain).exit_code == 0
    assert _days(world, world.sops(later)[0]) == [63.0]  # its camera says 2026-05-03
    assert _days(world, world.sops(plain)[0]) == []  # of no course: nothing is made up
    # What is said anew of a photo says it of the course, too.
    (sop,) = world.sops(later)
    world.archive.account("linker", "TREAT", rights=(Right.LINK, Right.RECORD))
    words = ["link", sop, "--view", "left-lateral", "--reason", "The view was wrong"]
    done = CliRunner().invoke(build(), [*words, "--settings", str(world.file), "--as", "linker", "--json"])
    assert done.exit_code == 0, done.output
    assert _days(world, json.loads(done.stdout)["done"]["sop_uid"]) == [63.0]
