"""Where pages ask what is missing."""

from __future__ import annotations

from typing import Protocol

from consent.types import Request
from dicom_bridge.gaps.report import Report


class GapBook(Protocol):
    """Where gaps are asked for; each answer is recorded before it is given."""

    def of_patient(self, request: Request, patient: str, route: str) -> Report | None:
        """What is missing of one patient; None where the request may not ask about her."""
        ...

    def of_clinic(self, request: Request, route: str) -> Report | None:
        """What is missing in the clinic; None where the request may not ask about everybody."""
        ...
