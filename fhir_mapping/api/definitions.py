"""``/StructureDefinition``: what our extensions mean, for whoever validates what this server answers."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from fhir_mapping import text
from fhir_mapping.api import reply
from fhir_mapping.api.reply import Reply
from fhir_mapping.definitions.extensions import extensions
from fhir_mapping.definitions.structure import structure
from fhir_mapping.errors import Issue, Malformed, NotFound

TYPE = "StructureDefinition"
PARAMETERS = {"_id": "token", "url": "uri"}


def read(identity: str, version: str) -> Reply:
    """One, by its id, which is the extension's name.

    Raises
    ------
    NotFound
    """
    for each in extensions():
        if each.name == identity:
            return reply.resource(structure(each, version))
    raise NotFound(Issue("not-found", f"There is no {TYPE} with this id."))


def _wanted(value: str) -> set[str]:
    """The values that are asked for; a canonical may bear a version (R4, canonical)."""
    return {each.partition("|")[0] for each in value.split(",")}


def search(base: str, version: str, pairs: Sequence[tuple[str, str]]) -> Reply:
    """All, or those that are asked for.

    Raises
    ------
    Malformed
        A parameter that is none of these.
    """
    asked = [(name, value) for name, value in pairs if name not in ("_format", "_pretty", "_count")]
    for name, _ in asked:
        if name not in PARAMETERS:
            raise Malformed(Issue("not-supported", f"{TYPE} is searched by {' and '.join(PARAMETERS)} alone."))
    found = [
        each
        for each in extensions()
        if all((each.name if name == "_id" else each.url) in _wanted(value) for name, value in asked)
    ]
    address = f"{base}/{TYPE}" + (f"?{urlencode(asked)}" if asked else "")
    entries = [(f"{TYPE}/{each.name}", text.dump(structure(each, version)), "match") for each in found]
    return reply.searchset(base, [("self", address)], len(found), entries)
