"""What happens when Orthanc receives an object: unknown work is let in unseen, a known photo is never blinded."""

from __future__ import annotations

import json

from sqlalchemy.exc import SQLAlchemyError

from consent.errors import ConsentError
from consent.site import OtherObjects
from consent.store import jobs
from consent.store.engine import glancing, transaction
from consent.store.sites import load_site
from dicom_bridge.query.classes import PHOTO_CLASSES
from dicom_bridge.query.known import data_set_digest, known
from dicom_bridge.query.orthanc_ids import orthanc_ids
from orthanc_plugin.wall.errors import WallError
from orthanc_plugin.wall.expected import Expected
from orthanc_plugin.wall.foundation import Foundation

WAIT_SECONDS = 0.05
"""A callback of Orthanc waits no longer than this for the database."""

COLLISION = "collision"
"""Kind of the job about an object with a UID that is known; its key begins with the Orthanc id."""

_KEY = 64


class Hooks:
    """Callbacks of Orthanc around storing."""

    def __init__(self, foundation: Foundation, expected: Expected) -> None:
        self._foundation, self._expected = foundation, expected

    def accepts(self, dicom: bytes) -> bool:
        """Whether an object may be stored.

        One whose SOP Instance UID is known under another Orthanc id (another patient or study) would take the known
        photo's place in every search by UID, and so is discarded; a job tells a person. One that is known under this
        id Orthanc does not store again; a job compares the two, since Orthanc cannot be asked from here (its answer
        may wait for a thread that waits for this one). Where a UID cannot be looked up, nothing is stored; nor is an
        object that comes with a ticket made for another, nor one that is no photo, where the site takes in nothing
        else (``other_objects``).
        """
        try:
            return self._expected.allows(dicom) and self._foundation.pool.run(lambda: self._fits(dicom))
        except Exception as error:  # noqa: BLE001  # an outermost edge
            self._foundation.host.log(f"object discarded: {type(error).__name__}")
            return False

    def _fits(self, dicom: bytes) -> bool:
        tags = self._foundation.host.tags(dicom)
        parts = [str(tags.get(name) or "") for name in ("0010,0020", "0020,000d", "0020,000e", "0008,0018")]
        ids = orthanc_ids(*parts)
        engine = self._foundation.rooms().engine
        sop_uid = parts[3].strip(" \0")
        sop_class = str(tags.get("0008,0016") or "").strip(" \0")
        with glancing(engine) as connection:
            found = known(connection, sop_uid)
            # What our own work announced is on its way here, whatever it is.
            announced = found is not None and found.orthanc_id == ids.instance
            refused = not announced and sop_class not in PHOTO_CLASSES
            if refused and load_site(connection).other_objects is OtherObjects.REFUSE:
                return False
        if found is None or (found.orthanc_id == ids.instance and not found.stored):
            return True
        again = found.orthanc_id == ids.instance
        digest = data_set_digest(dicom) if again else ""
        with transaction(engine, wait=WAIT_SECONDS) as connection:
            key = f"{ids.instance} {digest}".strip()[:_KEY]
            jobs.put(connection, COLLISION, key, json.dumps({"sop_uid": sop_uid, "id": ids.instance, "digest": digest}))
        return again

    def stored(self, _orthanc_id: str) -> None:
        """Wake the worker; it looks by itself every few seconds, so a failure is of no consequence."""
        try:
            self._foundation.pool.run(self._wake, 2 * WAIT_SECONDS)
        except (WallError, ConsentError, SQLAlchemyError) as error:
            self._foundation.host.log(f"worker not woken: {type(error).__name__}")

    def _wake(self) -> None:
        engine = self._foundation.rooms().engine
        with glancing(engine) as connection:
            if jobs.waits(connection, jobs.ARRIVAL, "*"):  # whoever takes it looks at this object, too
                return
        with transaction(engine, wait=WAIT_SECONDS) as connection:
            jobs.put(connection, jobs.ARRIVAL, "*")
