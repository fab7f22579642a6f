"""Standing the wall up: one table, from which both the allowlist and the answers come."""

from __future__ import annotations

import contextlib
import sys
import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from consent.identity.tickets import As, Task, is_ticket
from orthanc_plugin.wall import canary, script
from orthanc_plugin.wall.answer import JSON, REFUSED, Answer
from orthanc_plugin.wall.answers import archive, core_lists, native, qido, rendered, tools, wado, wado_uri, work
from orthanc_plugin.wall.asking import Asked, may_enter, who
from orthanc_plugin.wall.asking import at_hand as who_at_hand
from orthanc_plugin.wall.errors import TooLarge, WallError
from orthanc_plugin.wall.expected import Expected
from orthanc_plugin.wall.foundation import Foundation
from orthanc_plugin.wall.hooks import Hooks
from orthanc_plugin.wall.host import Host, Method, Output
from orthanc_plugin.wall.http_filter import Claims, HttpFilter
from orthanc_plugin.wall.pool import Pool
from orthanc_plugin.wall.routes import Match, Row, Table
from orthanc_plugin.wall.section import Section

ROWS: tuple[Row, ...] = (
    canary.ROWS
    + native.ROWS
    + rendered.ROWS
    + wado_uri.ROWS
    + qido.ROWS
    + wado.ROWS
    + core_lists.ROWS
    + archive.ROWS
    + tools.ROWS
    + work.ROWS
)


SWITCH_SECONDS = 0.0005
"""A thread that waits for Python's lock asks for it after so long: work here takes tens of microseconds, not 5 ms."""


def stand(host: Host) -> Foundation:
    """Stand the wall up around Orthanc. Any exception makes Orthanc refuse to start."""
    section = Section.read(host.configuration())
    sys.setswitchinterval(SWITCH_SECONDS)
    pool = Pool()  # before anything else makes a thread
    table = Table(ROWS + script.rows(section))
    foundation = Foundation(host, section, table, pool)
    claims, expected = Claims(), Expected()
    host.on_request(HttpFilter(foundation, claims, expected))
    answers = Answers(foundation, claims, expected)
    # As one pattern: Orthanc tries them in turn at each request, also at those that it answers by itself.
    host.on_route("|".join(dict.fromkeys(row.pattern for row in table if row.answer is not None)), answers)
    for row in table:
        table.stand(row)
    hooks = Hooks(foundation, expected)
    host.on_received(hooks.accepts)
    host.on_stored(hooks.stored)
    return foundation


class Answers:
    """The callback of every route that is ours. An exception is a refusal; nothing of it reaches the caller."""

    def __init__(self, foundation: Foundation, claims: Claims, expected: Expected) -> None:
        self._foundation, self._claims, self._expected = foundation, claims, expected

    def __call__(self, output: Output, uri: str, **request: Any) -> None:
        """Answer one request."""
        try:
            self._answer(uri, request).write(output, self._foundation.pool)
        except WallError as error:
            self._foundation.host.log(f"not answered: {error}")
            _say(output, 413 if isinstance(error, TooLarge) else 503)
        except Exception as error:  # noqa: BLE001  # an outermost edge: whatever it is, it is a refusal
            self._foundation.host.log(f"not answered: fault {uuid.uuid4().hex[:12]} {type(error).__name__}")
            _say(output, 503)

    def _answer(self, uri: str, request: Mapping[str, Any]) -> Answer:
        match = self._foundation.table.match(Method[request["method"]], uri)  # here by name, in the filter by number
        if match is None or match.row.answer is None:
            return REFUSED
        if match.row.locates and (self._expected.is_native() or self._foundation.pool.mine()):
            located = self._foundation.host.post(uri, request.get("body") or b"")
            return Answer(body=located, content_type=JSON)
        if match.row.inner:
            body: bytes = request.get("body") or b""
            if not self._expected.awaits(body):
                return REFUSED
            asked, inner = Asked(match, {}, {}, body), match.row.answer
            return self._foundation.pool.run(lambda: inner(self._foundation, asked), match.row.patience)
        if match.row.at_hand is not None:
            known = self._foundation.pool.here(lambda: self._at_hand(match, request))
            if known is not None:
                return known
        return self._foundation.pool.run(lambda: self._work(match, request), match.row.patience)

    def _at_hand(self, match: Match, request: Mapping[str, Any]) -> Answer | None:
        """The answer where all that it needs is remembered; None where something must be read or checked first."""
        rooms, at_hand = self._foundation.standing(), match.row.at_hand
        headers: Mapping[str, str] = request.get("headers") or {}
        if rooms is None or at_hand is None or is_ticket(headers.get("authorization", "")):
            return None
        try:
            asking = who_at_hand(rooms, headers, None)
        except SQLAlchemyError:  # asked once more where there is time to wait
            return None
        if asking is None:
            return None
        if not may_enter(match, asking):
            return REFUSED
        return at_hand(self._foundation, Asked(match, {}, headers, request=asking))

    def _work(self, match: Match, request: Mapping[str, Any]) -> Answer:
        headers: Mapping[str, str] = request.get("headers") or {}
        query = self._foundation.spelling.read(request.get("get"))
        body: bytes = request.get("body") or b""
        answer = match.row.answer
        assert answer is not None
        if match.row.public:
            return answer(self._foundation, Asked(match, query, headers))
        header = headers.get("authorization", "")
        ticket = self._claims.take(header) if is_ticket(header) else None
        if isinstance(ticket, Task):
            return answer(self._foundation, Asked(match, query, headers, body, task=ticket))
        if is_ticket(header) and not isinstance(ticket, As):
            return REFUSED
        account = ticket if isinstance(ticket, As) else None
        asking = who(self._foundation.rooms(), headers, account, None)
        if asking is None or not may_enter(match, asking):
            return REFUSED
        return answer(self._foundation, Asked(match, query, headers, body, request=asking))


def _say(output: Output, status: int) -> None:
    """A status, where none was sent yet."""
    with contextlib.suppress(Exception):  # the head has left already, or the client has: the stream simply ends
        output.SendHttpStatusCode(status)
