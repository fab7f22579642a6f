"""How photos were taken, read from the record for whoever may see them."""

from __future__ import annotations

import json
from collections.abc import Collection

from sqlalchemy import Connection, select

from consent.codec import photo_from_json
from consent.service import DecisionPoint
from consent.store.clock import instant
from consent.store.tables import photo, photo_facts
from consent.store.write import among
from consent.types import Laterality, Obligation, Request
from dicom_bridge.compare.conditions import Conditions, conditions_of
from dicom_bridge.query.tables import dicom_attributes
from fhir_mapping.course.appraised import appraised
from fhir_mapping.store.reader import RecordReader


def conditions(
    connection: Connection,
    reader: RecordReader,
    point: DecisionPoint,
    request: Request,
    numbers: Collection[int],
    *,
    fulfils: frozenset[Obligation],
) -> dict[int, Conditions]:
    """By number, in a number of statements that does not grow with them.

    Parameters
    ----------
    numbers
        Photos that this request was permitted, for :func:`dicom_bridge.compare.comparability.comparability` to compare
        any two of. What was judged against a photo that the request may not see is not told.
    fulfils
        The obligations that whoever shows them meets.
    """
    if not numbers:
        return {}
    rows = connection.execute(
        select(
            photo.c.photo, photo.c.document, photo.c.taken, photo.c.area, photo_facts.c.body,
            dicom_attributes.c.attributes,
        )
        .select_from(photo.join(photo_facts, photo_facts.c.photo == photo.c.photo))
        .outerjoin(dicom_attributes, dicom_attributes.c.photo == photo.c.photo)
        .where(among(connection, photo.c.photo, numbers), photo.c.document.is_not(None))
    ).all()  # fmt: skip
    documents = [f"DocumentReference/{row.document}" for row in rows]
    judged = appraised(connection, reader, point, request, documents, fulfils=fulfils)
    made = {}
    for row, document in zip(rows, documents, strict=True):
        shown = photo_from_json(row.body).regions
        made[row.photo] = conditions_of(
            json.loads(row.attributes) if row.attributes else {},
            document=document,
            taken=instant(row.taken) if row.taken is not None else None,
            region=row.area,
            side="" if not shown or shown[0].laterality is Laterality.BOTH else shown[0].laterality.value,
            appraisal=judged.get(document),
        )
    return made
