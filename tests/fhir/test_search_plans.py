"""Every condition of a search is served by an index: no table of the record is read from end to end."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection

from consent.store.engine import reading
from fhir_mapping.search import find
from fhir_mapping.search.conditions import conditions
from fhir_mapping.search.parameters import parameters
from fhir_mapping.store.record import RecordStore
from tests.database import fresh
from tests.fhir.clinic import BASE, SITE
from tests.fhir.making import elements

#: A whole table, or all rows of a type in a table of the index.
_WHOLE = re.compile(r"SCAN (?!.*(VIRTUAL TABLE|CONSTANT ROW)).*|SEARCH fhir_(?!resource)\w+ .*\(type=\?\)")


def _questions(kind: str) -> list[tuple[str, str]]:
    asked = [("_id", "x"), ("_lastUpdated", "gt2026")]
    for name, parameter in parameters(kind).items():
        for _, _, _, first, _ in elements(kind, parameter):
            asked.append((name, first))
        if parameter.ways:
            asked += [(f"{name}:missing", "true"), (f"{name}:missing", "false")]
    asked += [
        ("subject:Patient.name", "x"),
        ("_has:Observation:part-of:code" if kind == "Procedure" else "_has:Observation:derived-from:code", "x"),
    ]
    return asked


def test_a_search_reads_no_table_from_end_to_end(tmp_path: Path) -> None:
    engine = fresh(f"sqlite:///{tmp_path}/plans.sqlite3", SITE)
    record = RecordStore(SITE, base=BASE)
    read: list[str] = []

    def explain(connection: Connection, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.startswith("SELECT") and "fhir_" in statement:
            rows = connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
            read.extend(f"{row[3]} <- {statement}" for row in rows)

    with reading(engine) as connection:
        scene = record.scene(connection)
        event.listen(engine, "before_cursor_execute", explain)
        try:
            for kind in ("Observation", "Procedure"):
                for name, value in _questions(kind):
                    made = conditions(scene, kind, [(name, value)])
                    find.page(scene, kind, made, count=10)
        finally:
            event.remove(engine, "before_cursor_execute", explain)
    engine.dispose()
    assert len(read) > 200
    scans = [each for each in read if _WHOLE.match(each.partition(" <- ")[0])]
    assert not scans, "\n".join(dict.fromkeys(each[:600] for each in scans[:5]))
