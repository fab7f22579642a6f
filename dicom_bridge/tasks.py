"""What a person is asked to see to: one Task for each matter, however often it comes up."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from consent.store import clock
from dicom_bridge.held import Held
from dicom_bridge.ledger import Entry
from dicom_bridge.placing import ACCESSION, ADMISSION, PATIENT_ID
from dicom_bridge.query.index import text_of
from fhir_mapping.errors import NotFound
from fhir_mapping.resources.task import (
    batch_stands_still,
    chain_refused,
    correction_given_up,
    object_refused,
    object_waits,
    objects_missing,
    originals_lost,
    photo_of_another_patient,
    uid_taken,
)
from fhir_mapping.store.kinds import SOURCE
from fhir_mapping.store.record import RecordStore

_LISTED = 1000
"""So many photos are named in a Task."""

#: What the sender of an object wrote that could tell its place.
_NAMES = {"Accession Number": ACCESSION, "Admission ID": ADMISSION, "Patient ID": PATIENT_ID}


class Tasks:
    """Writes Tasks into the record, on the connection that it is given."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    # --- objects from elsewhere -------------------------------------------------------------------------------------

    def waits(self, connection: Connection, held: Held, why: str) -> None:
        """An object waits for its place; where the Task says why already, nothing is written."""
        name = _name("waits", held.sop_uid)
        known = self._known(connection, name)
        if known is None or (known.get("reasonCode") or {}).get("text") != why:
            self._write(connection, name, self._waiting(connection, held, why))

    def placed(self, connection: Connection, held: Held) -> None:
        """The place of an object that waited was found."""
        name = _name("waits", held.sop_uid)
        known = self._known(connection, name)
        if known is not None and known["status"] == "requested":
            done = self._waiting(connection, held, str(known["reasonCode"]["text"]), done=True)
            self._write(connection, name, done)

    def settled(self, connection: Connection, sop_uid: str) -> None:
        """A person has placed a photo: whatever she was asked about it is done."""
        for matter in ("waits", "another", "given-up"):
            name = _name(matter, sop_uid)
            known = self._known(connection, name)
            if known is not None and known["status"] == "requested":
                done = {key: value for key, value in known.items() if key != "meta"}
                self._write(connection, name, {**done, "status": "completed"})

    def why_waiting(self, connection: Connection, sop_uid: str) -> str:
        """What the Task about a photo that waits says; empty where there is none."""
        for matter in ("waits", "another"):
            known = self._known(connection, _name(matter, sop_uid))
            if known is not None:
                return str((known.get("reasonCode") or {}).get("text") or known["code"]["text"])
        return ""

    def _waiting(self, connection: Connection, held: Held, why: str, *, done: bool = False) -> dict[str, Any]:
        named = {name: text_of(held.attributes, tag) for name, tag in _NAMES.items()}
        return object_waits(held.sop_uid, held.study_uid, why, named, clock.now(connection), done=done)

    def refused(self, connection: Connection, orthanc_id: str, why: str) -> None:
        """An object is no photo, or cannot be read."""
        self._write(connection, _refused(orthanc_id), object_refused(why, orthanc_id, clock.now(connection)))

    def is_refused(self, connection: Connection, orthanc_id: str) -> bool:
        """Whether a person was told of this object already."""
        return self._store.exists(connection, f"Task/{_refused(orthanc_id)}")

    def uid_taken(self, connection: Connection, sop_uid: str, orthanc_id: str) -> None:
        """An object was not kept, since its UID is another photo's; told once, until somebody saw to it."""
        name = _name("taken", f"{orthanc_id} {sop_uid}")
        known = self._known(connection, name)
        if known is None or known.get("status") != "requested":
            self._write(connection, name, uid_taken(sop_uid, clock.now(connection)))

    def missing(self, connection: Connection, sop_uids: Sequence[str]) -> None:
        """The archive does not have photos any more; told once for the same photos."""
        name = _name("missing", "\n".join(sop_uids))
        if not self._store.exists(connection, f"Task/{name}"):
            self._write(connection, name, objects_missing(sop_uids[:_LISTED], clock.now(connection)))

    # --- files that were taken in -----------------------------------------------------------------------------------

    def of_another_patient(self, connection: Connection, entry: Entry) -> None:
        """A file is known as another patient's photo."""
        task = photo_of_another_patient(entry.sop_uid, entry.patient, clock.now(connection))
        self._write(connection, _name("another", entry.sop_uid), task)

    def originals_lost(self, connection: Connection, patient: str, entries: Sequence[Entry]) -> None:
        """Originals were lost on the way: the files have to be sent again."""
        named = [entry.sop_uid for entry in entries]
        task = originals_lost(patient, named[:_LISTED], clock.now(connection))
        self._write(connection, _name("lost", "\n".join(named)), task)

    def correction_given_up(self, connection: Connection, sop_uid: str, patient: str, why: str | None) -> None:
        """A correction cannot be carried out as it was asked for, since the record changed meanwhile."""
        self._write(
            connection, _name("given-up", sop_uid), correction_given_up(sop_uid, patient, why, clock.now(connection))
        )

    def stands_still(self, connection: Connection, batch: str, patient: str, entries: Sequence[Entry]) -> None:
        """A batch cannot go on, however often that is tried; told once, until somebody saw to it."""
        known = self._known(connection, _name("still", batch))
        if known is None or known.get("status") != "requested":
            named = [entry.sop_uid for entry in entries][:_LISTED]
            task = batch_stands_still(patient, named, clock.now(connection))
            self._write(connection, _name("still", batch), task)

    def chain_refused(self, connection: Connection, chain: str, why: str) -> None:
        """An audit chain is not what was signed; told once for the same reason, until somebody saw to it."""
        name = _name("chain", chain)
        known = self._known(connection, name)
        if known is None or known.get("status") != "requested":
            self._write(connection, name, chain_refused(chain, why, clock.now(connection)))

    def goes_on(self, connection: Connection, batch: str) -> None:
        """A batch that stood still is through."""
        known = self._known(connection, _name("still", batch))
        if known is not None and known.get("status") == "requested":
            settled = {key: value for key, value in known.items() if key != "meta"}
            self._write(connection, _name("still", batch), {**settled, "status": "completed"})

    def _known(self, connection: Connection, name: str) -> dict[str, Any] | None:
        try:
            return self._store.read(connection, "Task", name).json()
        except NotFound:
            return None

    def _write(self, connection: Connection, name: str, task: dict[str, Any]) -> None:
        self._store.update(connection, "Task", name, {**task, "id": name}, source=SOURCE)


def _refused(orthanc_id: str) -> str:
    return _name("refused", orthanc_id)


def _name(matter: str, about: str) -> str:
    """An id that follows from the matter, so that two workers who meet it write one Task."""
    return str(uuid.UUID(bytes=hashlib.sha256(f"{matter} {about}".encode()).digest()[:16], version=4))
