"""DocumentReference and ImagingStudy: photos, so each is decided by the consent of the patients shown.

What is refused is answered as if it did not exist: same status, same body, no entry, no total. An
ImagingStudy is made anew from the photos that may be seen, with counts of these alone; its version and time are theirs
as well, since those of the whole would tell of the rest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, exists, func, select

from consent.service import for_one_patient
from consent.sets import Permitted
from consent.store.clock import instant
from consent.store.engine import reading
from consent.store.tables import photo
from consent.types import Obligation
from fhir_mapping import dates, references, text
from fhir_mapping.api import paging, reply
from fhir_mapping.api.node import Asked, Node
from fhir_mapping.api.reads import page
from fhir_mapping.api.reply import Reply
from fhir_mapping.errors import NotFound
from fhir_mapping.search.query import matching
from fhir_mapping.store.reader import Stored
from fhir_mapping.tables import fhir_resource

#: A resource names the patient, so ``no-identifiers`` cannot be met here. It shows no pixels, so there is nothing
#: to put a watermark on.
FULFILS = frozenset({Obligation.WATERMARK})

DOCUMENT, STUDY = "DocumentReference", "ImagingStudy"


def read(node: Node, asked: Asked, kind: str, identity: str) -> Reply:
    """One photo, or the photos of one visit."""
    if kind == STUDY:
        return _read_study(node, asked, identity)
    with reading(node.engine) as connection:
        uid = connection.execute(select(photo.c.sop_uid).where(photo.c.document == identity)).scalar_one_or_none()
    answer = node.decisions.photo(asked.request, uid or "", route=asked.route, fulfils=FULFILS)
    if not answer.permitted:
        raise NotFound
    with reading(node.engine) as connection:
        found = node.record.read(connection, DOCUMENT, identity)
        question = for_one_patient(connection, asked.request, photo.c.document == identity)
        may = node.decisions.permitted(connection, question, fulfils=FULFILS)
        body = without_refused_sources(connection, found, may, node.record.base)
    return Reply(200, body, reply.version_headers(found))


def search(node: Node, asked: Asked, kind: str, pairs: Sequence[tuple[str, str]]) -> Reply:
    """A page of the photos or visits that match and may be seen; the total counts no others."""
    wanted = paging.read(kind, pairs, lenient=asked.lenient)
    query = matching(kind, wanted.asked, node.record.site.zone, node.record.base)
    link = photo.c.document if kind == DOCUMENT else photo.c.imaging_study
    with reading(node.engine) as connection:
        question = for_one_patient(connection, asked.request, link.in_(query))
        may = node.decisions.permitted(connection, question, fulfils=FULFILS)
        seen = query.where(exists(select(photo.c.photo).where(link == fhir_resource.c.id, may.clause(photo.c.photo))))
        total = _count(connection, seen) if wanted.total else None
        ids = page(connection, seen, wanted)
        more = len(ids) > wanted.count
        ids = ids[: wanted.count]
        numbers = _numbers(connection, link, ids, may)
        found = node.record.read_many(connection, kind, ids)
        if kind == DOCUMENT:
            entries = [
                (each.reference, without_refused_sources(connection, each, may, node.record.base)) for each in found
            ]
        else:
            entries = [(each.reference, _rebuilt(connection, each, may)) for each in found]
    following = ids[-1] if more and ids else None
    details = {"by": sorted({name for name, _ in wanted.asked}), "counted": total}
    node.decisions.record_set(question, asked.route, numbers, details=details)
    return reply.searchset(node.base, wanted.links(node.base, following), total, entries, wanted.warnings)


def _read_study(node: Node, asked: Asked, identity: str) -> Reply:
    with reading(node.engine) as connection:
        question = for_one_patient(connection, asked.request, photo.c.imaging_study == identity)
        may = node.decisions.permitted(connection, question, fulfils=FULFILS)
        numbers = _numbers(connection, photo.c.imaging_study, [identity], may)
        body = b""
        if numbers:
            body = _rebuilt(connection, node.record.read(connection, STUDY, identity), may)
    node.decisions.record_set(question, asked.route, numbers, details={"subject": f"{STUDY}/{identity}"})
    if not body:
        raise NotFound
    version = text.kept(body)["meta"]["versionId"]
    return Reply(200, body, {"ETag": f'W/"{version}"'})


def _numbers(connection: Connection, link: Any, ids: Collection[str], may: Permitted) -> list[int]:
    query = select(photo.c.photo).where(link.in_(list(ids)), may.clause(photo.c.photo))
    return sorted(connection.execute(query).scalars())


def _rebuilt(connection: Connection, found: Stored, may: Permitted) -> bytes:
    """The study with the permitted photos alone."""
    rows = connection.execute(
        select(photo.c.sop_uid, photo.c.procedure, fhir_resource.c.updated)
        .join(fhir_resource, (fhir_resource.c.type == DOCUMENT) & (fhir_resource.c.id == photo.c.document))
        .where(photo.c.imaging_study == found.id, may.clause(photo.c.photo))
        .order_by(photo.c.photo)
    ).all()
    treatments = [row.procedure for row in rows if row.procedure]
    newest = instant(max((row.updated for row in rows), default=0))
    return text.dump(permitted_study(found.json(), {row.sop_uid for row in rows}, newest, treatments))


def permitted_study(
    study: Mapping[str, Any], uids: Collection[str], newest: datetime, treatments: Sequence[str] = ()
) -> dict[str, Any]:
    """An ImagingStudy with those instances alone, counts and modalities of the rest gone.

    Parameters
    ----------
    uids
        SOP Instance UIDs that may be seen.
    newest
        When the newest of their DocumentReferences was written.
    treatments
        Ids of the Procedures that these photos are linked to: the study names the first of its photos.
    """
    series: list[dict[str, Any]] = []
    for each in study.get("series") or ():
        instances = [instance for instance in each.get("instance") or () if instance.get("uid") in uids]
        if instances:
            shown = {key: value for key, value in each.items() if key != "number"}  # it would count the others
            series.append({**shown, "numberOfInstances": len(instances), "instance": instances})
    made = {
        key: value for key, value in study.items() if key not in ("meta", "modality", "series", "contained", "text")
    }
    stated = made.get("procedureReference")
    if stated is not None and references.id_of(stated.get("reference", "")) not in treatments:
        if treatments:
            made["procedureReference"] = {"reference": f"Procedure/{treatments[0]}"}
        else:
            del made["procedureReference"]
    modalities: dict[str, Any] = {}
    for each in series:
        coding = each.get("modality") or {}
        modalities.setdefault(f"{coding.get('system')}|{coding.get('code')}", coding)
    if "modality" in study:
        made["modality"] = [coding for coding in modalities.values() if coding]
    made["numberOfSeries"] = len(series)
    made["numberOfInstances"] = sum(each["numberOfInstances"] for each in series)
    made["series"] = series
    meta = {key: value for key, value in (study.get("meta") or {}).items() if key not in ("versionId", "lastUpdated")}
    digest = hashlib.sha256(text.dump(made)).hexdigest()[:32]
    made["meta"] = {**meta, "versionId": digest, "lastUpdated": dates.instant(newest)}
    return made


def without_refused_sources(connection: Connection, found: Stored, may: Permitted, base: str | None) -> bytes:
    """The document as it is kept; where it names photos that this request may not see, without naming them."""
    document = found.json()
    relations = document.get("relatesTo") or []
    if not relations:
        return found.body
    named = {references.local(each["target"].get("reference", ""), base): each for each in relations}
    ids = [references.id_of(each) for each in named if each is not None and each.startswith(f"{DOCUMENT}/")]
    seen = set(
        connection.execute(
            select(photo.c.document).where(photo.c.document.in_(ids), may.clause(photo.c.photo))
        ).scalars()
    )
    kept = [each for target, each in named.items() if target is not None and references.id_of(target) in seen]
    if len(kept) == len(relations):
        return found.body
    document.pop("relatesTo")
    return text.dump(document | ({"relatesTo": kept} if kept else {}))


def _count(connection: Connection, query: Select[str]) -> int:
    return int(connection.execute(select(func.count()).select_from(query.subquery())).scalar_one())
