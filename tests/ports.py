"""Ports for test servers, each for one test process alone, below those that outgoing connections take theirs from."""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from pathlib import Path

PORTS = range(20100, 20700)
_FOLDER = Path(tempfile.gettempdir()) / "photospine-test-ports"
_held: list[int] = []


def free_port() -> int:
    """A port that nobody listens on and that no other test process was given.

    Looking alone is not enough: between the look and the server's start a second test process would see the same port
    free. The lock on the port's file is held until this process ends, whatever ends it.
    """
    _FOLDER.mkdir(exist_ok=True)
    for port in PORTS:
        lock = os.open(_FOLDER / str(port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        if _taken(port):
            os.close(lock)
            continue
        _held.append(lock)
        return port
    raise RuntimeError(f"no port of {PORTS.start} to {PORTS.stop - 1} is free")


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return True
    return False
