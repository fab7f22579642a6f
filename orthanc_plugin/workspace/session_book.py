"""What the page of the next session reads and writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from consent.types import Request
from dicom_bridge.protocols.closing import Why
from dicom_bridge.protocols.closings import Looked
from dicom_bridge.protocols.protocol import Protocol as ShotProtocol
from fhir_mapping.course.basis import Basis
from fhir_mapping.course.session import Done
from fhir_mapping.course.upcoming import Upcoming
from fhir_mapping.treatment.session import Named
from fhir_mapping.udi.identifier import Udi
from orthanc_plugin.workspace.today.reading import Sent


class SessionBook(Protocol):
    """The next session of a patient. Whatever returns photos has decided and recorded them for its request."""

    def upcoming(self, request: Request, patient: str, plan: str | None, route: str) -> Upcoming:
        """What to see before it."""
        ...

    def basis(self, request: Request, about: str, route: str) -> Basis | None:
        """What a photo, session, plan or outcome rests on, and what rests on it; None where it may not be seen."""
        ...

    def done(self, request: Request, procedure: str, route: str) -> Done | None:
        """One session with all that was done in it; None where it may not be read."""
        ...

    def protocols(self) -> tuple[ShotProtocol, ...]:
        """The protocols of photography, by name."""
        ...

    def photographs(self, request: Request, visit: str, route: str) -> Looked | None:
        """What a visit is asked for by protocol, and what is there; None where it may not be read."""
        ...

    def may_close(self, request: Request) -> bool:
        """Whether the account may close a visit's photographs."""
        ...

    def close(
        self, request: Request, visit: str, why: Mapping[str, Why], name: str, version: int, route: str
    ) -> Looked:
        """Close them.

        Raises
        ------
        fhir_mapping.errors.Refused
            Nothing was written: a reason is missing, or somebody else closed them meanwhile.
        """
        ...

    def product(self, udi: Udi) -> Named | None:
        """What the record calls a product whose pack was scanned."""
        ...

    def may_save(self, request: Request) -> bool:
        """Whether the account may write treatments."""
        ...

    def save(self, request: Request, sent: Sent, route: str) -> str:
        """Write it; gives ``Procedure/…``, the same one where the same form is sent twice.

        Raises
        ------
        fhir_mapping.errors.Refused
            Nothing was written: the plan was changed meanwhile, or the record does not take it.
        """
        ...
