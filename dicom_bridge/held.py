"""Objects that Orthanc holds and nobody sees yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete

from consent.facts import PhotoFacts
from consent.store import photos
from consent.store.history import supersede_photos
from consent.store.photos import PhotoState
from consent.store.tables import photo, photo_due, photo_facts
from consent.store.write import among
from dicom_bridge.query.index import save_instance
from dicom_bridge.query.tables import dicom_attributes, dicom_instance
from fhir_mapping.question.tables import photo_values


@dataclass(frozen=True, slots=True)
class Held:
    """An object that Orthanc holds."""

    sop_uid: str
    series_uid: str
    study_uid: str
    orthanc_id: str
    attributes: Mapping[str, Any]
    """DICOM JSON Model."""


def keep_unseen(connection: Connection, held: Held) -> int:
    """Keep an object that nobody sees until its place is known; the photo's number."""
    return _keep(connection, held, PhotoFacts(photo=held.sop_uid), PhotoState.EXAMINED)


def keep_rejected(connection: Connection, held: Held) -> int:
    """Keep an object that nobody is to see, and that is known all the same: a document about a rejected one."""
    return _keep(connection, held, PhotoFacts(photo=held.sop_uid, other=True), PhotoState.REJECTED)


def keep_other(connection: Connection, held: Held) -> int:
    """Keep an object that is no photo; whether anybody sees it is the site's to say (``other_objects``)."""
    return _keep(connection, held, PhotoFacts(photo=held.sop_uid, other=True), PhotoState.OTHER)


def forget_others(connection: Connection, numbers: Sequence[int]) -> None:
    """Objects that are no photos and that Orthanc holds no more: their archive removed them, as it may."""
    supersede_photos(connection, dict.fromkeys(numbers, ("", "")))  # what was answered about them can be told later
    for table in (dicom_attributes, dicom_instance, photo_facts, photo_due, photo_values, photo):
        connection.execute(delete(table).where(among(connection, table.c.photo, numbers)))


def _keep(connection: Connection, held: Held, facts: PhotoFacts, state: PhotoState) -> int:
    number = photos.save_photo(
        connection,
        facts,
        series_uid=held.series_uid,
        study_uid=held.study_uid,
        orthanc_id=held.orthanc_id,
        state=state,
        area=None,
        view=None,
        procedure=None,
    )
    save_instance(connection, number, held.sop_uid, held.attributes)
    return number
