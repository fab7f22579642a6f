"""``photospine basis``: what a plan, a session, an outcome or a photo rests on, and what rests on it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Annotated

import typer
from sqlalchemy import Connection, select

from consent.purposes import TREAT
from consent.store.engine import reading
from consent.store.tables import photo
from consent.types import Request
from fhir_mapping.api import access
from fhir_mapping.course.basis import POINTING, Basis, How, Link, basis
from fhir_mapping.errors import Issue, NotFound
from orthanc_plugin.assembly.commands._common import AsOption, JsonOption, SettingsOption, account_of, failing, require
from orthanc_plugin.assembly.open import open_node
from orthanc_plugin.assembly.record import record_store
from orthanc_plugin.assembly.settings import load

_KINDS = ("DocumentReference", "Procedure", "CarePlan", "Observation")
_WORDS = {
    How.SHOWN: "decided while this was shown:",
    How.PLANNED_ON: "planned on",
    How.PLAN: "belongs to",
    How.JUDGED_ON: "judged on",
    How.MADE_FROM: "made from",
    How.TAKEN_FOR: "taken for",
    How.SESSION: "judges",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("basis")(show)


def show(
    about: Annotated[
        str,
        typer.Argument(help="A SOP Instance UID, or DocumentReference/ID, Procedure/ID, CarePlan/ID, Observation/ID."),
    ],
    as_account: AsOption = None,
    as_json: JsonOption = False,
    settings: SettingsOption = None,
) -> None:
    """Tell what something was decided or judged on, and what rests on it.

    The account needs the purpose TREAT. Photos that it may not see are left out; those named are recorded.
    """
    with failing(), open_node(load(settings)) as node:
        who = account_of(node, as_account)
        require(who, purpose=TREAT)
        with reading(node.engine) as connection:
            named = _named(connection, about)
            kind, _, identity = named.partition("/")
            request = Request(who, TREAT)
            found = basis(node.point, connection, record_store(node), request, named, route="basis")
            readable = kind == "DocumentReference" or access.readable(connection, request, kind, identity)
        if found is None or not readable:
            raise NotFound(Issue("not-found", "There is nothing of that name, or it may not be seen."))
    if as_json:
        told = dataclasses.asdict(found)
        del told["things"]
        typer.echo(json.dumps(told, ensure_ascii=False))
    else:
        for line in _lines(found):
            typer.echo(line)


def _named(connection: Connection, about: str) -> str:
    """``Type/id`` of what was typed; a UID is a photo's."""
    if about.partition("/")[0] in _KINDS:
        return about
    document = connection.execute(select(photo.c.document).where(photo.c.sop_uid == about)).scalar_one_or_none()
    return f"DocumentReference/{document or '-'}"


def _lines(found: Basis) -> Iterator[str]:
    yield typer.style(f"{found.about} rests on", bold=True)
    yield from (_row(each) for each in found.rests_on) if found.rests_on else ["  nothing on record"]
    yield typer.style("On it rest", bold=True)
    yield from (_row(each) for each in found.carries) if found.carries else ["  nothing on record"]
    if found.more:
        yield f"There is more: of what leads to one thing, {POINTING} references are followed."


def _row(link: Link) -> str:
    version = f" version {link.version}" if link.version is not None else ""
    told = " ".join(filter(None, (link.when[:16].replace("T", " "), link.by)))
    return f"  {link.upper} {_WORDS[link.how]} {link.lower}{version}{f'  ({told})' if told else ''}"
