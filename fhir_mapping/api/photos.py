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
from fhir_mapping import dates, references, text
from fhir_mapping.api import changing, cut, reply
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
        sight = _sight(node, connection, asked, photo.c.document == identity)
        (body,) = cut.shown(connection, sight, [(DOCUMENT, found.body)], node.record.base)
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
        if not _of_the_same(node, connection, [then]):
            raise NotFound
        sight = _sight(node, connection, asked, photo.c.document == identity)
        (body,) = cut.shown(connection, sight, [(DOCUMENT, then.body)], node.record.base)
    return Reply(200, body, reply.version_headers(then))


def changes(node: Node, asked: Asked, kind: str, identity: str | None, pairs: Sequence[tuple[str, str]]) -> Reply:
    """The history of a photo's document, or of all that may be seen: the versions since it was linked as it is now."""
    wanted = changing.read(kind, identity, pairs, node.record.site.zone, lenient=asked.lenient)
    if identity is not None:
        _decide(node, asked, identity)
    about = photo.c.document.is_not(None) if identity is None else photo.c.document == identity
    with reading(node.engine) as connection:
        sight = _sight(node, connection, asked, about)
        may = sight.may
        shown = select(photo.c.document).where(photo.c.document.is_not(None), may.clause(photo.c.photo))
        events = history.page(connection, wanted.asked, wanted.count + 1, lambda columns: columns.id.in_(shown))
        keys = changing.kept(events[: wanted.count])
        versions = _of_the_same(node, connection, node.record.read_versions(connection, kind, keys))
        bodies = cut.shown(connection, sight, [(DOCUMENT, each.body) for each in versions], node.record.base)
        bare = [replace(each, body=body) for each, body in zip(versions, bodies, strict=True)]
        numbers = _numbers(connection, photo.c.document, {each.id for each in versions}, may)
    if identity is None:
        node.decisions.record_set(sight.request, asked.route, numbers)
    entries = changing.entries(events[: wanted.count], bare)
    return reply.history(node.base, kind, wanted.links(node.base, events), None, entries, wanted.warnings)


def _decide(node: Node, asked: Asked, identity: str) -> None:
    """Decide one photo, live, and record it; a refusal is an absence."""
    with reading(node.engine) as connection:
        uid = connection.execute(select(photo.c.sop_uid).where(photo.c.document == identity)).scalar_one_or_none()
    if not node.decisions.photo(asked.request, uid or "", route=asked.route, fulfils=FULFILS).permitted:
        raise NotFound


def _sight(node: Node, connection: Connection, asked: Asked, about: ColumnElement[bool]) -> RequestSight:
    """What the request sees; an emergency of the one patient whom these photos show."""
    return RequestSight(connection, node.decisions, for_one_patient(connection, asked.request, about), asked.scopes)


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


def bodies(connection: Connection, sight: RequestSight, kind: str, found: Sequence[Stored]) -> list[bytes]:
    """What there is to show of resources: of a study what is said of the photos that may be seen."""
    if kind == STUDY:
        return [_rebuilt(connection, each, sight.may) for each in found]
    return [each.body for each in found]


def _read_study(node: Node, asked: Asked, identity: str) -> Reply:
    with reading(node.engine) as connection:
        sight = _sight(node, connection, asked, photo.c.imaging_study == identity)
        numbers = _numbers(connection, photo.c.imaging_study, [identity], sight.may)
        body = b""
        if numbers:
            whole = _rebuilt(connection, node.record.read(connection, STUDY, identity), sight.may)
            (body,) = cut.shown(connection, sight, [(STUDY, whole)], node.record.base)
    node.decisions.record_set(sight.request, asked.route, numbers, details={"subject": f"{STUDY}/{identity}"})
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
