"""Searches by patient follow merges: what is said of one record of a person is found by each record of hers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, exists, literal, or_

from consent.store.tables import patient as people
from consent.store.versions import group
from fhir_mapping import references
from fhir_mapping.search.condition import Scene
from fhir_mapping.search.parameters import Parameter, searched_types

PATIENT = "Patient"


def follows(parameter: Parameter) -> bool:
    """Whether what a parameter says of a patient is said of the person, under whichever record of hers it is.

    Links between records are about the records themselves, and so is what may name any resource, but for a subject.
    """
    anything = len(parameter.targets) == len(searched_types())
    return PATIENT in parameter.targets and parameter.name != "link" and (not anything or parameter.name == "subject")


def with_merged(scene: Scene, targets: Iterable[str]) -> set[str]:
    """The targets, ``Type/id``; of patients, with the records that were merged with theirs."""
    asked = set(targets)
    named = {references.id_of(each) for each in asked if each.startswith(f"{PATIENT}/")}
    return asked | {f"{PATIENT}/{each}" for each in group(scene.connection, named)}


def of_person(there: Any, found: ColumnElement[Any], asked: ColumnElement[Any], outer: Any) -> ColumnElement[bool]:
    """That a query finds the Patient who is asked for, or another record of hers.

    Parameters
    ----------
    there
        A query for Patients, without that.
    found
        The id in it.
    asked, outer
        The id that is asked for, of the enclosing query's table.
    """
    mine, other = people.alias(), people.alias()
    merged = there.join(other, other.c.patient == found).join(mine, mine.c.survivor == other.c.survivor)
    of_another = merged.where(mine.c.patient == asked, other.c.patient != asked)
    return or_(exists(there.where(found == asked).correlate(outer)), exists(of_another.correlate(outer)))


def named(naming: Any, target: ColumnElement[Any], row: Any) -> ColumnElement[bool]:
    """That a query of references names the Patient of a row, or another record of hers.

    Parameters
    ----------
    naming
        The query, without that.
    target
        ``Type/id`` in it.
    """
    mine, other = people.alias(), people.alias()
    prefix = literal(f"{PATIENT}/")
    merged = naming.join(other, target == prefix + other.c.patient).join(mine, mine.c.survivor == other.c.survivor)
    of_another = merged.where(mine.c.patient == row.c.id, other.c.patient != row.c.id)
    return or_(exists(naming.where(target == prefix + row.c.id).correlate(row)), exists(of_another.correlate(row)))
