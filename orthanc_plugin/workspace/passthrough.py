"""``/dicom-web``: passed through to Orthanc, where the wall decides and records as if the account had called it.

Browsers bring a session cookie and may read for treatment, nothing else; other clients bring Basic credentials or a
token, and may do what the wall lets them. Orthanc answers no OPTIONS, so the cross-origin rules are here. What is
stored is looked at first (:mod:`orthanc_plugin.workspace.deposits`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qsl, quote, unquote

import anyio.from_thread
import requests
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from consent.identity.bearer import Caller
from consent.identity.purpose import EMERGENCY_HEADER, PURPOSE_HEADER, choose
from consent.types import Request
from orthanc_plugin.workspace.deposits import PATH, Deposits, may_store
from orthanc_plugin.workspace.kept_connection import once_more
from orthanc_plugin.workspace.relay import PIECE, Places, Relay
from orthanc_plugin.workspace.visitor import Door

_METHODS = ("GET", "POST")
_ALL_METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"]
_ASKED = ("accept", "accept-language", "content-type", "range", "if-none-match")
_ANSWERED = ("content-type", "content-length", "content-encoding", "content-location", "warning", "etag")
_CHALLENGE = 'Basic realm="photospine", Bearer realm="photospine"'
_TIMEOUT = (3.0, 120.0)  # seconds to connect, and between two chunks
_CORS = {
    "Access-Control-Allow-Origin": "*",  # no credentials of the browser's own: a cookie never crosses origins
    "Access-Control-Expose-Headers": "Content-Type, Content-Length, Warning",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
_PREFLIGHT = {
    **_CORS,
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": f"Authorization, Accept, Content-Type, {PURPOSE_HEADER}, {EMERGENCY_HEADER}",
    "Access-Control-Max-Age": "600",
}


class Mint(Protocol):
    """Makes ``as`` tickets (:class:`consent.identity.tickets.TicketMint`)."""

    def mint_as(self, method: str, path: str, query: Mapping[str, str] | None = None, *, request: Request) -> str:
        """The header that opens this one request."""
        ...


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where Orthanc is, and how large a body may be that is passed to it."""

    orthanc: str
    public_url: str
    most_bytes: int


class Passthrough:
    """The door to Orthanc's DICOMweb."""

    def __init__(
        self,
        upstream: Upstream,
        door: Door,
        mint: Mint,
        identify: Callable[[str | None, str], Caller | None],
        session: requests.Session,
        deposits: Deposits,
    ) -> None:
        self._upstream, self._deposits = upstream, deposits
        self._door = door
        self._mint = mint
        self._identify = identify
        self._session = session
        self._places = Places()

    def routes(self) -> list[BaseRoute]:
        """Its one route."""
        return [Route("/dicom-web/{path:path}", self._serve, methods=_ALL_METHODS)]

    async def _serve(self, http: HttpRequest) -> Response:
        if http.method == "OPTIONS":
            return Response(status_code=204, headers=_PREFLIGHT)
        if http.method not in _METHODS:
            return Response(status_code=405, headers={"Allow": "GET, POST, OPTIONS"})
        brings = "authorization" in http.headers
        question = await run_in_threadpool(self._question, http)
        if question is None:
            if not brings and self._door.cookie not in http.cookies:
                return Response(status_code=401, headers={"WWW-Authenticate": _CHALLENGE, **_CORS})
            return Response(status_code=401 if brings else 404, headers=_CORS)
        length = http.headers.get("content-length", "")
        if length and (not length.isdigit() or int(length) > self._upstream.most_bytes):
            return Response(status_code=413, headers=_CORS)
        if http.method == "POST":
            return await run_in_threadpool(self._store, http, question)
        leave = await self._places.take(question.requester.account)
        if leave is None:
            return Response(status_code=503, headers={"Retry-After": "5", **_CORS})
        try:
            answer = await run_in_threadpool(self._pass, http, question, leave)
        except BaseException:
            leave()
            raise
        if not isinstance(answer, Relay):
            leave()
        return answer

    def _store(self, http: HttpRequest, question: Request) -> Response:
        """STOW-RS, the one thing that is posted to DICOMweb."""
        place = PATH.fullmatch("/dicom-web/" + http.path_params["path"])
        if place is None or not may_store(question.requester):
            return Response(status_code=404, headers=_CORS)
        body = _limited(http.stream(), self._upstream.most_bytes)
        headers = http.headers
        try:
            answer = self._deposits.take(
                question, headers.get("content-type", ""), headers.get("accept", "*/*"), place[1], body
            )
        except _TooLarge:
            return Response(status_code=413, headers=_CORS)
        answer.headers.update(_CORS)
        return answer

    def _question(self, http: HttpRequest) -> Request | None:
        header = http.headers.get(PURPOSE_HEADER)
        if "authorization" in http.headers:
            caller = self._identify(http.headers["authorization"], http.client.host if http.client else "")
            if caller is None or not caller.sees_photos:
                return None
            return choose(caller.requester, header, http.headers.get(EMERGENCY_HEADER))
        if http.method != "GET":
            return None
        # A page of another origin must not read with the visitor's cookie, not even blindly.
        if http.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return None
        visitor = self._door.visitor(http)
        return visitor.asks("TREAT") if visitor and header in (None, "TREAT") else None

    def _pass(self, http: HttpRequest, question: Request, done: Callable[[], None]) -> Response:
        path = "/dicom-web/" + unquote(http.path_params["path"])
        try:
            query = _query(http.url.query)
        except ValueError:
            return Response(status_code=400, headers=_CORS)
        if any(letter in path for letter in "\\\x00") or "/../" in path + "/":
            return Response(status_code=404, headers=_CORS)
        headers = {name: http.headers[name] for name in _ASKED if name in http.headers}
        headers["Forwarded"] = _forwarded(self._upstream.public_url)

        def read() -> requests.Response:
            ticket = self._mint.mint_as("GET", path, query, request=question)
            return self._session.get(
                self._upstream.orthanc.rstrip("/") + quote(path, safe="/:,;=@+!$&'()*~"),
                params=query,
                headers={**headers, "Authorization": ticket},
                stream=True,
                timeout=_TIMEOUT,
                allow_redirects=False,
            )

        try:
            answer = once_more(read)
        except requests.RequestException:
            return Response(status_code=502, headers=_CORS)
        kept = {name: answer.headers[name] for name in _ANSWERED if name in answer.headers}
        # The wall says 403 for what is refused and for what is absent; here both are 404.
        status = 404 if answer.status_code == 403 else answer.status_code
        if status == 404:
            answer.close()
            return Response(status_code=404, headers=_CORS)
        return Relay(
            answer.raw.stream(PIECE, decode_content=False), status, {**kept, **_CORS}, done=done, close=answer.close
        )


def _query(text: str) -> dict[str, str]:
    """One value for each key, which is all that Orthanc keeps: the first, but every field that is to be included.

    Raises
    ------
    ValueError
        There are more keys than any search has.
    """
    query: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True, max_num_fields=200):
        if name == "includefield" and name in query:  # may be repeated, or list its fields (PS3.18 8.3.4.3)
            query[name] += f",{value}"
        else:
            query.setdefault(name, value)
    return query


class _TooLarge(Exception):
    """The body exceeds the limit."""


def _limited(chunks: AsyncIterator[bytes], most: int) -> Iterator[bytes]:
    """The body as it arrives, from the thread that reads it."""
    count = 0
    while True:
        chunk = anyio.from_thread.run(_next, chunks)
        if chunk is None:
            return
        count += len(chunk)
        if count > most:
            raise _TooLarge
        if chunk:
            yield chunk


async def _next(chunks: AsyncIterator[bytes]) -> bytes | None:
    return await anext(chunks, None)


def _forwarded(public_url: str) -> str:
    scheme, _, rest = public_url.partition("://")
    return f"host={rest.rstrip('/')};proto={scheme}"
