"""The next session over the record of the database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from sqlalchemy import Connection

from consent.audit.record import Kind, of_request
from consent.store.clock import now
from consent.store.engine import reading
from consent.types import Request
from dicom_bridge.judging.asked import ask
from dicom_bridge.protocols.closing import Person, Why
from dicom_bridge.protocols.closings import Closings, Looked
from dicom_bridge.protocols.protocol import Protocol
from fhir_mapping.api import access
from fhir_mapping.api.node import Node
from fhir_mapping.api.writes import perform
from fhir_mapping.course import saving
from fhir_mapping.course.basis import Basis, basis
from fhir_mapping.course.saving import Decided
from fhir_mapping.course.session import Done, done
from fhir_mapping.course.upcoming import Upcoming, upcoming
from fhir_mapping.treatment.session import Named
from fhir_mapping.udi.identifier import Udi
from fhir_mapping.udi.naming import product_of
from orthanc_plugin.workspace.today.reading import Sent


class StoredSessions:
    """Reads by the decision point; writes as the FHIR API does, recorded before and after."""

    def __init__(
        self,
        node: Node,
        clock: Callable[[Connection], datetime] = now,
        protocols: Iterable[Protocol] = (),
        *,
        strict: bool = False,
    ) -> None:
        """Open it.

        Parameters
        ----------
        clock
            The time by the database.
        strict
            Whether no session is closed without its baseline set.
        """
        self._node, self._now = node, clock
        self._closings = Closings(node, protocols, strict=strict, now=clock)

    def upcoming(self, request: Request, patient: str, plan: str | None, route: str) -> Upcoming:
        """What to see before the next session."""
        node = self._node
        with reading(node.engine) as connection:
            return upcoming(
                node.decisions, connection, node.record, request, patient, self._now(connection),
                plan=plan, route=route,
            )  # fmt: skip

    def basis(self, request: Request, about: str, route: str) -> Basis | None:
        """What something rests on, and what rests on it."""
        node = self._node
        kind, _, identity = about.partition("/")
        with reading(node.engine) as connection:
            found = basis(node.decisions, connection, node.record, request, about, route=route)
            photo = kind == "DocumentReference"
            readable = photo or access.readable(connection, request, kind, identity)
        return found if readable else None

    def done(self, request: Request, procedure: str, route: str) -> Done | None:
        """One session."""
        node = self._node
        with reading(node.engine) as connection:
            if not access.readable(connection, request, "Procedure", procedure):
                return None
            return done(node.decisions, connection, node.record, request, procedure, route=route)

    def protocols(self) -> tuple[Protocol, ...]:
        """The protocols of photography."""
        return self._closings.protocols

    def photographs(self, request: Request, visit: str, route: str) -> Looked | None:
        """What a visit is asked for by protocol."""
        return self._closings.look(request, visit, route)

    def may_close(self, request: Request) -> bool:
        """Whether the account may close a visit's photographs."""
        return "Observation" in access.writable(request.requester)

    def close(
        self, request: Request, visit: str, why: Mapping[str, Why], name: str, version: int, route: str
    ) -> Looked:
        """Close them."""
        person = Person(name, request.requester.reference)
        return self._closings.close(request, visit, why, person, route, version=version)

    def product(self, udi: Udi) -> Named | None:
        """What the record calls a product."""
        with reading(self._node.engine) as connection:
            return product_of(connection, self._node.record, udi)

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
            entry = saving.before(connection, node.record, session, sent.state.plan_version, sent.outcomes)
        decided = Decided(requester.account, requester.reference, sent.state.shown, sent.state.record)

        def prepare() -> Callable[[Connection], str]:
            entries = saving.prepare(node.record, session, entry, decided, moment, sent.outcomes)

            def work(connection: Connection) -> str:
                made = saving.write(
                    connection, node.record, session, entries, source=requester.account, known=sent.state.known
                )
                ask(connection, [session.patient])  # her photos are held against the protocols of what was done
                return made

            return work

        intent = of_request(Kind.INTENT, node.door, route, request, subject=f"Patient/{session.patient}")
        return perform(node, intent, requester.account, prepare)
