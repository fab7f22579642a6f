"""Searching any type: the page that matches and may be read, and what is included with it.

What is refused is answered as if it did not exist: it neither matches nor counts, is not chained through and not
included (:mod:`fhir_mapping.api.sight`).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from consent.audit.record import Kind, of_request
from consent.purposes import BTG
from consent.service import for_one_patient
from consent.store.engine import reading
from fhir_mapping.api import cut, includes, paging, photos, reply
from fhir_mapping.api.node import Asked, Node
from fhir_mapping.api.paging import Search
from fhir_mapping.api.reply import Reply
from fhir_mapping.api.sight import PHOTOS, RequestSight, link
from fhir_mapping.api.subset import part_of
from fhir_mapping.search import find
from fhir_mapping.search.condition import Scene
from fhir_mapping.search.conditions import conditions
from fhir_mapping.search.find import Page
from fhir_mapping.search.query import of_conditions


def search(node: Node, asked: Asked, kind: str, pairs: Sequence[tuple[str, str]]) -> Reply:
    """A page, in the order that is asked for, else of ids."""
    wanted = paging.read(kind, pairs, lenient=asked.lenient)
    with reading(node.engine) as connection:
        sight = RequestSight(connection, node.decisions, asked.request, asked.scopes)
        scene = node.record.scene(connection, sight)
        page = _page(scene, sight, wanted)
        matches = [f"{kind}/{each}" for each in page.ids]
        included = includes.found(scene, sight, matches, wanted.includes)
        numbers = photos.numbers(connection, sight, [*matches, *included])
        entries = _entries(node, connection, sight, matches, included, wanted)
    _record(node, asked, sight, wanted, page, numbers, len(entries))
    links = wanted.links(node.base, page.following)
    total = None if wanted.total == "none" and not wanted.counts_alone else page.total
    return reply.searchset(node.base, links, total, entries, wanted.warnings)


def _page(scene: Scene, sight: RequestSight, wanted: Search) -> Page:
    made = conditions(scene, wanted.type, wanted.asked)
    if wanted.type in PHOTOS and sight.request.purpose == BTG:
        asked_for = link(wanted.type).in_(of_conditions(scene, wanted.type, made))
        sight.ask_for(for_one_patient(scene.connection, sight.request, asked_for))
    return find.page(
        scene,
        wanted.type,
        made,
        wanted.keys,
        count=0 if wanted.counts_alone else wanted.count,
        after=wanted.after,
        counted=wanted.counts_alone or wanted.total in ("accurate", "estimate"),
    )


def _entries(
    node: Node,
    connection: Connection,
    sight: RequestSight,
    matches: Sequence[str],
    included: Sequence[str],
    wanted: Search,
) -> list[tuple[str, bytes, str]]:
    """What is shown of matches, and of what is included with them, in this order."""
    by_type: dict[str, list[str]] = {}
    for each in (*matches, *included):
        kind, _, identity = each.partition("/")
        by_type.setdefault(kind, []).append(identity)
    found: dict[str, tuple[str, bytes]] = {}
    for kind, ids in by_type.items():
        stored = node.record.read_many(connection, kind, ids)
        bodies = photos.bodies(connection, sight, kind, stored)
        found |= {each.reference: (kind, body) for each, body in zip(stored, bodies, strict=True)}
    bare = dict(zip(found, cut.shown(connection, sight, list(found.values()), node.record.base), strict=True))
    entries = []
    for listed, mode, elements in ((matches, "match", wanted.elements), (included, "include", ())):
        for each in listed:
            if each in found:
                entries.append((each, part_of(found[each][0], bare[each], wanted.summary, elements), mode))
    return entries


def _record(
    node: Node, asked: Asked, sight: RequestSight, wanted: Search, page: Page, numbers: list[int], found: int
) -> None:
    """Record the reading before anything leaves. Parameters are named, not quoted: they may hold a name."""
    details: dict[str, object] = {"by": sorted({name for name, _ in wanted.asked})}
    if wanted.type in PHOTOS:
        details["counted"] = page.total
    else:
        details |= {"found": found, "subject": wanted.type}
    if wanted.includes:
        details["included"] = sorted({each.type for each in wanted.includes})
    if wanted.type in PHOTOS or numbers:
        node.decisions.record_set(sight.request, asked.route, numbers, details=details)
        return
    details.pop("subject")
    record = of_request(Kind.READ, node.door, asked.route, asked.request, subject=wanted.type, details=details)
    node.chain.append([record])
