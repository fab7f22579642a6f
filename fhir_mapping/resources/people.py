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

    started: datetime | None
    """Aware, in the site's zone."""

    started_text: str | None
    """The same as the Encounter says it."""

    accession_number: str
    admission_id: str


def patient_facts(patient: Mapping[str, Any]) -> PatientFacts:
    """Read a Patient."""
    identifiers = [each for each in patient.get("identifier") or () if each.get("value")]
    record = next((each for each in identifiers if _is_typed(each, "MR")), identifiers[0] if identifiers else None)
    names = [each for each in patient.get("name") or () if each.get("use") not in ("old", "maiden", "nickname")]
    birth = str(patient.get("birthDate") or "")
    return PatientFacts(
        id=str(record["value"])[:_MAX_ID] if record else str(patient["id"]),
        issuer=str(record["system"])[:_MAX_ID] if record and record.get("system") else None,
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
    moment = dates.span(start, zone).start if isinstance(start, str) else None
    return VisitFacts(
        started=None if moment is None else moment.astimezone(zone),
        started_text=start if isinstance(start, str) else None,
        accession_number=str(accession["value"])[:_MAX_ACCESSION] if accession else "",
        admission_id=str(visit["value"] if visit else encounter["id"])[:_MAX_ID],
    )


def _is_typed(identifier: Mapping[str, Any], code: str) -> bool:
    codings = (identifier.get("type") or {}).get("coding") or ()
    return any(each.get("system") == _IDENTIFIER_TYPE and each.get("code") == code for each in codings)


def _person_name(name: Mapping[str, Any]) -> str:
    given, prefix, suffix = (_said(name.get(part)) for part in ("given", "prefix", "suffix"))
    parts = [
        str(name.get("family") or name.get("text") or ""),
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
