"""What a DICOM header takes from Patient and Encounter: plain values, no FHIR past this page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from fhir_mapping import dates

_SEX = {"male": "M", "female": "F", "other": "O"}
_IDENTIFIER_TYPE = "http://terminology.hl7.org/CodeSystem/v2-0203"
_MAX_ID = 64
_MAX_ACCESSION = 16


@dataclass(frozen=True, slots=True)
class PatientFacts:
    """Patient as a DICOM header shows her."""

    id: str
    """Her medical record number where one is typed so, else her first identifier, else the FHIR id."""

    issuer: str | None
    name: str
    """Person name: family^given^middle^prefix^suffix (PS3.5 6.2.1)."""

    birth_date: date | None
    sex: str


@dataclass(frozen=True, slots=True)
class VisitFacts:
    """Encounter as a DICOM header shows it."""

    started: datetime | date | None
    """Aware, in the site's zone; a day where no time is told."""

    started_text: str | None
    """The same as the Encounter says it."""

    accession_number: str
    """Empty where there is none, or where it is longer than DICOM holds: a part of it would be another one."""

    admission_id: str
    """The visit's number, else the Encounter's id."""


def patient_facts(patient: Mapping[str, Any]) -> PatientFacts:
    """Read a Patient."""
    identifiers = [each for each in patient.get("identifier") or () if each.get("value") and each.get("use") != "old"]
    record = next((each for each in identifiers if _is_typed(each, "MR")), identifiers[0] if identifiers else None)
    names = [each for each in patient.get("name") or () if each.get("use") not in ("old", "maiden", "nickname")]
    birth = str(patient.get("birthDate") or "")
    return PatientFacts(
        id=str(record["value"]) if record else str(patient["id"]),
        issuer=_fitting(record.get("system"), _MAX_ID) if record else None,
        name=_person_name(names[0]) if names else "",
        birth_date=date.fromisoformat(birth) if len(birth) == len("2000-01-01") else None,
        sex=_SEX.get(str(patient.get("gender")), ""),
    )


def visit_facts(encounter: Mapping[str, Any], zone: ZoneInfo) -> VisitFacts:
    """Read an Encounter."""
    identifiers = [each for each in encounter.get("identifier") or () if each.get("value")]
    accession = next((each for each in identifiers if _is_typed(each, "ACSN")), None)
    visit = next((each for each in identifiers if each is not accession), None)
    start = (encounter.get("period") or {}).get("start")
    return VisitFacts(
        started=dates.known(start, zone) if isinstance(start, str) else None,
        started_text=start if isinstance(start, str) else None,
        accession_number=(_fitting(accession["value"], _MAX_ACCESSION) or "") if accession else "",
        admission_id=(_fitting(visit["value"], _MAX_ID) if visit else None) or str(encounter["id"]),
    )


def _fitting(text: Any, most: int) -> str | None:
    """An identifier where it fits whole; a part of it would be another one."""
    return text if isinstance(text, str) and len(text) <= most else None


def _is_typed(identifier: Mapping[str, Any], code: str) -> bool:
    codings = (identifier.get("type") or {}).get("coding") or ()
    return any(each.get("system") == _IDENTIFIER_TYPE and each.get("code") == code for each in codings)


def _person_name(name: Mapping[str, Any]) -> str:
    if name.get("family") is None and name.get("text") is not None:
        name = {"family": name["text"]}  # its parts are in it already
    given, prefix, suffix = (_said(name.get(part)) for part in ("given", "prefix", "suffix"))
    parts = [
        str(name.get("family") or ""),
        given[0] if given else "",
        " ".join(given[1:]),
        " ".join(prefix),
        " ".join(suffix),
    ]
    cleaned = ["".join(" " if letter in "\\^=" else letter for letter in part).strip()[:60] for part in parts]
    return "^".join(cleaned).rstrip("^")


def _said(values: Any) -> list[str]:
    """The values of a repeating primitive; one may be null beside an extension that says why (R4 JSON)."""
    return [str(each) for each in values or () if each is not None]
