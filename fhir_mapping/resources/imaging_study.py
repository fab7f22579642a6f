"""ImagingStudy: one visit's photos (R4 ImagingStudy). Instances are added as photos come in, and taken out if rejected.

Series bear no number, as in DICOM: whoever sees some of them alone would count the others by it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from consent.regions import BodyRegion
from consent.types import Laterality
from fhir_mapping.resources.document_reference import DICOM_UID

_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_XC = {"system": _DCM, "code": "XC", "display": "External-camera Photography"}
_SIDES = {
    Laterality.RIGHT: {"system": "http://snomed.info/sct", "code": "24028007", "display": "Right"},
    Laterality.LEFT: {"system": "http://snomed.info/sct", "code": "7771000", "display": "Left"},
    Laterality.BOTH: {"system": "http://snomed.info/sct", "code": "51440002", "display": "Right and left"},
}


@dataclass(frozen=True, slots=True)
class StudyInstance:
    """One photo within its visit's study. References are relative."""

    study_id: str
    study_uid: str
    series_uid: str
    sop_uid: str
    sop_class: str
    number: int | None
    """None where an object from elsewhere does not say one that FHIR holds."""

    patient: str
    encounter: str
    procedure: str | None
    started: str | None
    """FHIR dateTime of the visit's beginning."""

    description: str
    """Series description."""

    region: BodyRegion | None
    """None where an object from elsewhere does not say it."""

    laterality: Laterality | None
    title: str
    modality: str = "XC"


def with_instances(study: Mapping[str, Any] | None, added: Sequence[StudyInstance]) -> dict[str, Any]:
    """The study with more photos, one at least; made where there is none yet. A photo that is in it stays as it is."""
    first = added[0]
    resource: dict[str, Any] = (
        copy.deepcopy(dict(study))
        if study is not None
        else {
            "resourceType": "ImagingStudy",
            "id": first.study_id,
            "identifier": [{"system": DICOM_UID, "value": f"urn:oid:{first.study_uid}"}],
            "status": "available",
            "modality": [_modality(first.modality)],
            "subject": {"reference": first.patient},
            "encounter": {"reference": first.encounter},
        }
    )
    for each in added:
        _add(resource, each)
    all_series = resource["series"]
    for series in all_series:
        series["numberOfInstances"] = len(series["instance"])
    resource["numberOfSeries"] = len(all_series)
    resource["numberOfInstances"] = sum(len(series["instance"]) for series in all_series)
    return resource


def without_instance(study: Mapping[str, Any], sop_uid: str) -> dict[str, Any]:
    """The study without one photo; a series that would be empty goes with it. Earlier versions have them still."""
    resource = copy.deepcopy(dict(study))
    all_series = []
    for series in resource.get("series") or ():
        series["instance"] = [each for each in series.get("instance") or () if each.get("uid") != sop_uid]
        if series["instance"]:
            series["numberOfInstances"] = len(series["instance"])
            all_series.append(series)
    resource.pop("series", None)
    if all_series:
        resource["series"] = all_series
    resource["numberOfSeries"] = len(all_series)
    resource["numberOfInstances"] = sum(len(series["instance"]) for series in all_series)
    return resource


def _add(resource: dict[str, Any], added: StudyInstance) -> None:
    if added.started is not None:
        resource.setdefault("started", added.started)
    if added.procedure is not None:
        resource.setdefault("procedureReference", {"reference": added.procedure})
    all_series: list[dict[str, Any]] = resource.setdefault("series", [])
    series = next((each for each in all_series if each.get("uid") == added.series_uid), None)
    if series is None:
        series = {
            "uid": added.series_uid,
            "modality": _modality(added.modality),
            "instance": [],
        }
        if added.description:
            series["description"] = added.description
        if added.region is not None:
            series["bodySite"] = {
                "system": added.region.system,
                "code": added.region.value,
                "display": added.region.display,
            }
        if added.laterality is not None and (added.region is None or added.region.paired):
            series["laterality"] = _SIDES[added.laterality]
        all_series.append(series)
    instances: list[dict[str, Any]] = series["instance"]
    if not any(each.get("uid") == added.sop_uid for each in instances):
        instance: dict[str, Any] = {
            "uid": added.sop_uid,
            "sopClass": {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{added.sop_class}"},
        }
        if added.number is not None:
            instance["number"] = added.number
        if added.title:
            instance["title"] = added.title
        instances.append(instance)


def _modality(code: str) -> dict[str, str]:
    return _XC if code == "XC" else {"system": _DCM, "code": code}
