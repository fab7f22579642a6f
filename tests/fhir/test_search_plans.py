"""Every condition of a search is served by an index: no table of the record is read from end to end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.engine import Connection

from consent.audit.chain import open_chain
from consent.service import DecisionPoint
from consent.store.engine import reading
from consent.types import Request, Requester
from fhir_mapping.api.sight import RequestSight
from fhir_mapping.search import find, order
from fhir_mapping.search.conditions import conditions
from fhir_mapping.search.parameters import parameters
from fhir_mapping.search.sight import Everything, Sight
from fhir_mapping.store.record import RecordStore
from tests.database import fresh
from tests.fhir.clinic import BASE, SITE
from tests.fhir.making import elements

#: A whole table, or all rows of a type in a table of the index.
_SQLITE = re.compile(r"^(?:SCAN (?!.*(VIRTUAL TABLE|CONSTANT ROW))|SEARCH fhir_(?!resource)\w+ .*\(type=\?\))")

#: The same of PostgreSQL, which is told that reading a whole table costs more than anything: it does so only where no
#: index serves. The tables are empty, so nothing else can be learnt from what it would choose.
_POSTGRES = re.compile(r"Seq Scan on (fhir_\w+|photo|decided)\b")


_CHAINS = {
    "Observation": [("subject:Patient.name", "x"), ("_has:Observation:derived-from:code", "x")],
    "Procedure": [("subject:Patient.name", "x"), ("_has:Observation:part-of:code", "x")],
    "Provenance": [("target:Procedure.code", "x"), ("target:DocumentReference.encounter", "Encounter/x")],
}


def _questions(kind: str) -> list[tuple[str, str]]:
    asked = [("_id", "x"), ("_lastUpdated", "gt2026")]
    for name, parameter in parameters(kind).items():
        for _, _, _, first, _ in elements(kind, parameter):
            asked.append((name, first))
        if parameter.ways:
            asked += [(f"{name}:missing", "true"), (f"{name}:missing", "false")]
    return asked + _CHAINS[kind]


@contextmanager
def _plans(engine: Engine, into: list[str]) -> Iterator[None]:
    """Every statement on the record's tables, with how the database would carry it out."""
    sqlite = engine.dialect.name == "sqlite"

    def explain(connection: Connection, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.startswith("SELECT") and "fhir_" in statement:
            cursor = connection.connection.cursor()
            cursor.execute(f"EXPLAIN {'QUERY PLAN ' if sqlite else ''}{statement}", values)
            into.extend(f"{row[3] if sqlite else row[0]} <- {statement}" for row in cursor.fetchall())

    event.listen(engine, "before_cursor_execute", explain)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", explain)


@pytest.mark.parametrize("requester", [None, "clinician"])
def test_a_search_reads_no_table_from_end_to_end(
    engine: Engine, url: str, tmp_path: Path, requester: str | None
) -> None:
    record = RecordStore(SITE, base=BASE)
    chain = open_chain(url, tmp_path / "audit", "node1", "serve")
    decisions = DecisionPoint(engine, chain, "serve")
    read: list[str] = []
    with reading(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        sight: Sight = Everything()
        if requester is not None:
            sight = RequestSight(connection, decisions, Request(Requester(requester, ("TREAT",)), "TREAT"))
            assert sight.may is not None
        scene = record.scene(connection, sight)
        with _plans(engine, read):
            for kind in ("Observation", "Procedure", "Provenance"):
                for name, value in _questions(kind):
                    find.page(scene, kind, conditions(scene, kind, [(name, value)]), count=10)
                for name in ("_lastUpdated", "recorded" if kind == "Provenance" else "date"):
                    find.page(scene, kind, [], order.read(kind, f"-{name}"), count=10)
    chain.close()
    assert len(read) > 200
    whole = _SQLITE if engine.dialect.name == "sqlite" else _POSTGRES
    scans = [each for each in read if whole.search(each.partition(" <- ")[0])]
    assert not scans, "\n".join(dict.fromkeys(each[:1500] for each in scans[:5]))


def test_what_a_chain_found_is_not_looked_up_one_by_one_for_each_resource(tmp_path: Path) -> None:
    """A chain may find thousands; each resource has a few references, and these are looked for among them."""
    engine = fresh(f"sqlite:///{tmp_path}/plans.sqlite3", SITE)
    record = RecordStore(SITE, base=BASE)
    read: list[str] = []
    with reading(engine) as connection, _plans(engine, read):
        scene = record.scene(connection)
        find.page(scene, "Observation", conditions(scene, "Observation", [("subject:Patient.name", "x")]), count=10)
    engine.dispose()
    asked = [each.partition(" <- ")[0] for each in read if "SEARCH fhir_reference" in each]
    assert any("(type=? AND id=? AND path=?)" in each for each in asked)
    assert not [each for each in asked if "target=? AND id=?" in each]


def test_a_walk_in_order_reads_a_few_rows_of_each_resource_that_it_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And never goes through all that has the value which is asked for."""
    monkeypatch.setattr(find, "FEW", -1)
    monkeypatch.setattr(find, "few_ids", lambda *_: None)
    engine = fresh(f"sqlite:///{tmp_path}/plans.sqlite3", SITE)
    record = RecordStore(SITE, base=BASE)
    read: list[str] = []
    with reading(engine) as connection, _plans(engine, read):
        scene = record.scene(connection)
        made = conditions(scene, "Observation", [("status", "final"), ("date", "gt2020"), ("subject", "Patient/p")])
        find.page(scene, "Observation", made, order.read("Observation", "-date"), count=10)
    engine.dispose()
    walked = [each.partition(" <- ")[0] for each in read if "SELECT fhir_date" in each]
    assert any("SEARCH fhir_date_1 USING COVERING INDEX ix_fhir_date_last" in each for each in walked)
    of_each = [each for each in walked if "SEARCH fhir_" in each and "fhir_date_1 " not in each]
    assert of_each
    assert all("id=?" in each for each in of_each)
