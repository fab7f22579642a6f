"""How long ``serve`` lets anybody wait for an answer to begin: a database that stands still must not look busy."""

from __future__ import annotations

import asyncio

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orthanc_plugin.workspace.headers import SAFE

SECONDS = 15.0
"""Longer than any page, search or count takes; a lock of the database is given up after five."""

_READING = ("GET", "HEAD")


class Patience:
    """Answers 503 where a question has not begun to be answered in time; what comes later is thrown away.

    Writes are left alone: whether one that is slow will still be carried out nobody could tell.
    """

    def __init__(self, app: ASGIApp, seconds: float = SECONDS) -> None:
        self._app, self._seconds = app, seconds
        self._left: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] not in _READING:
            await self._app(scope, receive, send)
            return
        begun, given_up = asyncio.Event(), False

        async def sent(message: Message) -> None:
            if given_up:
                raise ConnectionAbortedError("answered too late")
            begun.set()
            await send(message)

        work = asyncio.create_task(self._run(scope, receive, sent))
        waiting = asyncio.create_task(begun.wait())
        try:
            await asyncio.wait((work, waiting), timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if begun.is_set() or work.done():
            await work
            return
        given_up = True
        # Its thread cannot be ended; the task is kept until that has come back, and its end is nobody's concern.
        self._left.add(work)
        work.add_done_callback(self._forget)
        await Response(status_code=503, headers={**SAFE, "Retry-After": "5"})(scope, receive, send)

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    def _forget(self, work: asyncio.Task[None]) -> None:
        self._left.discard(work)
        if not work.cancelled():
            work.exception()
