"""What a projection is told of a write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from consent.site import Site


@dataclass(frozen=True, slots=True)
class Written:
    """One version that has just been kept."""

    type: str
    id: str
    version: int
    resource: Mapping[str, Any]
    previous: Mapping[str, Any] | None
    """The version before it; None for the first."""

    body: bytes
    now: datetime
    """Time of the write by the clock of the database."""

    arrived: bool = False
    """It came by synchronisation: it is kept even where it cannot be honoured."""

    @property
    def reference(self) -> str:
        """``Type/id``."""
        return f"{self.type}/{self.id}"


@dataclass(frozen=True, slots=True)
class Setting:
    """What all projections need beside the connection."""

    site: Site
    base: str | None = None
    """This server's FHIR address; absolute references below it are local."""
