"""The record: what was received, what is served, and what is read of it."""

from __future__ import annotations

from fhir_mapping.store.reader import Stored
from fhir_mapping.store.record import CLINICAL, KEPT, OWN, RecordStore

__all__ = ["CLINICAL", "KEPT", "OWN", "RecordStore", "Stored"]
