"""Attributes that no object holds: counts, modalities and SOP Classes of a patient, study or series.

They are made of permitted photos alone (PS3.4 C.3.4, PS3.18 10.6.3.3); what an object says of them is never shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dicom_bridge.query.dictionary import BY_KEYWORD, Level, tag
from dicom_bridge.query.search import Entity

COMPUTED = frozenset(
    tag(keyword)
    for keyword in (
        "ModalitiesInStudy",
        "SOPClassesInStudy",
        "NumberOfPatientRelatedStudies",
        "NumberOfPatientRelatedSeries",
        "NumberOfPatientRelatedInstances",
        "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances",
        "NumberOfSeriesRelatedInstances",
        "InstanceAvailability",
        "RetrieveURL",
        "RetrieveAETitle",
    )
)
"""Tags that are never taken from an object."""


def computed(entity: Entity) -> dict[str, dict[str, Any]]:
    """What an entity's own level has of :data:`COMPUTED`, as DICOM JSON."""
    instances = len(entity.photos)
    found: dict[str, dict[str, Any]] = {}
    put(found, "InstanceAvailability", ["ONLINE"])
    match entity.level:
        case Level.PATIENT:
            put(found, "NumberOfPatientRelatedStudies", [len(entity.studies)])
            put(found, "NumberOfPatientRelatedSeries", [len(entity.series)])
            put(found, "NumberOfPatientRelatedInstances", [instances])
        case Level.STUDY:
            put(found, "ModalitiesInStudy", sorted(entity.modalities))
            put(found, "SOPClassesInStudy", sorted(entity.sop_classes))
            put(found, "NumberOfStudyRelatedSeries", [len(entity.series)])
            put(found, "NumberOfStudyRelatedInstances", [instances])
        case Level.SERIES:
            put(found, "NumberOfSeriesRelatedInstances", [instances])
        case Level.INSTANCE:
            pass
    return found


def put(shown: dict[str, dict[str, Any]], keyword: str, values: Sequence[Any]) -> None:
    """One attribute, by its keyword."""
    attribute = BY_KEYWORD[keyword]
    shown[attribute.tag] = {"vr": attribute.vr, "Value": list(values)} if values else {"vr": attribute.vr}
