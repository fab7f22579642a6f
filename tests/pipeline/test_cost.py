"""What a commit asks of the database does not grow with its photos and resources: writers wait for it on SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event

from fhir_mapping.store.validate import structure
from orthanc_plugin.assembly.intake import open_archive, pipeline
from tests.pipeline.world import Visit, World

pytestmark = [pytest.mark.orthanc]


@contextmanager
def _longest(engine: Engine) -> Iterator[list[int]]:
    """Statements of each write transaction."""
    counts: list[int] = []

    def ask(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("BEGIN IMMEDIATE"):
            counts.append(0)
        elif counts:
            counts[-1] += 1

    event.listen(engine, "before_cursor_execute", ask)
    try:
        yield counts
    finally:
        event.remove(engine, "before_cursor_execute", ask)


def _statements(world: World, visit: Visit) -> int:
    """The most that one transaction of taking a visit's photos and record in asks."""
    with world.node() as node, open_archive(node) as archive, _longest(node.engine) as counts:
        pipeline(node, archive).take(visit.files, world.plan(visit, record=True))
    return max(counts)


def test_ten_photos_take_hardly_more_statements_than_one(world: World) -> None:
    one, ten = _statements(world, world.visit(files=1)), _statements(world, world.visit(files=10))
    assert one <= 125  # the indexes of facets and lots take some thirty, however many photos there are
    assert ten <= one + 3 * 9


def test_what_this_product_writes_unchecked_is_valid(world: World) -> None:
    visit = world.visit(files=2)
    world.take(visit, record=True)
    with world.engine.connect() as connection:
        for kind in ("DocumentReference", "ImagingStudy"):
            found = world.store.search(connection, kind, {"encounter": f"Encounter/{visit.encounter}"})
            assert found
            for each in found:
                structure(kind, each.json())
        for document in world.store.search(
            connection, "DocumentReference", {"encounter": f"Encounter/{visit.encounter}"}
        ):
            told = world.store.search(connection, "Provenance", {"target": document.reference})
            structure("Provenance", told[0].json())
