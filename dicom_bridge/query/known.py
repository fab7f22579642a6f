"""Whether a UID is taken: what the received-instance callback asks before Orthanc stores an object."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import Connection, select

from consent.store.tables import photo
from dicom_bridge.tables import ledger


@dataclass(frozen=True, slots=True)
class Known:
    """Where a SOP Instance UID is known."""

    orthanc_id: str
    stored: bool
    """Orthanc has the object; False while it may be on its way there."""


def known(connection: Connection, sop_uid: str) -> Known | None:
    """The object that has this SOP Instance UID, photos that are on their way included; None where it is free."""
    row = connection.execute(select(photo.c.orthanc_id).where(photo.c.sop_uid == sop_uid)).one_or_none()
    if row is not None:
        return Known(row.orthanc_id, stored=True)
    entry = connection.execute(
        select(ledger.c.orthanc_id, ledger.c.state).where(ledger.c.sop_uid == sop_uid)
    ).one_or_none()
    return None if entry is None else Known(entry.orthanc_id, stored=entry.state in ("stored", "attached", "done"))


def data_set_digest(dicom: bytes) -> str:
    """SHA-256 of a DICOM file without its meta information, which every sender writes anew (PS3.10 7.1)."""
    start = 144  # preamble, prefix, and the element that tells the length of the rest
    if dicom[128:138] == b"DICM\x02\x00\x00\x00UL":
        start += int.from_bytes(dicom[start - 4 : start], "little")
    return hashlib.sha256(memoryview(dicom)[start:]).hexdigest()
