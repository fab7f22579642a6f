"""Reading the record from within a projection."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from consent.store.clock import instant
from fhir_mapping import text
from fhir_mapping.tables import CURRENT, fhir_resource, fhir_version


def current(connection: Connection, kind: str, identity: str) -> dict[str, Any] | None:
    """The current version of a resource as it was received; None where there is none."""
    body = connection.execute(
        select(fhir_version.c.body)
        .select_from(CURRENT)
        .where(fhir_version.c.type == kind, fhir_version.c.id == identity)
    ).scalar_one_or_none()
    return None if body is None else text.kept(bytes(body))


def exists(connection: Connection, reference: str) -> bool:
    """Whether ``Type/id`` is in the record."""
    kind, _, identity = reference.partition("/")
    query = select(fhir_resource.c.id).where(fhir_resource.c.type == kind, fhir_resource.c.id == identity)
    return connection.execute(query).first() is not None


def history(connection: Connection, kind: str, identity: str) -> Iterator[tuple[int, datetime, dict[str, Any]]]:
    """Every version, newest first: its number, when it was written, what it says."""
    query = (
        select(fhir_version.c.version, fhir_version.c.updated, fhir_version.c.body)
        .where(fhir_version.c.type == kind, fhir_version.c.id == identity)
        .order_by(fhir_version.c.version.desc())
    )
    for row in connection.execute(query).all():
        yield row.version, instant(row.updated), text.kept(bytes(row.body))


def was_active(connection: Connection, kind: str, identity: str, version: int) -> bool:
    """Whether any version up to this one had the status ``active``."""
    found = connection.execute(
        select(fhir_version.c.version)
        .where(
            fhir_version.c.type == kind,
            fhir_version.c.id == identity,
            fhir_version.c.version <= version,
            fhir_version.c.status == "active",
        )
        .limit(1)
    ).first()
    return found is not None
