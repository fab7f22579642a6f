"""Whether a UID is taken: what the received-instance callback asks before Orthanc stores an object."""

from __future__ import annotations

from sqlalchemy import Connection, select

from consent.store.tables import photo


def known_elsewhere(connection: Connection, sop_uid: str, orthanc_id: str) -> bool:
    """Whether a photo with this SOP Instance UID is known under another Orthanc id."""
    return (
        connection.execute(
            select(photo.c.photo).where(photo.c.sop_uid == sop_uid, photo.c.orthanc_id != orthanc_id)
        ).first()
        is not None
    )
