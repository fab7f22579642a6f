"""DocumentReference and ImagingStudy: photos, so each is decided by the consent of the patients shown.

What is refused is answered as if it did not exist: same status, same body, no entry, no total. An
ImagingStudy is made anew from the photos that may be seen, with counts of these alone; its version and time are theirs
as well, since those of the whole would tell of the rest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from consent.service import for_one_patient
from consent.sets import Permitted
from consent.store.clock import instant
from consent.store.engine import reading
from consent.store.tables import photo
from consent.types import Request
from fhir_mapping import dates, references, text
from fhir_mapping.api import changing, reply
from fhir_mapping.api.node import Asked, Node
from fhir_mapping.api.reply import Reply
from fhir_mapping.api.sight import DOCUMENT, FULFILS, PHOTOS, STUDY, RequestSight, link
from fhir_mapping.errors import NotFound
from fhir_mapping.projections.photo import patients_shown
from fhir_mapping.projections.written import Setting
from fhir_mapping.store import history
from fhir_mapping.store.reader import Stored
from fhir_mapping.tables import fhir_resource


def read(node: Node, asked: Asked, kind: str, identity: str) -> Reply:
    """One photo, or the photos of one visit."""
    if kind == STUDY:
        return _read_study(node, asked, identity)
    _decide(node, asked, identity)
    with reading(node.engine) as connection:
        found = node.record.read(connection, DOCUMENT, identity)
        may = _permitted(node, connection, asked, photo.c.document == identity)[1]
        body = without_refused_sources(connection, found, may, node.record.base)
    return Reply(200, body, reply.version_headers(found))


def vread(node: Node, asked: Asked, kind: str, identity: str, version: str) -> Reply:
    """One version of a photo's document, decided as the photo is now; or a study as it is answered now.

    A version of the time when the photo was linked to others is not shown.

    Raises
    ------
    NotFound
    """
    if kind == STUDY:
        found = _read_study(node, asked, identity)
        if found.headers["ETag"] != f'W/"{version}"':
            raise NotFound
        return found
    _decide(node, asked, identity)
    if not version.isascii() or not version.isdigit() or len(version) > 9:
        raise NotFound
    with reading(node.engine) as connection:
        then = node.record.vread(connection, DOCUMENT, identity, int(version))
        may = _permitted(node, connection, asked, photo.c.document == identity)[1]
        seen = _of_the_same(node, connection, [then])
        if not seen:
            raise NotFound
        body = without_refused_sources(connection, then, may, node.record.base)
    return Reply(200, body, reply.version_headers(then))


def changes(node: Node, asked: Asked, kind: str, identity: str | None, pairs: Sequence[tuple[str, str]]) -> Reply:
    """The history of a photo's document, or of all that may be seen: the versions since it was linked as it is now."""
    wanted = changing.read(kind, identity, pairs, node.record.site.zone, lenient=asked.lenient)
    if identity is not None:
        _decide(node, asked, identity)
    about = photo.c.document.is_not(None) if identity is None else photo.c.document == identity
    with reading(node.engine) as connection:
        question, may = _permitted(node, connection, asked, about)
        shown = select(photo.c.document).where(photo.c.document.is_not(None), may.clause(photo.c.photo))
        events = history.page(connection, wanted.asked, wanted.count + 1, lambda columns: columns.id.in_(shown))
        keys = changing.kept(events[: wanted.count])
        versions = _of_the_same(node, connection, node.record.read_versions(connection, kind, keys))
        bare = [
            replace(each, body=without_refused_sources(connection, each, may, node.record.base)) for each in versions
        ]
        numbers = _numbers(connection, photo.c.document, {each.id for each in versions}, may)
    if identity is None:
        node.decisions.record_set(question, asked.route, numbers)
    entries = changing.entries(events[: wanted.count], bare)
    return reply.history(node.base, kind, wanted.links(node.base, events), None, entries, wanted.warnings)


def _decide(node: Node, asked: Asked, identity: str) -> None:
    """Decide one photo, live, and record it; a refusal is an absence."""
    with reading(node.engine) as connection:
        uid = connection.execute(select(photo.c.sop_uid).where(photo.c.document == identity)).scalar_one_or_none()
    if not node.decisions.photo(asked.request, uid or "", route=asked.route, fulfils=FULFILS).permitted:
        raise NotFound


def _permitted(
    node: Node, connection: Connection, asked: Asked, about: ColumnElement[bool]
) -> tuple[Request, Permitted]:
    question = for_one_patient(connection, asked.request, about)
    return question, node.decisions.permitted(connection, question, fulfils=FULFILS)


def _of_the_same(node: Node, connection: Connection, versions: Sequence[Stored]) -> list[Stored]:
    """Those versions that show the patients whom the photo shows now: others are of somebody else's record."""
    setting = Setting(node.record.site, node.record.base)
    current = node.record.read_many(connection, DOCUMENT, sorted({each.id for each in versions}))
    now = {each.id: set(patients_shown(each.json(), setting)) for each in current}
    return [each for each in versions if set(patients_shown(each.json(), setting)) == now.get(each.id)]


def numbers(connection: Connection, sight: RequestSight, references: Sequence[str]) -> list[int]:
    """Numbers of the photos that an answer releases which holds these ``Type/id``."""
    found: list[int] = []
    for kind in sorted(PHOTOS):
        ids = [each.partition("/")[2] for each in references if each.startswith(f"{kind}/")]
        if ids:
            found += _numbers(connection, link(kind), ids, sight.may)
    return sorted(set(found))


def bodies(
    connection: Connection, sight: RequestSight, kind: str, found: Sequence[Stored], base: str | None
) -> list[bytes]:
    """What is shown of documents, or of studies."""
    if kind == DOCUMENT:
        return [without_refused_sources(connection, each, sight.may, base) for each in found]
    return [_rebuilt(connection, each, sight.may) for each in found]


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
