"""Style sheets, scripts, fonts and icons: our own, and a short list out of the installed browser packages."""

from __future__ import annotations

import hashlib
from pathlib import Path

from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_INTER = "@fontsource-variable/inter/files/inter-{}-wght-normal.woff2"

#: Name in our addresses -> file in the folder of installed packages. Nothing else of it is served.
PACKAGED = {
    "openseadragon.js": "openseadragon/build/openseadragon/openseadragon.min.js",
    "inter-latin.woff2": _INTER.format("latin"),
    "inter-latin-ext.woff2": _INTER.format("latin-ext"),
    "inter-greek.woff2": _INTER.format("greek"),
    "inter-cyrillic.woff2": _INTER.format("cyrillic"),
}


class Files:
    """Reads everything once; an address carries its content's hash, so browsers may keep it for good."""

    def __init__(self, packages: Path) -> None:
        own = Path(__file__).parent / "static"
        found = {path.name: path for path in sorted(own.iterdir()) if path.suffix in _TYPES}
        nested = packages / "node_modules"
        folder = nested if nested.is_dir() else packages
        found |= {name: folder / file for name, file in PACKAGED.items() if (folder / file).is_file()}
        self._files = {name: path.read_bytes() for name, path in found.items()}
        self._hashes = {name: hashlib.sha256(data).hexdigest()[:12] for name, data in self._files.items()}

    def missing(self) -> list[str]:
        """Packaged files that are not installed."""
        return sorted(PACKAGED.keys() - self._files.keys())

    def address(self, name: str) -> str:
        """Where a page finds a file."""
        return f"/static/{name}?v={self._hashes.get(name, 'absent')}"

    def routes(self) -> list[BaseRoute]:
        """The one route."""
        return [Route("/static/{name}", self._serve, methods=["GET"])]

    async def _serve(self, http: HttpRequest) -> Response:
        name = http.path_params["name"]
        data = self._files.get(name)
        if data is None:
            return Response(status_code=404)
        fixed = http.query_params.get("v") == self._hashes[name]
        return Response(
            data,
            media_type=_TYPES[Path(name).suffix],
            headers={"Cache-Control": "public, max-age=31536000, immutable" if fixed else "no-cache"},
        )
