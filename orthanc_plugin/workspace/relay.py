"""An answer of Orthanc's handed on at the client's speed, so that a slow one keeps Orthanc waiting as little as may be.

A little is read ahead, :data:`PIECES` at most: Orthanc is done with a photo at once, however slowly it is taken here.
No more, since what has been read was decided already: a withdrawal no longer reaches it. What is longer keeps one of
Orthanc's threads until its end is near. It has few, so nobody may keep many (:class:`Places`).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

PIECE = 256 * 1024
"""Bytes that are read at a time, at most."""

PIECES = 16
"""Pieces of one answer that are read ahead: 4 MiB."""

STALLED = 60.0
"""Seconds within which a client must take a piece; one that does not is cut off."""

AT_ONCE, EACH = 36, 12
"""Answers that Orthanc may be at, for all accounts and for one; of its 50 threads some are left for our own work."""

WAIT = 20.0
"""Seconds that a request waits for a place."""

_LOOK = 0.02


class Places:
    """How many answers Orthanc is at. Safe for any number of threads."""

    def __init__(self, at_once: int = AT_ONCE, each: int = EACH) -> None:
        self._at_once, self._each = at_once, each
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    async def take(self, account: str, patience: float = WAIT) -> Callable[[], None] | None:
        """Wait for a place; gives what leaves it again, which may be called more than once. None: there was none."""
        end = time.monotonic() + patience
        while not self._take(account):
            if time.monotonic() > end:
                return None
            await anyio.sleep(_LOOK)
        held = [account]
        return lambda: self._leave(held)

    def _take(self, account: str) -> bool:
        with self._lock:
            if self._taken[account] >= self._each or self._taken.total() >= self._at_once:
                return False
            self._taken[account] += 1
            return True

    def _leave(self, held: list[str]) -> None:
        with self._lock:
            if held:
                account = held.pop()
                self._taken[account] -= 1
                if not self._taken[account]:
                    del self._taken[account]


class Relay(Response):
    """The response. Whatever ends it, ``close`` is called, and once Orthanc is done ``done`` is."""

    def __init__(
        self,
        pieces: Iterator[bytes],
        status_code: int,
        headers: Mapping[str, str],
        *,
        done: Callable[[], None],
        close: Callable[[], None],
    ) -> None:
        self.status_code, self.background = status_code, None
        self.init_headers(headers)
        self._pieces, self._done, self._close = pieces, done, close
        self._failure: Exception | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # ASGI's
        """Send it. What fails at Orthanc is raised, so that the client sees an answer that broke off."""
        give, take = anyio.create_memory_object_stream[bytes](PIECES)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._watch, receive, tasks.cancel_scope)
                tasks.start_soon(self._read, give)
                await self._send(take, send)
                tasks.cancel_scope.cancel()
        finally:
            take.close()
            with anyio.CancelScope(shield=True):
                await run_in_threadpool(self._close)
            self._done()
        if self._failure is not None:
            raise self._failure

    async def _watch(self, receive: Receive, everything: anyio.CancelScope) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        everything.cancel()

    async def _read(self, give: MemoryObjectSendStream[bytes]) -> None:
        with give:
            try:
                while (piece := await run_in_threadpool(next, self._pieces, None)) is not None:
                    await give.send(piece)
            except Exception as failure:  # noqa: BLE001  # raised again where the answer ends
                self._failure = failure
            finally:
                self._done()

    async def _send(self, take: MemoryObjectReceiveStream[bytes], send: Send) -> None:
        """Returns without the answer's end where it broke off at Orthanc, or the client takes nothing any more."""
        head = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        if not await _sent(send, head):
            return
        async for piece in take:
            if not await _sent(send, {"type": "http.response.body", "body": piece, "more_body": True}):
                return
        if self._failure is None:
            await _sent(send, {"type": "http.response.body", "body": b"", "more_body": False})


async def _sent(send: Send, message: Message) -> bool:
    """Whether the client took it, in time."""
    with anyio.move_on_after(STALLED), contextlib.suppress(OSError):
        await send(message)
        return True
    return False
