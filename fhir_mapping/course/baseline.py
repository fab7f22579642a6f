"""The day of a course's first photos: from it the days to every later one are counted."""

from __future__ import annotations

from datetime import date

from sqlalchemy import Connection, func, select

from consent.store.clock import instant
from consent.store.tables import photo
from consent.store.write import among
from fhir_mapping import references
from fhir_mapping.course import plan as plans
from fhir_mapping.errors import NotFound
from fhir_mapping.store.reader import RecordReader
from fhir_mapping.treatment import moments
from fhir_mapping.treatment.read import treatments
from fhir_mapping.treatment.surroundings import Surroundings


def baseline_of(connection: Connection, reader: RecordReader, procedure: str) -> date | None:
    """The day on which the photos were taken that the session's plan was decided on; else that of its first session.

    Parameters
    ----------
    procedure
        ``Procedure/…`` of a session.

    Returns
    -------
    In the site's time zone; None where the session is of no plan, or nothing has a date.
    """
    try:
        resource = reader.read(connection, "Procedure", references.id_of(procedure)).json()
    except NotFound:
        return None
    named = [each for each in references.local_of(resource, reader.base, "basedOn") if each.startswith("CarePlan/")]
    if not named:
        return None
    around = Surroundings(connection, reader.base, named[:1])
    plan = plans.read(around.resources.get(named[0], {}), reader.base, around.resources)
    zone = reader.site.zone
    if plan.photos:
        documents = {references.id_of(each) for each in plan.photos}
        first = connection.execute(
            select(func.min(photo.c.taken)).where(among(connection, photo.c.document, documents))
        ).scalar_one_or_none()
        if first is not None:
            return instant(first).astimezone(zone).date()
    begun = [at for each in treatments(around) if each.took_place and (at := moments.begun(each.session, zone))]
    return min(begun).astimezone(zone).date() if begun else None
