"""A client of an application in this process: keeps cookies, follows no redirect, opens no socket."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from starlette.applications import Starlette


class Client:
    """``get`` and ``post`` as a browser's address bar and forms would do them."""

    def __init__(self, app: Starlette, base_url: str = "http://testserver") -> None:
        self._app = app
        self._base_url = base_url
        self.cookies = httpx.Cookies()

    def request(self, method: str, path: str, **words: Any) -> httpx.Response:
        """One request."""
        # In a thread of its own: a browser driven by the same process has an event loop running in this one.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(self._request(method, path, words))).result()

    def get(self, path: str, **words: Any) -> httpx.Response:
        """GET."""
        return self.request("GET", path, **words)

    def post(self, path: str, **words: Any) -> httpx.Response:
        """POST."""
        return self.request("POST", path, **words)

    async def _request(self, method: str, path: str, words: dict[str, Any]) -> httpx.Response:
        # A server hides what an application raises; here it is shown, but where a test wants the server's answer.
        transport = httpx.ASGITransport(app=self._app, raise_app_exceptions=not words.pop("quiet", False))
        async with httpx.AsyncClient(transport=transport, base_url=self._base_url, cookies=self.cookies) as client:
            answer = await client.request(method, path, **words)
            self.cookies = client.cookies
            return answer
