"""Where gaps are asked for: by a person of the clinic, for treatment, about one patient or about all."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime

from sqlalchemy import Connection, Engine

from consent.purposes import TREAT
from consent.service import DecisionPoint
from consent.store.clock import now
from consent.store.engine import reading
from consent.store.versions import group
from consent.types import Request
from dicom_bridge.gaps.report import Report, of_clinic, of_patient
from dicom_bridge.protocols.protocol import Protocol
from fhir_mapping.store.reader import RecordReader


def may_ask(request: Request) -> bool:
    """Whether a request may be told what is missing: for treatment. Who is confined to patients is told of these."""
    return request.purpose == TREAT and TREAT in request.requester.purposes


class GapDesk:
    """Asks in one snapshot, by the database's clock."""

    def __init__(
        self,
        engine: Engine,
        point: DecisionPoint,
        reader: RecordReader,
        protocols: Callable[[], Collection[Protocol]],
        clock: Callable[[Connection], datetime] = now,
    ) -> None:
        """Open it.

        Parameters
        ----------
        protocols
            Those of the site, as they are now.
        """
        self._engine, self._point, self._reader = engine, point, reader
        self._protocols, self._now = protocols, clock

    def of_patient(self, request: Request, patient: str, route: str) -> Report | None:
        """What is missing of one patient; None where the request may not ask about her."""
        if not may_ask(request):
            return None
        with reading(self._engine) as connection:
            confined = request.requester.confined_to
            if confined is not None and not group(connection, confined) & group(connection, [patient]):
                return None
            return of_patient(
                self._point, connection, self._reader, request, patient, self._protocols(), self._now(connection),
                route=route,
            )  # fmt: skip

    def of_clinic(self, request: Request, route: str) -> Report | None:
        """What is missing in the clinic; None where the request may not ask about everybody."""
        if not may_ask(request) or request.requester.confined_to is not None:
            return None
        with reading(self._engine) as connection:
            return of_clinic(
                self._point, connection, self._reader, request, self._protocols(), self._now(connection), route=route
            )
