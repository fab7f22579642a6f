"""What the page of the next session reads and writes."""

from __future__ import annotations

from typing import Protocol

from consent.types import Request
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
