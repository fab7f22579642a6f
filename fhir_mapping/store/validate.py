"""The structure of a resource, checked at the door.

fhir.resources (R4B, wire-compatible with R4 for what the record keeps) knows elements and cardinality. What it lets
pass is checked here: codes of required bindings, JSON types, empty values, the types that a reference may name, and
periods that end before they begin (R4 per-1).
"""

from __future__ import annotations

import functools
import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from fhir.resources.R4B import get_fhir_model_class
from fhir.resources.R4B.domainresource import DomainResource
from fhir_core.fhirabstractmodel import FHIRAbstractModel
from pydantic import ValidationError

from fhir_mapping import dates, references
from fhir_mapping.codes import bindings
from fhir_mapping.errors import Invalid, Issue

_MAX_ISSUES = 20
_CHOICE = re.compile(r"'(\w+)'")
_FORM = "The value has not the form that FHIR gives this element: a text must not be blank, a time needs its zone."
_UTC = ZoneInfo("UTC")
_NUMBERS = {"Integer": (int,), "UnsignedInt": (int,), "PositiveInt": (int,), "Decimal": (int, Decimal, float)}
_SMALLEST = {"UnsignedInt": 0, "PositiveInt": 1}


@dataclass(frozen=True, slots=True)
class _Field:
    attribute: str
    primitive: str | None
    """Name of the primitive type; None for a complex one."""

    many: bool
    targets: frozenset[str]
    """Resource types that a Reference here may name; empty: any."""


def structure(resource_type: str, resource: Mapping[str, Any]) -> None:
    """Check a resource against R4.

    Raises
    ------
    Invalid
        With one issue for each fault found, each naming its element; at most 20.
    """
    if resource.get("resourceType") != resource_type:
        raise Invalid(Issue("structure", f"The resource is no {resource_type}.", "resourceType"))
    stated = resource.get("contained")
    for number, contained in enumerate(stated if isinstance(stated, list) else ()):
        kind = contained.get("resourceType") if isinstance(contained, Mapping) else None
        element = f"{resource_type}.contained[{number}]"
        if not isinstance(kind, str) or not _is_resource(kind):
            raise Invalid(Issue("structure", "A contained resource has no known resourceType.", element))
        if "contained" in contained:
            raise Invalid(Issue("invariant", "A contained resource contains another (dom-2).", element))
    try:
        model = get_fhir_model_class(resource_type).model_validate(resource)
    except ValidationError as error:
        raise Invalid(_issues(resource_type, error)) from None
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError):
        # fhir.resources stumbles over some malformed values instead of naming them.
        raise Invalid(Issue("structure", f"The resource is no valid {resource_type}.", resource_type)) from None
    issues: list[Issue] = []
    for issue in _walk(model, resource, resource_type):
        issues.append(issue)
        if len(issues) == _MAX_ISSUES:
            break
    if issues:
        raise Invalid(issues)


def _issues(resource_type: str, error: ValidationError) -> list[Issue]:
    issues = []
    for fault in error.errors(include_url=False, include_input=False, include_context=False)[:_MAX_ISSUES]:
        element = resource_type
        for part in fault["loc"]:
            element += f"[{part}]" if isinstance(part, int) else f".{part}"
        text = fault["msg"].removeprefix("Value error, ")
        choices = _CHOICE.findall(text) if "field value" in text else []
        if choices:  # of value[x]: the message alone says which element it is about
            element += f".{_stem(choices)}"
            text = (
                "Several are stated where one may be."
                if "multiple" in text
                else f"One of {', '.join(choices)} is needed."
            )
        if "pattern" in text or "regex" in text:
            text = _FORM
        code = "required" if "missing" in fault["type"] else "structure"
        issues.append(Issue(code, text if len(text) < 300 else text[:297] + "...", element))
    return issues


def _stem(choices: list[str]) -> str:
    """``value`` of ``valueString`` and ``valueQuantity``."""
    stem = choices[0]
    while not all(each.startswith(stem) for each in choices):
        stem = stem[:-1]
    return stem


def _walk(model: FHIRAbstractModel, raw: Mapping[str, Any], path: str) -> Iterator[Issue]:
    """The model and the JSON it was made from, side by side."""
    owner = type(model)
    fields = _fields(owner)
    for key, value in raw.items():
        here = f"{path}.{key}"
        field = fields.get(key)
        if value is None or value in ({}, [], ""):
            yield Issue("structure", "An element must not be empty.", here)
        elif field is None:
            if key != "resourceType":
                yield Issue("structure", "R4 has no such element.", here)
        elif isinstance(value, list):
            parsed = getattr(model, field.attribute)
            if not field.many or not isinstance(parsed, list) or len(parsed) != len(value):
                yield Issue("structure", "The element does not repeat.", here)
                continue
            for number, (child, item) in enumerate(zip(parsed, value, strict=True)):
                at = f"{here}[{number}]"
                if item is None and field.primitive is None:
                    # Only a primitive's value or extension may be null beside its other half (R4 JSON).
                    if not key.startswith("_"):
                        yield Issue("structure", "An element must not be empty.", at)
                elif item in ({}, [], ""):
                    yield Issue("structure", "An element must not be empty.", at)
                elif item is not None:
                    yield from _one(owner, field, key, child, item, at)
        elif field.many:
            yield Issue("structure", "The element repeats and must be an array.", here)
        else:
            yield from _one(owner, field, key, getattr(model, field.attribute), value, here)
    if owner.__name__ == "Period" and isinstance(raw.get("start"), str) and isinstance(raw.get("end"), str):
        try:
            first, last = dates.span(raw["start"], _UTC).start, dates.span(raw["end"], _UTC).end
            if first is not None and last is not None and first >= last:
                yield Issue("invariant", "The period ends before it begins (per-1).", path)
        except ValueError:
            yield Issue("value", "The period has a date that does not exist.", path)


def _one(owner: type, field: _Field, key: str, child: Any, raw: Any, path: str) -> Iterator[Issue]:
    if isinstance(child, FHIRAbstractModel):
        if not isinstance(raw, Mapping):
            yield Issue("structure", "The element must be an object.", path)
            return
        needed = bindings().concepts.get(f"{owner.__name__}.{key}")
        if needed is not None and needed.isdisjoint(_codings(raw)):
            yield Issue("code-invalid", "One of the codings must be of those that this element may hold.", path)
        text = raw.get("reference")
        if field.targets and isinstance(text, str):
            kind = references.target_type(text)
            if kind is not None and kind not in field.targets:
                allowed = ", ".join(sorted(field.targets))
                yield Issue("structure", f"A reference here names {allowed}, not {kind}.", path)
        yield from _walk(child, raw, path)
    elif field.primitive is None:
        yield Issue("structure", "The element must be an object.", path)
    elif field.primitive == "Boolean":
        if not isinstance(raw, bool):
            yield Issue("structure", "The element must be true or false.", path)
    elif field.primitive in _NUMBERS:
        if isinstance(raw, bool) or not isinstance(raw, _NUMBERS[field.primitive]):
            yield Issue("structure", "The element must be a number.", path)
        elif field.primitive != "Decimal" and not _SMALLEST.get(field.primitive, -(1 << 31)) <= raw < 1 << 31:
            yield Issue("value", "The number is out of range.", path)
    elif not isinstance(raw, str):
        yield Issue("structure", "The element must be a text.", path)
    else:
        allowed_codes = bindings().allowed(owner.__name__, key)
        if allowed_codes is not None and raw not in allowed_codes:
            yield Issue("code-invalid", "The code is not one that this element may hold.", path)


def _codings(concept: Mapping[str, Any]) -> Iterator[str]:
    stated = concept.get("coding")
    for coding in stated if isinstance(stated, list) else ():
        if isinstance(coding, Mapping):
            yield f"{coding.get('system')}|{coding.get('code')}"


@functools.lru_cache(maxsize=256)
def _is_resource(kind: str) -> bool:
    try:
        return kind.isalpha() and issubclass(get_fhir_model_class(kind), DomainResource)
    except (ValueError, KeyError):
        return False


@functools.cache
def _fields(owner: type[FHIRAbstractModel]) -> Mapping[str, _Field]:
    made: dict[str, _Field] = {}
    for name, info in owner.model_fields.items():
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        named = extra.get("enum_reference_types")
        targets = frozenset(str(kind) for kind in named) if isinstance(named, list) else frozenset()
        if targets & {"Resource", "Any"}:
            targets = frozenset()
        made[info.alias or name] = _Field(name, _primitive(info.annotation), _many(info.annotation), targets)
    return made


def _many(annotation: Any) -> bool:
    return any(typing.get_origin(part) is list for part in _parts(annotation))


def _primitive(annotation: Any) -> str | None:
    for part in _parts(annotation):
        if typing.get_origin(part) is list:
            return _primitive(typing.get_args(part)[0])
        if typing.get_origin(part) is typing.Annotated:
            return type(typing.get_args(part)[1]).__name__
        if part is bool:
            return "Boolean"
    return None


def _parts(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, or the annotation alone."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)
