"""Elements of a resource by explicit paths: the members of its JSON, one below another."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fhir_mapping.r4 import elements_of

_STEP = re.compile(r"(\w+)(?:\[(\w+)=([^\]]+)\])?(?:\.|$)")


@dataclass(frozen=True, slots=True)
class Step:
    """One member, and of several the ones that state this."""

    member: str
    key: str = ""
    value: str = ""


Path = tuple[Step, ...]


def path(text: str) -> Path:
    """``extension[url=urn:x].valueCode``; ``.`` is the resource itself.

    Raises
    ------
    ValueError
    """
    if text == ".":
        return ()
    steps = [Step(match[1], match[2] or "", match[3] or "") for match in _STEP.finditer(text)]
    if "".join(match[0] for match in _STEP.finditer(text)) != text or not steps:
        raise ValueError(f"{text!r} is no path of an element")
    return tuple(steps)


def members(way: Path) -> str:
    """A path as references are indexed by: ``context.related``."""
    return ".".join(step.member for step in way)


def targets_of(kind: str, way: Path) -> frozenset[str]:
    """The types that a reference at a path may name by R4; none: any."""
    owner = kind
    for step in way[:-1]:
        owner = elements_of(owner).types[step.member]
    return elements_of(owner).targets.get(way[-1].member, frozenset())


def values(node: Any, ways: Iterable[Path]) -> Iterator[Any]:
    """What stands at the paths, in order; of a list each."""
    for way in ways:
        yield from _below(node, way)


def _below(node: Any, way: Path) -> Iterator[Any]:
    if isinstance(node, list):
        for each in node:
            yield from _below(each, way)
    elif not way:
        if node is not None:
            yield node
    elif isinstance(node, Mapping):
        step, *rest = way
        found = node.get(step.member)
        if step.key:
            found = [each for each in listed(found) if isinstance(each, Mapping) and each.get(step.key) == step.value]
        yield from _below(found, tuple(rest))


def listed(value: Any) -> list[Any]:
    """What stands at a member, as a list: an element may repeat, or not, or be absent."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
