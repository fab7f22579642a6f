"""Texts with wildcards (PS3.4 C.2.2.2.4) as conditions of SQL."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_


def has_wildcard(value: str) -> bool:
    """Whether a text is a pattern."""
    return "*" in value or "?" in value


def text_matches(column: ColumnElement[str], value: str, dialect: str) -> ColumnElement[bool]:
    """Whether a column holds a text, or one that a pattern fits.

    Parameters
    ----------
    dialect
        ``sqlite`` or ``postgresql``: they differ in matching wildcards with regard to case.
    """
    if not has_wildcard(value):
        return column == value
    if dialect == "sqlite":  # LIKE disregards case there; GLOB does not, and only '[' must be kept from it
        matched = column.op("GLOB", is_comparison=True)(value.replace("[", "[[]"))
    else:
        pattern = "".join(f"\\{each}" if each in "\\%_" else each for each in value)
        matched = column.like(pattern.replace("*", "%").replace("?", "_"), escape="\\")
    return matched if value.strip("*") else and_(matched, column != "")
