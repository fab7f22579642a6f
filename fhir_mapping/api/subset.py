"""Parts of resources: ``_summary`` and ``_elements`` (R4 search, 3.1.1.5.8 and 9). What is left bears SUBSETTED."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from fhir_mapping import text
from fhir_mapping.pruning import SUBSETTED
from fhir_mapping.r4 import elements_of

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
    model = elements_of(kind)
    if summary is Summary.DATA:
        kept = {member: value for member, value in resource.items() if member.lstrip("_") != "text"}
    else:
        wanted = _ALWAYS | model.required
        if summary is Summary.TRUE:
            wanted |= model.summary
        elif summary is Summary.TEXT:
            wanted |= {"text"}
        wanted |= {member for each in elements for member in (each, *model.choices.get(each, frozenset()))}
        kept = {member: value for member, value in resource.items() if member.lstrip("_") in wanted}
    return text.dump(_tagged(kept))


def _tagged(resource: Mapping[str, Any]) -> dict[str, Any]:
    meta = dict(resource.get("meta") or {})
    meta["tag"] = [*(each for each in meta.get("tag") or () if each != SUBSETTED), SUBSETTED]
    return {"resourceType": resource["resourceType"], **resource, "meta": meta}
