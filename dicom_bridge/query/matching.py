"""Attribute matching (PS3.4 C.2.2.2) as conditions of SQL: the one place for QIDO, C-FIND and Orthanc's own search.

What is asked for every day has a column, and the database matches it. Any other attribute of the object, nested ones
too, is taken out of the kept JSON by the database and matched by :mod:`dicom_bridge.query.values`, by the same rules.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Text,
    and_,
    cast,
    exists,
    false,
    func,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import JSON

from consent.store.load import SHOWN
from consent.store.tables import photo
from dicom_bridge.query.dictionary import Attribute, path
from dicom_bridge.query.index import COLUMNS
from dicom_bridge.query.patterns import text_matches
from dicom_bridge.query.persons import under_other_numbers
from dicom_bridge.query.tables import dicom_attributes, dicom_instance
from dicom_bridge.query.values import (
    EMPTY,
    BadValue,
    Entry,
    choices,
    date_range,
    is_empty,
    matched_vr,
    matcher,
    name_patterns,
    numbers,
    time_range,
    uids,
    universal,
)

__all__ = ["MATCHED", "BadValue", "check", "condition", "entry_of", "match", "supported", "visible"]

#: Keyword -> column, for every attribute that has one.
MATCHED = {keyword: column for column, keyword in COLUMNS.items()} | {
    "SOPInstanceUID": "sop_uid",
    "ModalitiesInStudy": "modality",
    "SOPClassesInStudy": "sop_class",
}
_DATES = {"patient_birth", "study_date", "performed_date", "content_date"}
_TIMES = {"study_time", "performed_time"}
_UIDS = {"sop_uid", "series_uid", "study_uid", "sop_class"}
_NAMES = {"patient_name", "referring"}
_NUMBERS = {"series_number", "instance_number"}
_COMPUTED = frozenset({"SpecificCharacterSet", "InstanceAvailability", "RetrieveURL", "RetrieveAETitle", "PixelData"})
_ZONE = "00080201"
_ANY = photo.alias()
"""The table under a name of its own: the enclosing query may read it too. Made once, for it takes a while."""

Keys = Iterable[tuple[str, str]]
"""Keyword, tag or path of either, and value."""


def supported(name: str) -> bool:
    """Whether an attribute can be matched: by keyword, by tag, or by a path of them into sequences.

    Counts and addresses, which are made for each answer, are not; nor is the offset from UTC, which says how times are
    meant and is none of them.
    """
    found = path(name)
    if found is None:
        return False
    keyword, vr = found[-1].keyword, found[-1].vr
    if len(found) == 1 and (keyword in _COMPUTED or re.fullmatch("NumberOf.*Related.*", keyword)):
        return False
    return keyword in MATCHED or (found[-1].tag != _ZONE and (vr == "UN" or matched_vr(vr)))


def check(name: str, value: str, *, empties: bool = False) -> None:
    """Find out whether a value can be of the attribute's kind, before anything is asked.

    Raises
    ------
    BadValue
    """
    found = path(name)
    if found is None or universal(value) or (empties and value.strip(" ") == EMPTY):
        return
    if "\0" in value:  # PostgreSQL has no such text
        raise BadValue(name)
    if found[-1].vr != "UN":
        matcher(name, found[-1].vr, value)


@dataclass(frozen=True, slots=True)
class Match:
    """What photos must fulfil: conditions for the database, and a test of what it takes out of the kept JSON."""

    where: tuple[ColumnElement[bool], ...] = ()
    entries: tuple[ColumnElement[Any], ...] = ()
    """JSON texts of :data:`dicom_attributes`, to be selected and given to :meth:`accepts`."""

    asked: tuple[_Asked, ...] = ()
    """What is asked of each but the last, which tells the object's offset from UTC."""

    def select(self, *columns: ColumnElement[Any]) -> Select[Any]:
        """Columns of the index, and behind them the entries, of the rows that fulfil the conditions."""
        if not self.entries:
            return select(*columns).select_from(dicom_instance).where(*self.where)
        both = dicom_instance.join(dicom_attributes, dicom_attributes.c.photo == dicom_instance.c.photo)
        return select(*columns, *self.entries).select_from(both).where(*self.where)

    def accepts(self, texts: Sequence[str | None]) -> bool:
        """Whether a row's entries match."""
        if not self.asked:
            return True
        read = [None if text is None else json.loads(text) for text in texts]
        zone = _zone_of(read[-1])
        return all(asked.matches(entry, zone) for asked, entry in zip(self.asked, read, strict=False))


def match(connection: Connection, keys: Keys, *, empties: bool = False) -> Match:
    """What photos must fulfil to match all keys.

    Keys into the same sequence must be matched by the same item of it (PS3.4 C.2.2.2.6).

    Parameters
    ----------
    empties
        Whether ``""`` asks for what is empty or absent (PS3.4 C.2.2.2.7); else it is a text like others.

    Raises
    ------
    BadValue
        For a value that cannot be of the attribute's kind, and for an attribute that cannot be matched.
    """
    dialect = connection.dialect.name
    where: list[ColumnElement[bool]] = []
    asked: dict[str, _Asked] = {}
    for name, value in keys:
        attributes = path(name)
        if attributes is None or not supported(name):
            raise BadValue(name)
        if universal(value):
            continue
        if len(attributes) == 1 and attributes[0].keyword in MATCHED:
            where.append(_columned(connection, attributes[0].keyword, value, empties=empties))
            continue
        place = asked.setdefault(attributes[0].tag, _Asked())
        for attribute in attributes[1:]:
            place = place.below.setdefault(attribute.tag, _Asked())
        place.tests.append(_test(attributes[-1], value, empties=empties))
    if not asked:
        return Match(tuple(where))
    entries = {tag: entry_of(dialect, tag) for tag in (*asked, _ZONE)}
    where += [entries[tag].is_not(None) for tag, each in asked.items() if not each.matches(None, "")]
    return Match(tuple(where), tuple(entries.values()), tuple(asked.values()))


def _columned(connection: Connection, keyword: str, value: str, *, empties: bool) -> ColumnElement[bool]:
    """What a row must fulfil of an attribute that has a column."""
    mine = condition(keyword, value, connection.dialect.name, empties=empties)
    if keyword != "PatientID" or value.strip(" ") == EMPTY:
        return mine
    others = under_other_numbers(connection, value.strip(" "))
    return mine if others is None else or_(mine, others)


def condition(
    keyword: str, value: str, dialect: str, *, empties: bool = False, table: FromClause = dicom_instance
) -> ColumnElement[bool]:
    """What a row must fulfil to match.

    Parameters
    ----------
    keyword
        One of :data:`MATCHED`.
    value
        As the client sent it; empty matches everything.
    dialect
        ``sqlite`` or ``postgresql``: they differ in matching wildcards with regard to case.
    table
        The index, or an alias of it.

    Raises
    ------
    BadValue
        For a date, time, number or pattern that is none.
    """
    name = MATCHED[keyword]
    column = table.c[name]
    value = value.strip(" ")
    if universal(value):
        return true()
    if empties and value == EMPTY:
        return column == ""
    if name in _UIDS:
        wanted = uids(keyword, value)
        return column.in_(sorted(wanted)) if wanted else false()
    if name in _DATES or name in _TIMES:
        low, high = (date_range if name in _DATES else time_range)(keyword, value)
        # Compared by code points on either database; the languages that PostgreSQL sorts by put '~' before digits.
        ordered = column.collate("C") if dialect == "postgresql" else column
        return column == low if low == high else and_(ordered >= low, ordered <= high)
    if name in _NUMBERS:
        return column.in_(sorted({f"{each.normalize():f}" for each in numbers(keyword, value)}))
    if name in _NAMES:
        return or_(*(text_matches(column, pattern, dialect) for pattern in name_patterns(keyword, value)))
    if keyword == "ModalitiesInStudy":
        value = value.replace(",", "\\")
    return or_(*(text_matches(column, choice, dialect) for choice in choices(keyword, value)))


def visible(table: FromClause = dicom_instance) -> ColumnElement[bool]:
    """Only linked photos, and what is none, are ever visible, whatever else a condition says."""
    # Exists, and not in: SQLite would list all photos that are linked, anew for each query.
    return exists().where(_ANY.c.photo == table.c.photo, _ANY.c.state.in_(SHOWN))


# --- attributes without a column -----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Asked:
    """What is asked of one attribute, or of the items of one sequence."""

    tests: list[Callable[[Entry | None, str], bool]] = field(default_factory=list)
    below: dict[str, _Asked] = field(default_factory=dict)
    """Tag of an attribute in the items -> what is asked of it."""

    def matches(self, entry: Entry | None, zone: str) -> bool:
        """Whether the entry fulfils everything; of a sequence, one item must."""
        if not all(test(entry, zone) for test in self.tests):
            return False
        if not self.below:
            return True
        items = () if entry is None or entry.get("vr") != "SQ" else entry.get("Value") or ()
        if not items:  # what asks for emptiness alone is fulfilled by a sequence without items
            return all(asked.matches(None, zone) for asked in self.below.values())
        return any(all(asked.matches(item.get(tag), zone) for tag, asked in self.below.items()) for item in items)


def _test(attribute: Attribute, value: str, *, empties: bool) -> Callable[[Entry | None, str], bool]:
    if empties and value.strip(" ") == EMPTY:
        return lambda entry, _: is_empty(entry)
    if attribute.vr != "UN":
        if attribute.vr != "DT":
            fixed = matcher(attribute.keyword, attribute.vr, value)
            return lambda entry, _: entry is not None and fixed(entry)
        matcher(attribute.keyword, attribute.vr, value)

    def test(entry: Entry | None, zone: str) -> bool:
        vr = "" if entry is None else str(entry.get("vr"))
        try:
            return entry is not None and matched_vr(vr) and matcher(attribute.keyword, vr, value, zone)(entry)
        except BadValue:  # of another kind than the object's attribute: no match
            return False

    return test


def entry_of(dialect: str, tag: str) -> ColumnElement[Any]:
    """The JSON text of one attribute, or null. The tag is of the dictionary or eight hexadecimal digits."""
    column = dicom_attributes.c.attributes
    if dialect == "sqlite":
        return func.json_extract(column, literal_column(f"'$.\"{tag}\"'"))
    return cast(cast(column, JSON).op("->")(literal_column(f"'{tag}'")), Text)


def _zone_of(entry: Mapping[str, Any] | None) -> str:
    values = (entry or {}).get("Value") or ("",)
    text = str(values[0]).strip()
    return text if len(text) == 5 and text[0] in "+-" and text[1:].isdigit() else ""
