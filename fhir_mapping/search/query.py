"""Everything that matches a search, as a query on ``fhir_resource``; pages are made in :mod:`fhir_mapping.search.find`.

What is not supported is refused, never ignored: a search that silently drops a condition shows too much.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Select, select

from consent.store.write import among
from fhir_mapping.search.condition import Condition, Scene, few_ids
from fhir_mapping.search.conditions import conditions
from fhir_mapping.tables import fhir_resource


def matching(scene: Scene, kind: str, asked: Iterable[tuple[str, str]]) -> Select[str]:
    """Ids of a type's resources that match all parameters, whether they may be read or not.

    Parameters
    ----------
    asked
        Names and values as in the address; a name twice means both, a comma in a value means either.

    Raises
    ------
    Malformed
        A parameter, modifier or value is not supported; the text names it.
    """
    return of_conditions(scene, kind, conditions(scene, kind, asked))


def of_conditions(scene: Scene, kind: str, made: Sequence[Condition]) -> Select[str]:
    """The same of conditions that are made already."""
    query = select(fhir_resource.c.id).where(
        fhir_resource.c.type == kind, *(each.holds(fhir_resource) for each in made)
    )
    few = few_ids(scene, made)
    return query if few is None else query.where(among(scene.connection, fhir_resource.c.id, few))
