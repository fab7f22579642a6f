"""Finding a patient by what people type: the beginning of a name or of an identifier, or a birth date."""

from __future__ import annotations

from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, exists, or_

from fhir_mapping import dates
from fhir_mapping.search.values import FIRST, LAST, folded, indexed, micros
from fhir_mapping.tables import fhir_date, fhir_string, fhir_token

_WORDS = 8  # of a search; further ones are not looked at
_BETWEEN = " -'"  # what stands between the words of a name: "van der Berg", "Tanaka-Lindqvist", "O'Brien"


def could_be(text: str) -> bool:
    """Whether anything may be named so: no text of the record holds a NUL, and PostgreSQL fails where one is asked."""
    return "\x00" not in text


def words(text: str) -> list[str]:
    """The words of a search as people type them (``Berg, Anna``); an accent alone is none."""
    typed = (word.strip(",;") for word in text.split())
    return [word for word in typed if folded(word)][:_WORDS]


def matches(word: str, zone: ZoneInfo, here: ColumnElement[str]) -> ColumnElement[bool]:
    """One word of a search: the beginning of a word of a name, or of an identifier, or a birth date.

    Parameters
    ----------
    here
        The id of the Patient.
    """
    name = folded(word)
    conditions = [
        exists().where(
            *_at(fhir_string, here, "name"),
            or_(
                fhir_string.c.value.startswith(name, autoescape=True),
                *(fhir_string.c.value.contains(mark + name, autoescape=True) for mark in _BETWEEN),
            ),
        ),
        exists().where(
            *_at(fhir_token, here, "identifier"),
            or_(*(fhir_token.c.value.startswith(each, autoescape=True)
                  for each in sorted({indexed(word), word.lower(), word.upper()}))),
        ),
    ]  # fmt: skip
    born = birth_date(word)
    if born is not None:
        try:
            span = dates.span(born, zone)
        except (ValueError, OverflowError):
            span = None
        if span is not None:
            conditions.append(
                exists().where(
                    *_at(fhir_date, here, "birthdate"),
                    fhir_date.c.start >= micros(span.start, FIRST),
                    fhir_date.c.end <= micros(span.end, LAST),
                )
            )
    return or_(*conditions)


def _at(table: Any, here: ColumnElement[str], name: str) -> list[ColumnElement[bool]]:
    return [table.c.type == "Patient", table.c.id == here, table.c.name == name]


def birth_date(word: str) -> str | None:
    """A birth date as people type it (``1984``, ``1984-03``, ``12.3.1984``, ``12/03/1984``) as a FHIR date."""
    parts = word.replace(".", "-").replace("/", "-").split("-")
    if not all(part.isascii() and part.isdigit() for part in parts) or len(parts) > 3:
        return None
    if len(parts) == 3 and len(parts[2]) == 4:
        parts.reverse()
    if len(parts[0]) != 4:
        return None
    try:
        year, month, day = (*map(int, parts), 1, 1)[:3]
        return "-".join([f"{year:04d}", f"{month:02d}", f"{day:02d}"][: len(parts)]) if date(year, month, day) else None
    except ValueError:
        return None
