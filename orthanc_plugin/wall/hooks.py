"""What happens when Orthanc receives an object: unknown work is let in unseen, a known photo is never blinded."""

from __future__ import annotations

import json

from sqlalchemy.exc import SQLAlchemyError

from consent.errors import ConsentError
from consent.store import jobs
from consent.store.engine import glancing, transaction
from dicom_bridge.query.known import known
from dicom_bridge.query.orthanc_ids import orthanc_ids
from orthanc_plugin.wall.errors import WallError
from orthanc_plugin.wall.foundation import Foundation

WAIT_SECONDS = 0.05
"""A callback of Orthanc waits no longer than this for the database."""

COLLISION = "collision"
"""Kind of the job that tells a person of an object with the UID of another photo; its key is the Orthanc id."""


class Hooks:
    """Callbacks of Orthanc around storing."""

    def __init__(self, foundation: Foundation) -> None:
        self._foundation = foundation

    def accepts(self, dicom: bytes) -> bool:
        """Whether an object may be stored.

        One whose SOP Instance UID is known under another Orthanc id (another patient or study) would take the known
        photo's place in every search by UID. One that is known under this id, with other content, Orthanc would drop
        and call stored. Both are discarded, which their sender is told, and a job tells a person. Where this cannot
        be found out, nothing is stored.
        """
        try:
            return self._foundation.pool.run(lambda: self._fits(dicom))
        except Exception as error:  # noqa: BLE001  # an outermost edge
            self._foundation.host.log(f"object discarded: {type(error).__name__}")
            return False

    def _fits(self, dicom: bytes) -> bool:
        tags = self._foundation.host.tags(dicom)
        parts = [str(tags.get(name) or "") for name in ("0010,0020", "0020,000d", "0020,000e", "0008,0018")]
        ids = orthanc_ids(*parts)
        engine = self._foundation.rooms().engine
        sop_uid = parts[3].strip(" \0")
        with glancing(engine) as connection:
            found = known(connection, sop_uid)
        if found is None or (found.orthanc_id == ids.instance and not found.stored):
            return True
        if found.orthanc_id == ids.instance and _data_set(self._foundation.host.dicom(ids.instance)) == _data_set(
            dicom
        ):
            return True
        with transaction(engine, wait=WAIT_SECONDS) as connection:
            jobs.put(connection, COLLISION, ids.instance, json.dumps({"sop_uid": sop_uid}))
        return False

    def _has(self, orthanc_id: str, dicom: bytes) -> bool:
        """Whether Orthanc has this very object."""
        return _data_set(self._foundation.host.dicom(orthanc_id)) == _data_set(dicom)

    def stored(self, _orthanc_id: str) -> None:
        """Wake the worker; it looks by itself every few seconds, so a failure is of no consequence."""
        try:
            self._foundation.pool.run(self._wake, 2 * WAIT_SECONDS)
        except (WallError, ConsentError, SQLAlchemyError) as error:
            self._foundation.host.log(f"worker not woken: {type(error).__name__}")

    def _wake(self) -> None:
        with transaction(self._foundation.rooms().engine, wait=WAIT_SECONDS) as connection:
            jobs.put(connection, jobs.ARRIVAL, "*")


def _data_set(dicom: bytes) -> bytes:
    """A DICOM file without its meta information, which every sender writes anew (PS3.10 7.1)."""
    start = 144  # preamble, prefix, and the element that tells the length of the rest
    if dicom[128:132] != b"DICM" or dicom[132:138] != b"\x02\x00\x00\x00UL":
        return dicom
    return dicom[start + int.from_bytes(dicom[start - 4 : start], "little") :]
