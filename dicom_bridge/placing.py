"""Where an object that arrived as DICOM belongs: found by what its sender wrote, or left to a person.

Accession Number, Admission ID and Request Attributes are looked for among the identifiers of visits and treatments.
Everything that is found must agree on one visit, and the object's Patient ID must be an identifier of that visit's
patient. Nothing is guessed: what does not agree waits unlinked.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from consent.regions import BodyRegion, regions
from consent.types import Laterality
from dicom_bridge.objects.vocabulary import Term, terms
from dicom_bridge.query.index import first_text
from fhir_mapping import dates, references
from fhir_mapping.resources.people import VisitFacts, visit_facts
from fhir_mapping.store.record import RecordStore

PATIENT_ID, ACCESSION, ADMISSION = "00100020", "00080050", "00380010"
_REQUESTS, _REQUESTED_PROCEDURE, _SCHEDULED_STEP = "00400275", "00401001", "00400009"
_REGION, _VIEW, _CODE, _SCHEME = "00082218", "00540220", "00080100", "00080102"
_SIDES = ("00200062", "00200060")  # Image Laterality, Laterality
_OFFSET = "00080201"
_OFFSET_FORM = re.compile(r"[+-][0-9]{4}", re.ASCII)
_DATE_TIME = re.compile(r"(?P<digits>[0-9]{8,14})(?:\.[0-9]{1,6})?(?P<offset>[+-][0-9]{4})?", re.ASCII)
#: Attributes that say when a photo was taken, the best first: date and time, or both in one.
_TAKEN = (("0008002A", None), ("00080022", "00080032"), ("00080023", "00080033"))


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
    "No visit and no treatment of the record has the accession number, admission or request that it names."
)
_SEVERAL = Waits("The accession number, admission and request that it names lead to more than one visit.")
_NOBODY = Waits("The visit that it names has no patient.")
_ANOTHER = Waits("Its Patient ID is not an identifier of the patient whose visit it names.")


def place_of(connection: Connection, store: RecordStore, attributes: Mapping[str, Any]) -> Place | Waits:
    """Where an object belongs, or why it has to wait: nothing is found, or what is found does not agree.

    Parameters
    ----------
    attributes
        DICOM JSON Model.
    """
    named = {value for value in (first_text(attributes, ACCESSION), *_requested(attributes)) if value}
    admission = first_text(attributes, ADMISSION)
    visits: list[set[str]] = []
    treatments: set[str] = set()
    for value in sorted(named | {admission} - {""}):
        found = set(store.by_identifier(connection, "Encounter", value))
        if value == admission and store.exists(connection, f"Encounter/{value}"):
            found.add(value)
        for procedure in store.by_identifier(connection, "Procedure", value):
            resource = store.read(connection, "Procedure", procedure).json()
            encounters = _named(store, resource, "encounter", "Encounter")
            found |= encounters
            treatments |= {procedure} if encounters else set()
        if found:
            visits.append(found)
    agreed = set.intersection(*visits) if visits else set()
    if len(agreed) != 1:
        return _SEVERAL if visits else _UNNAMED
    encounter = agreed.pop()
    resource = store.read(connection, "Encounter", encounter).json()
    patients = _named(store, resource, "subject", "Patient")
    if len(patients) != 1:
        return _NOBODY
    patient = patients.pop()
    if not _is_hers(connection, store, patient, first_text(attributes, PATIENT_ID)):
        return _ANOTHER
    treatments = {each for each in treatments if _is_of(connection, store, each, patient, encounter)}
    return Place(
        patient,
        encounter,
        treatments.pop() if len(treatments) == 1 else None,
        visit_facts(resource, store.site.zone),
    )


def _requested(attributes: Mapping[str, Any]) -> list[str]:
    items = (attributes.get(_REQUESTS) or {}).get("Value") or ()
    names = (_REQUESTED_PROCEDURE, _SCHEDULED_STEP, ACCESSION)
    return [first_text(item, name) for item in items if isinstance(item, Mapping) for name in names]


def _named(store: RecordStore, resource: Mapping[str, Any], element: str, kind: str) -> set[str]:
    local = (references.local(text, store.base) for text in references.of(resource, element))
    return {references.id_of(each) for each in local if each is not None and each.startswith(f"{kind}/")}


def _is_hers(connection: Connection, store: RecordStore, patient: str, patient_id: str) -> bool:
    return bool(patient_id) and (
        patient_id == patient or store.by_identifier(connection, "Patient", patient_id) == [patient]
    )


def _is_of(connection: Connection, store: RecordStore, procedure: str, patient: str, encounter: str) -> bool:
    resource = store.read(connection, "Procedure", procedure).json()
    return _named(store, resource, "encounter", "Encounter") == {encounter} and (
        _named(store, resource, "subject", "Patient") == {patient}
    )


# --- what an object says of its picture -------------------------------------------------------------------------------


def region_of(attributes: Mapping[str, Any]) -> BodyRegion | None:
    """The region it shows, where it is one of the tree."""
    coded = _coded(attributes, _REGION)
    return next((each for each in regions() if (each.scheme, each.value) == coded), None)


def side_of(attributes: Mapping[str, Any]) -> Laterality | None:
    """The side it shows, where it says one."""
    said = next((text for name in _SIDES if (text := first_text(attributes, name))), "")
    return Laterality(said) if said in set(Laterality) else None


def view_of(attributes: Mapping[str, Any]) -> Term | None:
    """The view, where it is one of the vocabulary."""
    coded = _coded(attributes, _VIEW)
    return next((each for each in terms("view") if (each.scheme, each.value) == coded), None)


def taken_of(attributes: Mapping[str, Any], zone: ZoneInfo) -> str | None:
    """When it was taken, as FHIR writes it; a date alone where no time is told."""
    offset = first_text(attributes, _OFFSET)
    for date, time in _TAKEN:
        text = first_text(attributes, date) + (first_text(attributes, time) if time is not None else "")
        found = _DATE_TIME.fullmatch(text.strip())
        moment = None if found is None else _moment(found["digits"], found["offset"] or offset, zone)
        if moment is not None:
            return moment
    return None


def fhir_id(uid: str) -> str:
    """The id of the resource that stands for a UID: the UUID in it (PS3.5 B.2), else one made from it."""
    number = uid.removeprefix("2.25.")
    if number != uid and number.isdigit() and int(number) < 1 << 128:
        return str(uuid.UUID(int=int(number)))
    return str(uuid.uuid5(uuid.NAMESPACE_OID, uid))


def _moment(digits: str, offset: str, zone: ZoneInfo) -> str | None:
    """A day, or a day and a time to the minute or second; a time that is none leaves the day."""
    day, clock = digits[: len("20260503")], digits[len("20260503") :]
    try:
        started = datetime.strptime(day, "%Y%m%d")  # noqa: DTZ007  # a date has no zone
    except ValueError:
        return None
    if len(clock) in (len("1000"), len("100000")):
        text = day + clock.ljust(len("100000"), "0")
        try:
            if _OFFSET_FORM.fullmatch(offset):
                return dates.date_time(datetime.strptime(text + offset, "%Y%m%d%H%M%S%z"))
            return dates.date_time(datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=zone))
        except (ValueError, OverflowError):
            return started.date().isoformat()
    return started.date().isoformat()


def _coded(attributes: Mapping[str, Any], name: str) -> tuple[str, str]:
    items = (attributes.get(name) or {}).get("Value") or ()
    if not items or not isinstance(items[0], Mapping):
        return "", ""
    scheme = first_text(items[0], _SCHEME)
    return "SCT" if scheme in ("SCT", "SRT", "SNM3") else scheme, first_text(items[0], _CODE)
