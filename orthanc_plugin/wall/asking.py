"""Who asks, and for which one purpose: credentials, tickets and the purpose header of one HTTP request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from consent.identity.accounts import requester
from consent.identity.basic import credentials
from consent.identity.purpose import EMERGENCY_HEADER, NO_PURPOSE, PURPOSE_HEADER, choose
from consent.identity.tickets import As, Pass, Task
from consent.store.engine import glancing
from consent.types import Request, Requester
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


def at_hand(rooms: Rooms, headers: Mapping[str, str]) -> Request | None:
    """As :func:`who`, where the password is remembered; None where it must be checked, or is refused."""
    basic = credentials(headers.get("authorization"))
    account = None if basic is None else rooms.authenticator.at_hand(*basic)
    return None if account is None else _question(account, headers)


def who(rooms: Rooms, headers: Mapping[str, str], ticket: As | None) -> Request | None:
    """The account's question; None where the credentials or the purpose are refused."""
    if ticket is not None:
        with glancing(rooms.engine) as connection:
            account = requester(connection, ticket.account)
        if account is None or (ticket.purpose != NO_PURPOSE and ticket.purpose not in account.purposes):
            return None
        return ticket.request(account)
    basic = credentials(headers.get("authorization"))
    account = None if basic is None else rooms.authenticator.authenticate(*basic)
    return None if account is None else _question(account, headers)


def _question(account: Requester, headers: Mapping[str, str]) -> Request | None:
    return choose(account, headers.get(_PURPOSE), headers.get(_EMERGENCY))


def may_enter(match: Match, request: Request) -> bool:
    """Whether the row is for this requester at all; photos are decided afterwards."""
    row = match.row
    if row.right is not None:
        return row.right in request.requester.rights
    return row.purposes is None or request.purpose in row.purposes
