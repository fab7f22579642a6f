"""References between resources (R4 Reference), read strictly."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_LITERAL = re.compile(
    r"(?:(https?://[^\s?#]{1,400})/)?([A-Z][A-Za-z]{2,31})/([A-Za-z0-9\-.]{1,64})(?:/_history/([0-9]{1,9}))?"
)


@dataclass(frozen=True, slots=True)
class Found:
    """A Reference within a resource."""

    path: str
    """Members from the resource to the element that is a Reference, without indices: ``context.related``."""

    element: str
    """The same with the type and indices, for an OperationOutcome: ``DocumentReference.context.related[0]``."""

    text: str
    """Reference.reference as it stands."""


def local(text: str, base: str | None = None) -> str | None:
    """``Type/id`` where the reference is to a resource of this server, else None (contained, elsewhere, urn, none).

    Parameters
    ----------
    base
        This server's own address without a final slash; absolute references below it are local.
    """
    match = _LITERAL.fullmatch(text)
    if match is None or (match.group(1) is not None and match.group(1) != base):
        return None
    return f"{match.group(2)}/{match.group(3)}"


def within(text: str, entry: str | None) -> str | None:
    """What a reference in an entry of a Bundle names, by the entry's fullUrl (R4 Bundle, Resolving references).

    ``Patient/1`` in the entry ``https://ehr.example/fhir/Encounter/2`` is ``https://ehr.example/fhir/Patient/1``. None
    where the reference is not relative, or the entry has no address of a server.
    """
    here = None if entry is None else _LITERAL.fullmatch(entry)
    target = local(text)
    return None if here is None or here.group(1) is None or target is None else f"{here.group(1)}/{target}"


def target_type(text: str) -> str | None:
    """The resource type that a literal reference names, here or elsewhere; None where it names none."""
    match = _LITERAL.fullmatch(text)
    return match.group(2) if match else None


def found(resource: Mapping[str, Any]) -> Iterator[Found]:
    """Every Reference.reference of a resource, contained resources too."""
    yield from _walk(resource, "", str(resource.get("resourceType", "")))


def of(resource: Mapping[str, Any], *path: str) -> list[str]:
    """The reference texts at a path such as ``("context", "related")``, in order."""
    nodes: list[Any] = [resource]
    for name in path:
        nodes = [item for node in nodes if isinstance(node, Mapping) for item in _listed(node.get(name))]
    return [node["reference"] for node in nodes if isinstance(node, Mapping) and isinstance(node.get("reference"), str)]


def local_of(resource: Mapping[str, Any], base: str | None, *path: str) -> list[str]:
    """``Type/id`` of those references at a path that are to resources of this server (:func:`local`), in order."""
    found = (local(text, base) for text in of(resource, *path))
    return [each for each in found if each is not None]


def id_of(reference: str) -> str:
    """``x`` of ``Patient/x``."""
    return reference.rpartition("/")[2]


def _walk(node: Any, path: str, element: str) -> Iterator[Found]:
    # Most values are texts, and to ask whether one is a Mapping takes longer than all else here.
    if isinstance(node, list):
        for number, value in enumerate(node):
            if not isinstance(value, str) and isinstance(value, (dict, list, Mapping)):
                yield from _walk(value, path, f"{element}[{number}]")
    elif isinstance(node, (dict, Mapping)):
        text = node.get("reference")
        if isinstance(text, str):
            yield Found(path, element, text)
        for key, value in node.items():
            if not isinstance(value, str) and isinstance(value, (dict, list, Mapping)):
                yield from _walk(value, f"{path}.{key}" if path else key, f"{element}.{key}")


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
