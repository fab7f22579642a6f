"""``photospine link``: photos that wait are linked, and what is wrong about a photo is corrected."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from consent.audit.record import AuditRecord, Kind
from consent.inquiry import named
from consent.purposes import TREAT
from consent.store import photos
from consent.store.engine import reading
from consent.store.photos import PhotoState, StoredPhoto
from consent.types import Laterality, Obligation, Request, Requester, Right
from dicom_bridge.corrections import Linked
from dicom_bridge.objects.vocabulary import find_expression, find_region, find_view
from dicom_bridge.proposing import By, Proposal
from dicom_bridge.said import Said
from dicom_bridge.waiting import Waiting, waiting
from orthanc_plugin.assembly.commands._common import (
    AsOption,
    JsonOption,
    SettingsOption,
    account_of,
    failing,
    os_user,
    require,
)
from orthanc_plugin.assembly.commands._words import (
    ALSO,
    EXPRESSION,
    PATIENT,
    REGION,
    SIDE,
    VIEW,
    VISIT,
    also_coded,
    coded,
    finder,
    require_text,
    taken_at,
)
from orthanc_plugin.assembly.errors import AssemblyError
from orthanc_plugin.assembly.intake import corrections, open_archive
from orthanc_plugin.assembly.open import CLI, Node, open_node
from orthanc_plugin.assembly.record import record_store
from orthanc_plugin.assembly.settings import load

#: What is said here is no picture, so there is nothing to put a watermark on.
_FULFILS = frozenset({Obligation.WATERMARK})

_NONE = "none"

_LONGEST = 500
"""Letters of a reason."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("link")(link)


def link(
    photo: Annotated[
        str | None,
        typer.Argument(help="SOP Instance UID, Orthanc id, number, or DocumentReference/ID.", show_default=False),
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the photos that wait for their place.")] = False,
    patient: Annotated[str | None, PATIENT] = None,
    visit: Annotated[str | None, VISIT] = None,
    procedure: Annotated[str | None, typer.Option(help="Procedure, named likewise.")] = None,
    region: Annotated[str | None, REGION] = None,
    laterality: Annotated[Laterality | None, SIDE] = None,
    view: Annotated[str | None, VIEW] = None,
    also_region: Annotated[list[str] | None, ALSO] = None,
    expression: Annotated[str | None, EXPRESSION] = None,
    taken: Annotated[str | None, typer.Option(help="When it was taken, as FHIR writes it.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why it is corrected, in one sentence; kept with it.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")] = False,
    account: AsOption = None,
    as_json: JsonOption = False,
    settings: SettingsOption = None,
) -> None:
    """Link a photo that waits, or correct what is wrong about one: patient, visit, region, side, view, time, treatment.

    Further regions are said all together; that there are none, by --also-region none.

    Where the photo's object says something wrong, another instance is made, and nobody sees the former one any more.
    """
    words = {"PHOTO": photo, "--patient": patient, "--visit": visit, "--procedure": procedure, "--reason": reason}
    with failing(), open_node(load(settings)) as node:
        require_text(words | {"--as": account})
        who = account_of(node, account)
        require(who, right=Right.LINK)
        if who.confined_to is not None:
            raise AssemblyError(f"account {who.account} is confined to patients, and changes nothing")
        if listed:
            _list(node, who, as_json)
            return
        if photo is None:
            raise AssemblyError("name a photo, or list those that wait by --list")
        if reason is not None and (len(reason) > _LONGEST or not reason.isprintable()):
            raise AssemblyError(f"--reason: one line of up to {_LONGEST} letters")
        with reading(node.engine) as connection:
            find = finder(connection, record_store(node))
            wanted = Said(
                patient=None if patient is None else find("--patient", "Patient", patient),
                visit=None if visit is None else find("--visit", "Encounter", visit),
                procedure=None if procedure is None else find("--procedure", "Procedure", procedure),
                region=None if region is None else coded("--region", find_region, region),
                laterality=None if laterality is None else laterality.value,
                view=None if view is None else coded("--view", find_view, view),
                expression=None if expression is None else coded("--expression", find_expression, expression),
                also=_also(also_region),
                taken=taken_at(node, connection, taken),
            )
        meant = _photo(node, who, photo)
        with open_archive(node) as archive:
            work = corrections(node, archive)
            with reading(node.engine) as connection:
                by = By(who.account, os_user(), who.reference, reason)
                proposal = work.propose(connection, meant, wanted, by)
            done = None if dry_run else work.carry_out(proposal)
    if as_json:
        typer.echo(json.dumps(_told(proposal, done), ensure_ascii=False))
    else:
        for line in _lines(proposal, done):
            typer.echo(line)


def _also(words: Sequence[str] | None) -> tuple[str, ...] | None:
    """The further regions that are said in the place of those before; ``none`` by itself: there are none."""
    if words is None or list(words) == [_NONE]:
        return None if words is None else ()
    return tuple(map(also_coded, words))


def _photo(node: Node, who: Requester, word: str) -> StoredPhoto:
    """The photo that is meant: one that waits, or one that the account may see.

    Who reconciles sees to every photo; else what is refused is as if it were not there.

    Raises
    ------
    AssemblyError
    """
    with reading(node.engine) as connection:
        meant = named(connection, word)
        found = None if meant is None else photos.by_sop(connection, meant.sop_uid)
    if found is not None and found.state is PhotoState.EXAMINED:
        return found
    allowed = found is not None and found.state is PhotoState.LINKED
    if Right.RECONCILE not in who.rights:
        sop_uid = "" if meant is None else meant.sop_uid
        answer = node.point.photo(Request(who, TREAT), sop_uid, route="link", fulfils=_FULFILS)
        allowed = allowed and answer.permitted
    if found is None or not allowed:
        raise AssemblyError(f"no photo is named {word}")
    return found


def _list(node: Node, who: Requester, as_json: bool) -> None:
    with reading(node.engine) as connection:
        found = waiting(connection, record_store(node))
    node.chain.append(
        [
            AuditRecord(
                Kind.READ,
                CLI,
                "link --list",
                account=who.account,
                os_user=os_user(),
                subject="photos that wait",
                details={"photos": [each.sop_uid for each in found]},
            )
        ]
    )
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in found], ensure_ascii=False))
        return
    for each in found:
        for line in _waits(each):
            typer.echo(line)
    typer.echo(f"{len(found)} photos wait")


def _waits(one: Waiting) -> Iterator[str]:
    yield typer.style(one.sop_uid, bold=True)
    if one.why:
        yield f"  {one.why}"
    for name, value in one.says.items():
        yield f"  {name}: {value}"
    for suggestion in one.suggestions:
        words = " ".join(f"--{name} {value}" for name, value in suggestion.items())
        yield f"  perhaps: photospine link {one.sop_uid} {words}"


def _told(proposal: Proposal, done: Linked | None) -> dict[str, Any]:
    return {
        "photo": proposal.photo.sop_uid,
        "changes": [asdict(each) for each in proposal.changes],
        "new_instance": proposal.anew,
        "done": None if done is None else asdict(done),
    }


def _lines(proposal: Proposal, done: Linked | None) -> Iterator[str]:
    for each in proposal.changes:
        yield f"{each.what}: {each.before or '(nothing)'} -> {each.after or '(nothing)'}"
    if done is None:
        made = "another instance would be made, and nobody would see this one any more"
        yield made if proposal.anew else "the record alone would change"
    elif proposal.anew:
        yield f"corrected: photo {done.sop_uid} takes the place of {', '.join(done.rejected)}"
    else:
        yield f"linked: photo {done.sop_uid}"
