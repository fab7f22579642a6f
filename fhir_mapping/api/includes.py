"""``_include`` and ``_revinclude``: what the matches of a page name, and what names them, as far as it may be read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from consent.store.write import among
from fhir_mapping.api.sight import RequestSight
from fhir_mapping.errors import Issue, Malformed
from fhir_mapping.search.condition import Scene, visible
from fhir_mapping.search.parameters import Form, Parameter, parameters, searched_types
from fhir_mapping.tables import fhir_reference, fhir_resource

MOST = 2000
"""Included resources of one page."""

_ROUNDS = 5
"""``:iterate``: from one resource to the next so often at most."""


@dataclass(frozen=True, slots=True)
class Include:
    """One of them."""

    type: str
    """Whose parameter it is: the resource that names the other."""

    parameter: Parameter
    targets: tuple[str, ...]
    back: bool = False
    """``_revinclude``: from what is named to what names it."""

    iterate: bool = False
    stated: tuple[str, ...] = ()
    """The types that are asked for by name."""


def read(kind: str, name: str, value: str) -> Include:
    """``Type:parameter`` or ``Type:parameter:Target``.

    Raises
    ------
    Malformed
        It is not supported for the type that is searched.
    """
    word, _, modifier = name.partition(":")
    back, iterate = word == "_revinclude", modifier == "iterate"
    source, reference, target = [*value.split(":"), "", "", ""][:3]
    shown = f"{name[:40]}={value[:100]}"
    parameter = parameters(source).get(reference) if source in searched_types() else None
    if modifier not in ("", "iterate") or parameter is None or parameter.form is not Form.REFERENCE:
        raise Malformed(Issue("not-supported", f"{shown} is not supported: TYPE:REFERENCE or TYPE:REFERENCE:TARGET."))
    if value.count(":") > 2 or (target and target not in parameter.targets):
        raise Malformed(Issue("not-supported", f"{shown} is not supported: the reference does not name that type."))
    targets = (target,) if target else parameter.targets
    if not iterate and (kind not in targets if back else source != kind):
        raise Malformed(Issue("not-supported", f"{shown} is not supported: nothing of it begins at {kind}."))
    return Include(source, parameter, targets, back, iterate, tuple(each for each in (source, target) if each))


def found(scene: Scene, sight: RequestSight, matches: Sequence[str], wanted: Iterable[Include]) -> list[str]:
    """What is included with the matches of a page, as ``Type/id``, each once and none of the matches.

    Of types that nobody asked for by name, those of which the requester reads nothing are left out: which ones that
    are does not depend on the record.

    Raises
    ------
    Forbidden
        She reads nothing of a type that was asked for by name.
    Malformed
        There are too many.
    """
    includes = list(wanted)
    for each in includes:
        for kind in each.stated:
            sight.require(kind)
    known, included, frontier = set(matches), list[str](), set(matches)
    for step in range(_ROUNDS):
        following = [each for each in includes if step == 0 or each.iterate]
        named = {reference for each in following for reference in _step(scene, sight, frontier, each)} - known
        if not named:
            break
        fresh = sorted(_visible(scene, named))
        known |= named
        included += fresh
        frontier = set(fresh)
        if len(included) > MOST:
            raise Malformed(
                Issue("too-costly", f"More than {MOST} resources would be included; ask for fewer (_count).")
            )
    return included


def _step(scene: Scene, sight: RequestSight, frontier: set[str], include: Include) -> set[str]:
    """What one include leads to from resources."""
    table = fhir_reference.alias()
    query = select(table.c.id, table.c.target).where(
        table.c.type == include.type,
        table.c.path.in_(include.parameter.paths),
        sight.element(include.type, include.parameter, table),
    )
    targets = tuple(each for each in include.targets if sight.reads(each))
    if include.back:
        named = {each for each in frontier if each.partition("/")[0] in targets}
        row = fhir_resource.alias()
        # Seen here already: what is not would take the room of what is, and be told of by it.
        seen = (
            select(row.c.id)
            .where(row.c.type == include.type, row.c.id == table.c.id, sight.seen(include.type, row))
            .correlate(table)
            .exists()
        )
        rows = scene.connection.execute(
            query.where(among(scene.connection, table.c.target, named), seen).distinct().limit(MOST + 1)
        )
        return {f"{include.type}/{row.id}" for row in rows}
    ids = {each.partition("/")[2] for each in frontier if each.startswith(f"{include.type}/")}
    rows = scene.connection.execute(query.where(among(scene.connection, table.c.id, ids)))
    return {row.target for row in rows if row.target.partition("/")[0] in targets}


def _visible(scene: Scene, references: set[str]) -> set[str]:
    by_type: dict[str, set[str]] = defaultdict(set)
    for each in references:
        kind, _, identity = each.partition("/")
        by_type[kind].add(identity)
    return {f"{kind}/{each}" for kind, ids in by_type.items() for each in visible(scene, kind, ids, ())}
