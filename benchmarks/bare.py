"""Orthanc without a wall: the other side of each measurement."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path


@contextlib.contextmanager
def bare(home: Path, port: int, more: Mapping[str, object] | None = None, program: str = "Orthanc") -> Iterator[None]:
    """Orthanc without any plugin, or with what ``more`` configures, otherwise configured alike."""
    home.mkdir(parents=True, exist_ok=True)
    configuration = {
        "StorageDirectory": str(home / "storage"),
        "IndexDirectory": str(home / "storage"),
        "HttpPort": port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomServerEnabled": False,
        "WebDavEnabled": False,
        "HttpCompressionEnabled": False,
        "KeepAlive": True,
        "TcpNoDelay": True,
        "HttpThreadsCount": 50,
        "Plugins": [],
        **(more or {}),
    }
    (home / "orthanc.json").write_text(json.dumps(configuration))
    with (home / "log").open("ab") as log:
        process = subprocess.Popen(
            [program, str(home / "orthanc.json")], stdout=log, stderr=log, start_new_session=True
        )
    try:
        until = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert time.monotonic() < until, "the bare Orthanc did not start"
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(20)
