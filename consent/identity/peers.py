"""Peers: application entities of other systems, each mapped to an account and to one purpose.

An AE title is a name that anybody can say, so it alone lets nobody in: a peer that calls also comes from an address
that is known to be its own, or shows a client certificate, or both. A peer with a host and a port is a destination:
what is sent there is decided by the account and the purpose that the peer stands for.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Row, bindparam, delete, insert, select

from consent.errors import ConsentError
from consent.identity import accounts
from consent.purposes import BTG, HRESCH, SOCIAL
from consent.store.quick import Quick
from consent.store.tables import account, dimse_peer
from consent.types import Request

_AE_TITLE = re.compile(r"[!-\[\]-~](?:[ -\[\]-~]{0,14}[!-\[\]-~])?")
"""PS3.5 6.2, AE: 1 to 16 printable characters without a backslash, no space at either end."""

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.\-]{0,253}[A-Za-z0-9])?|[0-9A-Fa-f:]{2,45}")


class PeerRefused(ConsentError):
    """A peer cannot be made so. The text names what is wrong."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a peer listens."""

    host: str
    port: int
    tls: bool


@dataclass(frozen=True, slots=True)
class Peer:
    """One application entity, as it was written down."""

    ae_title: str
    account: str
    purpose: str
    channel: str | None = None
    project: str | None = None
    networks: tuple[str, ...] = ()
    """Addresses and networks that it may call from, ``192.0.2.7`` or ``192.0.2.0/24``."""

    fingerprint: str | None = None
    """SHA-256 of its client certificate (DER), lower-case hexadecimal; where it is set, no call without it."""

    destination: Destination | None = None

    @property
    def calls(self) -> bool:
        """Whether it may call at all."""
        return bool(self.networks) or self.fingerprint is not None


@dataclass(frozen=True, slots=True)
class Known:
    """A peer as the database knows it at this moment, with the question that all it does puts."""

    peer: Peer
    request: Request


def add(connection: Connection, peer: Peer) -> None:
    """Write a peer down; it counts from the next operation on.

    Raises
    ------
    PeerRefused
        A part is malformed, the account cannot ask for the purpose, or the AE title is taken.
    """
    _require_sound(peer)
    holder = accounts.find(connection, peer.account)
    if holder is None or not holder.active:
        raise PeerRefused(f"there is no active account {peer.account}")
    if peer.purpose not in holder.requester.purposes:
        raise PeerRefused(f"account {peer.account} does not hold the purpose {peer.purpose}")
    taken = select(dimse_peer.c.ae_title).where(dimse_peer.c.ae_title == peer.ae_title)
    if connection.execute(taken).one_or_none() is not None:
        raise PeerRefused(f"the AE title {peer.ae_title} is taken: remove that peer first")
    where = peer.destination
    connection.execute(
        insert(dimse_peer).values(
            ae_title=peer.ae_title,
            account=peer.account,
            purpose=peer.purpose,
            channel=peer.channel,
            project=peer.project,
            networks=json.dumps(peer.networks),
            fingerprint=peer.fingerprint,
            host=None if where is None else where.host,
            port=None if where is None else where.port,
            tls=where is not None and where.tls,
        )
    )


def remove(connection: Connection, ae_title: str) -> None:
    """Forget a peer; it can do nothing from its next operation on.

    Raises
    ------
    PeerRefused
        There is none.
    """
    if connection.execute(delete(dimse_peer).where(dimse_peer.c.ae_title == ae_title)).rowcount == 0:
        raise PeerRefused(f"there is no peer {ae_title}")


def everyone(connection: Connection) -> list[Peer]:
    """All peers, by AE title."""
    return [_peer(row) for row in connection.execute(select(dimse_peer).order_by(dimse_peer.c.ae_title))]


class Peers:
    """Finds peers as they are now, on whatever node they were changed. Safe for any number of threads."""

    def __init__(self, engine: Engine) -> None:
        self._rows = Quick(engine, _ONE, "ae_title")

    def caller(self, ae_title: str, address: str, fingerprint: str | None) -> Known | None:
        """Who calls; None for an unknown AE title, another address, another certificate, an account that is disabled.

        Parameters
        ----------
        address
            IP address that the connection comes from.
        fingerprint
            SHA-256 of the client certificate that the connection was opened with; None: there is none.
        """
        known = self.find(ae_title)
        if known is None or not known.peer.calls:
            return None
        peer = known.peer
        if peer.fingerprint is not None and peer.fingerprint != fingerprint:
            return None
        if peer.networks and not _within(address, peer.networks):
            return None
        return known

    def destination(self, ae_title: str) -> Known | None:
        """Where photos may be sent under this AE title; None where there is no such destination."""
        known = self.find(ae_title)
        return known if known is not None and known.peer.destination is not None else None

    def find(self, ae_title: str) -> Known | None:
        """The peer with this AE title, where its account is active. Nothing is proved here."""
        if not _AE_TITLE.fullmatch(ae_title):
            return None
        rows = self._rows.rows(ae_title)
        if not rows or not rows[0].active:
            return None
        row = rows[0]
        peer = _peer(row)
        requester = accounts.requester_of(row)
        return Known(peer, Request(requester, peer.purpose, channel=peer.channel, project=peer.project))


_ONE = (
    select(
        dimse_peer,
        account.c.name,
        account.c.active,
        account.c.purposes,
        account.c.rights,
        account.c.reference,
        account.c.confined_to,
        account.c.own_patient,
    )
    .join(account, account.c.name == dimse_peer.c.account)
    .where(dimse_peer.c.ae_title == bindparam("ae_title"))
)


def _peer(row: Row[Any]) -> Peer:
    return Peer(
        ae_title=row.ae_title,
        account=row.account,
        purpose=row.purpose,
        channel=row.channel,
        project=row.project,
        networks=tuple(json.loads(row.networks)),
        fingerprint=row.fingerprint,
        destination=None if row.host is None else Destination(row.host, row.port, bool(row.tls)),
    )


def _require_sound(peer: Peer) -> None:
    if not _AE_TITLE.fullmatch(peer.ae_title):
        raise PeerRefused("an AE title has 1 to 16 printable characters, no backslash, no space at either end")
    if peer.purpose == BTG:
        raise PeerRefused("a peer cannot ask for BTG: emergency access needs a reason typed by a person, each time")
    if peer.channel is not None and peer.purpose != SOCIAL:
        raise PeerRefused("a channel goes with the purpose SOCIAL alone")
    if peer.project is not None and peer.purpose != HRESCH:
        raise PeerRefused("a project goes with the purpose HRESCH alone")
    for each in peer.networks:
        network(each)
    if peer.fingerprint is not None and not _FINGERPRINT.fullmatch(peer.fingerprint):
        raise PeerRefused("a fingerprint is a SHA-256 in hexadecimal: 64 digits, lower case")
    where = peer.destination
    if where is not None and not (_HOST.fullmatch(where.host) and 1 <= where.port <= 65535):
        raise PeerRefused("a destination has a host name or address, and a port from 1 to 65535")
    if not peer.calls and where is None:
        raise PeerRefused(
            "an AE title alone proves nothing: give an address or network, a client certificate, "
            "or host and port where it is only a destination"
        )


def network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """An address or a network.

    Raises
    ------
    PeerRefused
        It is neither, or everybody's.
    """
    try:
        found = ipaddress.ip_network(text)
    except ValueError:
        raise PeerRefused(f"{text!r} is no IP address or network; write 192.0.2.7 or 192.0.2.0/24") from None
    if found.prefixlen == 0:
        raise PeerRefused(f"{text} is every address there is, so that an AE title alone would do; name the peer's own")
    return found


def _within(address: str, networks: Iterable[str]) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in ipaddress.ip_network(each) for each in networks)
