"""A small HTTP client that keeps its connection and gives every byte that it received."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass

_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Got:
    """One answer, as it came."""

    status: int
    head: bytes
    body: bytes

    @property
    def same(self) -> tuple[int, bytes, bytes]:
        """What a refused and an absent photo have in common: everything but the date."""
        lines = [line for line in self.head.split(b"\r\n") if not line.lower().startswith(b"date:")]
        return self.status, b"\r\n".join(lines), self.body


class Wire:
    """One connection to Orthanc, made anew where it was closed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self._buffer = b""

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._buffer = None, b""

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Got:
        """One request; ``target`` is a path with its query, percent-encoded."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: 127.0.0.1:{self._port}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body or method in ("POST", "PUT"):
            lines.append(f"Content-Length: {len(body)}")
        return self.send("\r\n".join((*lines, "", "")).encode() + body, without_body=method == "HEAD")

    def send(self, request: bytes, *, without_body: bool = False) -> Got:
        """Any bytes, and the answer to them."""
        fresh = self._socket is None
        try:
            return self._exchange(request, without_body)
        except (ConnectionError, EOFError):
            self.close()
            if fresh:
                raise
            return self._exchange(request, without_body)

    def _exchange(self, request: bytes, without_body: bool) -> Got:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=_SECONDS)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(request)
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        fields = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
        }
        closes = fields.get(b"connection", b"").lower() == b"close"
        if without_body or status in (204, 304):
            body = b""
        elif fields.get(b"transfer-encoding", b"").lower() == b"chunked":
            body = self._chunks()
        elif b"content-length" in fields:
            body = self._take(int(fields[b"content-length"]))
        else:
            body, closes = self._rest(), True
        if closes:
            self.close()
        return Got(status, head, body)

    def _more(self) -> None:
        assert self._socket is not None
        found = self._socket.recv(1 << 18)
        if not found:
            raise EOFError
        self._buffer += found

    def _take(self, length: int) -> bytes:
        while len(self._buffer) < length:
            self._more()
        taken, self._buffer = self._buffer[:length], self._buffer[length:]
        return taken

    def _chunks(self) -> bytes:
        whole = b""
        while True:
            while b"\r\n" not in self._buffer:
                self._more()
            size, _, self._buffer = self._buffer.partition(b"\r\n")
            part = self._take(int(size.split(b";")[0], 16) + 2)[:-2]
            if not part:
                return whole
            whole += part

    def _rest(self) -> bytes:
        try:
            while True:
                self._more()
        except EOFError:
            return self._buffer
