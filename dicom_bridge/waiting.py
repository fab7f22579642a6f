"""The photos that wait for their place: what each says of itself, and where it may belong."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, func, select

from consent.store.photos import PhotoState
from consent.store.tables import photo
from consent.wording import worded
from dicom_bridge import ledger
from dicom_bridge.depiction import region_of, side_of, view_of
from dicom_bridge.placing import ACCESSION, ADMISSION, PATIENT_ID, days_of, named_patients, visits_of_days, why_again
from dicom_bridge.plan import Plan
from dicom_bridge.query.index import text_of
from dicom_bridge.query.tables import dicom_attributes
from dicom_bridge.tasks import Tasks
from fhir_mapping.store.record import RecordStore

MOST = 1000
"""So many are listed at once, the oldest first."""

_SUGGESTED = 5
_NAMING = ("00100010", "00081030")
"""Patient's Name; Study Description, where the name of a file stands that was dropped into the watched folder."""

_BETWEEN = re.compile(r"[\W\d_]+")
_SHORTEST, _MOST_WORDS = 3, 8
_SAYS: Mapping[str, str] = {
    worded("Patient ID"): PATIENT_ID,
    worded("Patient's Name"): "00100010",
    worded("Patient's Birth Date"): "00100030",
    worded("Study Date"): "00080020",
    worded("Accession Number"): ACCESSION,
    worded("Admission ID"): ADMISSION,
    worded("Study Description"): "00081030",
    worded("Series Description"): "0008103E",
    worded("Manufacturer"): "00080070",
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


def waiting(connection: Connection, store: RecordStore, *, most: int = MOST, only: str | None = None) -> list[Waiting]:
    """Those that wait.

    Parameters
    ----------
    most
        So many, the oldest first.
    only
        SOP Instance UID of the one that is asked for.
    """
    query = (
        select(photo.c.sop_uid, photo.c.orthanc_id, dicom_attributes.c.attributes)
        .join(dicom_attributes, dicom_attributes.c.photo == photo.c.photo)
        .where(photo.c.state == PhotoState.EXAMINED.value)
    )
    if only is not None:
        query = query.where(photo.c.sop_uid == only)
    rows = connection.execute(query.order_by(photo.c.photo).limit(most)).all()
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
        why = why_again(tasks.why_waiting(connection, row.sop_uid))
        found.append(Waiting(row.sop_uid, row.orthanc_id, why, says, suggestions))
    return found


def how_many(connection: Connection) -> int:
    """How many wait."""
    query = select(func.count()).select_from(photo).where(photo.c.state == PhotoState.EXAMINED.value)
    return int(connection.execute(query).scalar_one())


def _suggested(connection: Connection, store: RecordStore, attributes: Mapping[str, Any]) -> list[dict[str, str]]:
    """The visits on the day that it was taken, of the patients whom its Patient ID names."""
    patients, days = named_patients(connection, store, attributes), days_of(attributes, store.site.zone)
    if not patients:
        for name in _NAMING:
            patients |= called(connection, store, text_of(attributes, name))
    said = _said(attributes)
    found: list[dict[str, str]] = []
    for patient in sorted(patients)[:_SUGGESTED]:
        visits = visits_of_days(connection, store, [patient], days)[:_SUGGESTED]
        found += [{"patient": patient, "visit": visit} | said for _, visit in visits]
    return found or [{"patient": each} | said for each in sorted(patients)[:_SUGGESTED]]


def called(connection: Connection, store: RecordStore, text: str) -> set[str]:
    """Patients who are called by the words of a text, by as many of them as may be; a guess, and never more."""
    found: set[str] = set()
    for word in _BETWEEN.split(text)[:_MOST_WORDS]:
        if len(word) >= _SHORTEST:
            named = {each.id for each in store.search(connection, "Patient", {"name": word})}
            found = named if not found else (found & named or found)
    return found


def _said(attributes: Mapping[str, Any]) -> dict[str, str]:
    region, side, view = region_of(attributes), side_of(attributes), view_of(attributes)
    found = {} if region is None else {"region": region.name}
    if side is not None:
        found["laterality"] = side.value
    return found if view is None else found | {"view": view.name}
