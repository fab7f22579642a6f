"""The lots on record, as a batch question finds them (:mod:`fhir_mapping.advisory.tables`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, select

from consent.store.write import among, insert_missing
from fhir_mapping import references
from fhir_mapping.advisory import spelling
from fhir_mapping.advisory.stated import PRODUCTS, USES, State, Stated, stated
from fhir_mapping.advisory.tables import advisory_dropped, advisory_lot, advisory_name, advisory_spelling
from fhir_mapping.projections.read import history
from fhir_mapping.projections.written import Setting, Written
from fhir_mapping.search.values import indexed

#: Types that may state a lot, or lead to what does; a photo leads to what was done at its visit.
_LEADING = frozenset((*PRODUCTS, *USES, "DocumentReference"))

#: What leads to a lot, or to the treatment with it.
_LEADS = frozenset((*PRODUCTS, *USES, "Encounter"))


def lots(connection: Connection, setting: Setting, written: Sequence[Written]) -> None:
    """Write the rows of new versions. What only an earlier version says stays, marked so."""
    rows: list[dict[str, Any]] = []
    names: list[dict[str, Any]] = []
    dropped: list[dict[str, Any]] = []
    for each in written:
        if not (_concerned(each.type, each.resource) or _concerned(each.type, each.previous or {})):
            continue
        now = stated(each.resource)
        before: list[dict[str, Any]] = []
        if each.previous is not None:
            before = _before(connection, each, {_key(one) for one in now})
            leads = _leads(each.resource, setting)
            gone = _leads(each.previous, setting) - leads
            dropped += [{"target": target, "type": each.type, "id": each.id} for target in sorted(gone)]
            _named_again(connection, each, leads)
        rows += [_row(each.type, each.id, one) for one in now] + before
        names += _names(each.type, each.id, now)
    _insert(connection, rows, names, dropped)


def anew(connection: Connection, setting: Setting, kind: str, identity: str) -> None:
    """Make a resource's rows from all its versions."""
    for table in (advisory_lot, advisory_name, advisory_dropped):
        connection.execute(delete(table).where(table.c.type == kind, table.c.id == identity))
    current: list[Stated] | None = None
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    names: list[dict[str, Any]] = []
    leads: set[str] = set()
    dropped: set[str] = set()
    for _, _, resource in history(connection, kind, identity):
        if not _concerned(kind, resource):
            continue
        found = stated(resource)
        if current is None:
            current, leads = found, _leads(resource, setting)
            names = _names(kind, identity, found)
            rows = {_key(one): _row(kind, identity, one) for one in found}
        else:
            dropped |= _leads(resource, setting) - leads
            for one in found:
                if one.lot and _key(one) not in rows:
                    rows[_key(one)] = _row(kind, identity, one) | {"former": True}
    key = {"type": kind, "id": identity}
    _insert(connection, list(rows.values()), names, [key | {"target": each} for each in sorted(dropped)])


def _insert(
    connection: Connection,
    rows: Sequence[dict[str, Any]],
    names: Sequence[dict[str, Any]],
    dropped: Sequence[dict[str, Any]],
) -> None:
    insert_missing(connection, advisory_lot, rows)
    insert_missing(connection, advisory_name, names)
    insert_missing(connection, advisory_dropped, dropped)
    told = {row[name] for row in rows for name in ("lot", "serial") if row[name]}
    insert_missing(connection, advisory_spelling, spellings(told))


def spellings(told: Iterable[str]) -> list[dict[str, Any]]:
    """The rows by which each of these lots and serial numbers is found, however it is misread."""
    return [
        {"reading": text, "lot": lot}
        for lot in sorted(told)
        for text in sorted({near for each in spelling.readings(lot) for near in spelling.neighbourhood(each)})
    ]


def _before(connection: Connection, written: Written, now: set[tuple[str, ...]]) -> list[dict[str, Any]]:
    """The rows that earlier versions have left, without those that are said again; all rows go."""
    mine = (advisory_lot.c.type == written.type) & (advisory_lot.c.id == written.id)
    kept = [
        dict(row) | {"former": True}
        for row in connection.execute(select(advisory_lot).where(mine)).mappings()
        if row["lot"] and tuple(row[name] for name in _KEY) not in now
    ]
    connection.execute(delete(advisory_lot).where(mine))
    connection.execute(
        delete(advisory_name).where(advisory_name.c.type == written.type, advisory_name.c.id == written.id)
    )
    return kept


def _concerned(kind: str, resource: Mapping[str, Any]) -> bool:
    return kind in _LEADING or bool(resource.get("contained"))


def _named_again(connection: Connection, written: Written, leads: set[str]) -> None:
    mine = (advisory_dropped.c.type == written.type) & (advisory_dropped.c.id == written.id)
    connection.execute(delete(advisory_dropped).where(mine, among(connection, advisory_dropped.c.target, leads)))


def _leads(resource: Mapping[str, Any], setting: Setting) -> set[str]:
    if resource.get("resourceType") not in _LEADING:
        return set()
    named = (references.local(found.text, setting.base) for found in references.found(resource))
    return {each for each in named if each is not None and each.partition("/")[0] in _LEADS}


_SURE = frozenset((State.TOLD, State.NOTED, State.DOUBTED, State.VOID))
_KEY = ("part", "lot", "expiry", "device")


def _key(one: Stated) -> tuple[str, ...]:
    return (one.part[:64], indexed(one.lot), one.expiry[:40], one.device[:64])


def _row(kind: str, identity: str, one: Stated) -> dict[str, Any]:
    return {
        "type": kind,
        "id": identity,
        **dict(zip(_KEY, _key(one), strict=True)),
        "serial": indexed(one.serial),
        "state": one.state.value,
        "name": one.name[:200],
        "former": False,
    }


def _names(kind: str, identity: str, found: Sequence[Stated]) -> list[dict[str, Any]]:
    """By which each product is found; one that has no name, and no lot, is found by that."""
    made = {(one.part[:64], name[:200]) for one in found for name in one.names or (() if one.state in _SURE else ("",))}
    return [{"type": kind, "id": identity, "part": part, "name": name} for part, name in sorted(made)]
