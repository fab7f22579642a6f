"""Reading resources that are no photo."""

from __future__ import annotations

from sqlalchemy import select

from consent.audit.record import Kind, of_request
from consent.store.engine import reading
from fhir_mapping import text
from fhir_mapping.api import access, reply
from fhir_mapping.api.node import Asked, Node
from fhir_mapping.api.reply import Reply
from fhir_mapping.errors import NotFound, Refused
from fhir_mapping.search import index
from fhir_mapping.tables import fhir_resource


def read(node: Node, asked: Asked, kind: str, identity: str) -> Reply:
    """The current version, where the request may read it; absent and not to be read are answered alike."""
    may = access.condition(asked.request, kind)
    found = None
    with reading(node.engine) as connection:
        query = select(fhir_resource.c.id).where(fhir_resource.c.type == kind, fhir_resource.c.id == identity, may)
        if connection.execute(query).first() is not None:
            found = node.record.read(connection, kind, identity)
    _record(node, asked, f"{kind}/{identity}", 0 if found is None else 1)
    if found is None:
        raise NotFound
    return reply.stored(found)


def vread(node: Node, asked: Asked, kind: str, identity: str, version: str) -> Reply:
    """One version. Who may read the current one may read the earlier ones that were of the same patient."""
    may = access.condition(asked.request, kind)
    found = None
    if version.isascii() and version.isdigit() and len(version) < 10:
        with reading(node.engine) as connection:
            query = select(fhir_resource.c.patient).where(
                fhir_resource.c.type == kind, fhir_resource.c.id == identity, may
            )
            row = connection.execute(query).one_or_none()
            try:
                found = None if row is None else node.record.vread(connection, kind, identity, int(version))
            except Refused:
                found = None
        if found is not None and access.reach(asked.request, kind) is access.Reach.OWN:
            then = index.extract(identity, text.kept(found.body), node.record.site.zone, node.record.base)
            if then.patient is not None and then.patient not in access.own_patients(asked.request.requester):
                found = None
    _record(node, asked, f"{kind}/{identity}/_history/{version[:10]}", 0 if found is None else 1)
    if found is None:
        raise NotFound
    return reply.stored(found)


def _record(node: Node, asked: Asked, subject: str, found: int) -> None:
    """Record the reading before anything leaves."""
    details = {"found": found}
    node.chain.append(
        [of_request(Kind.READ, node.door, asked.route, asked.request, subject=subject[:200], details=details)]
    )
