"""``photospine photos``: photos by their facets, a page of them, and how many there are of each value."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer
from sqlalchemy import Connection, select

from consent.identity.purpose import choose
from consent.purposes import Catalog
from consent.regions import regions
from consent.store.clock import instant
from consent.store.tables import photo
from consent.store.write import among
from consent.types import Obligation, Request
from fhir_mapping.api import access
from fhir_mapping.errors import Issue, Malformed
from fhir_mapping.projections.written import Setting
from fhir_mapping.question import asking, text
from fhir_mapping.question.answer import Found, Portion
from fhir_mapping.question.facets import COUNTED, Facet
from fhir_mapping.question.page import Place
from orthanc_plugin.assembly.commands._common import AsOption, JsonOption, SettingsOption, account_of, failing
from orthanc_plugin.assembly.errors import AssemblyError
from orthanc_plugin.assembly.names import names
from orthanc_plugin.assembly.open import open_node
from orthanc_plugin.assembly.settings import load

_MOST = 1000
_PATIENCE = 120.0
"""Seconds; a person at a terminal waits for photos that are being indexed."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("photos")(photos)


def photos(
    facets: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FACET=VALUE]...", help=f"What is asked for: {', '.join(Facet)}; or a saved question."),
    ] = None,
    as_account: AsOption = None,
    purpose: Annotated[
        str | None, typer.Option("--purpose", help="The purpose, as PORTFOLIO or 'SOCIAL; channel=NAME'.")
    ] = None,
    counted: Annotated[
        list[str] | None, typer.Option("--count", help=f"Count by a facet: {', '.join(COUNTED)}. May be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, max=_MOST, help="Photos to list at most.")] = 50,
    after: Annotated[str | None, typer.Option("--after", help="Where the list goes on, as the last one told.")] = None,
    as_json: JsonOption = False,
    settings: SettingsOption = None,
) -> None:
    """List the photos that the account may see, the newest first, and count them by their facets.

    The account's first purpose counts where none is chosen. A purpose that shows no identifiers is told counts alone.
    The question and the photos named are recorded.
    """
    with failing(), open_node(load(settings)) as node:
        request = choose(account_of(node, as_account), purpose, None)
        if request is None:
            raise AssemblyError(f"account {as_account} does not hold this purpose, or it cannot be read")
        vocabulary = names()
        question = text.read(pairs_of(facets or ()), node.site.zone, vocabulary)
        place = None if after is None else Place.parse(after)
        if place is None and after is not None:
            raise AssemblyError("--after comes from the list before: 'next'")
        nameless = Obligation.NO_IDENTIFIERS in Catalog.of(node.site).obligations(request.purpose)
        if not nameless:
            access.condition(request, "Procedure")  # facets tell of the record
        portion = Portion(0 if nameless else limit, place, _facets(counted or ()))
        setting = Setting(node.site, node.settings.fhir_base)

        def answered(connection: Connection) -> tuple[Found, list[dict[str, Any]]]:
            found = asking.ask(
                node.point, connection, setting, request, question, portion, route="photos", fulfils=_ALL
            )
            return found, list(_listed(connection, found))

        found, listed = asking.in_turn(node.engine, setting, answered, patience=_PATIENCE)
    if as_json:
        typer.echo(json.dumps(_plain(found, listed, text.text(question, vocabulary)), ensure_ascii=False))
        return
    for line in _lines(found, listed, request, nameless):
        typer.echo(line)


#: A list shows no pixels, and what shows no identifiers is counted alone.
_ALL = frozenset({Obligation.WATERMARK, Obligation.NO_IDENTIFIERS})


def pairs_of(facets: Sequence[str]) -> list[tuple[str, str]]:
    """``FACET=VALUE`` each."""
    found = []
    for each in facets:
        name, equals, value = each.partition("=")
        if not equals:
            raise Malformed(Issue("value", f"{each[:60]!r} is not FACET=VALUE."))
        found.append((name, value))
    return found


def _facets(counted: Sequence[str]) -> tuple[Facet, ...]:
    for each in counted:
        if each not in COUNTED:
            raise AssemblyError(f"--count: {each!r} is not counted; there are {', '.join(COUNTED)}")
    return tuple(Facet(each) for each in dict.fromkeys(counted))


def _listed(connection: Connection, found: Found) -> Iterator[dict[str, Any]]:
    columns = (photo.c.photo, photo.c.document, photo.c.patient, photo.c.taken, photo.c.area, photo.c.sop_uid)
    rows = connection.execute(select(*columns).where(among(connection, photo.c.photo, found.numbers)))
    by_number = {row.photo: row for row in rows}
    for number in found.numbers:
        row = by_number[number]
        yield {
            "document": row.document,
            "sop_uid": row.sop_uid,
            "patient": row.patient,
            "taken": None if row.taken is None else instant(row.taken).isoformat(),
            "area": _shown(Facet.AREA, row.area or ""),
        }


def _plain(found: Found, listed: Sequence[Mapping[str, Any]], question: str) -> dict[str, Any]:
    return {
        "question": question,
        "total": found.total,
        "photos": listed,
        "next": None if found.following is None else found.following.text,
        "counts": {facet.value: values for facet, values in found.counts.items()},
    }


def _lines(found: Found, listed: Sequence[Mapping[str, Any]], request: Request, nameless: bool) -> Iterator[str]:
    """A photo a line, whole, so that it can be searched and copied."""
    for each in listed:
        taken = (each["taken"] or "time not known")[:16].replace("T", " ")
        yield f"  {taken:<16}  {each['area']:<20}  Patient/{each['patient']}  DocumentReference/{each['document']}"
    for facet, values in found.counts.items():
        yield typer.style(facet.value, bold=True)
        if values is None:
            yield "  too many values over so many photos: ask for less"
        for code, number in sorted((values or {}).items(), key=lambda each: (-each[1], each[0])):
            yield f"  {number:>8}  {_shown(facet, code)}"
    yield f"{found.total} photos"
    if nameless and found.total:
        yield f"{request.purpose} shows no identifiers, so they are not listed."
    if found.following is not None:
        yield f"next: --after {found.following.text}"


def _shown(facet: Facet, code: str) -> str:
    known = regions().by_code(code) if facet is Facet.AREA else None
    return known.name if known is not None else code
