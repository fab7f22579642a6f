"""Reading resources that are no photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection, select

from consent.audit.record import Kind, of_request
from consent.store.engine import reading
from consent.store.versions import group
from fhir_mapping import text
from fhir_mapping.api import access, changing, cut, reply
from fhir_mapping.api.node import Asked, Node
from fhir_mapping.api.reply import Reply
from fhir_mapping.api.sight import RequestSight
from fhir_mapping.errors import Gone, NotFound
from fhir_mapping.search import index
from fhir_mapping.store import history
from fhir_mapping.store.reader import Stored
from fhir_mapping.tables import fhir_resource


def read(node: Node, asked: Asked, kind: str, identity: str) -> Reply:
    """The current version, where the request may read it; absent and not to be read are answered alike.

    Raises
    ------
    NotFound, Gone
    """
    found, body, gone = None, b"", False
    with reading(node.engine) as connection:
        sight = _sight(node, connection, asked)
        may, known = sight.seen(kind, fhir_resource), sight.versions(kind)
        query = select(fhir_resource.c.id).where(fhir_resource.c.type == kind, fhir_resource.c.id == identity, may)
        if connection.execute(query).first() is not None:
            found = node.record.read(connection, kind, identity)
            (body,) = _shown(node, connection, asked, [found])
        else:
            newest = history.page(connection, history.Asked(kind, identity), 1, known)
            gone = bool(newest) and newest[0].deleted
    _record(node, asked, f"{kind}/{identity}", 0 if found is None else 1)
    if found is None:
        raise Gone if gone else NotFound
    return Reply(200, body, reply.version_headers(found))


def vread(node: Node, asked: Asked, kind: str, identity: str, version: str) -> Reply:
    """One version. Who may read the current one may read the earlier ones that were of the same patient.

    Raises
    ------
    NotFound, Gone
        Gone: this version is a deletion.
    """
    found, body, gone = None, b"", False
    if version.isascii() and version.isdigit() and len(version) < 10:
        with reading(node.engine) as connection:
            known = _sight(node, connection, asked).versions(kind)
            event = history.one(connection, kind, identity, int(version), known)
            gone = event is not None and event.deleted
            if event is not None and not event.deleted:
                found = node.record.vread(connection, kind, identity, int(version))
            if found is not None and not _hers(node, connection, asked, found):
                found = None
            if found is not None:
                (body,) = _shown(node, connection, asked, [found])
    _record(node, asked, f"{kind}/{identity}/_history/{version[:10]}", 0 if found is None else 1)
    if found is None:
        raise Gone if gone else NotFound
    return Reply(200, body, reply.version_headers(found))


def changes(node: Node, asked: Asked, kind: str, identity: str | None, pairs: Sequence[tuple[str, str]]) -> Reply:
    """The history of a resource, or of a type with ``identity`` None: versions and deletions, newest first.

    Raises
    ------
    NotFound
        There is no such resource, or it may not be read.
    """
    wanted = changing.read(kind, identity, pairs, node.record.site.zone, lenient=asked.lenient)
    with reading(node.engine) as connection:
        known = _sight(node, connection, asked).versions(kind)
        there = identity is None or bool(history.page(connection, history.Asked(kind, identity), 1, known))
        counted = there and identity is not None and access.reach(asked.request, kind) is access.Reach.ALL
        total = history.total(connection, wanted.whole, known) if counted else None
        events = history.page(connection, wanted.asked, wanted.count + 1, known) if there else []
        versions = node.record.read_versions(connection, kind, changing.kept(events[: wanted.count]))
        hers = [each for each in versions if _hers(node, connection, asked, each)]
        bodies = _shown(node, connection, asked, hers)
    bare = [replace(each, body=body) for each, body in zip(hers, bodies, strict=True)]
    entries = changing.entries(events[: wanted.count], bare)
    subject = f"{kind}/{identity}/_history" if identity is not None else f"{kind}/_history"
    _record(node, asked, subject, len(entries))
    if not there:
        raise NotFound
    return reply.history(node.base, kind, wanted.links(node.base, events), total, entries, wanted.warnings)


def _sight(node: Node, connection: Connection, asked: Asked) -> RequestSight:
    return RequestSight(connection, node.decisions, asked.request, asked.scopes)


def _shown(node: Node, connection: Connection, asked: Asked, versions: Sequence[Stored]) -> list[bytes]:
    """What is shown of versions: without the photos that may not be seen."""
    sight = _sight(node, connection, asked)
    return cut.shown(connection, sight, [(each.type, each.body) for each in versions], node.record.base)


def _hers(node: Node, connection: Connection, asked: Asked, version: Stored) -> bool:
    """Whether a version was of the requester's own patient, where she reads her own alone."""
    if access.reach(asked.request, version.type) is not access.Reach.OWN:
        return True
    then = index.extract(version.id, text.kept(version.body), node.record.site.zone, node.record.base)
    return then.patient is None or then.patient in group(connection, access.own_patients(asked.request.requester))


def _record(node: Node, asked: Asked, subject: str, found: int) -> None:
    """Record the reading before anything leaves."""
    details = {"found": found}
    node.chain.append(
        [of_request(Kind.READ, node.door, asked.route, asked.request, subject=subject[:200], details=details)]
    )
