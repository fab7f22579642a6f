"""Reading and searching resources that are no photo."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Select, func, select

from consent.audit.record import Kind, of_request
from consent.store.engine import reading
from fhir_mapping import text
from fhir_mapping.api import access, paging, reply
from fhir_mapping.api.node import Asked, Node
from fhir_mapping.api.reply import Reply
from fhir_mapping.errors import NotFound, Refused
from fhir_mapping.search import index
from fhir_mapping.search.query import matching
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


def search(node: Node, asked: Asked, kind: str, pairs: Sequence[tuple[str, str]]) -> Reply:
    """A page of what matches and may be read, in order of ids."""
    may = access.condition(asked.request, kind)
    wanted = paging.read(kind, pairs, lenient=asked.lenient)
    with reading(node.engine) as connection:
        query = matching(node.record.scene(connection), kind, wanted.asked).where(may)
        total = _count(connection, query) if wanted.total else None
        ids = page(connection, query, wanted)
        more = len(ids) > wanted.count
        entries = [(each.reference, each.body) for each in node.record.read_many(connection, kind, ids[: wanted.count])]
    following = ids[wanted.count - 1] if more and wanted.count else None
    _record(node, asked, kind, len(entries), names=sorted({name for name, _ in wanted.asked}))
    return reply.searchset(node.base, wanted.links(node.base, following), total, entries, wanted.warnings)


def page(connection: Connection, query: Select[str], wanted: paging.Search) -> list[str]:
    """Ids of one page, and of one more where more follow."""
    if wanted.after is not None:
        query = query.where(fhir_resource.c.id > wanted.after)
    limited = query.order_by(fhir_resource.c.id).limit(wanted.count + 1)
    return list(connection.execute(limited).scalars())


def _count(connection: Connection, query: Select[str]) -> int:
    return int(connection.execute(select(func.count()).select_from(query.subquery())).scalar_one())


def _record(node: Node, asked: Asked, subject: str, found: int, names: Sequence[str] = ()) -> None:
    """Record the reading before anything leaves. Parameters are named, not quoted: they may hold a name."""
    details: dict[str, object] = {"found": found}
    if names:
        details["by"] = list(names)
    node.chain.append(
        [of_request(Kind.READ, node.door, asked.route, asked.request, subject=subject[:200], details=details)]
    )
