"""QIDO-RS (PS3.18 10.6): query parameters in, DICOM JSON out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dicom_bridge.query.dictionary import BY_TAG, Level, look_up, tag
from dicom_bridge.query.matching import MATCHED
from dicom_bridge.query.search import Entity, Found, Question

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
_FLAG = {"true": True, "false": False}
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
        For a parameter or field that is not of DICOM, and for a malformed limit, offset or flag.
    """
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
            case "fuzzymatching":
                if value not in _FLAG:
                    raise BadQuery(name)
                if _FLAG[value]:
                    warnings.append(
                        "The fuzzymatching parameter is not supported. Only literal matching has been performed."
                    )
            case "includefield":
                fields, everything = _fields(value)
                include |= fields
            case "accept" | "charset":
                continue
            case _:
                _key(name, value, keys, include, warnings)
    for keyword, uid in (("StudyInstanceUID", study_uid), ("SeriesInstanceUID", series_uid)):
        if uid is not None:
            keys.append((keyword, uid))
    question = Question(level, tuple(keys), limit, offset)
    return Query(question, frozenset(include), everything, study_uid is not None, tuple(warnings))


def _key(name: str, value: str, keys: list[tuple[str, str]], include: set[str], warnings: list[str]) -> None:
    """A matching key. It is also returned (PS3.18 8.3.4.1: attributes matched are in the answer)."""
    attribute = look_up(name)
    if attribute is None:
        if not _ATTRIBUTE.fullmatch(name):
            raise BadQuery(name)
        warnings.append("The following attributes are not supported for matching and were not used: " + name)
        return
    include.add(attribute.tag)
    if attribute.keyword in MATCHED:
        keys.append((attribute.keyword, value))
    elif value not in ("", "*"):
        warnings.append(f"The following attributes are not supported for matching and were not used: {name}")


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
        if name in wanted or (query.everything and _level(name) <= level)
    }
    for name in wanted:  # an attribute of the level that the object lacks is returned empty (PS3.18 10.6.3.3)
        if name not in shown and (attribute := BY_TAG.get(name)) is not None and attribute.level <= level:
            shown[name] = {"vr": attribute.vr}
    _computed(shown, entity, base)
    return dict(sorted(shown.items()))


def _level(name: str) -> Level:
    """The level of an attribute; what the dictionary does not know is the instance's own."""
    attribute = BY_TAG.get(name)
    return Level.INSTANCE if attribute is None else attribute.level


def _computed(shown: dict[str, Any], entity: Entity, base: str) -> None:
    """What no object holds: counts, modalities, availability and addresses, of permitted photos alone."""
    study, series, sop = entity.uids
    address = f"{base}/studies/{study}"
    if entity.level >= Level.SERIES:
        address += f"/series/{series}"
    if entity.level >= Level.INSTANCE:
        address += f"/instances/{sop}"
    _put(shown, "RetrieveURL", [address])
    _put(shown, "InstanceAvailability", ["ONLINE"])
    for keyword in ("ModalitiesInStudy", "SOPClassesInStudy", *_COUNTS):
        shown.pop(tag(keyword), None)
    if entity.level is Level.STUDY:
        _put(shown, "ModalitiesInStudy", sorted(entity.modalities))
        _put(shown, "SOPClassesInStudy", sorted(entity.sop_classes))
        _put(shown, "NumberOfStudyRelatedSeries", [len(entity.series)])
        _put(shown, "NumberOfStudyRelatedInstances", [len(entity.photos)])
    if entity.level is Level.SERIES:
        _put(shown, "NumberOfSeriesRelatedInstances", [len(entity.photos)])


_COUNTS = (
    "NumberOfPatientRelatedStudies",
    "NumberOfPatientRelatedSeries",
    "NumberOfPatientRelatedInstances",
    "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances",
    "NumberOfSeriesRelatedInstances",
)


def _put(shown: dict[str, Any], keyword: str, values: Sequence[Any]) -> None:
    attribute = look_up(keyword)
    assert attribute is not None
    shown[attribute.tag] = {"vr": attribute.vr, "Value": list(values)} if values else {"vr": attribute.vr}
