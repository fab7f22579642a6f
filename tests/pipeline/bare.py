"""An Orthanc as it stands in a hospital before the wall comes: no script, open to everybody on its machine."""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from orthanc_plugin.assembly.archive_process import ArchiveProcess


@contextmanager
def bare(process: ArchiveProcess, port: int) -> Iterator[None]:
    """The Orthanc of a process that is not started, without its wall."""
    configuration = process.configuration()
    configuration["Plugins"] = configuration["Plugins"][1:]
    for key in ("PythonScript", "PythonVerbose", "Python", "Photospine"):
        del configuration[key]
    folder = process.folder
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "bare.json"
    file.write_text(json.dumps(configuration), "utf-8")
    with (folder / "bare.log").open("wb") as log:
        running = subprocess.Popen([process.program, str(file)], stdout=log, stderr=log)
    try:
        end = time.monotonic() + 20
        while True:
            try:
                send(port, [])
                break
            except OSError:
                if time.monotonic() > end or running.poll() is not None:
                    raise
                time.sleep(0.05)
        yield
    finally:
        running.terminate()
        running.wait(20)


def send(port: int, objects: Sequence[bytes]) -> None:
    """Store objects by Orthanc's own door."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.connect()
    for each in objects:
        connection.request("POST", "/instances", each)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
    connection.close()
