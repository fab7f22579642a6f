"""The photos that wait for their place: what each says of itself, and where it may belong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, select

from consent.store.photos import PhotoState
from consent.store.tables import photo
from dicom_bridge import ledger
from dicom_bridge.depiction import region_of, side_of, taken_of, view_of
from dicom_bridge.placing import ACCESSION, ADMISSION, PATIENT_ID
from dicom_bridge.plan import Plan
from dicom_bridge.query.index import text_of
from dicom_bridge.query.tables import dicom_attributes
from dicom_bridge.tasks import Tasks
from fhir_mapping.resources.people import visit_facts
from fhir_mapping.store.record import RecordStore

MOST = 1000
"""So many are listed at once, the oldest first."""

_SUGGESTED = 5
_SAYS = {
    "Patient ID": PATIENT_ID,
    "Patient's Name": "00100010",
    "Patient's Birth Date": "00100030",
    "Study Date": "00080020",
    "Accession Number": ACCESSION,
    "Admission ID": ADMISSION,
    "Study Description": "00081030",
    "Series Description": "0008103E",
    "Manufacturer": "00080070",
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """One photo that waits."""

    sop_uid: str
    orthanc_id: str
    why: str
    says: Mapping[str, str]
    """What its sender wrote, by the attribute's name."""

    suggestions: list[dict[str, str]] = field(default_factory=list)
    """Words for ``photospine link``: option -> value. Never more than a guess; a person decides."""


def waiting(connection: Connection, store: RecordStore) -> list[Waiting]:
    """Those that wait, up to :data:`MOST`."""
    rows = connection.execute(
        select(photo.c.sop_uid, photo.c.orthanc_id, dicom_attributes.c.attributes)
        .join(dicom_attributes, dicom_attributes.c.photo == photo.c.photo)
        .where(photo.c.state == PhotoState.EXAMINED.value)
        .order_by(photo.c.photo)
        .limit(MOST)
    ).all()
    tasks = Tasks(store)
    found = []
    for row in rows:
        attributes = json.loads(row.attributes)
        says = {name: value for name, tag in _SAYS.items() if (value := text_of(attributes, tag))}
        entry = ledger.entry(connection, row.sop_uid)
        sent = None if entry is None else ledger.plan_of(connection, entry.batch)
        if sent is None:
            suggestions = _suggested(connection, store, attributes)
        else:
            plan = Plan.loads(sent[0])
            suggestions = [{"patient": plan.patient, "visit": plan.visit}]
        why = tasks.why_waiting(connection, row.sop_uid)
        found.append(Waiting(row.sop_uid, row.orthanc_id, why, says, suggestions))
    return found


def _suggested(connection: Connection, store: RecordStore, attributes: Mapping[str, Any]) -> list[dict[str, str]]:
    """The visits on the day that it was taken, of the patients whom its Patient ID names."""
    number = text_of(attributes, PATIENT_ID)
    patients = set(store.by_identifier(connection, "Patient", number))
    if number and store.exists(connection, f"Patient/{number}"):
        patients.add(number)
    said = _said(attributes)
    found = []
    for patient in sorted(patients)[:_SUGGESTED]:
        for visit in _visits(connection, store, patient, attributes)[:_SUGGESTED]:
            found.append({"patient": patient, "visit": visit} | said)
    return found or [{"patient": each} | said for each in sorted(patients)[:_SUGGESTED]]


def _said(attributes: Mapping[str, Any]) -> dict[str, str]:
    region, side, view = region_of(attributes), side_of(attributes), view_of(attributes)
    found = {} if region is None else {"region": region.name}
    if side is not None:
        found["laterality"] = side.value
    return found if view is None else found | {"view": view.name}


def _visits(connection: Connection, store: RecordStore, patient: str, attributes: Mapping[str, Any]) -> list[str]:
    """The patient's visits of the day, by id; all of hers where no day is told."""
    taken = taken_of(attributes, store.site.zone)
    day = None if taken is None else date.fromisoformat(taken[: len("2026-05-03")])
    found = []
    for visit in store.search(connection, "Encounter", {"patient": f"Patient/{patient}"}):
        started = visit_facts(visit.json(), store.site.zone).started
        began = started.date() if isinstance(started, datetime) else started
        if day is None or began == day:
            found.append(visit.id)
    return found
