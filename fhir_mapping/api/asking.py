"""``GET DocumentReference/$photos``: photos by their facets, a page of them, and how many there are of each value.

``area=face&treatment=toxin&taken=2026-01..&_count=20&_facets=area,view``. The answer is a searchset Bundle; the first
page holds the counts asked for as a Parameters resource (search mode ``include``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, select

from consent.store.tables import photo
from consent.store.write import among
from fhir_mapping import text
from fhir_mapping.api import access, cut, reply
from fhir_mapping.api.node import Asked, Node
from fhir_mapping.api.paging import DEFAULT_COUNT, MAX_COUNT
from fhir_mapping.api.reply import Reply
from fhir_mapping.api.sight import DOCUMENT, FULFILS, RequestSight
from fhir_mapping.errors import Issue, Malformed
from fhir_mapping.projections.written import Setting
from fhir_mapping.question import asking
from fhir_mapping.question import text as question_text
from fhir_mapping.question.answer import Found, Portion
from fhir_mapping.question.facets import COUNTED, Facet
from fhir_mapping.question.page import Place
from fhir_mapping.question.question import Question

NAME = "photos"
DEFINITION = "urn:photospine:operation:photos"


@dataclass(frozen=True, slots=True)
class _Wanted:
    question: Question
    portion: Portion
    facets: tuple[Facet, ...]
    """Those that the caller named: the first page alone counts them."""


def photos(node: Node, asked: Asked, pairs: Sequence[tuple[str, str]]) -> Reply:
    """Answer the operation.

    Raises
    ------
    Malformed
        The text names the facet or parameter and what it takes.
    Forbidden
        The purpose does not read the record: facets would tell of it.
    Behind
        Too many photos are due to be indexed.
    """
    wanted = _read(node, pairs)
    access.condition(asked.request, "Procedure")
    setting = Setting(node.record.site, node.record.base)

    def answered(connection: Connection) -> tuple[Found, list[tuple[str, bytes, str]]]:
        found = asking.ask(
            node.decisions,
            connection,
            setting,
            asked.request,
            wanted.question,
            wanted.portion,
            route=asked.route,
            fulfils=FULFILS,
        )
        query = select(photo.c.photo, photo.c.document).where(among(connection, photo.c.photo, found.numbers))
        ids = {row.photo: row.document for row in connection.execute(query)}
        listed = [ids[number] for number in found.numbers if ids.get(number)]
        stored = {each.id: each for each in node.record.read_many(connection, DOCUMENT, listed)}
        sight = RequestSight(connection, node.decisions, asked.request, asked.scopes)
        kept = [stored[each] for each in listed if each in stored]
        bodies = cut.shown(connection, sight, [(DOCUMENT, each.body) for each in kept], node.record.base)
        return found, [(each.reference, body, "match") for each, body in zip(kept, bodies, strict=True)]

    found, entries = asking.in_turn(node.engine, setting, answered)
    included = [_counts(found.counts)] if found.counts else []
    return reply.searchset(node.base, _links(node, wanted, found.following), found.total, entries, included=included)


def _read(node: Node, pairs: Sequence[tuple[str, str]]) -> _Wanted:
    count, after = DEFAULT_COUNT, None
    facets: list[Facet] = []
    asked: list[tuple[str, str]] = []
    for name, value in pairs:
        if name == "_count":
            if not value.isascii() or not value.isdigit() or len(value) > 9:
                raise Malformed(Issue("value", "_count is a whole number."))
            count = min(int(value), MAX_COUNT)
        elif name == "_page":
            after = Place.parse(value)
            if after is None:
                raise Malformed(Issue("value", "_page comes from the link of the page before."))
        elif name == "_facets":
            facets += [_facet(each) for each in value.split(",") if each]
        elif name not in ("_format", "_pretty"):
            asked.append((name, value))
    question = question_text.read(asked, node.record.site.zone, node.names)
    named = tuple(dict.fromkeys(facets))
    return _Wanted(question, Portion(count, after, named if after is None else ()), named)


def _facet(name: str) -> Facet:
    if name not in COUNTED:
        raise Malformed(Issue("value", f"_facets names what is counted: {', '.join(COUNTED)}."))
    return Facet(name)


def _links(node: Node, wanted: _Wanted, following: Place | None) -> list[tuple[str, str]]:
    address = f"{node.base}/{DOCUMENT}/${NAME}?"
    parts = [question_text.text(wanted.question, node.names), f"_count={wanted.portion.most}"]
    if wanted.facets:
        parts.append(f"_facets={','.join(wanted.facets)}")

    def link(place: Place | None) -> str:
        behind = [] if place is None else [f"_page={quote(place.text)}"]
        return address + "&".join(each for each in (*parts, *behind) if each)

    links = [("self", link(wanted.portion.after))]
    return links if following is None else [*links, ("next", link(following))]


def _counts(counts: Mapping[Facet, Mapping[str, int] | None]) -> bytes:
    """Parameters: for each facet its name, and for each value its code and how many photos have it."""
    listed: list[dict[str, Any]] = []
    for facet, values in counts.items():
        parts: list[dict[str, Any]] = [{"name": "name", "valueCode": facet.value}]
        if values is None:
            parts.append({"name": "uncounted", "valueString": "Too many values over so many photos: ask for less."})
        for code, number in sorted((values or {}).items(), key=lambda each: (-each[1], each[0])):
            one = [{"name": "code", "valueString": code}, {"name": "count", "valueInteger": number}]
            parts.append({"name": "value", "part": one})
        listed.append({"name": "facet", "part": parts})
    return text.dump({"resourceType": "Parameters", "parameter": listed})
