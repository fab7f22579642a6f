"""``photospine account peer``: which DICOM application entities call, as whom, and where photos are sent."""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from consent.audit.record import AuditRecord, Kind, canonical
from consent.identity import peers
from consent.identity.peers import Destination, Peer, PeerRefused
from consent.store.engine import reading, transaction
from orthanc_plugin.assembly.commands._common import JsonOption, SettingsOption, failing, os_user, show
from orthanc_plugin.assembly.open import CLI, open_node
from orthanc_plugin.assembly.settings import load

Title = Annotated[str, typer.Argument(help="AE title of the other system.")]


def register(group: typer.Typer) -> None:
    """Add the commands to ``photospine account``."""
    own = typer.Typer(no_args_is_help=True, help="DICOM application entities: who calls, and where photos are sent.")
    own.command("add")(add)
    own.command("list")(listing)
    own.command("remove")(remove)
    group.add_typer(own, name="peer")


def add(
    ae_title: Title,
    account: Annotated[str, typer.Option("--account", help="The account that it acts as.")],
    purpose: Annotated[str, typer.Option("--purpose", help="The one purpose of all that it does.")],
    channel: Annotated[str | None, typer.Option("--channel", help="SOCIAL: the channel.")] = None,
    project: Annotated[str | None, typer.Option("--project", help="HRESCH: the project.")] = None,
    addresses: Annotated[
        list[str] | None, typer.Option("--address", help="IP address or network that it calls from; repeat it.")
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", help="Its client certificate, PEM: no call without it.")
    ] = None,
    host: Annotated[str | None, typer.Option("--host", help="Where C-MOVE sends to.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port of that host.")] = None,
    tls: Annotated[bool, typer.Option("--tls", help="That host speaks TLS.")] = False,
    settings: SettingsOption = None,
) -> None:
    """Write a peer down; it counts from its next operation on."""
    with failing(), open_node(load(settings)) as node:
        if (host is None) != (port is None):
            raise PeerRefused("a destination needs --host and --port")
        peer = Peer(
            ae_title=ae_title,
            account=account,
            purpose=purpose,
            channel=channel,
            project=project,
            networks=tuple(str(peers.network(each)) for each in addresses or ()),
            fingerprint=None if certificate is None else _fingerprint(certificate),
            destination=None if host is None or port is None else Destination(host, port, tls),
        )
        with node.chain.written(_intent("add", ae_title, asdict(peer))), transaction(node.engine) as connection:
            peers.add(connection, peer)
    typer.echo(f"peer {ae_title} added")


def remove(ae_title: Title, settings: SettingsOption = None) -> None:
    """Forget a peer; it can do nothing from its next operation on."""
    with (
        failing(),
        open_node(load(settings)) as node,
        node.chain.written(_intent("remove", ae_title, {})),
        transaction(node.engine) as connection,
    ):
        peers.remove(connection, ae_title)
    typer.echo(f"peer {ae_title} removed")


def listing(as_json: JsonOption = False, settings: SettingsOption = None) -> None:
    """List all peers."""
    with failing(), open_node(load(settings)) as node, reading(node.engine) as connection:
        found = [asdict(each) for each in peers.everyone(connection)]
    show(found, as_json, "\n".join(_line(each) for each in found))


def _line(peer: dict[str, Any]) -> str:
    where = peer["destination"]
    sent = f"{where['host']}:{where['port']}{' TLS' if where['tls'] else ''}" if where else "-"
    proof = " ".join([*peer["networks"], *(["certificate"] if peer["fingerprint"] else [])]) or "-"
    return f"{peer['ae_title']}  {peer['account']}  {peer['purpose']}  calls from: {proof}  is sent to at: {sent}"


def _fingerprint(file: Path) -> str:
    try:
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(file.read_text("ascii"))).hexdigest()
    except (OSError, ValueError):
        raise PeerRefused(f"{file} holds no certificate in PEM form") from None


def _intent(what: str, ae_title: str, values: dict[str, Any]) -> AuditRecord:
    return AuditRecord(
        Kind.INTENT,
        CLI,
        f"account peer {what}",
        os_user=os_user(),
        subject=f"peer/{ae_title}",
        digest=hashlib.sha256(canonical(values)).hexdigest(),
        details={key: values[key] for key in ("account", "purpose") if key in values},
    )
