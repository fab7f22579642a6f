"""The values that photos have now, by the record and nothing else: what the index holds, and what is judged by."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, select

from consent.codec import photo_from_json
from consent.directive import Region
from consent.facts import PhotoFacts
from consent.store.clock import instant
from consent.store.load import LINKED as LINKED_STATE
from consent.store.tables import photo, photo_facts
from consent.store.write import among
from consent.types import Laterality
from fhir_mapping import text
from fhir_mapping.projections.written import Setting
from fhir_mapping.question import elements
from fhir_mapping.question.facets import LINKED, UNDATED, UNPLACED, Facet, Held, Value, canonical, value, wholes
from fhir_mapping.question.surroundings import Surroundings
from fhir_mapping.resources.document_reference import EXPRESSION_EXTENSION, VIEW_EXTENSION
from fhir_mapping.resources.kept import is_about_photos
from fhir_mapping.resources.session import session_of
from fhir_mapping.search.paths import listed
from fhir_mapping.tables import CURRENT, fhir_version
from fhir_mapping.treatment.elements import system_and_code

_SIDES = {
    Laterality.RIGHT: (Laterality.RIGHT,),
    Laterality.LEFT: (Laterality.LEFT,),
    Laterality.BOTH: (Laterality.RIGHT, Laterality.LEFT, Laterality.BOTH),
}


def values_of(connection: Connection, setting: Setting, numbers: Collection[int]) -> dict[int, frozenset[Value]]:
    """The values of those photos that are linked; the others, and what only tells of photos, have none."""
    if not numbers:
        return {}
    rows = connection.execute(
        select(photo.c.photo, photo.c.document, photo.c.view, photo.c.taken, photo_facts.c.body)
        .join(photo_facts, photo_facts.c.photo == photo.c.photo)
        .where(among(connection, photo.c.photo, numbers), photo.c.state == LINKED_STATE, photo.c.patient.is_not(None))
    ).all()
    facts = {row.photo: photo_from_json(row.body) for row in rows}
    documents = _documents(connection, {row.document for row in rows if row.document})
    rows = [row for row in rows if not is_about_photos(documents.get(row.document or "", {}))]
    named = {each for one in facts.values() for each in _links(one)}
    judged = {each for one in facts.values() for each in one.formerly_hers}  # judgements of a photo corrected since
    around = Surroundings(connection, setting.base, named, {f"DocumentReference/{each}" for each in documents} | judged)
    return {
        row.photo: frozenset(_values(row, facts[row.photo], documents.get(row.document or "", {}), around))
        for row in rows
    }


def _values(row: Any, facts: PhotoFacts, document: Mapping[str, Any], around: Surroundings) -> Iterator[Value]:
    yield LINKED
    yield from regions_of(facts.regions)
    yield value(Held.MONTH, "", UNDATED if row.taken is None else month(instant(row.taken)))
    viewed = list(_extended(document, VIEW_EXTENSION, Facet.VIEW))
    if not viewed and row.view:
        system, code = system_and_code(row.view)
        viewed = [value(Facet.VIEW, system, code)]
    yield from viewed
    yield from _extended(document, EXPRESSION_EXTENSION, Facet.EXPRESSION)
    if facts.author is not None:
        yield value(Facet.CLINICIAN, "", facts.author)
    if facts.photographer is not None:
        yield value(Facet.PHOTOGRAPHER, "", facts.photographer)
    number = session_of(document)
    if number is not None:
        yield value(Facet.SESSION, "", str(number))
    for link in _links(facts):
        yield from around.values(link)
        for plan in around.plans.get(link, ()):
            yield value(Facet.PLAN, "", plan)
        if link.partition("/")[0] in ("CarePlan", "EpisodeOfCare"):
            yield value(Facet.PLAN, "", link)
    if facts.document is not None:
        yield from around.values(facts.document)
        for each in (facts.document, *facts.formerly_hers):
            yield from around.outcomes(each)


@lru_cache(maxsize=4096)
def regions_of(regions: tuple[Region, ...]) -> frozenset[Value]:
    """Each region with all that it is part of, and its side; two sides of one region are both. None is a value, too.

    A photo's sides are those of the regions that it states: a left cheek and a right hand are not both of anything.
    """
    stated = {canonical(region.code) for region in regions}
    sides: dict[str, set[Laterality]] = {}
    for region in regions:
        for whole in wholes(region.code):
            sides.setdefault(whole, set()).update(_SIDES[region.laterality])
    values = set() if sides else {UNPLACED}
    for code, found in sides.items():
        system, bare = system_and_code(code)
        values.add(value(Facet.AREA, system, bare))
        if found >= {Laterality.RIGHT, Laterality.LEFT}:
            found.add(Laterality.BOTH)
        for side in found:
            if code in stated:
                values.add(value(Facet.SIDE, "", side.value))
            values.add(value(Held.AREA_ON_SIDE, code, side.value))
    return frozenset(values)


def month(moment: datetime) -> str:
    """The month of a moment in UTC."""
    return f"{moment.year:04}-{moment.month:02}"


def _links(facts: PhotoFacts) -> frozenset[str]:
    return facts.links | ({facts.encounter} if facts.encounter else frozenset())


def _extended(document: Mapping[str, Any], url: str, facet: str) -> Iterator[Value]:
    for extension in listed(document.get("extension")):
        if isinstance(extension, Mapping) and extension.get("url") == url:
            yield from elements.concept(facet, extension.get("valueCodeableConcept"))


def _documents(connection: Connection, ids: Collection[str]) -> dict[str, Mapping[str, Any]]:
    query = select(fhir_version.c.id, fhir_version.c.body).select_from(CURRENT)
    query = query.where(fhir_version.c.type == "DocumentReference", among(connection, fhir_version.c.id, ids))
    return {row.id: text.kept(bytes(row.body)) for row in connection.execute(query)}
