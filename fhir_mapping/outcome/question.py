"""Questions about outcomes, as conditions that other questions take in.

"Hair density, improved or better, rated by the patient" is ``Wanted("hair-density", at_least=1, rater=Rater.PATIENT)``.
Nothing here decides: photos that these name are asked for at the decision point by whoever shows them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Select, select, union

from consent.regions import regions
from consent.store.write import among
from consent.types import Laterality
from fhir_mapping.errors import Invalid, Issue
from fhir_mapping.outcome.tables import outcome
from fhir_mapping.outcome.vocabulary import Rater, vocabulary


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of outcomes; what is None does not matter."""

    characteristic: str | None = None
    at_least: int | None = None
    """The least change: 1 for "improved or better", 0 for "no worse"."""

    at_most: int | None = None
    rater: Rater | None = None
    scale: str | None = None
    area: str | None = None
    """``system|code`` of a region; its parts count."""

    side: Laterality | None = None


def wanted(said: str) -> Wanted:
    """A question as people type it: ``hair-density>=improved by patient``, ``scar=worse``, ``pigment``.

    Raises
    ------
    Invalid
        A word that ``outcomes.toml`` does not have; the text names those that it has.
    """
    words = vocabulary()
    body, _, rater = said.partition(" by ")
    mark = next((each for each in (">=", "<=", "=") if each in body), None)
    name, _, grade = body.partition(mark) if mark else (body, "", "")
    characteristic = words.characteristic(name) if name.strip() else None
    if characteristic is None:
        raise _unknown("characteristic", name, words.characteristics)
    found = words.grade(grade) if mark else None
    if mark and found is None:
        raise _unknown("grade", grade, words.grades)
    if rater and rater.strip() not in list(Rater):
        raise _unknown("rater", rater, words.raters)
    change = None if found is None else found.change
    return Wanted(
        characteristic,
        at_least=change if mark in (">=", "=") else None,
        at_most=change if mark in ("<=", "=") else None,
        rater=Rater(rater.strip()) if rater else None,
    )


def conditions(connection: Connection, asked: Wanted) -> list[ColumnElement[bool]]:
    """What rows of :data:`fhir_mapping.outcome.tables.outcome` must meet."""
    row = outcome.c
    made: list[ColumnElement[bool]] = []
    if asked.characteristic is not None:
        made.append(row.characteristic == asked.characteristic)
    if asked.at_least is not None:
        made.append(row.change >= asked.at_least)
    if asked.at_most is not None:
        made.append(row.change <= asked.at_most)
    if asked.rater is not None:
        made.append(row.rater == asked.rater.value)
    if asked.scale is not None:
        made.append(row.scale == asked.scale)
    if asked.side is not None:
        made.append(row.side == asked.side.value)
    if asked.area is not None:
        made.append(among(connection, row.area, _parts_of(asked.area)))
    return made


def patients(connection: Connection, asked: Wanted) -> Select[str]:
    """A query of the ids of patients who have such an outcome."""
    return select(outcome.c.patient).where(*conditions(connection, asked)).distinct()


def photos(connection: Connection, asked: Wanted) -> Select[str]:
    """A query of the ids of DocumentReferences of both photos of such outcomes: undecided."""
    met = conditions(connection, asked)
    both = union(
        select(outcome.c.before.label("document")).where(outcome.c.before.is_not(None), *met),
        select(outcome.c.after.label("document")).where(outcome.c.after.is_not(None), *met),
    ).subquery()
    return select(both.c.document)


def _parts_of(code: str) -> set[str]:
    tree = regions()
    return {code} | {each.code for each in tree if tree.includes(code, each.code)}


def _unknown(what: str, said: str, known: Collection[str]) -> Invalid:
    return Invalid(
        Issue("value", f"No {what} is called {said.strip()[:80]!r}; there are {', '.join(known)}.", "outcome")
    )
