"""Where an object that arrived as DICOM belongs: found by what its sender wrote, or left to a person.

Accession Number, Admission ID and Request Attributes are looked for among the identifiers of visits, treatments and
requests. An object that names none of these belongs to the only visit of its patient on its day. Everything that is
found must agree on one visit, and the object's Patient ID must be an identifier of that visit's patient. Nothing is
guessed: what does not agree waits unlinked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select

from consent.store.versions import group
from consent.store.write import among
from consent.wording import worded
from dicom_bridge.depiction import taken_of
from dicom_bridge.gaps.requests import is_request_id, request_id
from dicom_bridge.query.index import text_of
from fhir_mapping import references
from fhir_mapping.resources.people import VisitFacts, visit_facts
from fhir_mapping.store.record import RecordStore
from fhir_mapping.tables import fhir_reference, fhir_resource

PATIENT_ID, ACCESSION, ADMISSION = "00100020", "00080050", "00380010"
_STUDY_DATE = "00080020"
_NEVER_WAS = frozenset({"cancelled", "entered-in-error"})
_REQUESTS, _REQUESTED_PROCEDURE, _SCHEDULED_STEP = "00400275", "00401001", "00400009"


@dataclass(frozen=True, slots=True)
class Place:
    """The visit that an object belongs to, and the treatment where one is named."""

    patient: str
    """Id of the Patient."""

    encounter: str
    """Id of the Encounter."""

    procedure: str | None
    """Id of the Procedure."""

    visit: VisitFacts


@dataclass(frozen=True, slots=True)
class Waits:
    """Why an object's place is not known: one plain sentence for a person."""

    why: str


_UNNAMED = Waits(
    worded("No visit and no treatment of the record has the accession number, admission or request that it names.")
)
_UNTOLD = Waits(worded("It names no visit, and not one patient of the record and a day."))
_NO_DAY = Waits(worded("It names no visit, and the record has none of its patient on its day."))
_SEVERAL_DAY = Waits(worded("It names no visit, and the record has several of its patient on its day."))
_SEVERAL = Waits(worded("The accession number, admission and request that it names lead to more than one visit."))
_NOBODY = Waits(worded("The visit that it names has no patient."))
_ANOTHER = Waits(worded("Its Patient ID is not an identifier of the patient whose visit it names."))
_NOT_LINKED = "It cannot be linked: "
NO_VALUE = Waits(_NOT_LINKED + worded("a value of it is none."))


def not_linked(error: Exception) -> Waits:
    """It has a place, and cannot be linked there."""
    return Waits(f"{_NOT_LINKED}{error}")


def why_again(text: str) -> str:
    """Why an object waits, of what a Task kept of it: pages say it in their language."""
    if not text.startswith(_NOT_LINKED):
        return worded(text)
    return worded("It cannot be linked: %(why)s", why=worded(text.removeprefix(_NOT_LINKED)))


def place_of(connection: Connection, store: RecordStore, attributes: Mapping[str, Any]) -> Place | Waits:
    """Where an object belongs, or why it has to wait: nothing is found, or what is found does not agree.

    Parameters
    ----------
    attributes
        DICOM JSON Model.
    """
    named = {value for value in (text_of(attributes, ACCESSION), *_requested(attributes)) if value}
    admission = text_of(attributes, ADMISSION)
    visits: list[set[str]] = []
    treatments: set[str] = set()
    for value in sorted(named | {admission} - {""}):
        found = set(store.by_identifier(connection, "Encounter", value))
        found |= _asked_for(connection, store, value, text_of(attributes, PATIENT_ID))
        if value == admission and store.exists(connection, f"Encounter/{value}"):
            found.add(value)
        for procedure in store.by_identifier(connection, "Procedure", value):
            resource = store.read(connection, "Procedure", procedure).json()
            encounters = _named(store, resource, "encounter", "Encounter")
            found |= encounters
            treatments |= {procedure} if encounters else set()
        for request in store.by_identifier(connection, "ServiceRequest", value):
            found |= _asked_at(connection, store, request)
        if found:
            visits.append(found)
    if not named and not admission:
        return _of_day(connection, store, attributes)
    agreed = set.intersection(*visits) if visits else set()
    if len(agreed) != 1:
        return _SEVERAL if visits else _UNNAMED
    encounter = agreed.pop()
    resource = store.read(connection, "Encounter", encounter).json()
    patients = _named(store, resource, "subject", "Patient")
    if len(patients) != 1:
        return _NOBODY
    patient = patients.pop()
    if not _is_hers(connection, store, patient, text_of(attributes, PATIENT_ID)):
        return _ANOTHER
    treatments = {each for each in treatments if _is_of(connection, store, each, patient, encounter)}
    return Place(
        patient,
        encounter,
        treatments.pop() if len(treatments) == 1 else None,
        visit_facts(resource, store.site.zone),
    )


def _asked_for(connection: Connection, store: RecordStore, value: str, patient_id: str) -> set[str]:
    """The visit of this patient whose photos the worklist asked for by this number."""
    if not is_request_id(value):
        return set()
    hers = [patient_id] if store.exists(connection, f"Patient/{patient_id}") else []
    hers = hers or store.by_identifier(connection, "Patient", patient_id)
    row = fhir_resource.c
    query = select(row.type, row.id).where(
        row.type.in_(("Encounter", "Appointment")), among(connection, row.patient, group(connection, hers))
    )
    for each in connection.execute(query):
        if request_id(f"{each.type}/{each.id}") == value:
            return {each.id} if each.type == "Encounter" else _held_for(connection, each.id)
    return set()


def _held_for(connection: Connection, appointment: str) -> set[str]:
    """The visits that came of an appointment (R4 Encounter.appointment)."""
    row = fhir_reference.c
    query = select(row.id).where(
        row.target == f"Appointment/{appointment}", row.type == "Encounter", row.path == "appointment"
    )
    return set(connection.execute(query).scalars())


def visits_of_days(
    connection: Connection, store: RecordStore, patients: Collection[str], days: Collection[date]
) -> list[tuple[str, str]]:
    """The visits of patients that began on one of these days, or all where no day is told: patient and Encounter."""
    found = []
    for patient in sorted(patients):
        for visit in store.search(connection, "Encounter", {"patient": f"Patient/{patient}"}):
            resource = visit.json()
            started = visit_facts(resource, store.site.zone).started
            began = started.date() if isinstance(started, datetime) else started
            if resource.get("status") not in _NEVER_WAS and (not days or began in days):
                found.append((patient, visit.id))
    return found


def named_patients(connection: Connection, store: RecordStore, attributes: Mapping[str, Any]) -> set[str]:
    """The patients whom an object's Patient ID names."""
    number = text_of(attributes, PATIENT_ID)
    patients = set(store.by_identifier(connection, "Patient", number))
    if number and store.exists(connection, f"Patient/{number}"):
        patients.add(number)
    return patients


def days_of(attributes: Mapping[str, Any], zone: ZoneInfo) -> set[date]:
    """The days that an object says it is of: that of its study, and that on which it was taken."""
    study = text_of(attributes, _STUDY_DATE)
    days = set()
    for text in (taken_of(attributes, zone) or "", f"{study[:4]}-{study[4:6]}-{study[6:]}"):
        with suppress(ValueError):
            days.add(date.fromisoformat(text[: len("2026-05-03")]))
    return days


def _of_day(connection: Connection, store: RecordStore, attributes: Mapping[str, Any]) -> Place | Waits:
    """Where an object that names no visit belongs: its patient's only visit of its day."""
    patients, days = named_patients(connection, store, attributes), days_of(attributes, store.site.zone)
    if len(patients) != 1 or not days:
        return _UNTOLD
    visits = visits_of_days(connection, store, group(connection, patients), days)
    if len(visits) != 1:
        return _NO_DAY if not visits else _SEVERAL_DAY
    patient, encounter = visits[0]
    resource = store.read(connection, "Encounter", encounter).json()
    return Place(patient, encounter, None, visit_facts(resource, store.site.zone))


def _asked_at(connection: Connection, store: RecordStore, request: str) -> set[str]:
    """The visits at which something was asked for, or that were asked for."""
    resource = store.read(connection, "ServiceRequest", request).json()
    found = _named(store, resource, "encounter", "Encounter")
    asked = {"based-on": f"ServiceRequest/{request}"}
    found |= {each.id for each in store.search(connection, "Encounter", asked)}
    for procedure in store.search(connection, "Procedure", asked):
        found |= _named(store, procedure.json(), "encounter", "Encounter")
    return found


def _requested(attributes: Mapping[str, Any]) -> list[str]:
    items = (attributes.get(_REQUESTS) or {}).get("Value") or ()
    names = (_REQUESTED_PROCEDURE, _SCHEDULED_STEP, ACCESSION)
    return [text_of(item, name) for item in items if isinstance(item, Mapping) for name in names]


def _named(store: RecordStore, resource: Mapping[str, Any], element: str, kind: str) -> set[str]:
    local = references.local_of(resource, store.base, element)
    return {references.id_of(each) for each in local if each.startswith(f"{kind}/")}


def _is_hers(connection: Connection, store: RecordStore, patient: str, patient_id: str) -> bool:
    return bool(patient_id) and (
        patient_id == patient or store.by_identifier(connection, "Patient", patient_id) == [patient]
    )


def _is_of(connection: Connection, store: RecordStore, procedure: str, patient: str, encounter: str) -> bool:
    resource = store.read(connection, "Procedure", procedure).json()
    return _named(store, resource, "encounter", "Encounter") == {encounter} and (
        _named(store, resource, "subject", "Patient") == {patient}
    )
