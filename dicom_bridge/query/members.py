"""What belongs to patients, studies and series that are named by their Orthanc ids: photos, permitted or not.

Whoever asks puts each to the decision before anything of it is shown.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, or_, select

from consent.store.load import SHOWN
from consent.store.tables import photo
from consent.store.write import among
from dicom_bridge.query.dictionary import Level
from dicom_bridge.query.search import Instance
from dicom_bridge.query.tables import dicom_instance

COLUMNS = {
    Level.PATIENT: dicom_instance.c.orthanc_patient,
    Level.STUDY: dicom_instance.c.orthanc_study,
    Level.SERIES: dicom_instance.c.orthanc_series,
    Level.INSTANCE: dicom_instance.c.orthanc_instance,
}


def members(connection: Connection, ids: Sequence[str], level: Level | None = None) -> tuple[Instance, ...]:
    """Every linked photo of these patients, studies, series or instances, each once, in the order of the index.

    Parameters
    ----------
    level
        What the ids name; None: whatever has such an id, since an id tells nothing of its level.
    """
    columns = COLUMNS.values() if level is None else (COLUMNS[level],)
    rows = connection.execute(
        select(
            dicom_instance.c.photo,
            dicom_instance.c.sop_uid,
            dicom_instance.c.series_uid,
            dicom_instance.c.study_uid,
            photo.c.orthanc_id,
        )
        .join(photo, photo.c.photo == dicom_instance.c.photo)
        .where(or_(*(among(connection, column, ids) for column in columns)), photo.c.state.in_(SHOWN))
        .order_by(
            dicom_instance.c.orthanc_patient,
            dicom_instance.c.study_uid,
            dicom_instance.c.series_uid,
            dicom_instance.c.photo,
        )
    ).all()
    return tuple(Instance(row.photo, row.sop_uid, row.series_uid, row.study_uid, row.orthanc_id) for row in rows)


def levels(connection: Connection, ids: Sequence[str]) -> dict[str, Level]:
    """What each of the ids names; those that name nothing are left out."""
    found: dict[str, Level] = {}
    for level, column in COLUMNS.items():
        statement = select(column).distinct().where(among(connection, column, ids))
        found |= dict.fromkeys(connection.execute(statement).scalars(), level)
    return found
