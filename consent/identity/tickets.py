"""Tickets: how the node's own processes call Orthanc without a standing right to anything.

``Authorization: Ticket PAYLOAD.MAC``, an HMAC-SHA-256 under a key that the node's processes share. It covers the
node, the method, the path and the sorted query, so it opens one request; it counts once, and for ten seconds at most.

- ``pass``: one photo, decided and recorded already by the process that made the ticket.
- ``as``: one request of an account; the wall decides and records as if the account had called.
- ``task``: work of our own (examine, render, scan, store), recorded before; it opens only rows marked for it, and for
  storing it is bound to the SHA-256 of each body.

Standard library only: this runs in the filter, on a small stack. Nothing is parsed before its MAC is proved.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from threading import Lock
from typing import Any

from consent.store.clock import micros
from consent.types import Request, Requester, Right, narrowed

SCHEME = "Ticket"
LIFETIME_SECONDS = 8
LONGEST_SECONDS = 10
"""How far ahead an expiry may lie; more than the lifetime, so that a clock put back a little refuses nothing."""

_SECOND = 1_000_000
_LONGEST_HEADER = 8192

MOST_BODIES = 32
"""Bodies that one ticket is bound to, at most."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One photo, decided and recorded already: nothing is to be added."""

    sop_uid: str


@dataclass(frozen=True, slots=True)
class As:
    """One request of an account, to be decided and recorded by whoever checks the ticket."""

    account: str
    purpose: str
    channel: str | None = None
    project: str | None = None
    session: str | None = None
    emergency_reason: str | None = None
    emergency_patient: str | None = None
    confined_to: Sequence[str] | None = None
    """Patients that the caller's token is confined to, beside what confines the account."""

    rights: Sequence[str] | None = None
    """Rights that the caller's token left of the account's."""

    purposes: Sequence[str] | None = None
    """Purposes that it left: an emergency shows other patients of a photo to those alone who hold TREAT too."""

    @staticmethod
    def of(request: Request) -> As:
        """The ticket's part that puts this request again elsewhere."""
        return As(
            account=request.requester.account,
            purpose=request.purpose,
            channel=request.channel,
            project=request.project,
            session=request.session,
            emergency_reason=request.emergency_reason,
            emergency_patient=request.emergency_patient,
            confined_to=None if request.requester.confined_to is None else sorted(request.requester.confined_to),
            rights=sorted(right.value for right in request.requester.rights),
            purposes=list(request.requester.purposes),
        )

    def request(self, requester: Requester) -> Request:
        """The request, by the account as the database knows it now, with no more than the caller had."""
        return Request(
            requester=narrowed(
                requester,
                confined_to=None if self.confined_to is None else frozenset(self.confined_to),
                rights=None if self.rights is None else frozenset(Right(right) for right in self.rights),
                purposes=self.purposes,
            ),
            purpose=self.purpose,
            channel=self.channel,
            project=self.project,
            session=self.session,
            emergency_reason=self.emergency_reason,
            emergency_patient=self.emergency_patient,
        )


@dataclass(frozen=True, slots=True)
class Task:
    """A piece of work of our own."""

    job: str
    kind: str
    """``examine``, ``render``, ``scan``, ``store``, ``remove``, ``changes``, ``doctor``."""

    bodies_sha256: Sequence[str] | None = None
    """Storing: the SHA-256 of each body, hexadecimal, checked by the callback, since the filter sees no body."""

    def stores(self, body: bytes) -> bool:
        """Whether the ticket was made for storing this body."""
        return self.bodies_sha256 is not None and hashlib.sha256(body).hexdigest() in self.bodies_sha256


_KINDS: dict[str, type[Pass] | type[As] | type[Task]] = {"pass": Pass, "as": As, "task": Task}


@dataclass(frozen=True, slots=True, repr=False)
class TicketKeys:
    """The keys that sign and check tickets: the first signs, both are accepted."""

    keys: tuple[bytes, ...]


class TicketMint:
    """Makes tickets for one node.

    The path is the one that Orthanc will see: percent-decoded, without the query; the query one value for each key,
    decoded, because Orthanc drops repeated keys.
    """

    def __init__(
        self,
        keys: TicketKeys,
        node: str,
        *,
        clock: Callable[[], int] = lambda: time.time_ns() // 1000,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._key, self._node, self._clock, self._random = keys.keys[0], node, clock, random

    def mint_pass(self, method: str, path: str, query: Mapping[str, str] | None = None, *, sop_uid: str) -> str:
        """The header's value for one photo that was decided and recorded."""
        return self._mint("pass", Pass(sop_uid), method, path, query or {})

    def mint_as(self, method: str, path: str, query: Mapping[str, str] | None = None, *, request: Request) -> str:
        """The header's value for one request of an account."""
        return self._mint("as", As.of(request), method, path, query or {})

    def mint_task(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        job: str,
        kind: str,
        bodies: Sequence[bytes] | None = None,
    ) -> str:
        """The header's value for work of our own; with bodies, it is bound to them.

        Parameters
        ----------
        bodies
            What the request stores, at most :data:`MOST_BODIES`: more hashes than that no header holds.
        """
        if bodies is not None and len(bodies) > MOST_BODIES:
            raise ValueError(f"a ticket stores at most {MOST_BODIES} bodies, not {len(bodies)}")
        digests = None if bodies is None else [hashlib.sha256(each).hexdigest() for each in bodies]
        return self._mint("task", Task(job, kind, digests), method, path, query or {})

    def _mint(self, kind: str, part: Pass | As | Task, method: str, path: str, query: Mapping[str, str]) -> str:
        now = self._clock()
        values = {name: value for name, value in asdict(part).items() if value is not None}
        payload = _encode(
            json.dumps(
                [kind, self._random(12).hex(), now, now + LIFETIME_SECONDS * _SECOND, values], separators=(",", ":")
            ).encode()
        )
        return f"{SCHEME} {payload}.{_encode(_mac(self._key, self._node, payload, method, path, query))}"


class TicketBox:
    """Checks tickets, each once. One for each process that listens; safe for any number of threads."""

    def __init__(
        self,
        keys: TicketKeys,
        node: str,
        started: datetime,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin to check.

        Parameters
        ----------
        started
            When the process began; older tickets are refused, since it cannot know whether they were used.
        monotonic
            Seconds by a clock that is never put back: for forgetting used tickets.
        """
        self._keys, self._node, self._monotonic = keys.keys, node, monotonic
        self._floor = micros(started)
        self._used: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._lock = Lock()

    def check(
        self, header: str | None, method: str, path: str, query: Mapping[str, str], now: datetime
    ) -> Pass | As | Task | None:
        """What the ticket opens, for exactly this request; None where it opens nothing, whatever the cause."""
        if header is None or len(header) > _LONGEST_HEADER or not header.startswith(SCHEME + " "):
            return None
        payload, dot, mac = header[len(SCHEME) + 1 :].partition(".")
        given = _decode(mac) if dot and payload.isascii() else None
        if given is None or not self._genuine(given, payload, method, path, query):
            return None
        text = _decode(payload)
        if text is None:
            return None
        kind, nonce, issued, expires, values = json.loads(text)
        moment = micros(now)
        if not issued < expires or not moment < expires <= moment + LONGEST_SECONDS * _SECOND:
            return None
        with self._lock:
            self._forget()
            if issued < self._floor or nonce in self._used:
                return None
            self._used[nonce] = (self._monotonic(), issued)
        return _KINDS[kind](**values)

    def _genuine(self, given: bytes, payload: str, method: str, path: str, query: Mapping[str, str]) -> bool:
        found = False
        for key in self._keys:
            found |= hmac.compare_digest(given, _mac(key, self._node, payload, method, path, query))
        return found

    def _forget(self) -> None:
        """Forget tickets that have run out; should the clock be put back, none as old as they counts again."""
        end = self._monotonic() - LONGEST_SECONDS
        while self._used:
            nonce, (seen, issued) = next(iter(self._used.items()))
            if seen > end:
                return
            del self._used[nonce]
            self._floor = max(self._floor, issued + 1)


def is_ticket(header: str | None) -> bool:
    """Whether an ``Authorization`` header claims to hold a ticket."""
    return header is not None and header.startswith(SCHEME + " ")


def _mac(key: bytes, node: str, payload: str, method: str, path: str, query: Mapping[str, str]) -> bytes:
    covered: list[Any] = [node, method.upper(), path, sorted(query.items()), payload]
    return hmac.digest(key, json.dumps(covered, separators=(",", ":")).encode(), hashlib.sha256)


def _encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _decode(value: str) -> bytes | None:
    try:
        return base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
