"""The next session over the record of the database."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from consent.audit.record import Kind, of_request
from consent.store.clock import now
from consent.store.engine import reading
from consent.types import Request
from fhir_mapping.api import access
from fhir_mapping.api.node import Node
from fhir_mapping.api.writes import perform
from fhir_mapping.course import saving
from fhir_mapping.course.saving import Decided
from fhir_mapping.course.upcoming import Upcoming, upcoming
from orthanc_plugin.workspace.session_form import Sent


class StoredSessions:
    """Reads by the decision point; writes as the FHIR API does, recorded before and after."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def upcoming(self, request: Request, patient: str, plan: str | None, route: str) -> Upcoming:
        """What to see before the next session."""
        node = self._node
        with reading(node.engine) as connection:
            return upcoming(
                node.decisions, connection, node.record, request, patient, now(connection), plan=plan, route=route
            )

    def may_save(self, request: Request) -> bool:
        """Whether the account may write treatments."""
        return "Procedure" in access.writable(request.requester)

    def save(self, request: Request, sent: Sent, route: str) -> str:
        """Write it."""
        node, session = self._node, sent.session
        access.require_write(request.requester, "Procedure")
        requester = request.requester
        with reading(node.engine) as connection:
            moment = now(connection)
            entry = saving.before(connection, node.record, session, sent.plan_version)
        decided = Decided(requester.account, requester.reference, sent.shown, sent.record)

        def prepare() -> Callable[[Connection], str]:
            entries = saving.prepare(node.record, session, entry, decided, moment)
            return lambda connection: saving.write(connection, node.record, session, entries, source=requester.account)

        intent = of_request(Kind.INTENT, node.door, route, request, subject=f"Patient/{session.patient}")
        return perform(node, intent, requester.account, prepare)
