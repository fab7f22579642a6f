"""JSON text with some of its elements taken out: every other byte stays as it was."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from fhir_mapping.text import dump, edited, elements, members, opening

Path = tuple[str | int, ...]
"""Members and places from the resource to an element: ``("derivedFrom", 0)``."""

SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
"""What a resource bears of which a part alone is shown (R4 Resource.meta.tag)."""

_Edit = tuple[int, int, str]
Doomed = dict[str | int, Any]
"""A tree of what goes: under each member or place what goes within it; empty where it goes itself."""


def without(body: bytes, paths: Collection[Path]) -> bytes:
    """A resource without these elements, and with the tag that says so.

    Parameters
    ----------
    body
        A JSON object that :func:`fhir_mapping.text.parse` has accepted, with ``meta`` in it.
    paths
        What goes; where one lies within another, the outer one. What would be left empty is to be among them.
    """
    text = body.decode("utf-8")
    start = opening(text)
    edits: list[_Edit] = []
    _mark(text, start, tree(paths), edits)
    edits.append(_tagged(text, start))
    return edited(text, edits).encode("utf-8")


def tree(paths: Iterable[Path]) -> Doomed:
    """What goes, as a tree."""
    made: Doomed = {}
    for path in paths:
        node = made
        for step in path[:-1]:
            if node.get(step) == {}:
                break
            node = node.setdefault(step, {})
        else:
            node[path[-1]] = {}
    return made


def _mark(text: str, start: int, doomed: Doomed, edits: list[_Edit]) -> None:
    """What goes of the object or array that opens at ``start``, with the commas that are too many then."""
    parts: list[tuple[str | int, int, int, int]] = (
        [(each.key, each.start, each.value, each.end) for each in members(text, start)]
        if text[start] == "{"
        else [(place, begin, begin, end) for place, (begin, end) in enumerate(elements(text, start))]
    )
    gone = [doomed.get(name) == {} for name, *_ in parts]
    last = max((number for number, each in enumerate(gone) if not each), default=-1)
    for number, (name, begin, value, end) in enumerate(parts):
        if not gone[number]:
            if name in doomed:
                _mark(text, value, doomed[name], edits)
        elif number < last:
            edits.append((begin, parts[number + 1][1], ""))
        elif number + 1 == len(parts):
            edits.append((parts[last][3] if last >= 0 else start + 1, end, ""))


def _tagged(text: str, start: int) -> _Edit:
    """The tag, behind those that are there."""
    tag = dump(SUBSETTED).decode()
    (meta,) = [each for each in members(text, start) if each.key == "meta"]
    inner = list(members(text, meta.value))
    for member in inner:
        if member.key == "tag":
            last = [end for _, end in elements(text, member.value)][-1]
            return last, last, f",{tag}"
    at = inner[-1].end if inner else meta.value + 1
    return at, at, f'{"," if inner else ""}"tag":[{tag}]'
