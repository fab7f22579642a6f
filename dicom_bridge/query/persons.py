"""Photos of one person under several records: where the register has merged them, each number of hers finds them all.

An object goes on bearing the number that it was made with, and so do answers: what is stored is not changed because
somebody is found to be known twice. An unmerge is followed by the next question.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, Connection, Select, and_, column, or_, select, table

from consent.store.tables import patient, photo
from consent.store.write import among
from dicom_bridge.query.patterns import has_wildcard, text_matches
from dicom_bridge.query.tables import dicom_instance
from dicom_bridge.query.values import choices

_NUMBERS = table("fhir_token", column("type"), column("id"), column("name"), column("value"))
"""The identifiers of records, by name: the table is made in a package that the wall does not have."""


def under_other_numbers(connection: Connection, value: str) -> ColumnElement[bool] | None:
    """The condition on rows of the index that holds for the photos of merged records whom a Patient ID names.

    Parameters
    ----------
    value
        The key PatientID as a client sent it, with wildcards or several values.

    Returns
    -------
    None where nobody whom it names has a second record.

    Raises
    ------
    dicom_bridge.query.values.BadValue
        Too many values.
    """
    wanted = choices("PatientID", value)
    exact = [each for each in wanted if not has_wildcard(each)]
    named = set(_merged(connection, _named_exactly(exact))) if exact else set()
    if len(exact) < len(wanted):
        named |= set(_merged(connection, _named_by_pattern(wanted, connection.dialect.name)))
    if not named:
        return None
    return dicom_instance.c.photo.in_(select(photo.c.photo).where(among(connection, photo.c.patient, named)))


def _named_exactly(values: list[str]) -> CompoundSelect[Any]:
    """By an identifier, or by the id itself: two looks into an index."""
    numbers = select(_NUMBERS.c.id).where(
        _NUMBERS.c.type == "Patient", _NUMBERS.c.name == "identifier", _NUMBERS.c.value.in_(values)
    )
    return select(patient.c.patient).where(patient.c.patient.in_(values)).union(numbers)


def _named_by_pattern(values: list[str], dialect: str) -> Select[Any]:
    """Of the merged records alone, which are few: no index begins with a pattern."""
    survivors = select(patient.c.survivor).where(patient.c.merged_into.is_not(None))
    matching = [text_matches(_NUMBERS.c.value, each, dialect) for each in values]
    return (
        select(patient.c.patient)
        .join(_NUMBERS, and_(_NUMBERS.c.type == "Patient", _NUMBERS.c.id == patient.c.patient))
        .where(patient.c.survivor.in_(survivors), _NUMBERS.c.name == "identifier", or_(*matching))
    )


def _merged(connection: Connection, named: Select[Any] | CompoundSelect[Any]) -> list[str]:
    """All records of those among the named who have several."""
    mine, other, every = named.subquery(), patient.alias(), patient.alias()
    several = (
        select(other.c.survivor)
        .join(mine, mine.c.patient == other.c.patient)
        .join(every, and_(every.c.survivor == other.c.survivor, every.c.patient != other.c.patient))
    )
    return list(connection.execute(select(patient.c.patient).where(patient.c.survivor.in_(several))).scalars())
