"""Resources made from R4's own model: the least that is valid, with a value at an element that is asked for."""

from __future__ import annotations

import functools
import re
import types
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fhir.resources.R4B import get_fhir_model_class

from fhir_mapping.codes import bindings
from fhir_mapping.search.parameters import Form, Parameter, searched_types
from fhir_mapping.search.paths import Path, Step

UCUM = "http://unitsofmeasure.org"
FIRST, SECOND, FILLING = 0, 1, 2
"""Two values of every type that differ, and one for what must be there besides."""

_WORDS = ("alpha", "omega", "filling")
_DAYS = ("2020-05-03", "2021-06-04", "1980-01-01")


@dataclass(frozen=True, slots=True)
class Field:
    """One member of a class of the model."""

    type: str
    many: bool
    required: bool
    stem: str
    """Of a choice type its name without the type, else the member itself."""

    targets: tuple[str, ...] = ()
    """Reference: the types that it may name; none: any."""


@functools.cache
def fields(owner: str) -> dict[str, Field]:
    """The members of a resource or type."""
    made: dict[str, Field] = {}
    for name, info in get_fhir_model_class(owner).model_fields.items():
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        found = list(_named(info.annotation))
        if found and not (info.alias or name).startswith("_"):
            needed = info.is_required() or extra.get("element_required") is True
            many = any(typing.get_origin(part) is list for part in _parts(info.annotation))
            stem = extra.get("one_of_many")
            if extra.get("one_of_many_required"):
                needed = not any(other.stem == stem for other in made.values())
            allowed = extra.get("enum_reference_types")
            targets = tuple(str(each) for each in allowed) if isinstance(allowed, list) else ()
            targets = () if set(targets) & {"Resource", "Any"} else targets
            member = info.alias or name
            made[member] = Field(found[0], many, needed, str(stem) if stem else member, targets)
    return made


def _parts(annotation: Any) -> tuple[Any, ...]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)


def _named(annotation: Any) -> Iterator[str]:
    for part in _parts(annotation):
        if typing.get_origin(part) is list:
            yield from _named(typing.get_args(part)[0])
        elif typing.get_origin(part) is typing.Annotated:
            yield type(typing.get_args(part)[1]).__name__
        elif part is bool:
            yield "Boolean"
        elif isinstance(part, type) and part is not type(None):
            yield part.__name__.removesuffix("Type")


def type_at(owner: str, way: Path) -> str:
    """The type of the element at a path. Fails where the model has none."""
    for step in way:
        owner = fields(owner)[step.member].type
    return owner


def least(owner: str) -> dict[str, Any]:
    """The least that is valid of a resource or type."""
    return _filled(owner, {})


def with_value(kind: str, way: Path, value: Any) -> dict[str, Any]:
    """The least of a resource with a value at an element."""
    return {"resourceType": kind} | _with(kind, way, value)


def _with(owner: str, way: Path, value: Any) -> dict[str, Any]:
    step, *rest = way
    known = fields(owner)
    field = known[step.member]
    inner = _with(field.type, tuple(rest), value) if rest else value
    if step.key and isinstance(inner, dict):
        inner = inner | {step.key: step.value}
    return _filled(owner, {step.member: [inner] if field.many else inner})


def _filled(owner: str, made: dict[str, Any]) -> dict[str, Any]:
    known = fields(owner)
    stems = {known[member].stem for member in made if member in known}
    for member, field in known.items():
        if field.required and field.stem not in stems:
            value = sample(field.type, FILLING, owner=owner, member=member)
            made[member] = [value] if field.many else value
            stems.add(field.stem)
    return made


def sample(name: str, number: int, *, owner: str = "", member: str = "", targets: Sequence[str] = ()) -> Any:
    """A value of a type, one of three that differ as far as its codes allow."""
    word, day = _WORDS[number], _DAYS[number]
    if name == "Code":
        allowed = bindings().allowed(owner, member)
        return sorted(allowed)[number % len(allowed)] if allowed else word
    bound = sorted(bindings().concepts.get(f"{owner}.{member}", ())) if name == "CodeableConcept" else []
    if bound:
        system, _, code = bound[number % len(bound)].partition("|")
        return {"coding": [{"system": system, "code": code}]}
    quantity = {"value": (5.4, 70, 1)[number], "system": UCUM, "code": "mg"}
    simple: dict[str, Any] = {
        "Boolean": number == FIRST,
        "String": word,
        "Markdown": word,
        "Id": word,
        "Uri": f"http://example.org/{word}",
        "Url": f"http://example.org/{word}",
        "Canonical": f"http://example.org/{word}",
        "Oid": f"urn:oid:1.2.{number + 1}",
        "Date": day,
        "DateTime": day,
        "Instant": f"{day}T10:00:00Z",
        "Base64Binary": "AAAA",
        "Integer": number + 3,
        "PositiveInt": number + 3,
        "UnsignedInt": number + 3,
        "Decimal": number + 3,
        "Period": {"start": day, "end": day},
        "Timing": {"event": [day]},
        "Coding": {"system": "urn:words", "code": word},
        "CodeableConcept": {"coding": [{"system": "urn:words", "code": word}]},
        "Identifier": {"system": "urn:words", "value": word},
        "ContactPoint": {"system": "phone", "value": word},
        "HumanName": {"family": word},
        "Address": {"city": word},
        "Quantity": quantity,
        "Age": quantity,
        "Duration": quantity,
        "Range": {"low": quantity, "high": quantity},
        "SampledData": {
            "origin": {"value": 0, "system": UCUM, "code": "mg"},
            "lowerLimit": quantity["value"],
            "upperLimit": quantity["value"],
            "period": 1,
            "dimensions": 1,
            "data": "1",
        },
        "Attachment": {"contentType": word},
        "Reference": reference(fields(owner)[member].targets if owner else (), targets, number),
    }
    return simple[name] if name in simple else least(name)


def reference(allowed: Sequence[str], wanted: Sequence[str], number: int) -> dict[str, str]:
    """A Reference to a type that the element may name and the parameter means; else to another server."""
    fits = [each for each in wanted or ("Patient",) if not allowed or each in allowed]
    if wanted and fits:
        return {"reference": f"{fits[0]}/{_WORDS[number]}"}
    return {"reference": f"http://other.example/fhir/{[*fits, *allowed][0]}/{_WORDS[number]}"}


def elements(kind: str, parameter: Parameter) -> Iterator[tuple[str, dict[str, Any], dict[str, Any], str, str]]:
    """For each element of a parameter: its path; two resources that differ in it; the value that finds each."""
    if parameter.form is Form.COMPOSITE:
        yield from _composites(kind, parameter)
        return
    for way in parameter.ways:
        owner, member = _at(kind, way)
        name = "Extension" if member.startswith("value") and owner == "Extension" else type_at(kind, way)
        name = type_at(kind, way) if name == "Extension" else name
        if parameter.form is Form.PRESENT and name != "Boolean":
            continue
        made = []
        for number in (FIRST, SECOND):
            value = sample(name, number, owner=owner, member=member, targets=parameter.targets)
            if parameter.form is Form.CONTACT:
                value |= {step.key: step.value for step in way if step.key == "system"}
            made.append((with_value(kind, _plain(way), value), asked(parameter.form, name, value)))
        (one, first), (other, second) = made
        yield ".".join(step.member for step in way), one, other, first, second


def _plain(way: Path) -> Path:
    """The path; what it says of a ContactPoint's system is in the value already."""
    return tuple(Step(step.member) if step.key == "system" else step for step in way)


def _composites(kind: str, parameter: Parameter) -> Iterator[tuple[str, dict[str, Any], dict[str, Any], str, str]]:
    first, second = parameter.parts
    for base in parameter.ways:
        for way in second.ways:
            made = []
            for number in (FIRST, SECOND):
                whole = (*base, *way)
                owner, member = _at(kind, whole)
                name = type_at(kind, whole)
                value = sample(name, number, owner=owner, member=member, targets=searched_types())
                resource = with_value(kind, whole, value)
                holder = resource
                for step in base:
                    found = holder[step.member]
                    holder = found[0] if isinstance(found, list) else found
                (head,) = first.ways[0]
                head_owner, head_name = type_at(kind, base) if base else kind, type_at(kind, (*base, head))
                holder[head.member] = sample(head_name, FIRST, owner=head_owner, member=head.member)
                key = asked(first.form, head_name, holder[head.member])
                made.append((resource, f"{key}${asked(second.form, name, value)}"))
            (one, one_asked), (other, other_asked) = made
            yield ".".join(step.member for step in (*base, *way)), one, other, one_asked, other_asked


def _at(kind: str, way: Path) -> tuple[str, str]:
    return type_at(kind, way[:-1]), way[-1].member


def asked(form: Form, name: str, value: Any) -> str:
    """The value of a search that finds an element of this value."""
    if form in (Form.TOKEN, Form.CODE, Form.PRESENT) and isinstance(value, bool):
        return "true" if value else "false"
    if form is Form.TOKEN:
        coding = value["coding"][0] if "coding" in value else value
        return f"{coding['system']}|{coding.get('code', coding.get('value'))}"
    if form is Form.CONTACT:
        return str(value["value"])
    if form is Form.REFERENCE:
        return str(value["reference"])
    if form in (Form.NAME, Form.PHONETIC, Form.ADDRESS):
        return str(value if isinstance(value, str) else next(iter(value.values())))
    if form is Form.DATE:
        return _DAYS[1] if _DAYS[1] in str(value) else _DAYS[0]
    if form is Form.QUANTITY:
        stated = re.search(r"5\.4|70", str(value))
        assert stated is not None
        return f"{stated.group()}|{UCUM}|mg"
    return str(value)
