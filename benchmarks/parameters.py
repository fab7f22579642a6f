"""Each search parameter of each served type by itself: the first page of 20, with values that the record holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from sqlalchemy import Connection, func, select

from benchmarks.generated.opened import Opened
from benchmarks.timing import Times, Told, milliseconds
from consent.store.engine import reading
from fhir_mapping import text
from fhir_mapping.api.interactions import TABLE, Interaction
from fhir_mapping.search.index import Index, extract
from fhir_mapping.search.parameters import Form, Kind, Parameter, parameters
from fhir_mapping.search.values import FIRST
from fhir_mapping.tables import CURRENT, fhir_resource, fhir_version

_DRAWN = 12
_VALUES = 3
_ROUNDS = 3
TO_REACH = 100.0
_WORST = 8
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: Where no resource that was drawn has the element.
_NOWHERE = {
    Kind.ID: "nowhere",
    Kind.UPDATED: "ge2026-01-01",
    Kind.TOKEN: "x",
    Kind.STRING: "nobody",
    Kind.DATE: "2024-05-03",
    Kind.NUMBER: "3",
    Kind.QUANTITY: "5.4||mg",
    Kind.URI: "urn:nowhere",
    Kind.REFERENCE: "DocumentReference/nowhere",
}


@dataclass(frozen=True, slots=True)
class _Asked:
    type: str
    name: str
    value: str
    milliseconds: float


def measured(clinic: Opened) -> Told:
    """What each of them took."""
    asked: list[_Asked] = []
    types = [row.type for row in TABLE if Interaction.SEARCH in row.interactions and row.type != "AuditEvent"]
    for kind in types:
        drawn = list(_drawn(clinic, kind))
        for parameter in parameters(kind).values():
            values = _values(parameter, drawn)
            times = [_asked(clinic, kind, parameter.name, each) for each in values]
            asked.append(max(times, key=lambda one: one.milliseconds))
    worst = sorted(asked, key=lambda one: -one.milliseconds)
    all_times = Times.of([each.milliseconds for each in asked])
    lines = [
        "\n### Each search parameter by itself\n",
        f"{len(asked)} parameters of {len(types)} types, the first page of 20 for TREAT (Task: PATSFTY); of up to "
        f"{_VALUES} values of each the slowest, median of {_ROUNDS}. All of them: median {all_times.median:.1f} ms, "
        f"95th percentile {all_times.p95:.1f} ms. The slowest:\n",
        "| search | ms |\n|---|---:|",
        *(f"| `{each.type}?{each.name}={each.value[:60]}` | {each.milliseconds:.1f} |" for each in worst[:_WORST]),
    ]
    return Told("\n".join(lines), worst[0].milliseconds)


def _asked(clinic: Opened, kind: str, name: str, value: str) -> _Asked:
    pairs = [(name, value), ("_count", "20")]
    clinic.search(kind, pairs)
    times = [milliseconds(lambda: clinic.search(kind, pairs)) for _ in range(_ROUNDS)]
    return _Asked(kind, name, value, Times.of(times).median)


@dataclass(frozen=True, slots=True)
class _Drawn:
    id: str
    index: Index


def _drawn(clinic: Opened, kind: str) -> Iterator[_Drawn]:
    """The index of some resources of a type."""
    setting = clinic.node.record.setting
    with reading(clinic.engine) as connection:
        for identity in _ids(connection, kind):
            body = connection.execute(
                select(fhir_version.c.body)
                .select_from(CURRENT)
                .where(fhir_version.c.type == kind, fhir_version.c.id == identity)
            ).scalar_one()
            yield _Drawn(identity, extract(identity, text.kept(bytes(body)), setting.site.zone, setting.base))


def _ids(connection: Connection, kind: str) -> list[str]:
    number = func.count()
    mine = fhir_resource.c.type == kind
    total = int(connection.execute(select(number).select_from(fhir_resource).where(mine)).scalar_one())
    places = sorted(Random(kind).sample(range(total), min(total, _DRAWN)))
    query = select(fhir_resource.c.id).where(mine).order_by(fhir_resource.c.id).limit(1)
    return [connection.execute(query.offset(place)).scalar_one() for place in places]


def _values(parameter: Parameter, drawn: Iterable[_Drawn]) -> list[str]:
    found: dict[str, None] = {}
    for each in drawn:
        found |= dict.fromkeys(sorted(_of(parameter, each)))
    if not found:
        return [_nowhere(parameter)]
    listed = list(found)
    return listed[:: max(1, len(listed) // _VALUES)][:_VALUES]


def _nowhere(parameter: Parameter) -> str:
    if parameter.form is Form.PRESENT:
        return "true"
    if parameter.parts:
        return "$".join(_NOWHERE[each.kind] for each in parameter.parts)
    if parameter.targets:
        return f"{parameter.targets[0]}/nowhere"
    return _NOWHERE[parameter.kind]


def _of(parameter: Parameter, drawn: _Drawn) -> Iterator[str]:
    index, name, form = drawn.index, parameter.name, parameter.form
    if form is Form.ID:
        yield drawn.id
    elif form is Form.UPDATED:
        yield "ge2026-01-01"
    elif form is Form.REFERENCE:
        yield from (target for path, target in index.references if path in parameter.paths and "://" not in target)
    elif form is Form.DATE:
        for of, start, _ in index.dates:
            if of == name and start > FIRST:
                day = (_EPOCH + timedelta(microseconds=start)).date().isoformat()
                yield from (day, f"ge{day}")
    elif form is Form.NUMBER:
        yield from (f"{(low + high) / 2:g}" for of, low, high, _, _ in index.numbers if of == name)
    elif form is Form.QUANTITY:
        for of, low, high, system, code in index.numbers:
            if of == name:
                yield f"{(low + high) / 2:g}|{system}|{code}"
    elif form is Form.COMPOSITE:
        yield from _pairs(parameter, index)
    elif parameter.kind is Kind.STRING:
        yield from (_escaped(value) for of, value in index.strings if of == name)
    else:
        for of, system, value in index.tokens:
            if of == name and "~" not in value:
                yield f"{_escaped(system)}|{_escaped(value)}" if system else _escaped(value)


def _pairs(parameter: Parameter, index: Index) -> Iterator[str]:
    second = parameter.parts[1].form
    for of, system, value, part_system, part_value, low, high in index.composites:
        if of != parameter.name:
            continue
        head = f"{_escaped(system)}|{_escaped(value)}" if system else _escaped(value)
        if second is Form.QUANTITY:
            yield f"{head}${(low + high) / 2:g}|{part_system}|{part_value}"
        elif second is Form.DATE:
            yield f"{head}${(_EPOCH + timedelta(microseconds=low)).date().isoformat()}"
        elif part_system:
            yield f"{head}${_escaped(part_system)}|{_escaped(part_value)}"
        else:
            yield f"{head}${_escaped(part_value)}"


def _escaped(value: str) -> str:
    for mark in ("\\", ",", "|", "$"):
        value = value.replace(mark, f"\\{mark}")
    return value
