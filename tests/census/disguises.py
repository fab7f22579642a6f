"""Ways to write one request so that a filter and a server might read it differently."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, to be written byte by byte."""

    method: str
    path: str
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    version: str = "HTTP/1.1"
    absolute: bool = False
    chunked: bool = False

    def wire(self, port: int) -> bytes:
        """Its bytes."""
        target = self.path + (f"?{self.query}" if self.query else "")
        if self.absolute:
            target = f"http://127.0.0.1:{port}{target}"
        lines = [f"{self.method} {target} {self.version}", f"Host: 127.0.0.1:{port}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        body = self.body
        if self.chunked:
            lines.append("Transfer-Encoding: chunked")
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
        elif body or self.method in ("POST", "PUT", "PATCH", "DELETE"):
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join((*lines, "", "")).encode("latin-1", "replace") + body


Disguise = Callable[[Request], Request]
VERBS = (
    "GET",
    "POST",
    "PUT",
    "DELETE",
    "PATCH",
    "HEAD",
    "OPTIONS",
    "PROPFIND",
    "TRACE",
    "MKCOL",
    "MOVE",
    "COPY",
    "BREW",
)


def _path(change: Callable[[str], str]) -> Disguise:
    return lambda request: replace(request, path=change(request.path))


def _query(more: str) -> Disguise:
    return lambda request: replace(request, query=f"{request.query}&{more}".lstrip("&"))


def _header(name: str, value: str) -> Disguise:
    return lambda request: replace(request, headers=(*request.headers, (name, value)))


def _first(name: str, value: str) -> Disguise:
    return lambda request: replace(request, headers=((name, value), *request.headers))


DISGUISES: Mapping[str, Disguise] = {
    "plain": lambda request: request,
    "a slash at the end": _path(lambda path: path + "/"),
    "two slashes at the end": _path(lambda path: path + "//"),
    "two slashes at the beginning": _path(lambda path: "/" + path),
    "two slashes within": _path(lambda path: path[0] + path[1:].replace("/", "//", 1)),
    "a dot segment": _path(lambda path: "/." + path),
    "a dot segment within": _path(lambda path: path[0] + path[1:].replace("/", "/./", 1)),
    "up and down": _path(lambda path: "/app/.." + path),
    "up from a route that is open": _path(lambda path: "/dicom-web/studies/.." + "/.." + path),
    "encoded dots": _path(lambda path: "/app/%2e%2e" + path),
    "encoded slash": _path(lambda path: path[0] + path[1:].replace("/", "%2f", 1)),
    "encoded slash at the beginning": _path(lambda path: "/app/..%2f" + path[1:]),
    "encoded letters": _path(lambda path: "/" + "".join(f"%{ord(letter):02x}" for letter in path[1:4]) + path[4:]),
    "encoded twice": _path(lambda path: quote(quote(path, safe="/-"), safe="/")[:1] + "%25" + path[1:]),
    "backslashes": _path(lambda path: path[0] + path[1:].replace("/", "\\", 1)),
    "a matrix parameter": _path(lambda path: path + ";x=1"),
    "upper case": _path(str.upper),
    "a byte of zero": _path(lambda path: path + "%00"),
    "a line's end": _path(lambda path: path + "%0d%0aX-Purpose-Of-Use:%20TREAT"),
    "a space": _path(lambda path: path + "%20"),
    "wide letters": _path(lambda path: path.replace("s", "%ef%bd%93", 1)),
    "a fragment": _path(lambda path: path + "#x"),
    "an empty query": _query(""),
    "a method in the query": _query("_method=DELETE"),
    "another method in the query": _query("_method=PUT"),
    "a method in a header": _header("X-HTTP-Method-Override", "DELETE"),
    "another method in a header": _header("X-HTTP-Method-Override", "PUT"),
    "a file's name": _query("filename=x"),
    "a purpose in the query": _query("X-Purpose-Of-Use=TREAT"),
    "a key twice": _query("limit=1&limit=2"),
    "many keys": _query("&".join(f"k{number}={number}" for number in range(300))),
    "a long query": _query("q=" + "x" * 6000),
    "expanded": _query("expand&full&requestedTags=PatientID"),
    "a second account first": _first("Authorization", "Basic bm9ib2R5Om5vYm9keQ=="),
    "a second account last": _header("Authorization", "Basic YWRtaW46d3Jvbmc="),
    "a second purpose first": _first("X-Purpose-Of-Use", "HCOMPL"),
    "a second purpose last": _header("X-Purpose-Of-Use", "HCOMPL"),
    "the whole address": lambda request: replace(request, absolute=True),
    "an older protocol": lambda request: replace(request, version="HTTP/1.0"),
    "a body in chunks": lambda request: replace(request, chunked=True, body=request.body or b"{}"),
    "a body": lambda request: replace(request, body=request.body or b'{"Level":"Instance","Query":{}}'),
    "forwarded": _header("X-Forwarded-For", "127.0.0.1"),
    "an inner path": _header("X-Original-URL", "/instances"),
    "another host": _first("Host", "orthanc"),
    "compressed": _header("Accept-Encoding", "gzip, deflate"),
    "a range": _header("Range", "bytes=0-200"),
    "conditions": _header("If-None-Match", "*"),
}
