"""Alignments that people kept, over the record of the database: an Observation for each pair of photos."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection, select

from consent.audit.record import AuditRecord, Kind, of_request
from consent.store.clock import now
from consent.store.engine import reading
from consent.store.tables import photo
from consent.store.write import among
from consent.types import Request
from dicom_bridge.objects import registration as objects
from fhir_mapping.api import access
from fhir_mapping.api.node import Node
from fhir_mapping.api.writes import perform
from fhir_mapping.course.shots import FULFILS
from fhir_mapping.errors import Invalid, Issue, NotFound
from fhir_mapping.resources.alignment import Kept, Side, alignment_id, observation, read
from fhir_mapping.resources.document_reference import ORIGINAL_HASH
from fhir_mapping.treatment.elements import parts, text
from orthanc_plugin.workspace.aligning import Laid, method

_DOCUMENT = "DocumentReference"


class Registrar(Protocol):
    """Keeps alignments in the archive."""

    def register(self, request: Request, laid: objects.Laid, route: str) -> None:
        """Keep one as a Spatial Registration that is seen by who may see both photos.

        Raises
        ------
        dicom_bridge.compare.keeping.NotKept, dicom_bridge.errors.ObjectRefused
        dicom_bridge.archive.ArchiveUnavailable, dicom_bridge.archive.ObjectDiscarded
        """
        ...


class StoredAlignments:
    """Reads what may be seen of both photos alone; writes as the FHIR API does, recorded before and after."""

    def __init__(self, node: Node, registrar: Registrar, clock: Callable[[Connection], datetime] = now) -> None:
        """Open it; ``clock``: the time by the database."""
        self._node, self._registrar, self._now = node, registrar, clock

    def kept(self, request: Request, left: str, right: str) -> Kept | None:
        """Where the right photo lies on the left one, where somebody kept it."""
        node = self._node
        with reading(node.engine) as connection:
            photos = self._seen(connection, request, left, right)
            return None if photos is None else self._found(connection, left, right, photos)

    def may_keep(self, request: Request) -> bool:
        """Whether the account may write Observations, for the treatment that it is kept for."""
        return request.purpose == "TREAT" and "Observation" in access.writable(request.requester)

    def keep(self, request: Request, left: str, right: str, laid: Laid, name: str, route: str) -> Kept:
        """Keep one."""
        node = self._node
        access.require_write(request.requester, "Observation")
        with reading(node.engine) as connection:
            photos = self._seen(connection, request, left, right)
        if photos is None:
            raise NotFound
        (patient, fixed), (_, moved) = photos[left], photos[right]
        if not fixed.sha256 or not moved.sha256:
            raise Invalid(Issue("incomplete", "The record does not tell the hash of one of the photos."))

        kept = Kept(
            replace(fixed, columns=laid.left[0], rows=laid.left[1]),
            replace(moved, columns=laid.right[0], rows=laid.right[1]),
            laid.transform,
            method(),
            name,
            reference=request.requester.reference,
        )
        # The archive first: what the record says is kept is there.
        self._registrar.register(request, _registered(kept), route)

        def work(connection: Connection) -> Kept:
            made = observation(kept, f"Patient/{patient}", self._now(connection))
            source = request.requester.account
            stored = node.record.update(connection, "Observation", made["id"], made, source=source)
            said = read(stored.json(), node.record.base, stored.version)
            assert said is not None
            return said

        return perform(node, self._intent(request, left, right, route), request.requester.account, lambda: work)

    def take_back(self, request: Request, left: str, right: str, name: str, route: str) -> None:
        """Say that it is wrong."""
        node = self._node
        access.require_write(request.requester, "Observation")
        with reading(node.engine) as connection:
            photos = self._seen(connection, request, left, right)
            found = None if photos is None else self._found(connection, left, right, photos)
        if photos is None or found is None:
            return

        def work(connection: Connection) -> None:
            said = replace(found, by=name, reference=request.requester.reference)
            made = observation(said, f"Patient/{photos[left][0]}", self._now(connection), taken_back=True)
            source = request.requester.account
            node.record.update(connection, "Observation", made["id"], made, source=source, if_match=found.version)

        perform(node, self._intent(request, left, right, route), request.requester.account, lambda: work)

    def _intent(self, request: Request, left: str, right: str, route: str) -> AuditRecord:
        identity = alignment_id(f"{_DOCUMENT}/{left}", f"{_DOCUMENT}/{right}")
        return of_request(Kind.INTENT, self._node.door, route, request, subject=f"Observation/{identity}")

    def _found(self, connection: Connection, left: str, right: str, photos: dict[str, tuple[str, Side]]) -> Kept | None:
        record = self._node.record
        here, there = photos[left][1], photos[right][1]
        try:
            stored = record.read(connection, "Observation", alignment_id(here.document, there.document))
        except NotFound:
            return None
        found = read(stored.json(), record.base, stored.version)
        if found is None:
            return None
        if found.fixed.document == there.document:
            found = found.swapped
        same = all(
            (was.document, was.instance, was.sha256) == (now_is.document, now_is.instance, now_is.sha256)
            for was, now_is in ((found.fixed, here), (found.moved, there))
        )
        return found if same else None

    def _seen(
        self, connection: Connection, request: Request, left: str, right: str
    ) -> dict[str, tuple[str, Side]] | None:
        """Patient and photo by document, both as they are now; None where one may not be seen, or is not there."""
        if left == right:
            return None
        may = self._node.decisions.permitted(connection, request, fulfils=FULFILS)
        rows = connection.execute(
            select(photo.c.document, photo.c.patient, photo.c.sop_uid).where(
                among(connection, photo.c.document, {left, right}), may.clause(photo.c.photo)
            )
        ).all()
        if len(rows) != len({left, right}):
            return None
        hashes = {}
        for stored in self._node.record.read_many(connection, _DOCUMENT, [left, right]):
            identifiers = parts(stored.json(), "identifier")
            own = (text(each, "value") for each in identifiers if text(each, "system") == ORIGINAL_HASH)
            hashes[stored.id] = next(own, "")
        return {
            row.document: (
                row.patient,
                Side(f"{_DOCUMENT}/{row.document}", row.sop_uid, hashes.get(row.document, ""), 0, 0),
            )
            for row in rows
        }


def _registered(kept: Kept) -> objects.Laid:
    """As the archive keeps it."""
    fixed, moved, lies = kept.fixed, kept.moved, kept.transform
    return objects.Laid(
        fixed.instance,
        moved.instance,
        lies.a,
        lies.b,
        lies.dx,
        lies.dy,
        (fixed.columns, fixed.rows),
        (moved.columns, moved.rows),
        lies.error,
        kept.by,
        kept.method,
    )
