"""Emergency access over the database: the grant, its record before and after, and the Task for compliance."""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection

from consent.audit.record import Kind, of_request
from consent.identity import emergency
from consent.identity.emergency import Grant
from consent.store.clock import now
from consent.store.engine import reading
from consent.store.sites import load_site
from consent.types import Request
from fhir_mapping.api.node import Node
from fhir_mapping.api.writes import perform
from fhir_mapping.resources.task import emergency_access


class StoredEmergencies:
    """See :class:`orthanc_plugin.workspace.emergency.Emergencies`."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def minutes(self) -> int:
        """How long it lasts."""
        with reading(self._node.engine) as connection:
            return load_site(connection).break_glass_minutes

    def open(self, request: Request, patient: str, reason: str) -> Grant:
        """Open it, and tell compliance."""
        node, account = self._node, request.requester.account

        def work(connection: Connection) -> Grant:
            grant = emergency.open_grant(connection, request.requester, patient, reason)
            told = emergency_access(patient, account, grant.reason, grant.until, now(connection))
            node.record.create(connection, "Task", node.record.own("Task", told), source=account)
            return grant

        intent = of_request(
            Kind.INTENT,
            node.door,
            "emergency/open",
            request,
            subject=f"Patient/{patient}",
            digest=hashlib.sha256(reason.encode()).hexdigest(),
            emergency_patient=patient,
        )
        return perform(node, intent, account, lambda: work)

    def active(self, account: str, patient: str) -> Grant | None:
        """What is open."""
        with reading(self._node.engine) as connection:
            return emergency.active(connection, account, patient)

    def end(self, request: Request, grant: Grant) -> None:
        """End it."""
        node = self._node
        intent = of_request(
            Kind.INTENT,
            node.door,
            "emergency/end",
            request,
            subject=f"Patient/{grant.patient}",
            digest=hashlib.sha256(grant.identity.encode()).hexdigest(),
        )
        perform(
            node,
            intent,
            request.requester.account,
            lambda: lambda connection: emergency.close(connection, grant),
        )
