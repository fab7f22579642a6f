"""Which treatments are asked about: the Procedures, and uses without one, that something belongs to."""

from __future__ import annotations

from fhir_mapping import references
from fhir_mapping.treatment import points
from fhir_mapping.treatment.belonging import Belonging
from fhir_mapping.treatment.elements import Json, parts
from fhir_mapping.treatment.surroundings import CENTRES, USES, Surroundings


def centres(found: Surroundings, belonging: Belonging) -> set[str]:
    """``Procedure/…``, or a use that is part of none, for all that the surroundings are of."""
    made: set[str] = set()
    for anchor in found.anchors:
        made |= _of(anchor, found, belonging)
    return made


def named_by_plan(found: Surroundings, plan: Json) -> set[str]:
    """What a plan's activities name."""
    return {
        target
        for each in parts(plan, "activity")
        for path in ("reference", "outcomeReference")
        for target in found.targets(each, path)
    }


def _of(anchor: str, found: Surroundings, belonging: Belonging) -> set[str]:
    kind = anchor.partition("/")[0]
    if kind == "Procedure":
        children = {
            each
            for each, resource in found.resources.items()
            if each.startswith("Procedure/") and anchor in found.targets(resource, "partOf")
        }
        return {anchor, *children} if anchor in found.resources else set()
    if kind in USES or kind == "Observation":
        return belonging.homes([anchor])
    if kind == "DocumentReference":
        linked = [each for each, documents in found.documents.items() if anchor in documents]
        near = [
            each for each in linked if each.partition("/")[0] in CENTRES or points.is_map(found.resources.get(each, {}))
        ]
        if near or not found.by_visit:
            return belonging.homes(near)
        visits = found.targets(found.resources.get(anchor, {}), "context", "encounter")
        return {centre for visit in visits for centre in _at_visit(visit, found, belonging)}
    if kind == "Encounter":
        return _at_visit(anchor, found, belonging)
    return belonging.homes(_naming(anchor, found))


def _at_visit(visit: str, found: Surroundings, belonging: Belonging) -> set[str]:
    return belonging.homes(
        each
        for each, resource in found.resources.items()
        if each.partition("/")[0] in CENTRES
        and visit in (*found.targets(resource, "encounter"), *found.targets(resource, "context"))
    )


def _naming(anchor: str, found: Surroundings) -> list[str]:
    """What names a product, machine, plan or person; through what is mixed of it, too."""
    wanted, pending = {anchor}, [anchor]
    while pending:
        here = pending.pop()
        for reference, resource in found.resources.items():
            if reference.startswith("Medication/") and reference not in wanted:
                mixed = {
                    target for each in parts(resource, "ingredient") for target in found.targets(each, "itemReference")
                }
                if here in mixed:
                    wanted.add(reference)
                    pending.append(reference)
    naming = [
        reference
        for reference, resource in found.resources.items()
        if reference.partition("/")[0] in CENTRES | {"Observation"}
        and wanted & {references.local(each.text, found.base) for each in references.found(resource)}
    ]
    return [*naming, *sorted(named_by_plan(found, found.resources.get(anchor, {})))]
