"""Objects that Orthanc holds and nobody sees yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from consent.facts import PhotoFacts
from consent.store import photos
from consent.store.photos import PhotoState
from dicom_bridge.objects.read import ReadObject
from dicom_bridge.query.index import save_instance


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
    number = photos.save_photo(
        connection,
        PhotoFacts(photo=held.sop_uid),
        series_uid=held.series_uid,
        study_uid=held.study_uid,
        orthanc_id=held.orthanc_id,
        state=PhotoState.EXAMINED,
        area=None,
        view=None,
        procedure=None,
    )
    save_instance(connection, number, held.sop_uid, held.attributes)
    return number


def keep_aside(connection: Connection, orthanc_id: str, read: ReadObject) -> None:
    """Remember an object that is no photo by its UID, where that is free."""
    if photos.by_sop(connection, read.sop_instance_uid) is None:
        photos.save_photo(
            connection,
            PhotoFacts(photo=read.sop_instance_uid),
            series_uid=read.series_instance_uid,
            study_uid=read.study_instance_uid,
            orthanc_id=orthanc_id,
            state=PhotoState.ARRIVED,
            area=None,
            view=None,
            procedure=None,
        )
