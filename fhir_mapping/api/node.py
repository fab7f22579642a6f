"""What the API needs of the process that serves it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine

from consent.audit.chain import Chain
from consent.audit.read import Archive
from consent.identity.bearer import Caller
from consent.identity.scopes import Scopes
from consent.service import DecisionPoint
from consent.types import Request
from fhir_mapping.question.text import UNNAMED, Names
from fhir_mapping.store.record import RecordStore


@dataclass(frozen=True, slots=True)
class Node:
    """The parts, put together by ``photospine serve``."""

    engine: Engine
    record: RecordStore
    decisions: DecisionPoint
    chain: Chain
    identify: Callable[[str | None, str], Caller | None]
    """``Authorization`` and the client's address -> who calls (:meth:`consent.identity.callers.Callers.identify`)."""

    base: str
    """Public address of ``/fhir`` without a final slash."""

    version: str
    """Of this product."""

    started: datetime
    door: str = "serve"
    archive: Archive | None = None
    """The audit's chains, for AuditEvent; None: it is not read here."""

    names: Names = UNNAMED
    """Views and expressions by name, for questions about photos."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, its sender known and its purpose chosen."""

    request: Request
    route: str
    """Row of the interaction table, for the audit: ``fhir/read``."""

    lenient: bool = False
    """``Prefer: handling=lenient``: search parameters that are not known are left out, and the answer says so."""

    scopes: Scopes | None = None
    """Of the token that it came with; None: it narrows no types."""

    returns: str = "representation"
    """``Prefer: return=``: representation, minimal or OperationOutcome."""

    prefers: bool = False
    """Whether the request said so itself."""
