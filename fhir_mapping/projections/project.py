"""Which resource type feeds which projection, at a write and when everything is made anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, select

from consent.decided import rebuild_bits
from consent.store.engine import reading, transaction
from fhir_mapping.errors import Issue
from fhir_mapping.outcome.project import project as outcomes
from fhir_mapping.projections import consents, lots, observed, people, photo
from fhir_mapping.projections.excerpt import LINKED_TYPES
from fhir_mapping.projections.read import history
from fhir_mapping.projections.written import Setting, Written
from fhir_mapping.question import projection as facets
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

#: What questions read, and no decision.
_ASKED: dict[str, tuple[Projection, ...]] = {"Observation": (outcomes,)}

#: Writing these can change the facts of photos.
_PHOTOS = LINKED_TYPES | {"DocumentReference", "ImagingStudy", "Provenance"}

#: Rebuilding goes in this order: people before what is read against them.
_REBUILD = (
    *_PEOPLE,
    *_ASKED,
    "Provenance",
    "ImagingStudy",
    "EpisodeOfCare",
    "CarePlan",
    "DocumentReference",
    "Consent",
)


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
        for projection in (*_PEOPLE.get(each.type, ()), *_ASKED.get(each.type, ())):
            projection(connection, setting, each)
        if each.type in _PHOTOS:
            documents |= photo.affected(connection, setting, each)
    photo.refresh(connection, setting, documents)
    lots.lots(connection, setting, written)
    observed.note(connection, setting, written)
    facets.note(connection, setting, written, documents)
    return [consents.consent(connection, setting, each) if each.type == "Consent" else [] for each in written]


def forget(
    connection: Connection,
    setting: Setting,
    kind: str,
    identity: str,
    version: int,
    previous: Mapping[str, Any],
    now: datetime,
) -> None:
    """Take back what decisions read of a resource that was deleted: it says nothing any more.

    Parameters
    ----------
    version
        Of the deletion.
    previous
        What it said last.
    """
    nothing = {"resourceType": kind, "id": identity}
    project(connection, setting, [Written(kind, identity, version, nothing, previous, b"", now)])


def index_anew(connection: Connection, setting: Setting) -> int:
    """Make what searches read anew, and nothing else; tells how many resources were read."""
    resources = _everything(connection)
    for each in resources:
        _index_anew(connection, setting, each)
    came_to: tuple[str, str] | None = ("", "")
    while came_to is not None:
        came_to = observed.anew(connection, came_to)
    return len(resources)


def rebuild(connection: Connection, setting: Setting) -> int:
    """Make indexes and projections anew from the versions kept; tells how many resources were read.

    A Consent that could not be honoured now (the record has changed since) holds its patient, so that a rebuild never
    opens what was closed.
    """
    read = index_anew(connection, setting)
    for each in _ordered(_everything(connection)):
        _project_anew(connection, setting, each)
    rebuild_bits(connection)
    last: int | None = 0
    while last is not None:
        last = facets.rebuild(connection, setting, last)
    return read


def rebuild_in_steps(engine: Engine, setting: Setting) -> int:
    """The same in transactions so short that nobody else waits; whoever stops it runs it again from the beginning."""
    with reading(engine) as connection:
        resources = _everything(connection)
    for work, through in ((_index_anew, resources), (_project_anew, _ordered(resources))):
        for start in range(0, len(through), _STEP):
            with transaction(engine) as connection:
                for each in through[start : start + _STEP]:
                    work(connection, setting, each)
    came_to: tuple[str, str] | None = ("", "")
    while came_to is not None:
        with transaction(engine) as connection:
            came_to = observed.anew(connection, came_to)
    with transaction(engine) as connection:
        rebuild_bits(connection)
    last: int | None = 0
    while last is not None:
        with transaction(engine) as connection:
            last = facets.rebuild(connection, setting, last)
    return len(resources)


_STEP = 20
_Kept = tuple[str, str]
"""Type and id."""


def _everything(connection: Connection) -> list[_Kept]:
    rows = connection.execute(select(fhir_resource.c.type, fhir_resource.c.id))
    return sorted((row.type, row.id) for row in rows)


def _ordered(resources: Sequence[_Kept]) -> list[_Kept]:
    order = {kind: number for number, kind in enumerate(_REBUILD)}
    return sorted((each for each in resources if each[0] in order), key=lambda each: (order[each[0]], each[1]))


def _index_anew(connection: Connection, setting: Setting, kept: _Kept) -> None:
    _, _, resource = next(history(connection, *kept))
    index.save(connection, [(*kept, index.extract(kept[1], resource, setting.site.zone, setting.base))], former=[kept])
    lots.anew(connection, setting, *kept)


def _project_anew(connection: Connection, setting: Setting, kept: _Kept) -> None:
    version, written, resource = next(history(connection, *kept))
    project(connection, setting, [Written(*kept, version, resource, None, b"", written, arrived=True)])
