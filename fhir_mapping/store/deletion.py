"""Deletion (R4 delete): the current row, the index and what decisions read of it go; every version stays.

Nothing is deleted that something else names, so that no reference ever leads nowhere; and nothing whose deletion would
lift a refusal (:data:`fhir_mapping.store.kinds.LASTING`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select

from consent.store.clock import instant, micros
from consent.store.versions import lock
from consent.store.write import among
from fhir_mapping.errors import Conflict, Issue, NotFound, VersionMismatch
from fhir_mapping.projections.project import forget
from fhir_mapping.projections.written import Setting
from fhir_mapping.search import index
from fhir_mapping.store.reader import RecordReader
from fhir_mapping.tables import fhir_deletion, fhir_reference, fhir_resource

_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Deleted:
    """A resource that is not there any more."""

    type: str
    id: str
    version: int
    """Of the deletion: the next one after the last."""

    updated: datetime
    patient: str | None
    """Whose compartment it was in."""


def last_deletion(connection: Connection, kind: str, identity: str) -> Deleted | None:
    """The last deletion of a resource, also where it was written anew since; None where it never was deleted."""
    row = connection.execute(
        select(fhir_deletion)
        .where(fhir_deletion.c.type == kind, fhir_deletion.c.id == identity)
        .order_by(fhir_deletion.c.version.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else Deleted(kind, identity, row.version, instant(row.updated), row.patient)


def remove(
    connection: Connection,
    reader: RecordReader,
    setting: Setting,
    kind: str,
    identity: str,
    *,
    source: str,
    now: datetime,
    if_match: int | None = None,
) -> Deleted:
    """Delete a resource; one that is deleted already stays as it is.

    :func:`require_unnamed` belongs before the end of the transaction.

    Raises
    ------
    NotFound
        There never was one.
    VersionMismatch
        ``if_match`` is another version than the current one.
    """
    lock(connection)
    row = connection.execute(
        select(fhir_resource.c.version, fhir_resource.c.patient).where(
            fhir_resource.c.type == kind, fhir_resource.c.id == identity
        )
    ).one_or_none()
    if row is None:
        former = last_deletion(connection, kind, identity)
        if former is None:
            raise NotFound
        return former
    if if_match is not None and if_match != row.version:
        raise VersionMismatch(Issue("conflict", "The resource has another version now.", kind))
    previous = reader.read(connection, kind, identity).json()
    connection.execute(delete(fhir_resource).where(fhir_resource.c.type == kind, fhir_resource.c.id == identity))
    index.save(connection, [], former=[(kind, identity)])
    made = Deleted(kind, identity, row.version + 1, now, row.patient)
    connection.execute(
        insert(fhir_deletion).values(
            type=kind, id=identity, version=made.version, updated=micros(now), source=source, patient=made.patient
        )
    )
    forget(connection, setting, kind, identity, made.version, previous, now)
    return made


def versions_before(connection: Connection, asked: Collection[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Of those of the types and ids that were deleted once, the version of the last deletion."""
    if not asked:
        return {}
    query = (
        select(fhir_deletion.c.type, fhir_deletion.c.id, func.max(fhir_deletion.c.version).label("version"))
        .where(
            among(connection, fhir_deletion.c.type, {kind for kind, _ in asked}),
            among(connection, fhir_deletion.c.id, {identity for _, identity in asked}),
        )
        .group_by(fhir_deletion.c.type, fhir_deletion.c.id)
    )
    rows = connection.execute(query)
    return {(row.type, row.id): row.version for row in rows if (row.type, row.id) in asked}


def require_unnamed(connection: Connection, kind: str, identity: str, element: str | None = None) -> None:
    """Nothing in the record names what was deleted.

    Raises
    ------
    Conflict
        Something does; the issue says what, but for photos.
    """
    query = (
        select(fhir_reference.c.type, fhir_reference.c.id)
        .where(fhir_reference.c.target == f"{kind}/{identity}")
        .distinct()
        .order_by(fhir_reference.c.type, fhir_reference.c.id)
        .limit(_MOST_NAMED + 1)
    )
    named = [f"{row.type}/{row.id}" for row in connection.execute(query)]
    if named:
        raise Conflict(Issue("business-rule", _said(named), element or kind))


def _said(referrers: list[str]) -> str:
    """What names it. A photo is not told of here: whether it may be known of is decided elsewhere."""
    told = [each for each in referrers if not each.startswith(("DocumentReference/", "ImagingStudy/", "Provenance/"))]
    if not told:
        return "Other resources name this one."
    more = " and others" if len(told) < len(referrers) or len(told) > _MOST_NAMED else ""
    return f"It is named by {', '.join(told[:_MOST_NAMED])}{more}."
