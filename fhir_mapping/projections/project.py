"""Which resource type feeds which projection, at a write and when everything is made anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, select

from fhir_mapping.errors import Issue
from fhir_mapping.projections import consents, people, photo
from fhir_mapping.projections.excerpt import LINKED_TYPES
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
_PHOTOS = LINKED_TYPES | {"DocumentReference", "ImagingStudy", "Provenance"}

#: Rebuilding goes in this order: people before what is read against them.
_REBUILD = (*_PEOPLE, "Provenance", "ImagingStudy", "EpisodeOfCare", "CarePlan", "DocumentReference", "Consent")


def project(connection: Connection, setting: Setting, written: Sequence[Written]) -> list[list[Issue]]:
    """Write what decisions read of new versions; what the writers should know comes back, for each version.

    People and photos come before Consents, which are read against them.

    Raises
    ------
    Invalid
        A version contradicts the record; nothing may be committed then.
    """
    documents: set[str] = set()
    for each in written:
        for projection in _PEOPLE.get(each.type, ()):
            projection(connection, setting, each)
        if each.type in _PHOTOS:
            documents |= photo.affected(connection, setting, each)
    photo.refresh(connection, setting, documents)
    return [consents.consent(connection, setting, each) if each.type == "Consent" else [] for each in written]


def rebuild(connection: Connection, setting: Setting) -> int:
    """Make indexes and projections anew from the versions kept; tells how many resources were read.

    A Consent that could not be honoured now (the record has changed since) holds its patient, so that a rebuild never
    opens what was closed.
    """
    count = 0
    rows = connection.execute(select(fhir_resource.c.type, fhir_resource.c.id)).all()
    for row in rows:
        version, _, resource = next(history(connection, row.type, row.id))
        extracted = index.extract(row.id, resource, setting.site.zone, setting.base)
        index.save(connection, [(row.type, row.id, extracted)], former=[(row.type, row.id)])
        count += 1
    order = {kind: number for number, kind in enumerate(_REBUILD)}
    for row in sorted((row for row in rows if row.type in order), key=lambda row: (order[row.type], row.id)):
        version, written, resource = next(history(connection, row.type, row.id))
        project(
            connection,
            setting,
            [Written(row.type, row.id, version, resource, None, b"", written, arrived=True)],
        )
    return count
