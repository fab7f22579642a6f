"""``photospine account``: who may sign in, for which purposes and rights."""

from __future__ import annotations

import hashlib
import json
import sys
from typing import Annotated, Any

import typer

from consent.audit.record import AuditRecord, Kind
from consent.identity import accounts, links, throttle
from consent.identity.accounts import Account, AccountRefused
from consent.purposes import Catalog
from consent.store.engine import reading, transaction
from consent.types import Right
from orthanc_plugin.assembly.commands import _peers
from orthanc_plugin.assembly.commands._common import JsonOption, SettingsOption, failing, os_user, show
from orthanc_plugin.assembly.open import CLI, Node, open_node
from orthanc_plugin.assembly.settings import load

Name = Annotated[str, typer.Argument(help="Name of the account.")]
Purposes = Annotated[
    list[str] | None,
    typer.Option("--purpose", help="A purpose it holds; repeat it, the first one counts where a request names none."),
]
Rights = Annotated[list[Right] | None, typer.Option("--right", help="A right it has; repeat it.")]
Reference = Annotated[str | None, typer.Option("--reference", help="Who it is in the record: Practitioner/ID, ….")]
Confined = Annotated[str | None, typer.Option("--confined-to", help="Id of the one patient it is confined to.")]
Own = Annotated[str | None, typer.Option("--own-patient", help="Id of its own record as a patient.")]
Display = Annotated[str | None, typer.Option("--display", help="How the workspace greets it.")]
IssuerName = Annotated[str, typer.Option("--issuer", help="The issuer, as [[issuers]] names it.")]
Subject = Annotated[str, typer.Option("--subject", help="The claim 'sub' of the person's or program's tokens.")]
PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    group = typer.Typer(no_args_is_help=True, help="Accounts, their purposes and rights.")
    group.command("add")(add)
    group.command("list")(listing)
    group.command("set")(change)
    group.command("disable")(disable)
    group.command("link-identity")(link_identity)
    group.command("unlink-identity")(unlink_identity)
    group.command("unlock")(unlock)
    _peers.register(group)
    app.add_typer(group, name="account")


def add(
    name: Name,
    purposes: Purposes = None,
    rights: Rights = None,
    reference: Reference = None,
    confined_to: Confined = None,
    own_patient: Own = None,
    display: Display = None,
    password_stdin: PasswordStdin = False,
    no_password: Annotated[bool, typer.Option("--no-password", help="It signs in otherwise, or never.")] = False,
    settings: SettingsOption = None,
) -> None:
    """Make an account."""
    with failing(), open_node(load(settings)) as node:
        _require_known(node, purposes)
        password = None if no_password else _password(password_stdin)
        values: dict[str, Any] = {
            "purposes": purposes or [],
            "rights": rights or [],
            "reference": reference,
            "confined_to": confined_to,
            "own_patient": own_patient,
            "display": display,
        }
        with node.chain.written(_intent("add", name, values)), transaction(node.engine) as connection:
            accounts.create(connection, name, password=password, **values)
    typer.echo(f"account {name} made")


def change(
    name: Name,
    purposes: Purposes = None,
    rights: Rights = None,
    reference: Reference = None,
    confined_to: Confined = None,
    own_patient: Own = None,
    display: Display = None,
    password_stdin: PasswordStdin = False,
    no_purposes: Annotated[bool, typer.Option("--no-purposes", help="Take all purposes away.")] = False,
    no_rights: Annotated[bool, typer.Option("--no-rights", help="Take all rights away.")] = False,
    enable: Annotated[bool, typer.Option("--enable", help="Let a disabled account work again.")] = False,
    settings: SettingsOption = None,
) -> None:
    """Change what is given of an account; it counts from the next request on."""
    given: dict[str, Any] = {
        "purposes": [] if no_purposes else purposes,
        "rights": [] if no_rights else rights,
        "reference": reference,
        "confined_to": confined_to,
        "own_patient": own_patient,
        "display": display,
        "active": True if enable else None,
    }
    values = {key: value for key, value in given.items() if value is not None}
    with failing(), open_node(load(settings)) as node:
        _require_known(node, purposes)
        intent = _intent("set", name, values | {"password": password_stdin})
        if password_stdin:
            values["password"] = _password(True)
        if not values:
            raise AccountRefused("nothing to change: see 'photospine account set --help'")
        with node.chain.written(intent), transaction(node.engine) as connection:
            accounts.change(connection, name, **values)
    typer.echo(f"account {name} changed")


def disable(name: Name, settings: SettingsOption = None) -> None:
    """Let an account do nothing any more; its sessions end with their next request."""
    with failing(), open_node(load(settings)) as node:
        intent = _intent("disable", name, {})
        with node.chain.written(intent), transaction(node.engine) as connection:
            accounts.disable(connection, name)
    typer.echo(f"account {name} disabled")


def link_identity(name: Name, issuer: IssuerName, subject: Subject, settings: SettingsOption = None) -> None:
    """Let tokens of an issuer about this subject act as the account, and the person sign in through it."""
    with failing(), open_node(load(settings)) as node:
        intent = _intent("link-identity", name, {"issuer": issuer, "subject": subject})
        with node.chain.written(intent), transaction(node.engine) as connection:
            links.link(connection, name, issuer, subject)
    typer.echo(f"account {name} linked")


def unlink_identity(name: Name, issuer: IssuerName, subject: Subject, settings: SettingsOption = None) -> None:
    """Let them do so no more; the account's sessions end with their next request."""
    with failing(), open_node(load(settings)) as node:
        intent = _intent("unlink-identity", name, {"issuer": issuer, "subject": subject})
        with node.chain.written(intent), transaction(node.engine) as connection:
            links.unlink(connection, name, issuer, subject)
    typer.echo(f"account {name} unlinked")


def unlock(name: Name, settings: SettingsOption = None) -> None:
    """Forget the failed attempts of a name, so that nobody has to wait any longer."""
    with failing(), open_node(load(settings)) as node:
        intent = _intent("unlock", name, {})
        with node.chain.written(intent), transaction(node.engine) as connection:
            count = throttle.unlock(connection, name)
    typer.echo(f"account {name}: {'unlocked' if count else 'nothing was counted'}")


def listing(as_json: JsonOption = False, settings: SettingsOption = None) -> None:
    """List all accounts."""
    with failing(), open_node(load(settings)) as node, reading(node.engine) as connection:
        found = [
            _shown(each) | {"identities": [list(link) for link in links.links_of(connection, each.name)]}
            for each in accounts.everyone(connection)
        ]
    lines = [
        f"{each['name']}  {'active' if each['active'] else 'disabled'}  {' '.join(each['purposes']) or '-'}  "
        f"{' '.join(each['rights']) or '-'}"
        for each in found
    ]
    show(found, as_json, "\n".join(lines))


def _shown(account: Account) -> dict[str, Any]:
    who = account.requester
    return {
        "name": account.name,
        "active": account.active,
        "purposes": list(who.purposes),
        "rights": sorted(right.value for right in who.rights),
        "reference": who.reference,
        "confined_to": None if who.confined_to is None else sorted(who.confined_to)[0],
        "own_patient": who.own_patient,
        "password": account.has_password,
    }


def _require_known(node: Node, purposes: list[str] | None) -> None:
    known = Catalog.of(node.site).codes()
    for purpose in purposes or ():
        if purpose not in known:
            raise AccountRefused(f"no purpose {purpose!r} can be requested here; there are {', '.join(known)}")


def _intent(what: str, name: str, values: dict[str, Any]) -> AuditRecord:
    """What is about to be done; never the password, only whether it changes."""
    text = json.dumps(values, sort_keys=True, default=str)
    return AuditRecord(
        Kind.INTENT,
        CLI,
        f"account {what}",
        os_user=os_user(),
        subject=f"account/{name}",
        digest=hashlib.sha256(text.encode()).hexdigest(),
        details={key: [str(part) for part in value] for key, value in values.items() if isinstance(value, list)},
    )


def _password(from_standard_input: bool) -> str:
    if from_standard_input:
        line = sys.stdin.readline()
        if not line.strip("\r\n"):
            raise AccountRefused("no password came on standard input")
        return line.rstrip("\r\n")
    if not sys.stdin.isatty():
        raise AccountRefused("give the password on standard input with --password-stdin, or --no-password")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
