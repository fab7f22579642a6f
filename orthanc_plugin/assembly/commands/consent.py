"""``photospine consent``: write, list, withdraw and explain Consents."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from sqlalchemy import Connection

from consent.audit.record import Kind, of_request
from consent.identity.purpose import choose
from consent.store.engine import reading
from consent.types import Request, Requester, Right
from fhir_mapping import references, text
from fhir_mapping.api import access, writes
from fhir_mapping.api.node import Node as FhirNode
from fhir_mapping.errors import Invalid, Issue
from fhir_mapping.store.reader import Stored
from fhir_mapping.withdrawal import Wish, withdraw
from orthanc_plugin.assembly.commands._common import (
    AsOption,
    JsonOption,
    SettingsOption,
    account_of,
    failing,
    os_user,
    require,
    show,
)
from orthanc_plugin.assembly.commands._explain import explain
from orthanc_plugin.assembly.commands._words import PATIENT
from orthanc_plugin.assembly.errors import AssemblyError
from orthanc_plugin.assembly.open import CLI, Node, open_node
from orthanc_plugin.assembly.record import fhir_node
from orthanc_plugin.assembly.settings import load

T = TypeVar("T")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Write, list, withdraw and explain Consents.")
    group.command("post")(post)
    group.command("list")(listing)
    group.command("withdraw")(withdrawing)
    group.command("explain")(explain)
    app.add_typer(group, name="consent")


def post(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A FHIR R4 Consent as JSON.")],
    as_account: AsOption = None,
    as_json: JsonOption = False,
    settings: SettingsOption = None,
) -> None:
    """Write a Consent: a new one, or a new version where the file names an id."""
    with failing(), open_node(load(settings)) as node:
        who = account_of(node, as_account)
        require(who, right=Right.CONSENT)
        fhir = _fhir(node)
        body = file.read_bytes()
        identity = text.parse(body).get("id")
        if identity is not None and not (isinstance(identity, str) and references.ID.fullmatch(identity)):
            raise Invalid(Issue("value", "An id is 1 to 64 letters, digits, '-' and '.'.", "Consent.id"))

        def work(connection: Connection) -> Stored:
            if identity is not None:
                return fhir.record.update(connection, "Consent", identity, body, source=who.account)
            return fhir.record.create(connection, "Consent", body, source=who.account)

        kept = _write(fhir, who, "consent post", f"Consent/{identity or ''}", body, work)
    notes = [note.text for note in kept.notes]
    lines = [f"kept as {kept.reference}, version {kept.version}", *notes]
    show({"consent": kept.id, "version": kept.version, "notes": notes}, as_json, "\n".join(lines))


def listing(
    patient: Annotated[str, PATIENT],
    as_account: AsOption = None,
    as_json: JsonOption = False,
    settings: SettingsOption = None,
) -> None:
    """List a patient's Consents with what they permit and deny. The reading is recorded."""
    with failing(), open_node(load(settings)) as node:
        who = account_of(node, as_account)
        request = _request(who)
        if access.reach(request, "Consent") is not access.Reach.ALL:
            raise AssemblyError(f"the purpose {request.purpose or '(none)'} of {who.account} does not read Consents")
        record = _fhir(node).record
        with reading(node.engine) as connection:
            identity = record.find(connection, "Patient", patient)
            found = record.search(connection, "Consent", {"patient": f"Patient/{identity}"})
        node.chain.append(
            [
                of_request(
                    Kind.READ,
                    CLI,
                    "consent list",
                    request,
                    subject=f"Patient/{identity}",
                    os_user=os_user(),
                    details={"found": len(found)},
                )
            ]
        )
    rows = [_row(each) for each in found]
    lines = [f"{row['consent']}  v{row['version']}  {row['status']}  {row['signed']}  {row['says']}" for row in rows]
    show(rows, as_json, "\n".join(lines) or "no Consents")


def withdrawing(
    patient: Annotated[str, PATIENT],
    purposes: Annotated[
        list[str] | None, typer.Option("--purpose", help="What for; without it: everything a denial can reach.")
    ] = None,
    channels: Annotated[list[str] | None, typer.Option("--channel", help="Only this channel of SOCIAL.")] = None,
    photos: Annotated[
        list[str] | None, typer.Option("--photo", help="Only this photo: id of its DocumentReference.")
    ] = None,
    as_account: AsOption = None,
    as_json: JsonOption = False,
    settings: SettingsOption = None,
) -> None:
    """Write down that a patient withdraws: a denial, and the end of every permit that it covers whole."""
    with failing(), open_node(load(settings)) as node:
        who = account_of(node, as_account)
        require(who, right=Right.CONSENT)
        fhir = _fhir(node)
        with reading(node.engine) as connection:
            identity = fhir.record.find(connection, "Patient", patient)
            documents = [fhir.record.find(connection, "DocumentReference", each) for each in photos or ()]
        wish = Wish(identity, frozenset(purposes or ()), frozenset(channels or ()), frozenset(documents))
        done = _write(
            fhir,
            who,
            "consent withdraw",
            f"Patient/{identity}",
            repr(wish).encode(),
            lambda connection: withdraw(connection, fhir.record, wish, source=who.account),
        )
    ended = [each.id for each in done.ended]
    notes = [note.text for note in done.denial.notes]
    lines = [f"denial kept as {done.denial.reference}; inactive now: {', '.join(ended) or 'none'}", *notes]
    show({"denial": done.denial.id, "ended": ended, "notes": notes}, as_json, "\n".join(lines))


def _fhir(node: Node) -> FhirNode:
    return fhir_node(node, node.point, lambda _header, _address: None)


def _request(who: Requester) -> Request:
    chosen = choose(who, None)
    assert chosen is not None  # without a header nothing can be refused
    return chosen


def _write(fhir: FhirNode, who: Requester, route: str, subject: str, body: bytes, work: Callable[[Connection], T]) -> T:
    intent = of_request(
        Kind.INTENT,
        CLI,
        route,
        _request(who),
        subject=subject,
        digest=hashlib.sha256(body).hexdigest(),
        os_user=os_user(),
    )
    return writes.perform(fhir, intent, who.account, lambda: work)


def _row(consent: Stored) -> dict[str, object]:
    resource = consent.json()
    provision = resource.get("provision") or {}
    said = [_says(provision), *(_says(each) for each in provision.get("provision") or ())]
    return {
        "consent": consent.id,
        "version": consent.version,
        "status": resource.get("status"),
        "signed": resource.get("dateTime", ""),
        "says": "; ".join(each for each in said if each),
    }


def _says(provision: dict[str, object]) -> str:
    purposes = provision.get("purpose")
    codes = [str(each.get("code")) for each in purposes] if isinstance(purposes, list) else []
    kind = provision.get("type")
    return f"{kind} {', '.join(codes) or '(no purpose)'}" if kind else ""
