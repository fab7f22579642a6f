"""The search parameters that the record answers, for each type. The CapabilityStatement is made from this table."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a parameter is compared (R4 search-param-type)."""

    ID = "id"
    TOKEN = "token"  # noqa: S105  a kind of search parameter, no secret
    REFERENCE = "reference"
    STRING = "string"
    DATE = "date"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One search parameter of one type."""

    name: str
    kind: Kind
    index: str = ""
    """Name in the index tables, where it is not a reference."""

    paths: tuple[str, ...] = ()
    """Reference: the paths of the elements."""

    targets: tuple[str, ...] = ()
    """Reference: the types that it may name; a bare id is looked for in all of them."""

    bare: bool = False
    """Token: the element is a code, which has no system."""


def _token(name: str) -> Parameter:
    return Parameter(name, Kind.TOKEN, name)


def _date(name: str) -> Parameter:
    return Parameter(name, Kind.DATE, name)


def _to(name: str, targets: tuple[str, ...], *paths: str) -> Parameter:
    return Parameter(name, Kind.REFERENCE, paths=paths, targets=targets)


_SUBJECT = ("Patient", "Group", "Device", "Location")
_COMMON = (Parameter("_id", Kind.ID), _token("identifier"))


def _of_patient(path: str) -> tuple[Parameter, ...]:
    return (_to("patient", ("Patient",), path), _to("subject", _SUBJECT, path))


_NAME = Parameter("name", Kind.STRING, "name")
_STATUS = Parameter("status", Kind.TOKEN, "status", bare=True)
_ENCOUNTER = _to("encounter", ("Encounter",), "encounter")

_OF_TYPE: Mapping[str, tuple[Parameter, ...]] = {
    "Patient": (_NAME, _date("birthdate")),
    "Practitioner": (_NAME,),
    "Organization": (_NAME, _to("partof", ("Organization",), "partOf")),
    "RelatedPerson": (_NAME, _to("patient", ("Patient",), "patient")),
    "PractitionerRole": (
        _to("practitioner", ("Practitioner",), "practitioner"),
        _to("organization", ("Organization",), "organization"),
    ),
    "Location": (_NAME, _STATUS),
    "Group": (),
    "CareTeam": (*_of_patient("subject"), _ENCOUNTER, _STATUS),
    "EpisodeOfCare": (_to("patient", ("Patient",), "patient"), _STATUS),
    "Encounter": (*_of_patient("subject"), _STATUS, _date("date")),
    "CarePlan": (*_of_patient("subject"), _ENCOUNTER, _STATUS),
    "Condition": (*_of_patient("subject"), _ENCOUNTER),
    "BodyStructure": (_to("patient", ("Patient",), "patient"),),
    "Device": (_to("patient", ("Patient",), "patient"), _STATUS),
    "DeviceUseStatement": (*_of_patient("subject"),),
    "Medication": (_STATUS, _token("lot-number"), _token("code")),
    "Procedure": (
        *_of_patient("subject"),
        _ENCOUNTER,
        _STATUS,
        _date("date"),
        _token("code"),
        _to("part-of", ("Procedure", "Observation", "MedicationAdministration"), "partOf"),
    ),
    "MedicationAdministration": (
        *_of_patient("subject"),
        _to("context", ("Encounter", "EpisodeOfCare"), "context"),
        _STATUS,
        _date("effective-time"),
        _to("medication", ("Medication",), "medicationReference"),
    ),
    "MedicationDispense": (
        *_of_patient("subject"),
        _to("context", ("Encounter", "EpisodeOfCare"), "context"),
        _STATUS,
        _to("medication", ("Medication",), "medicationReference"),
    ),
    "Observation": (
        *_of_patient("subject"),
        _ENCOUNTER,
        _STATUS,
        _date("date"),
        _token("code"),
        _to("part-of", ("Procedure", "MedicationAdministration", "ImagingStudy"), "partOf"),
    ),
    "Consent": (_to("patient", ("Patient",), "patient"), _STATUS, _date("date")),
    "DocumentReference": (
        *_of_patient("subject"),
        _to("encounter", ("Encounter", "EpisodeOfCare"), "context.encounter"),
        _to("related", ("Procedure", "CarePlan", "EpisodeOfCare", "ImagingStudy"), "context.related"),
        _STATUS,
    ),
    "ImagingStudy": (*_of_patient("subject"), _ENCOUNTER, _STATUS, _date("started")),
    "Provenance": (_to("target", ("DocumentReference", "ImagingStudy"), "target"),),
    "Task": (_to("patient", ("Patient",), "for"), _STATUS, _token("code")),
}


@functools.cache
def parameters(kind: str) -> Mapping[str, Parameter]:
    """The parameters of a type, by name."""
    return {each.name: each for each in (*_COMMON, *_OF_TYPE.get(kind, ()))}
