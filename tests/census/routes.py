"""The routes of an Orthanc: as they are classified here, as it tells them itself, and as a crawl finds them."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.matrix.wire import Got, Wire

_FILE = Path(__file__).with_name("routes.toml")
_UNDOCUMENTED = re.compile(r"without API documentation: [A-Z]+ (/\S*)")
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{8}){4}")
_UID = re.compile(r"\d+(?:\.\d+)+")
_NAMED = re.compile(r"(/(?:attachments|metadata|labels|modalities|peers|queries|jobs|plugins|servers|answers)/)[^/]+")
_FRAME = re.compile(r"/frames/\d+")
_BULK = re.compile(r"(/bulk/|/content/|/app/client/|/app/libs/|^/app/|^/webdav/|^/web-viewer/(?:libs|app)/).+")
_MOST = 4_000
"""Addresses that a crawl follows."""


@dataclass(frozen=True, slots=True)
class Route:
    """One route and what it is classified as."""

    path: str
    """``{}`` for one segment, ``{}...`` for all that follow."""

    kind: str
    open: frozenset[str]
    """Verbs that may open it."""


@cache
def known() -> Mapping[str, Route]:
    """Every route that somebody has looked at."""
    found: dict[str, Route] = {}
    for group in tomllib.loads(_FILE.read_text("utf-8"))["group"]:
        for path in group["routes"]:
            assert path not in found, path
            found[path] = Route(path, group["kind"], frozenset(group["open"]))
    return found


def pattern(path: str) -> str:
    """The route of a path, or of a path with named placeholders: identifiers and names as ``{}``."""
    path = path.partition("?")[0].rstrip("/") or "/"
    path = re.sub(r"\{[^}]*\}", "{}", path)
    path = _UID.sub("{}", _ID.sub("{}", path))
    path = _FRAME.sub("/frames/{}", path)
    path = _BULK.sub(r"\1{}...", path.replace("/*", "/{}..."))
    return _NAMED.sub(r"\1{}", path)


def told(program: str, folder: Path) -> set[str]:
    """What ``Orthanc --openapi`` writes, with the routes that it only names as undocumented."""
    file = folder / "openapi.json"
    done = subprocess.run(
        [program, f"--openapi={file}"], capture_output=True, text=True, timeout=120, check=True, cwd=folder
    )
    paths = set(json.loads(file.read_text("utf-8"))["paths"])
    undocumented = set(_UNDOCUMENTED.findall(done.stdout + done.stderr))
    assert paths
    assert undocumented
    return {pattern(path) for path in paths | undocumented}


def crawled(wire: Wire) -> set[str]:
    """Everything that a superuser finds by following what answers name, from the roots on."""
    roots = ("/", "/patients", "/studies", "/series", "/instances", "/tools", "/plugins", "/modalities", "/peers")
    more = ("/dicom-web/studies", "/dicom-web/series", "/dicom-web/instances", "/dicom-web/servers", "/dicom-web")
    odd = ("/wado", "/app/explorer.html", "/webdav", "/web-viewer", "/queries", "/jobs", "/changes", "/exports")
    pending = deque((*roots, *more, *odd, "/statistics", "/system", "/storage-commitment", "/dicom-web/info"))
    seen: set[str] = set()
    found: set[str] = set()
    often: dict[str, int] = {}
    while pending and len(seen) < _MOST:
        path = pending.popleft()
        shape = pattern(path)
        # A few of each kind tell what all of them have.
        if path in seen or often.get(shape, 0) >= 4:
            continue
        seen.add(path)
        often[shape] = often.get(shape, 0) + 1
        got = wire.ask("GET", path, {})
        if got.status in (404, 403):
            continue
        if shape not in ("/dicom-web", "/webdav", "/web-viewer"):
            found.add(shape)
        pending.extend(_named(path, got))
    return found


def _named(path: str, got: Got) -> Iterator[str]:
    """Paths that an answer names."""
    try:
        answer = json.loads(got.body)
    except ValueError:
        return
    base = "" if path == "/" else path.rstrip("/")
    if isinstance(answer, list):
        for one in answer:
            if isinstance(one, str) and re.fullmatch(r"[A-Za-z0-9._-]{1,80}", one):
                yield f"{base}/{one}"
    yield from _addresses(answer)
    if isinstance(answer, dict) and "ID" in answer:
        yield from _below(answer)


def _below(resource: Mapping[str, Any]) -> Iterator[str]:
    """What a resource of Orthanc has: Orthanc lists no children there, so that the known names are tried."""
    plural = {"Patient": "patients", "Study": "studies", "Series": "series", "Instance": "instances"}
    kind = plural.get(str(resource.get("Type")))
    if kind is not None:
        for route in known():
            if route.startswith(f"/{kind}/{{}}/") and route.count("{}") == 1:
                yield route.replace("{}", str(resource["ID"]), 1)


def _addresses(answer: Any) -> Iterator[str]:
    """Addresses in DICOM JSON: RetrieveURL, BulkDataURI."""
    if isinstance(answer, dict):
        for value in answer.values():
            yield from _addresses(value)
    elif isinstance(answer, list):
        for value in answer:
            yield from _addresses(value)
    elif isinstance(answer, str) and "://" in answer and "/dicom-web/" in answer:
        yield "/dicom-web/" + answer.partition("/dicom-web/")[2]
