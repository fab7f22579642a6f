"""``photospine consent explain``: how an answer comes about, now, at another time, or as it was recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from consent.audit.record import AuditRecord, Kind
from consent.explanation import Explanation
from consent.inquiry import inquire, named
from consent.purposes import BTG, HCOMPL
from consent.replay import Replayed, replay
from consent.store.engine import reading
from consent.types import Request
from orthanc_plugin.assembly.commands._common import (
    JsonOption,
    SettingsOption,
    account_of,
    failing,
    local,
    os_user,
    require,
    show,
)
from orthanc_plugin.assembly.errors import AssemblyError
from orthanc_plugin.assembly.open import CLI, Node, open_node
from orthanc_plugin.assembly.settings import load


def explain(
    photo: Annotated[
        str | None,
        typer.Argument(help="SOP Instance UID, Orthanc id, number, or DocumentReference/ID of the photo."),
    ] = None,
    as_account: Annotated[str | None, typer.Option("--as", help="The account whose request is explained.")] = None,
    purpose: Annotated[str | None, typer.Option("--purpose", help="The purpose that it asks for.")] = None,
    channel: Annotated[str | None, typer.Option("--channel", help="SOCIAL: the channel.")] = None,
    project: Annotated[str | None, typer.Option("--project", help="HRESCH: the project.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="BTG: the reason typed.")] = None,
    patient: Annotated[
        str | None, typer.Option("--emergency-patient", help="BTG: id of the patient whom the emergency is about.")
    ] = None,
    at: Annotated[
        datetime | None, typer.Option("--at", help="The time (local) to decide for; without it: now.")
    ] = None,
    record: Annotated[
        str | None,
        typer.Option("--record", help="CHAIN#SEQUENCE: decide this recorded answer again; of a set with PHOTO."),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            "--by",
            envvar="PHOTOSPINE_ACCOUNT",
            help="The account that wants to know, and holds HCOMPL; without it the one of --as.",
        ),
    ] = None,
    as_json: JsonOption = False,
    settings: SettingsOption = None,
) -> None:
    """Say why somebody may or may not see a photo: each step, and the provision that answered. Shows no photo.

    With --record the exit status is 3 where the answer comes out otherwise today.
    """
    with failing(), open_node(load(settings)) as node:
        asker = account_of(node, by or as_account)
        require(asker, purpose=HCOMPL)
        subject = record or photo or ""
        details = {"account": as_account or "", "purpose": purpose or ""}
        node.chain.append(
            [
                AuditRecord(
                    Kind.READ,
                    CLI,
                    "consent explain",
                    account=asker.account,
                    os_user=os_user(),
                    purpose=HCOMPL,
                    subject=f"explanation of {subject}"[:200],
                    details=details,
                )
            ]
        )
        with reading(node.engine) as connection:
            if record is not None:
                again = _replayed(node, connection, record, photo)
                made = _told(again.explanation) | {
                    "record": record,
                    "account": again.request.requester.account,
                    "purpose": again.request.purpose,
                    "now": again.now.isoformat(),
                    "same": again.same,
                    "differs": list(again.differs),
                    "exact": again.exact,
                    "door": again.door,
                }
                lines = [*_lines(again.explanation), *_verdict(again)]
            else:
                if photo is None or as_account is None or purpose is None:
                    raise AssemblyError(
                        "name a photo with --as ACCOUNT and --purpose CODE, or a --record CHAIN#SEQUENCE"
                    )
                about = named(connection, photo)
                if about is None:
                    raise AssemblyError(f"no photo is named {photo}")
                request = Request(
                    account_of(node, as_account),
                    BTG if purpose == "ETREAT" else purpose,
                    channel=channel,
                    project=project,
                    emergency_reason=reason,
                    emergency_patient=patient,
                )
                found = inquire(connection, request, about, None if at is None else local(at))
                made = _told(found.explanation) | {
                    "photo": about.sop_uid,
                    "account": as_account,
                    "purpose": request.purpose,
                    "now": found.now.isoformat(),
                    "rests_on": list(found.rests_on),
                }
                lines = [*_lines(found.explanation), f"Decided for {found.now.isoformat()}.", *found.rests_on]
    show(made, as_json, "\n".join(lines))
    if record is not None and not made["same"]:
        raise typer.Exit(3)


def _replayed(node: Node, connection: Connection, identity: str, photo: str | None) -> Replayed:
    chain, _, sequence = identity.rpartition("#")
    if not (sequence.isascii() and sequence.isdigit() and len(sequence) < 19) or chain not in node.archive.chains():
        raise AssemblyError(f"{identity} is no record: give CHAIN#SEQUENCE, as 'photospine audit list' shows it")
    row = node.archive.row(chain, int(sequence))
    if row is None:
        raise AssemblyError(f"there is no record {identity}")
    about = None if photo is None else named(connection, photo)
    return replay(connection, json.loads(row.body), None if about is None else about.sop_uid)


def _told(explanation: Explanation) -> dict[str, Any]:
    """An explanation for machines."""
    decision = explanation.decision
    return {
        "effect": str(decision.effect),
        "reason": str(decision.reason),
        "step": decision.step,
        "obligations": sorted(decision.obligations),
        "parts": [
            {
                "patient": part.decision.patient,
                "effect": str(part.decision.effect),
                "reason": str(part.decision.reason),
                "step": part.decision.step,
                "rule": part.decision.rule,
                "steps": list(part.steps),
                "provisions": [
                    {
                        "consent": each.directive.consent,
                        "version": each.directive.version,
                        "path": each.directive.path,
                        "sentence": each.sentence,
                    }
                    for each in part.provisions
                ],
            }
            for part in explanation.parts
        ],
    }


def _lines(explanation: Explanation) -> Iterator[str]:
    decision = explanation.decision
    for part in explanation.parts:
        if part.decision.patient is not None:
            yield f"Patient/{part.decision.patient}:"
        last = len(part.steps) - 1
        for step, said in enumerate(part.steps):
            yield f"  {step:>2}  {part.decision.effect.value.upper() + ': ' if step == last else ''}{said}"
        for each in part.provisions:
            ref = each.directive
            yield f"      Consent/{ref.consent} version {ref.version} {ref.path}: {each.sentence}"
    said = f"{decision.effect.value.upper()}: {decision.reason}"
    yield said + (f", with {', '.join(sorted(decision.obligations))}" if decision.obligations else "")


def _verdict(again: Replayed) -> Iterator[str]:
    yield f"Decided for {again.now.isoformat()}."
    if again.exact:
        yield "The facts are those of the versions that the record names."
    else:
        yield "A set names no versions: the facts are those of its time, to the length of a commit."
    if again.door:
        yield again.door
    yield "The same as recorded." if again.same else f"OTHERWISE than recorded: {', '.join(again.differs)}."
