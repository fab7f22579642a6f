from __future__ import annotations

from tests.fhir.conftest import clinic, made_clinic

__all__ = ["clinic", "made_clinic"]
