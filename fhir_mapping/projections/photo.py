"""A photo's facts, read from its DocumentReference and from whatever links to it, in either direction."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from consent.codec import photo_from_json
from consent.directive import Label, Region, Span
from consent.facts import PhotoFacts
from consent.regions import regions as regions_tree
from consent.store import photos
from consent.store.load import OTHER
from consent.store.tables import photo as photo_table
from consent.store.tables import photo_facts as facts_table
from consent.store.write import among
from consent.types import Laterality
from fhir_mapping import dates, references
from fhir_mapping.consent_codes import REGION_EXTENSION
from fhir_mapping.errors import MappingError
from fhir_mapping.projections.excerpt import LINKED_TYPES, Excerpt, sop_uid_of
from fhir_mapping.projections.read import current
from fhir_mapping.projections.standing import successors
from fhir_mapping.projections.written import Setting, Written
from fhir_mapping.resources.document_reference import DICOM_UID, KNOWN_SINCE_EXTENSION
from fhir_mapping.search.values import indexed
from fhir_mapping.tables import fhir_token

ALSO_SHOWS = "urn:photospine:also-shows"
"""Extension on DocumentReference (valueReference): a further patient that the photo shows."""

_MAX_SOURCES = 64


class NoPhoto(MappingError):
    """The DocumentReference is not there, or names no SOP Instance UID: it is no photo."""


def photo_facts(connection: Connection, setting: Setting, document_id: str) -> PhotoFacts:
    """What the record says of the photo that a DocumentReference describes.

    Raises
    ------
    NoPhoto
    """
    return all_facts(connection, setting, [document_id])[document_id]


def all_facts(connection: Connection, setting: Setting, documents: Collection[str]) -> dict[str, PhotoFacts]:
    """The same of several photos, in a few statements however many they are.

    Raises
    ------
    NoPhoto
    """
    excerpt = Excerpt(connection, documents)
    return {document: _facts(excerpt, setting, document, frozenset()) for document in documents}


def refresh(connection: Connection, setting: Setting, documents: Iterable[str]) -> None:
    """Write the facts of those photos anew that are stored and whose facts have changed."""
    rows, stored = _stored(connection, set(documents))
    for facts in all_facts(connection, setting, sorted(stored)).values():
        row = rows.get(facts.photo)
        if row is None:
            continue
        if row.state == OTHER:  # what it is its SOP Class tells, whatever the record says about it
            facts = replace(facts, other=True)
        area, procedure = area_of(facts), procedure_of(facts)
        if row.area == area and row.procedure == procedure and photo_from_json(row.body) == facts:
            continue
        photos.save_photo(
            connection,
            facts,
            series_uid=row.series_uid,
            study_uid=row.study_uid,
            orthanc_id=row.orthanc_id,
            state=row.state,
            area=area,
            view=row.view,
            procedure=procedure,
        )


def _stored(connection: Connection, documents: set[str]) -> tuple[dict[str, Row[Any]], set[str]]:
    """The photos that are stored, by their UIDs, and those of the DocumentReferences that describe them."""
    if not documents:
        return {}, set()
    named = connection.execute(
        select(fhir_token.c.id, fhir_token.c.value).where(
            fhir_token.c.type == "DocumentReference",
            among(connection, fhir_token.c.id, documents),
            fhir_token.c.name == "identifier",
            fhir_token.c.system == DICOM_UID,
        )
    ).all()
    uids = {row.value.removeprefix("urn:oid:"): row.id for row in named if row.value.startswith("urn:oid:")}
    if not uids:
        return {}, set()
    whole = select(photo_table, facts_table.c.body).join(facts_table, facts_table.c.photo == photo_table.c.photo)
    found = connection.execute(whole.where(among(connection, photo_table.c.sop_uid, uids)))
    rows: dict[str, Row[Any]] = {row.sop_uid: row for row in found}
    return rows, {uids[uid] for uid in rows}


def area_of(facts: PhotoFacts) -> str | None:
    """The first region shown, for galleries and counts."""
    return facts.regions[0].code if facts.regions else None


def procedure_of(facts: PhotoFacts) -> str | None:
    """Id of the first Procedure linked."""
    found = sorted(each for each in facts.links if each.startswith("Procedure/"))
    return references.id_of(found[0]) if found else None


def affected(connection: Connection, setting: Setting, written: Written) -> set[str]:
    """Ids of the DocumentReferences whose photo's facts a write may have changed."""
    documents: set[str] = set()
    if written.type == "DocumentReference":
        documents.add(written.id)
    if written.type == "ImagingStudy":
        documents |= _documents_of(connection, _moved(written))
    for resource in (written.resource, written.previous or {}):
        for found in references.found(resource):
            target = references.local(found.text, setting.base)
            if target is None:
                continue
            if target.startswith("DocumentReference/") and written.type != "DocumentReference":
                documents.add(references.id_of(target))
            elif target.startswith("ImagingStudy/") and written.type in LINKED_TYPES:
                study = current(connection, "ImagingStudy", references.id_of(target)) or {}
                documents |= _documents_of(connection, _instances(study))
    # What names a photo names whatever takes its place (see _inherited); nothing else is read of the former one.
    return documents | (successors(connection, documents) if written.type in LINKED_TYPES else set())


def _facts(excerpt: Excerpt, setting: Setting, document_id: str, seen: frozenset[str]) -> PhotoFacts:
    document = excerpt.document(document_id)
    uid = sop_uid_of(document) if document is not None else None
    if document is None or uid is None:
        raise NoPhoto(f"DocumentReference/{document_id} is no photo")
    reference = f"DocumentReference/{document_id}"
    studies = excerpt.studies_of(uid)
    encounters = references.local_of(document, setting.base, "context", "encounter")
    encounter = next((each for each in encounters if each.startswith("Encounter/")), None)
    if encounter is None:
        for study in studies:
            encounter = encounter or next(
                iter(references.local_of(excerpt.study(study), setting.base, "encounter")), None
            )
    patients = patients_shown(document, setting)
    former = excerpt.former(document_id)
    hers = tuple(itertools.takewhile(lambda each: _shows(excerpt, setting, each, patients), former))
    links = _links(excerpt, reference, studies)
    for each in hers:
        links |= _inherited(excerpt, setting, each, encounter)
    if encounter is not None:
        links |= {encounter}
    authors = references.local_of(document, setting.base, "author")
    custodians = references.local_of(document, setting.base, "custodian")
    return PhotoFacts(
        photo=uid,
        patients=patients,
        known_since=_known_since(excerpt, setting, document_id, document),
        document=reference,
        formerly=tuple(f"DocumentReference/{each}" for each in former),
        formerly_hers=tuple(f"DocumentReference/{each}" for each in hers),
        imaging_study=f"ImagingStudy/{studies[0]}" if studies else None,
        encounter=encounter,
        links=frozenset(links),
        treatment=any(each.startswith("Procedure/") for each in links),
        author=authors[0] if authors else None,
        photographer=_photographer(excerpt, setting, document_id),
        custodian=custodians[0] if custodians else None,
        taken=_taken(document, setting),
        regions=_regions(document),
        labels=_labels(document),
        sources=_sources(excerpt, setting, document, seen | {document_id}),
        own_description=bool(_extensions(document, REGION_EXTENSION)),
    )


def patients_shown(document: Mapping[str, Any], setting: Setting) -> tuple[str, ...]:
    """Everybody shown, the subject first."""
    named = references.local_of(document, setting.base, "subject")
    for extension in _extensions(document, ALSO_SHOWS):
        named += references.local_of(extension, setting.base, "valueReference")
    found = [references.id_of(each) for each in named if each.startswith("Patient/")]
    return tuple(dict.fromkeys(found))


def _known_since(
    excerpt: Excerpt, setting: Setting, document_id: str, document: Mapping[str, Any]
) -> dict[str, datetime]:
    """For each patient, the write since which she has been named without a break, or the manifest's day.

    A photo that was corrected is the same photo: where she was named before, she has known it since then.
    """
    since: dict[str, datetime] = {}
    open_patients = set(patients_shown(document, setting))
    for each in (document_id, *excerpt.former(document_id)):
        for _, written, body in excerpt.history(each):
            open_patients &= set(patients_shown(body, setting))
            since |= dict.fromkeys(open_patients, written)
    first = open_patients
    stated = next(iter(_extensions(document, KNOWN_SINCE_EXTENSION)), None)
    if stated is not None:
        day = stated.get("valueDate", stated.get("valueDateTime"))
        end = dates.span(day, setting.site.zone).end if isinstance(day, str) else None
        for patient in first:
            if end is not None:
                since[patient] = min(since[patient], end)
    return since


def _links(excerpt: Excerpt, reference: str, studies: list[str]) -> set[str]:
    """All Procedure, Encounter, EpisodeOfCare and CarePlan that name the photo or are named by it.

    The visit's ImagingStudy names one Procedure at most. Where the photo itself names a treatment, the study's says
    nothing of it: else a permit for one treatment would reach photos of another.
    """
    own = set(excerpt.linked(reference))
    for study in studies:
        for link in excerpt.linked(f"ImagingStudy/{study}"):
            kind = link.partition("/")[0]
            if not any(each.startswith(f"{kind}/") for each in own):
                own.add(link)
    return own


def _shows(excerpt: Excerpt, setting: Setting, document_id: str, patients: tuple[str, ...]) -> bool:
    """Whether a document names these patients."""
    return set(patients_shown(excerpt.document(document_id) or {}, setting)) == set(patients)


def _inherited(excerpt: Excerpt, setting: Setting, former: str, encounter: str | None) -> set[str]:
    """What names a document in whose place another one stands names the photo still.

    Where the visit was wrong, so was what the visit's treatments say of it; a plan was decided on it all the same.
    """
    document = excerpt.document(former) or {}
    same = encounter in references.local_of(document, setting.base, "context", "encounter")
    own = set(references.local_of(document, setting.base, "context", "related"))
    own |= set(references.local_of(document, setting.base, "context", "encounter"))
    named = excerpt.linked(f"DocumentReference/{former}") - own
    return named if same else {each for each in named if each.startswith("CarePlan/")}


def _documents_of(connection: Connection, uids: Iterable[str]) -> set[str]:
    values = [indexed(f"urn:oid:{uid}") for uid in uids]
    found: set[str] = set()
    for start in range(0, len(values), 500):
        query = select(fhir_token.c.id).where(
            fhir_token.c.type == "DocumentReference",
            fhir_token.c.name == "identifier",
            fhir_token.c.value.in_(values[start : start + 500]),
        )
        found |= set(connection.execute(query).scalars())
    return found


def _moved(written: Written) -> set[str]:
    """UIDs of the instances that a version of a study says something new of."""
    now, before = set(_instances(written.resource)), set(_instances(written.previous or {}))
    named = [
        {(each.path, each.text) for each in references.found(one)} for one in (written.resource, written.previous or {})
    ]
    return now | before if named[0] != named[1] else now ^ before


def _instances(study: Mapping[str, Any]) -> list[str]:
    return [
        str(instance.get("uid", ""))
        for series in study.get("series") or ()
        for instance in series.get("instance") or ()
    ]


def _photographer(excerpt: Excerpt, setting: Setting, document_id: str) -> str | None:
    """Provenance.agent of type performer."""
    for provenance in excerpt.provenances(document_id):
        for agent in provenance.get("agent") or ():
            codes = {coding.get("code") for coding in (agent.get("type") or {}).get("coding") or ()}
            who = references.local_of(agent, setting.base, "who")
            if "performer" in codes and who:
                return who[0]
    return None


def _taken(document: Mapping[str, Any], setting: Setting) -> Span | None:
    period = (document.get("context") or {}).get("period") or {}
    start, end = period.get("start"), period.get("end")
    if not isinstance(start, str):
        return None
    first = dates.span(start, setting.site.zone)
    return Span(first.start, dates.span(end, setting.site.zone).end) if isinstance(end, str) else first


def _regions(document: Mapping[str, Any]) -> tuple[Region, ...]:
    regions: list[Region] = []
    for extension in _extensions(document, REGION_EXTENSION):
        side = Laterality.BOTH
        codes: list[str] = []
        for part in extension.get("extension") or ():
            if part.get("url") == "laterality" and part.get("valueCode") in ("R", "L", "B"):
                side = Laterality(part["valueCode"])
            elif part.get("url") == "code":
                codings = (part.get("valueCodeableConcept") or {}).get("coding") or ()
                codes += [f"{coding.get('system', '')}|{coding.get('code', '')}" for coding in codings]
        known = [code for code in codes if regions_tree().by_code(code) is not None]
        if codes:
            regions.append(Region((known or codes)[0], side))
    return tuple(dict.fromkeys(regions))


def _labels(document: Mapping[str, Any]) -> tuple[Label, ...]:
    codings = [coding for concept in document.get("securityLabel") or () for coding in concept.get("coding") or ()]
    codings += (document.get("meta") or {}).get("security") or []
    labels = [Label(str(each.get("system", "")), each["code"]) for each in codings if isinstance(each.get("code"), str)]
    return tuple(dict.fromkeys(labels))


def _sources(
    excerpt: Excerpt, setting: Setting, document: Mapping[str, Any], seen: frozenset[str]
) -> tuple[PhotoFacts, ...]:
    """The photos that a copy was made from (DocumentReference.relatesTo, code ``transforms``)."""
    found: list[PhotoFacts] = []
    for relation in document.get("relatesTo") or ():
        for target in references.local_of(relation, setting.base, "target"):
            identity = references.id_of(target)
            if relation.get("code") == "transforms" and identity not in seen and len(seen) < _MAX_SOURCES:
                try:
                    found.append(_facts(Excerpt(excerpt.connection, [identity]), setting, identity, seen))
                except NoPhoto:
                    continue
    return tuple(found)


def _extensions(element: Mapping[str, Any], url: str) -> list[Mapping[str, Any]]:
    return [each for each in element.get("extension") or () if each.get("url") == url]
