"""Who is here today, and who is expected: visits of today, and appointments without one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, and_, or_, select

from consent.store.clock import instant, micros
from consent.store.write import among
from fhir_mapping.search.values import FIRST
from fhir_mapping.store.reader import RecordReader
from fhir_mapping.tables import fhir_date, fhir_resource

MOST = 500
"""Visits and appointments of a day that are read."""

_HERE = ("arrived", "triaged", "in-progress")
_OVER = ("cancelled", "entered-in-error", "finished")
_BOOKED = ("pending", "booked")
_AT_THE_DESK = ("arrived", "checked-in")
_LONGEST = timedelta(days=1)
"""A visit that began longer ago and is still under way was not closed: nobody is here by it."""


class Presence(StrEnum):
    """Whether somebody is here; in the order in which a list shows them."""

    HERE = "here"
    EXPECTED = "expected"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One patient's visit of today."""

    patient: str
    """Id."""

    reference: str
    """``Encounter/…``, or ``Appointment/…`` where there is no visit yet."""

    presence: Presence
    at: datetime | None
    """When it begins; None: not stated."""


@dataclass(frozen=True, slots=True)
class Day:
    """Today's visits, who is here first, then by time; of a patient the first."""

    arrivals: tuple[Arrival, ...] = ()
    more: bool = False
    """Whether there are more than are read."""


def day(connection: Connection, reader: RecordReader, now: datetime, everyone: Collection[str] | None = None) -> Day:
    """Who is here and who is expected, in one statement.

    Parameters
    ----------
    everyone
        Ids of the patients who are asked about; None: all.
    """
    morning = now.astimezone(reader.site.zone).replace(hour=0, minute=0, second=0, microsecond=0)
    evening = morning + timedelta(days=1)  # by the calendar: days have 23 to 25 hours
    row, when = fhir_resource.c, fhir_date.c
    today = and_(when.start >= micros(morning), when.start < micros(evening))
    undated = when.start.is_(None) | (when.start <= FIRST)
    lately = and_(undated, row.updated >= micros(morning))
    under_way = and_(when.start >= micros(now - _LONGEST), when.start < micros(evening))
    wanted: ColumnElement[bool] = or_(
        and_(row.type == "Encounter", row.status.in_(_HERE), or_(under_way, lately)),
        and_(row.type == "Encounter", row.status.not_in((*_HERE, *_OVER)), today),
        and_(row.type == "Appointment", row.status.in_((*_BOOKED, *_AT_THE_DESK)), today),
    )
    dated = and_(when.type == row.type, when.id == row.id, when.name == "date")
    query = (
        select(row.type, row.id, row.status, row.patient, when.start)
        .select_from(fhir_resource.outerjoin(fhir_date, dated))
        .where(row.type.in_(("Encounter", "Appointment")), row.patient.is_not(None), wanted)
        .order_by(when.start, row.type.desc(), row.id)
        .limit(MOST + 1)
    )
    if everyone is not None:
        query = query.where(among(connection, row.patient, everyone))
    rows = connection.execute(query).all()
    made = [
        Arrival(
            patient=each.patient,
            reference=f"{each.type}/{each.id}",
            presence=Presence.HERE if each.status in (*_HERE, *_AT_THE_DESK) else Presence.EXPECTED,
            at=None if each.start is None or each.start <= FIRST else instant(each.start),
        )
        for each in rows[:MOST]
    ]
    made.sort(key=lambda each: (list(Presence).index(each.presence), not each.reference.startswith("Encounter/")))
    first: dict[str, Arrival] = {}
    for each in made:
        first.setdefault(each.patient, each)
    return Day(tuple(first.values()), len(rows) > MOST)
