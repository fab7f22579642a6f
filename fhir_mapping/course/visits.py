"""Today's visit: one that begins today, else one that is under way."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import Connection, exists, or_, select

from consent.store.clock import micros
from consent.store.write import among
from fhir_mapping.store.reader import RecordReader
from fhir_mapping.tables import fhir_date, fhir_resource

_OVER = ("cancelled", "entered-in-error")
_UNDER_WAY = ("in-progress", "arrived", "triaged")
_LONGEST = timedelta(days=30)
"""A visit that began longer ago and is still under way was never closed: today is another."""


def today(connection: Connection, reader: RecordReader, everyone: Collection[str], now: datetime) -> str | None:
    """``Encounter/…`` of any of the patients; however many visits there were, one statement."""
    morning = now.astimezone(reader.site.zone).replace(hour=0, minute=0, second=0, microsecond=0)
    evening = morning + timedelta(days=1)  # by the calendar: days have 23 to 25 hours
    period = exists().where(
        fhir_date.c.type == "Encounter", fhir_date.c.id == fhir_resource.c.id, fhir_date.c.name == "date"
    )
    begins_today = period.where(fhir_date.c.start >= micros(morning), fhir_date.c.start < micros(evening))
    forgotten = period.where(fhir_date.c.start < micros(morning - _LONGEST))
    under_way = fhir_resource.c.status.in_(_UNDER_WAY) & ~forgotten
    found = connection.execute(
        select(fhir_resource.c.id)
        .where(
            fhir_resource.c.type == "Encounter",
            among(connection, fhir_resource.c.patient, everyone),
            or_(begins_today & fhir_resource.c.status.not_in(_OVER), under_way),
        )
        .order_by(begins_today.desc(), fhir_resource.c.updated.desc(), fhir_resource.c.id)
        .limit(1)
    ).scalar_one_or_none()
    return None if found is None else f"Encounter/{found}"
