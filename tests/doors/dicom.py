"""DICOM JSON by keywords: of objects and of identifiers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dicom_bridge.query.dictionary import BY_KEYWORD, tag

_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def data_set(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by keyword as DICOM JSON; a list of mappings, or one mapping, is a sequence; an empty text no value."""
    made: dict[str, Any] = {}
    for keyword, value in values.items():
        attribute = BY_KEYWORD[keyword]
        each: list[Any] = list(value) if isinstance(value, (list, tuple)) else [value]
        if attribute.vr == "SQ":
            each = [data_set(item) for item in each]
        elif attribute.vr == "PN":
            each = [dict(zip(_GROUPS, one.split("="), strict=False)) for one in each]
        elif attribute.vr == "IS":
            each = [int(one) for one in each if one]
        else:
            each = [one for text in each for one in text.split("\\")]
        empty = value in ("", None, [])
        made[attribute.tag] = {"vr": attribute.vr} | ({} if empty else {"Value": each})
    return made


def identifier(level: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """An identifier that asks for one level."""
    return {tag("QueryRetrieveLevel"): {"vr": "CS", "Value": [level]}} | data_set(values)
