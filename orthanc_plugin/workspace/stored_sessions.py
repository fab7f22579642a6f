"""The next session over the record of the database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection

from consent.audit.record import Kind, of_request
from consent.store.clock import now
from consent.store.engine import reading
from consent.types import Request
from fhir_mapping.api import access
from fhir_mapping.api.node import Node
from fhir_mapping.api.writes import perform
from fhir_mapping.course import saving
from fhir_mapping.course.basis import Basis, basis
from fhir_mapping.course.saving import Decided
from fhir_mapping.course.upcoming import Upcoming, upcoming
from orthanc_plugin.workspace.session_form import Sent


class StoredSessions:
    """Reads by the decision point; writes as the FHIR API does, recorded before and after."""

    def __init__(self, node: Node, clock: Callable[[Connection], datetime] = now) -> None:
        """Open it.

        Parameters
        ----------
        clock
            The time by the database.
        """
        self._node, self._now = node, clock

    def upcoming(self, request: Request, patient: str, plan: str | None, route: str) -> Upcoming:
        """What to see before the next session."""
        node = self._node
        with reading(node.engine) as connection:
            return upcoming(
                node.decisions, connection, node.record, request, patient, self._now(connection), plan=plan, route=route
            )

    def basis(self, request: Request, about: str, route: str) -> Basis | None:
        """What something rests on, and what rests on it."""
        node = self._node
        kind, _, identity = about.partition("/")
        with reading(node.engine) as connection:
            found = basis(node.decisions, connection, node.record, request, about, route=route)
            photo = kind == "DocumentReference"
            readable = photo or access.readable(connection, request, kind, identity)
        return found if readable else None

    def may_save(self, request: Request) -> bool:
        """Whether the account may write treatments."""
        return "Procedure" in access.writable(request.requester)

    def save(self, request: Request, sent: Sent, route: str) -> str:
        """Write it."""
        node, session = self._node, sent.session
        access.require_write(request.requester, "Procedure")
        requester = request.requester
        with reading(node.engine) as connection:
            moment = self._now(connection)
            entry = saving.before(connection, node.record, session, sent.plan_version)
        decided = Decided(requester.account, requester.reference, sent.shown, sent.record)

        def prepare() -> Callable[[Connection], str]:
            entries = saving.prepare(node.record, session, entry, decided, moment)
            return lambda connection: saving.write(connection, node.record, session, entries, source=requester.account)

        intent = of_request(Kind.INTENT, node.door, route, request, subject=f"Patient/{session.patient}")
        return perform(node, intent, requester.account, prepare)
