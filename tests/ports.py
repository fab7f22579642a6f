"""Free ports for test servers, below the range that outgoing connections take theirs from."""

from __future__ import annotations

import os
import socket

FIRST, LAST = 20400, 20499


def free_port() -> int:
    """A port on loopback that nobody listens on now; test processes running side by side begin apart."""
    count = LAST - FIRST + 1
    start = os.getpid() * 7 % count
    for step in range(count):
        port = FIRST + (start + step) % count
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no port is free")
