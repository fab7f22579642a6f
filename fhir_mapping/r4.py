"""What R4 says of the elements of a resource or type: which must be there, which are one choice, what type each has."""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fhir.resources.R4B import get_fhir_model_class


@dataclass(frozen=True, slots=True)
class Elements:
    """Of one resource or type."""

    required: frozenset[str]
    """Members that there must be; of a choice that there must be, each."""

    choices: Mapping[str, frozenset[str]]
    """The members of a choice by its stem: ``value`` -> ``valueString``, ``valueQuantity`` …"""

    summary: frozenset[str]
    """Members that R4 marks as those of a summary; of a type that is no resource, none."""

    types: Mapping[str, str]
    """Complex members -> their type, as :func:`elements_of` takes it."""

    targets: Mapping[str, frozenset[str]]
    """References -> the resource types that they may name; none: any."""


@functools.cache
def elements_of(owner: str) -> Elements:
    """The elements of a resource or type by its name in ``fhir.resources``: ``Observation``, ``ObservationComponent``.

    Raises
    ------
    KeyError
        There is no such type.
    """
    model = get_fhir_model_class(owner)
    required: set[str] = set()
    choices: dict[str, set[str]] = {}
    complex_types: dict[str, str] = {}
    targets: dict[str, frozenset[str]] = {}
    for name, info in model.model_fields.items():
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        member = info.alias or name
        if info.is_required() or extra.get("element_required") or extra.get("one_of_many_required"):
            required.add(member)
        if extra.get("one_of_many"):
            choices.setdefault(str(extra["one_of_many"]), set()).add(member)
        named = _type(info.annotation)
        if named is not None:
            complex_types[member] = named
        if named == "Reference":
            allowed = extra.get("enum_reference_types")
            listed = frozenset(str(each) for each in allowed) if isinstance(allowed, list) else frozenset[str]()
            targets[member] = frozenset() if listed & {"Resource", "Any"} else listed
    summary = getattr(model, "summary_elements_sequence", None)
    return Elements(
        frozenset(required),
        {stem: frozenset(each) for stem, each in choices.items()},
        frozenset(summary() if summary is not None else ()),
        complex_types,
        targets,
    )


def _type(annotation: Any) -> str | None:
    """The name of a complex type; None of a primitive one."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        found = [_type(part) for part in typing.get_args(annotation)]
        return next((each for each in found if each is not None), None)
    if typing.get_origin(annotation) is list:
        return _type(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) is typing.Annotated or annotation in (bool, type(None)):
        return None
    return annotation.__name__.removesuffix("Type") if isinstance(annotation, type) else None
