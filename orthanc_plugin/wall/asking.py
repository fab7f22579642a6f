"""Who asks, and for which one purpose: credentials, tickets and the purpose header of one HTTP request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from consent.identity.accounts import requester
from consent.identity.bearer import Caller
from consent.identity.callers import client_address
from consent.identity.purpose import EMERGENCY_HEADER, NO_PURPOSE, PURPOSE_HEADER, choose
from consent.identity.tickets import As, Pass, Task
from consent.store.engine import glancing
from consent.types import Request
from orthanc_plugin.wall.foundation import Rooms
from orthanc_plugin.wall.routes import Match

_PURPOSE = PURPOSE_HEADER.lower()
_EMERGENCY = EMERGENCY_HEADER.lower()

Ticket = Pass | As | Task


@dataclass(frozen=True, slots=True)
class Asked:
    """One HTTP request, as an answer of ours sees it."""

    match: Match
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case; of repeated headers the first (Orthanc's rule)."""

    body: bytes = b""
    request: Request | None = None
    """The question put to the decision; None for our own work and the canary."""

    task: Task | None = None


def at_hand(rooms: Rooms, headers: Mapping[str, str], peer: str | None) -> Request | None:
    """As :func:`who`, where the password or token is remembered; None where it must be proved first, or is refused."""
    return _question(rooms.callers.at_hand(headers.get("authorization"), _address(peer, headers)), headers)


def who(rooms: Rooms, headers: Mapping[str, str], ticket: As | None, peer: str | None) -> Request | None:
    """The caller's question; None where the credentials or the purpose are refused.

    Parameters
    ----------
    peer
        IP address of whoever is connected; None where the filter has asked for the same request already.
    """
    if ticket is not None:
        with glancing(rooms.engine) as connection:
            account = requester(connection, ticket.account)
        if account is None or (ticket.purpose != NO_PURPOSE and ticket.purpose not in account.purposes):
            return None
        return ticket.request(account)
    return _question(rooms.callers.identify(headers.get("authorization"), _address(peer, headers)), headers)


def _address(peer: str | None, headers: Mapping[str, str]) -> str | None:
    return None if peer is None else client_address(peer, headers)


def _question(caller: Caller | None, headers: Mapping[str, str]) -> Request | None:
    if caller is None or not caller.sees_photos:
        return None
    return choose(caller.requester, headers.get(_PURPOSE), headers.get(_EMERGENCY))


def may_enter(match: Match, request: Request) -> bool:
    """Whether the row is for this requester at all; photos are decided afterwards."""
    row = match.row
    if row.right is not None:
        return row.right in request.requester.rights
    return row.purposes is None or request.purpose in row.purposes
