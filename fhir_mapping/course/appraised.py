"""How photos were taken, as the record says it, for those who may see every photo that this names."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlalchemy import Connection, select

from consent.service import DecisionPoint
from consent.store.tables import photo
from consent.store.write import among
from consent.types import Obligation, Request
from fhir_mapping import references
from fhir_mapping.course.shots import FULFILS
from fhir_mapping.resources.appraisal import Appraisal, appraisal_id, read
from fhir_mapping.store.reader import RecordReader


def appraisals(connection: Connection, reader: RecordReader, documents: Iterable[str]) -> dict[str, Appraisal]:
    """By ``DocumentReference/…`` what stands in the record, whoever asks; what was taken back is left out."""
    wanted = {appraisal_id(each): each for each in documents}
    found: dict[str, Appraisal] = {}
    for stored in reader.read_many(connection, "Observation", sorted(wanted)):
        resource = stored.json()
        said = read(resource, reader.base)
        if said is not None and resource.get("status") == "final" and said.photo == wanted[stored.id]:
            found[said.photo] = said
    return found


def appraised(
    connection: Connection,
    reader: RecordReader,
    point: DecisionPoint,
    request: Request,
    documents: Collection[str],
    *,
    fulfils: frozenset[Obligation] = FULFILS,
) -> dict[str, Appraisal]:
    """The same, of photos that a request may see, against references that it may see too."""
    found = appraisals(connection, reader, documents)
    named = {each.photo for each in found.values()} | {each.reference for each in found.values() if each.reference}
    if not named:
        return {}
    may = point.permitted(connection, request, fulfils=fulfils)
    rows = select(photo.c.document).where(
        among(connection, photo.c.document, {references.id_of(each) for each in named}), may.clause(photo.c.photo)
    )
    seen = {f"DocumentReference/{each}" for each in connection.execute(rows).scalars()}
    return {
        document: each
        for document, each in found.items()
        if document in seen and (each.reference is None or each.reference in seen)
    }
