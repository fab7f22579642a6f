"""``photospine session``: the photographs of a visit by protocol, and closing them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from consent.identity import accounts
from consent.purposes import TREAT
from consent.store.engine import glancing, reading
from consent.types import Request, Requester
from dicom_bridge.protocols.closing import Person, Why
from dicom_bridge.protocols.closings import Closings, Looked
from dicom_bridge.protocols.reading import all_protocols
from dicom_bridge.protocols.reasons import reasons
from dicom_bridge.protocols.words import shot_words
from fhir_mapping.errors import Issue, NotFound
from orthanc_plugin.assembly.commands._common import (
    AsOption,
    JsonOption,
    SettingsOption,
    account_of,
    failing,
    os_user,
    require,
)
from orthanc_plugin.assembly.commands._words import finder, require_text
from orthanc_plugin.assembly.errors import AssemblyError
from orthanc_plugin.assembly.open import Node, open_node
from orthanc_plugin.assembly.record import fhir_node, record_store
from orthanc_plugin.assembly.settings import load

VisitArgument = Annotated[str, typer.Argument(help="Encounter: FHIR id, system|value, or a value.", metavar="VISIT")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="The photographs of a visit: what is there, what is missing, why.")
    group.command("show")(show)
    group.command("close")(close)
    app.add_typer(group, name="session")


def show(
    visit: VisitArgument, as_account: AsOption = None, as_json: JsonOption = False, settings: SettingsOption = None
) -> None:
    """Tell which photos the protocols ask this visit for, which are there, and whether they are closed.

    The account needs the purpose TREAT. The photos named are recorded.
    """
    with failing(), open_node(load(settings)) as node:
        who, closings, identity = _opened(node, visit, as_account)
        found = closings.look(Request(who, TREAT), identity, "session show")
        if found is None:
            raise NotFound(Issue("not-found", "There is no such visit, or it may not be seen."))
    _tell(found, as_json)


def close(
    visit: VisitArgument,
    missing: Annotated[
        list[str] | None,
        typer.Option(
            "--missing",
            help="Why a photo is not there: PROTOCOL/SHOT=REASON, or PROTOCOL/SHOT=other:a sentence. Repeatable. "
            f"Reasons: {', '.join(reasons())}.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="The person's name; else the account's.")] = None,
    as_account: AsOption = None,
    as_json: JsonOption = False,
    settings: SettingsOption = None,
) -> None:
    """Close the photographs of a visit: each that a protocol asks for is there, or a reason why it is not.

    The account needs the purpose TREAT and the right 'record'.
    """
    with failing(), open_node(load(settings)) as node:
        why = dict(map(_why, missing or ()))
        require_text({"--name": name, "--missing": "".join(missing or ())})
        who, closings, identity = _opened(node, visit, as_account)
        person = Person(name or _name(node, who), who.reference)
        found = closings.close(Request(who, TREAT), identity, why, person, "session close")
    _tell(found, as_json)


def _opened(node: Node, visit: str, as_account: str | None) -> tuple[Requester, Closings, str]:
    who = account_of(node, as_account)
    require(who, purpose=TREAT)
    require_text({"VISIT": visit})
    protocols = all_protocols(node.settings.protocols)
    with reading(node.engine) as connection:
        identity = finder(connection, record_store(node))("VISIT", "Encounter", visit)
    closings = Closings(
        fhir_node(node, node.point, lambda _header, _address: None),
        protocols,
        strict=node.settings.strict_baseline,
        os_user=os_user(),
    )
    return who, closings, identity


def _name(node: Node, who: Requester) -> str:
    """What the account is called."""
    with glancing(node.engine) as connection:
        account = accounts.find(connection, who.account)
    return account.display or who.account if account is not None else who.account


def _why(said: str) -> tuple[str, Why]:
    shot, equals, rest = said.partition("=")
    reason, _, told = rest.partition(":")
    if not equals or not shot or not reason:
        raise AssemblyError(f"--missing: {said!r} is not PROTOCOL/SHOT=REASON")
    return shot, Why(reason, told.strip())


def _tell(found: Looked, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(_told(found), ensure_ascii=False))
    else:
        for line in _lines(found):
            typer.echo(line)


def _told(found: Looked) -> Mapping[str, Any]:
    closed, why = found.closed, found.closed.why if found.closed is not None else {}
    return {
        "visit": found.visited.visit,
        "state": "open" if closed is None else "reopened" if closed.open else "closed",
        "by": closed.by if closed is not None else None,
        "at": closed.at if closed is not None else None,
        "photos": [
            {
                "shot": each.code,
                "protocol_version": each.protocol.version,
                "baseline": each.baseline,
                "photo": each.photo.document if each.photo is not None else None,
                "reason": why[each.code].reason if each.photo is None and each.code in why else None,
                "told": (why[each.code].told or None) if each.photo is None and each.code in why else None,
            }
            for each in found.visited.asked
        ],
    }


def _lines(found: Looked) -> Iterator[str]:
    told = _told(found)
    state = {"open": "open", "reopened": "open again: a photo came after they were closed"}.get(
        told["state"], f"closed by {told['by']}, {str(told['at'])[:16].replace('T', ' ')} UTC"
    )
    yield f"Encounter/{told['visit']}: {state}"
    if not found.visited.asked:
        yield "  no protocol asks this visit for photos"
    for each, line in zip(found.visited.asked, told["photos"], strict=True):
        if each.photo is not None:
            said = f"there: DocumentReference/{each.photo.document}"
        elif line["reason"] is not None:
            said = f"missing: {reasons()[line['reason']].name}{': ' + line['told'] if line['told'] else ''}"
        else:
            said = "missing"
        yield f"  {each.code}  {shot_words(each.shot)}{' (baseline)' if each.baseline else ''}: {said}"
