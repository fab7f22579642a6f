"""The filter: every HTTP request to Orthanc comes here first, and what is not plainly permitted is refused."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from threading import Lock
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from consent.identity.tickets import As, Pass, Task, is_ticket
from orthanc_plugin.wall.asking import Ticket, at_hand, may_enter, who
from orthanc_plugin.wall.errors import WallError
from orthanc_plugin.wall.expected import Expected
from orthanc_plugin.wall.foundation import Foundation, Rooms
from orthanc_plugin.wall.host import LOOPBACK, Method
from orthanc_plugin.wall.routes import Match, Touches

_MOST_CLAIMS = 1000


class Claims:
    """Tickets that the filter has checked and an answer of ours has yet to read: each counts once, so it is kept."""

    def __init__(self) -> None:
        self._kept: dict[str, Ticket] = {}
        self._lock = Lock()

    def keep(self, header: str, ticket: Ticket) -> None:
        """Keep it for the answer; the oldest go first where answers never came."""
        with self._lock:
            self._kept[header] = ticket
            while len(self._kept) > _MOST_CLAIMS:
                del self._kept[next(iter(self._kept))]

    def take(self, header: str) -> Ticket | None:
        """The ticket, once."""
        with self._lock:
            return self._kept.pop(header, None)


class HttpFilter:
    """Called by Orthanc with each request, on its own small stack. An exception is a refusal."""

    def __init__(self, foundation: Foundation, claims: Claims, expected: Expected) -> None:
        self._foundation, self._claims, self._expected = foundation, claims, expected

    def __call__(self, uri: str, **request: Any) -> bool:
        """True lets the request pass."""
        self._expected.begin()
        try:
            return (
                self._passes(
                    uri,
                    request["method"],
                    request["headers"],
                    self._foundation.spelling.read(request.get("get")),
                    request.get("ip") or LOOPBACK,
                )
                is True
            )
        except WallError as error:
            self._foundation.host.log(f"refused: {error}")
        except Exception as error:  # noqa: BLE001  # an outermost edge: whatever it is, it is a refusal
            self._foundation.host.log(f"refused: fault {uuid.uuid4().hex[:12]} {type(error).__name__}")
        return False

    def _passes(self, uri: str, method: int, headers: Mapping[str, str], query: Mapping[str, str], peer: str) -> bool:
        match = self._foundation.table.match(method, uri)
        if match is None or (match.row.query is not None and not query.keys() <= match.row.query):
            return False
        row = match.row
        if row.answer is None:  # where it is refused below, Orthanc never comes to ask anything
            self._expected.natively(row)
        if row.public:
            return True
        if row.inner:
            return False
        header = headers.get("authorization")
        if header is None:
            return False
        account: As | None = None
        if is_ticket(header):
            ticket = self._foundation.tickets.check(header, Method(method).name, uri, query, self._foundation.clock())
            if ticket is None:
                return False
            if isinstance(ticket, Pass):
                return row.touches is Touches.ONE
            if isinstance(ticket, Task):
                if ticket.kind not in row.tasks:
                    return False
                if row.answer is not None:
                    self._claims.keep(header, ticket)
                elif row.stores:
                    self._expected.expect(ticket)
                return True
            account = ticket
        if not row.accounts:
            return False
        if account is None and row.touches in (Touches.ONE, Touches.SET):
            known = self._foundation.pool.here(lambda: self._at_hand(match, headers, peer))
            if known is not None:
                return known
        return self._foundation.pool.run(lambda: self._enters(match, headers, header, account, peer))

    def _at_hand(self, match: Match, headers: Mapping[str, str], peer: str) -> bool | None:
        """The answer where all that it needs is remembered; None where something must be read or checked first."""
        rooms = self._foundation.standing()
        if rooms is None:
            return None
        try:
            request = at_hand(rooms, headers, peer)
            if request is None:
                return None
            if not may_enter(match, request):
                return False
            if match.row.touches is Touches.SET:
                return True  # decided and recorded by the answer
            orthanc_id, sop_uid = _named(rooms, match)
            answer = rooms.point.at_hand(request, sop_uid, route=match.row.name, fulfils=match.row.fulfils)
        except SQLAlchemyError:  # asked once more where there is time to wait; nothing was recorded yet
            return None
        return None if answer is None else answer.permitted and answer.orthanc_id == orthanc_id

    def _enters(self, match: Match, headers: Mapping[str, str], header: str, ticket: As | None, peer: str) -> bool:
        rooms = self._foundation.rooms()
        request = who(rooms, headers, ticket, peer)
        if request is None or not may_enter(match, request):
            return False
        if match.row.touches is Touches.ONE:
            orthanc_id, sop_uid = _named(rooms, match)
            answer = rooms.point.photo(request, sop_uid, route=match.row.name, fulfils=match.row.fulfils)
            return answer.permitted and answer.orthanc_id == orthanc_id
        if ticket is not None:
            self._claims.keep(header, ticket)
        return True


def _named(rooms: Rooms, match: Match) -> tuple[str | None, str]:
    """The photo that a path names: its Orthanc id as it must be, and its SOP Instance UID.

    What we do not know is put to the decision all the same, so that it is refused and recorded like any other.
    """
    values = match.values
    if "id" in values:
        return values["id"], rooms.places.sop_of(values["id"]) or ""
    found = rooms.places.stands(values["study"], values["series"], values["sop"])
    return found, values["sop"] if found is not None else ""
