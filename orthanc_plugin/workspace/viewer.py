"""OHIF at ``/ohif/``, where it is installed, with a content policy of its own. Its files hold nothing of a patient."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from starlette.requests import Request as HttpRequest
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

COMPARE = "photospine-compare"
"""The hanging protocol of its configuration that lays the first study of an address beside the second."""

_INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".wasm": "application/wasm",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
}


def policy(page: str) -> str:
    """The policy of the viewer's page: hashes of its own inline scripts, WebAssembly, workers, inline styles."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in _INLINE_SCRIPT.findall(page)
    )
    return _POLICY.format(scripts=f"'wasm-unsafe-eval' {hashes}")


_POLICY = (
    "default-src 'none'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' blob: data:; font-src 'self' data:; connect-src 'self' blob: data:; worker-src 'self' blob:; "
    "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

WORKERS = _POLICY.format(scripts="'wasm-unsafe-eval' 'unsafe-eval'")
"""The policy of scripts, which holds where one is run as a worker: the decoder of grey JPEGs names a function by having
it made of a text. A worker has no document; the page that starts it keeps the page's policy."""


class Viewer:
    """Serves the prepared folder; an address that names no file is a page of the viewer."""

    def __init__(self, folder: Path) -> None:
        self._files = {
            path.relative_to(folder).as_posix(): path
            for path in folder.rglob("*")
            if path.is_file() and path.suffix in _TYPES
        }
        page = (folder / "index.html").read_text("utf-8")
        self._page = page.encode()
        self._policy = policy(page)

    def routes(self) -> list[BaseRoute]:
        """Its routes."""
        return [
            Route("/ohif", self._enter, methods=["GET"]),
            Route("/ohif/{path:path}", self._serve, methods=["GET"]),
        ]

    async def _enter(self, _: HttpRequest) -> Response:
        return RedirectResponse("/ohif/", status_code=308)

    async def _serve(self, http: HttpRequest) -> Response:
        path = http.path_params["path"]
        file = self._files.get(path)
        if file is None or path == "index.html":
            if "." in path.rsplit("/", 1)[-1] and file is None:
                return Response(status_code=404)
            return Response(
                self._page, media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": self._policy}
            )
        policies = WORKERS if file.suffix == ".js" else self._policy
        return FileResponse(
            file,
            media_type=_TYPES[file.suffix],
            headers={"Content-Security-Policy": policies, "Cache-Control": "private, max-age=3600"},
        )
