"""QIDO-RS (PS3.18 10.6): query parameters in, DICOM JSON out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dicom_bridge.query.computed import COMPUTED, computed, put
from dicom_bridge.query.dictionary import BY_TAG, Level, look_up, path, tag
from dicom_bridge.query.matching import BadValue, check, supported
from dicom_bridge.query.search import Entity, Found, Question
from dicom_bridge.query.values import universal

LIMIT = 1000
"""Most entities in one answer; more are announced by a Warning (PS3.18 8.3.4.4)."""

# fmt: off
_DEFAULTS: dict[Level, list[str]] = {
    Level.STUDY: [
        "SpecificCharacterSet", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName",
        "TimezoneOffsetFromUTC", "StudyDescription", "PatientName", "PatientID", "PatientBirthDate", "PatientSex",
        "StudyInstanceUID", "StudyID",
    ],
    Level.SERIES: [
        "SpecificCharacterSet", "Modality", "TimezoneOffsetFromUTC", "SeriesDescription", "SeriesInstanceUID",
        "SeriesNumber", "PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime",
        "RequestAttributesSequence", "BodyPartExamined", "Laterality", "StudyInstanceUID",
    ],
    Level.INSTANCE: [
        "SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "TimezoneOffsetFromUTC", "InstanceNumber", "Rows",
        "Columns", "BitsAllocated", "NumberOfFrames", "SeriesInstanceUID", "StudyInstanceUID",
    ],
}
# fmt: on
_FLAGS = ("fuzzymatching", "emptyvaluematching", "multiplevaluematching")
"""Parameters that are ``true`` or ``false`` (PS3.18 8.3.4)."""

_ATTRIBUTE = re.compile(r"[0-9A-Fa-f]{8}(?:\.[0-9A-Fa-f]{8})*|[A-Z][A-Za-z0-9]+(?:\.[A-Z][A-Za-z0-9]+)*")
"""A tag or keyword, or a path of them into sequences (PS3.18 8.3.4.1)."""


class BadQuery(ValueError):
    """The query is malformed (PS3.18 8.3.4: status 400). The text names a parameter, never a value."""


@dataclass(frozen=True, slots=True)
class Query:
    """One parsed query."""

    question: Question
    include: frozenset[str]
    """Tags asked for beyond the level's own."""

    everything: bool
    """``includefield=all``"""

    nested: bool
    """Whether the resource named a study: then the study's own attributes are not repeated."""

    warnings: tuple[str, ...]


def parse(
    parameters: Mapping[str, str], level: Level, study_uid: str | None = None, series_uid: str | None = None
) -> Query:
    """Read the parameters of a query.

    Raises
    ------
    BadQuery
        For a parameter or field that is not of DICOM, a value that is not of its attribute's kind, and a malformed
        limit, offset or flag.
    """
    flags = {name: _flag(name, parameters.get(name, "false")) for name in _FLAGS}
    keys: list[tuple[str, str]] = []
    warnings: list[str] = []
    include: set[str] = set()
    everything = False
    limit, offset = LIMIT, 0
    for name, value in parameters.items():
        if "\0" in value:
            raise BadQuery(name)
        match name:
            case "limit":
                limit = min(_whole(name, value), LIMIT)
            case "offset":
                offset = _whole(name, value)
            case "includefield":
                fields, everything = _fields(value)
                include |= fields
            case "accept" | "charset" | "fuzzymatching" | "emptyvaluematching" | "multiplevaluematching":
                continue
            case _:
                several = flags["multiplevaluematching"] and "Name" not in name  # a comma may stand in a name
                _key(name, value.replace(",", "\\") if several else value, keys, include, warnings, flags)
    if flags["fuzzymatching"]:
        warnings.append("The fuzzymatching parameter is not supported. Only literal matching has been performed.")
    for keyword, uid in (("StudyInstanceUID", study_uid), ("SeriesInstanceUID", series_uid)):
        if uid is not None:
            keys.append((keyword, uid))
    question = Question(level, tuple(keys), limit, offset, empties=flags["emptyvaluematching"])
    return Query(question, frozenset(include), everything, study_uid is not None, tuple(warnings))


def _key(
    name: str,
    value: str,
    keys: list[tuple[str, str]],
    include: set[str],
    warnings: list[str],
    flags: Mapping[str, bool],
) -> None:
    """A matching key. It is also returned (PS3.18 8.3.4.1: attributes matched are in the answer)."""
    if not _ATTRIBUTE.fullmatch(name):
        raise BadQuery(name)
    attributes = path(name)
    if attributes is not None:
        include.add(attributes[0].tag)
    if attributes is not None and supported(name):
        try:
            check(name, value, empties=flags["emptyvaluematching"])
        except BadValue:
            raise BadQuery(name) from None
        keys.append((name, value))
    elif not universal(value):
        warnings.append(f"The following attributes are not supported for matching and were not used: {name}")


def _flag(name: str, value: str) -> bool:
    if value not in ("true", "false"):
        raise BadQuery(name)
    return value == "true"


def _whole(name: str, value: str) -> int:
    if not re.fullmatch(r"\d{1,9}", value):
        raise BadQuery(name)
    return int(value)


def _fields(value: str) -> tuple[set[str], bool]:
    fields: set[str] = set()
    everything = False
    for name in value.split(","):
        outer = name.partition(".")[0]  # of a path the whole sequence is given
        if name == "all":
            everything = True
        elif not _ATTRIBUTE.fullmatch(name):
            raise BadQuery("includefield")
        elif re.fullmatch(r"[0-9A-Fa-f]{8}", outer):
            fields.add(outer.upper())
        elif (attribute := look_up(outer)) is not None:
            fields.add(attribute.tag)
    return fields, everything


def answer(found: Found, query: Query, base: str) -> list[dict[str, Any]]:
    """The entities as DICOM JSON.

    Parameters
    ----------
    base
        Address of the DICOMweb service, without a slash at its end: RetrieveURL begins with it.
    """
    return [_entity(entity, query, base) for entity in found.entities]


def _entity(entity: Entity, query: Query, base: str) -> dict[str, Any]:
    level = entity.level
    names = list(_DEFAULTS[level])
    if not query.nested and level is not Level.STUDY:
        names += _DEFAULTS[Level.STUDY]
    if level is Level.INSTANCE and not any(key == "SeriesInstanceUID" for key, _ in query.question.keys):
        names += _DEFAULTS[Level.SERIES]
    wanted = {tag(name) for name in names} | query.include
    shown = {
        name: entry
        for name, entry in entity.attributes.items()
        if (query.everything or name in wanted) and _level(name) <= level
    }
    for name in wanted:  # an attribute of the level that the object lacks is returned empty (PS3.18 10.6.3.3)
        if name not in shown and (attribute := BY_TAG.get(name)) is not None and attribute.level <= level:
            shown[name] = {"vr": attribute.vr}
    for name in COMPUTED:
        shown.pop(name, None)
    _add_computed(shown, entity, base)
    return dict(sorted(shown.items()))


def _level(name: str) -> Level:
    """The level of an attribute; what the dictionary does not know is the instance's own."""
    attribute = BY_TAG.get(name)
    return Level.INSTANCE if attribute is None else attribute.level


def _add_computed(shown: dict[str, Any], entity: Entity, base: str) -> None:
    """What no object holds: counts, modalities, availability and addresses, of permitted photos alone."""
    study, series, sop = entity.uids
    address = f"{base}/studies/{study}"
    if entity.level >= Level.SERIES:
        address += f"/series/{series}"
    if entity.level >= Level.INSTANCE:
        address += f"/instances/{sop}"
    put(shown, "RetrieveURL", [address])
    shown.update(computed(entity))
