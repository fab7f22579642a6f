"""Parts of resources: ``_summary`` and ``_elements`` (R4 search, 3.1.1.5.8 and 9). What is left bears SUBSETTED."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from fhir.resources.R4B import get_fhir_model_class

from fhir_mapping import text

_TAG = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
_ALWAYS = frozenset({"resourceType", "id", "meta"})


class Summary(StrEnum):
    """``_summary``, but for ``false``."""

    TRUE = "true"
    """The elements that R4 marks as those of a summary."""

    TEXT = "text"
    """The narrative and what a resource must have."""

    DATA = "data"
    """All but the narrative."""

    COUNT = "count"
    """The total alone."""


def part_of(kind: str, body: bytes, summary: Summary | None, elements: tuple[str, ...]) -> bytes:
    """The part of a resource that is asked for; the whole of it byte for byte where that is all of it."""
    if summary is None and not elements:
        return body
    resource = text.kept(body)
    model = _model(kind)
    if summary is Summary.DATA:
        kept = {member: value for member, value in resource.items() if member.lstrip("_") != "text"}
    else:
        wanted = _ALWAYS | model.required
        if summary is Summary.TRUE:
            wanted |= model.summary
        elif summary is Summary.TEXT:
            wanted |= {"text"}
        wanted |= {member for each in elements for member in (each, *model.choices.get(each, ()))}
        kept = {member: value for member, value in resource.items() if member.lstrip("_") in wanted}
    return text.dump(_tagged(kept))


def _tagged(resource: Mapping[str, Any]) -> dict[str, Any]:
    meta = dict(resource.get("meta") or {})
    meta["tag"] = [*(each for each in meta.get("tag") or () if each != _TAG), _TAG]
    return {"resourceType": resource["resourceType"], **resource, "meta": meta}


class _Model:
    """What R4 says of a type's elements."""

    def __init__(self, kind: str) -> None:
        model = get_fhir_model_class(kind)
        self.required: frozenset[str] = frozenset()
        self.choices: dict[str, set[str]] = {}
        self.summary = frozenset(model.summary_elements_sequence())
        for name, info in model.model_fields.items():
            extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
            member = info.alias or name
            if info.is_required() or extra.get("element_required") or extra.get("one_of_many_required"):
                self.required |= {member}
            if extra.get("one_of_many"):
                self.choices.setdefault(str(extra["one_of_many"]), set()).add(member)


@functools.cache
def _model(kind: str) -> _Model:
    return _Model(kind)
