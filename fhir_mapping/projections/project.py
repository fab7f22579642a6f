"""Which resource type feeds which projection, at a write and when everything is made anew."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, select

from fhir_mapping.errors import Issue
from fhir_mapping.projections import consents, people, photo
from fhir_mapping.projections.read import history
from fhir_mapping.projections.written import Setting, Written
from fhir_mapping.search import index
from fhir_mapping.tables import fhir_resource

Projection = Callable[[Connection, Setting, Written], None]

_PEOPLE: dict[str, tuple[Projection, ...]] = {
    "Patient": (people.patient,),
    "RelatedPerson": (people.related_person,),
    "Organization": (people.organization,),
    "PractitionerRole": (people.members,),
    "Group": (people.members,),
    "CareTeam": (people.members, people.care),
    "Encounter": (people.care,),
    "Procedure": (people.care,),
}

#: Writing these can change the facts of photos.
_PHOTOS = photo.LINKED_TYPES | {"DocumentReference", "ImagingStudy", "Provenance"}

#: Rebuilding goes in this order: people before what is read against them.
_REBUILD = (*_PEOPLE, "Provenance", "ImagingStudy", "EpisodeOfCare", "CarePlan", "DocumentReference", "Consent")


def project(connection: Connection, setting: Setting, written: Written) -> list[Issue]:
    """Write what decisions read of one new version; what the writer should know comes back.

    Raises
    ------
    Invalid
        The version contradicts the record; nothing may be committed then.
    """
    for projection in _PEOPLE.get(written.type, ()):
        projection(connection, setting, written)
    if written.type in _PHOTOS:
        photo.refresh(connection, setting, photo.affected(connection, setting, written))
    return consents.consent(connection, setting, written) if written.type == "Consent" else []


def rebuild(connection: Connection, setting: Setting) -> int:
    """Make indexes and projections anew from the versions kept; tells how many resources were read.

    A Consent that could not be honoured now (the record has changed since) holds its patient, so that a rebuild never
    opens what was closed.
    """
    count = 0
    rows = connection.execute(select(fhir_resource.c.type, fhir_resource.c.id)).all()
    for row in rows:
        version, _, resource = next(history(connection, row.type, row.id))
        index.save(connection, row.type, row.id, index.extract(row.id, resource, setting.site.zone, setting.base))
        count += 1
    order = {kind: number for number, kind in enumerate(_REBUILD)}
    for row in sorted((row for row in rows if row.type in order), key=lambda row: (order[row.type], row.id)):
        version, written, resource = next(history(connection, row.type, row.id))
        project(
            connection,
            setting,
            Written(row.type, row.id, version, resource, None, b"", written, arrived=True),
        )
    return count
