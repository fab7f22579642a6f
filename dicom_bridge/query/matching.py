"""Attribute matching (PS3.4 C.2.2.2) as conditions of SQL: universal, single value, wildcard, list of UIDs, ranges."""

from __future__ import annotations

import re

from sqlalchemy import ColumnElement, and_, false, or_, true

from dicom_bridge.query.index import COLUMNS, fold_name
from dicom_bridge.query.tables import dicom_instance

#: Keyword -> column, for every attribute that can be matched.
MATCHED = {keyword: column for column, keyword in COLUMNS.items()} | {
    "SOPInstanceUID": "sop_uid",
    "ModalitiesInStudy": "modality",
}
_DATES = {"patient_birth", "study_date", "performed_date"}
_TIMES = {"study_time", "performed_time"}
_UIDS = {"sop_uid", "series_uid", "study_uid", "sop_class"}
_NAMES = {"patient_name", "referring"}
_NUMBERS = {"series_number", "instance_number"}
_DATE = re.compile(r"\d{8}")
_TIME = re.compile(r"\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?")


class BadValue(ValueError):
    """A value cannot be of the attribute's kind; the text names the keyword alone."""


def condition(keyword: str, value: str, dialect: str) -> ColumnElement[bool]:
    """What a row must fulfil to match.

    Parameters
    ----------
    keyword
        One of :data:`MATCHED`.
    value
        As the client sent it; empty matches everything.
    dialect
        ``sqlite`` or ``postgresql``: they differ in matching wildcards with regard to case.

    Raises
    ------
    BadValue
        For a date, time, number or UID that is none.
    """
    name = MATCHED[keyword]
    column = dicom_instance.c[name]
    value = value.strip(" ")
    if value in ("", "*"):
        return true()
    if name in _UIDS:
        uids = [uid for uid in re.split(r"[,\\]", value) if uid]
        return column.in_(uids) if uids else false()
    if name in _DATES:
        return _range(column, value, keyword, _DATE, "99999999")
    if name in _TIMES:
        # Compared by code points on either database; the languages that PostgreSQL sorts by put '~' before digits.
        ordered = column.collate("C") if dialect == "postgresql" else column
        return _time_range(ordered, value.replace(":", ""), keyword)
    if name in _NUMBERS:
        try:
            return column == str(int(value))
        except ValueError:
            raise BadValue(keyword) from None
    if name in _NAMES:
        return _name(column, fold_name(value), dialect)
    choices = [choice for choice in re.split(r"\\", value) if choice] or [value]
    if keyword == "ModalitiesInStudy":
        choices = [choice for choice in re.split(r"[,\\]", value) if choice]
    return or_(*(_text(column, choice, dialect) for choice in choices))


def _range(
    column: ColumnElement[str], value: str, keyword: str, shape: re.Pattern[str], end: str
) -> ColumnElement[bool]:
    low, dash, high = value.partition("-")
    for bound in (low, high):
        if bound and not shape.fullmatch(bound):
            raise BadValue(keyword)
    if not dash:
        return column == low
    if not low and not high:
        raise BadValue(keyword)
    return and_(column != "", column >= (low or ""), column <= (high or end))


def _time_range(column: ColumnElement[str], value: str, keyword: str) -> ColumnElement[bool]:
    """Times are stored with any precision; a bound covers the whole of its last unit."""
    low, dash, high = value.partition("-")
    for bound in (low, high):
        if bound and not _TIME.fullmatch(bound):
            raise BadValue(keyword)
    if not low and not high:
        raise BadValue(keyword)
    if not dash:
        high = low
    # '~' stands behind every digit and the point, so that it closes a prefix: 1015 covers 101530.25
    return and_(column != "", column >= low, column <= ((high or "99") + "~"))


def _name(column: ColumnElement[str], value: str, dialect: str) -> ColumnElement[bool]:
    """A person name: each component group is a text of its own; one that is given matches any group."""
    patterns = [value] if "=" in value else [value, f"{value}=*", f"*={value}", f"*={value}=*"]
    return or_(*(_text(column, pattern, dialect) for pattern in patterns))


def _text(column: ColumnElement[str], value: str, dialect: str) -> ColumnElement[bool]:
    if "*" not in value and "?" not in value:
        return column == value
    if dialect == "sqlite":  # LIKE disregards case there; GLOB does not, and only '[' must be kept from it
        return column.op("GLOB", is_comparison=True)(value.replace("[", "[[]"))
    pattern = re.sub(r"([\\%_])", r"\\\1", value).replace("*", "%").replace("?", "_")
    return column.like(pattern, escape="\\")
