"""The name of a search parameter, taken apart: chains, ``_has``, modifiers (R4 search, 3.1.1.4)."""

from __future__ import annotations

from dataclasses import dataclass

from fhir_mapping.errors import Issue, Malformed
from fhir_mapping.search.parameters import Kind, Parameter, parameters, searched_types

MAX_LEVELS = 5

MAX_WAYS = 40
"""A chain that names no types may lead through so many."""

_MODIFIERS = {
    Kind.ID: frozenset({""}),
    Kind.UPDATED: frozenset({""}),
    Kind.TOKEN: frozenset({"", "not", "text", "missing"}),
    Kind.REFERENCE: frozenset({"", "identifier", "missing"}),
    Kind.STRING: frozenset({"", "exact", "contains", "missing"}),
    Kind.DATE: frozenset({"", "missing"}),
    Kind.NUMBER: frozenset({"", "missing"}),
    Kind.QUANTITY: frozenset({"", "missing"}),
    Kind.URI: frozenset({"", "below", "missing"}),
    Kind.COMPOSITE: frozenset({"", "missing"}),
}


@dataclass(frozen=True, slots=True)
class Plain:
    """A parameter of the type itself."""

    parameter: Parameter
    modifier: str = ""
    type: str = ""
    """Reference: the modifier that names a type."""


@dataclass(frozen=True, slots=True)
class Chain:
    """``subject:Patient.name``: a parameter of what a reference names."""

    parameter: Parameter
    rest: tuple[tuple[str, Name], ...]
    """Each type that the reference may name, with the parameter of it."""

    stated: bool
    """Whether the type is named."""


@dataclass(frozen=True, slots=True)
class Has:
    """``_has:Observation:patient:code``: a parameter of what names the resource."""

    type: str
    parameter: Parameter
    rest: Name


Name = Plain | Chain | Has


def read(kind: str, name: str, levels: int = MAX_LEVELS) -> Name:
    """Take the name of a parameter of a type apart.

    Raises
    ------
    Malformed
        It, or its modifier, is not supported; the text names it.
    """
    if levels == 0:
        raise Malformed(Issue("too-costly", f"A search parameter goes through up to {MAX_LEVELS} resources."))
    if name.startswith("_has:"):
        return _has(kind, name, levels)
    first, dot, rest = name.partition(".")
    word, _, modifier = first.partition(":")
    parameter = parameters(kind).get(word)
    if parameter is None:
        known = ", ".join(sorted(parameters(kind)))
        raise _refused(f"Search parameter {word[:60]!r} of {kind} is not supported; known: {known}.")
    if dot:
        return _chain(kind, parameter, modifier, rest, levels)
    if modifier in _MODIFIERS[parameter.kind] or (modifier == "of-type" and word == "identifier"):
        return Plain(parameter, modifier)
    if parameter.kind is Kind.REFERENCE and modifier in parameter.targets:
        return Plain(parameter, type=modifier)
    raise _refused(f"Modifier {modifier[:60]!r} of search parameter {word!r} is not supported.")


def _chain(kind: str, parameter: Parameter, named: str, rest: str, levels: int) -> Chain:
    shown = f"{parameter.name}{':' if named else ''}{named[:60]}.{rest[:60]}"
    if parameter.kind is not Kind.REFERENCE or (named and named not in parameter.targets):
        raise _refused(f"Chained parameter {shown} of {kind} is not supported.")
    known: dict[str, Name] = {}
    fault: Malformed | None = None
    for target in [named] if named else parameter.targets:
        try:
            known[target] = read(target, rest, levels - 1)
        except Malformed as error:
            if any(issue.code == "too-costly" for issue in error.issues):
                raise
            fault = error
    if sum(ways(each) for each in known.values()) > MAX_WAYS:
        raise Malformed(Issue("too-costly", f"Chained parameter {shown} leads through too many types; name them."))
    if not known:
        raise fault or _refused(f"Chained parameter {shown} of {kind} is not supported.")
    return Chain(parameter, tuple(known.items()), bool(named))


def ways(name: Name) -> int:
    """To how many parameters a name leads."""
    if isinstance(name, Chain):
        return sum(ways(each) for _, each in name.rest)
    return ways(name.rest) if isinstance(name, Has) else 1


def _has(kind: str, name: str, levels: int) -> Has:
    _, type_, reference, rest = [*name.split(":", 3), "", "", ""][:4]
    parameter = parameters(type_).get(reference) if type_ in searched_types() else None
    if parameter is None or parameter.kind is not Kind.REFERENCE or kind not in parameter.targets or not rest:
        raise _refused(f"{name[:120]!r} is not supported: _has:TYPE:REFERENCE:PARAMETER, the reference to {kind}.")
    return Has(type_, parameter, read(type_, rest, levels - 1))


def _refused(text: str) -> Malformed:
    return Malformed(Issue("not-supported", text))
