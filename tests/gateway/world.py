"""A gateway as a process of its own, beside a real Orthanc behind its wall, and the peers of a small hospital."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.presentation import build_context

from consent.audit.read import Archive as AuditArchive
from consent.identity import accounts, peers
from consent.identity.peers import Destination, Peer
from consent.store.engine import transaction
from orthanc_plugin.assembly.settings import Settings
from tests.archive import Archive
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
LOOPBACK = ("127.0.0.1/32",)
TITLE = "PHOTOSPINE"


def settings_file(settings: Settings, port: int, **more: object) -> Path:
    """The settings of a test's archive as a file, with those of its gateway."""
    values: dict[str, object] = {
        "database": settings.database,
        "audit_folder": settings.audit_folder,
        "keys": settings.keys,
        "orthanc": settings.orthanc,
        "dimse_port": port,
        **more,
    }
    file = settings.folder / f"gateway-{port}.toml"
    file.write_text("".join(f"{key} = {json.dumps(_plain(value))}\n" for key, value in values.items()), "utf-8")
    return file


def _plain(value: object) -> object:
    return value if isinstance(value, int) else str(value)


@dataclass(frozen=True, slots=True)
class Gate:
    """A gateway that runs."""

    archive: Archive
    port: int
    pid: int
    log: Path

    def peer(self, ae_title: str, account: str, purpose: str = "TREAT", **more: Any) -> None:
        """Write a peer down that calls from this machine, or what is said otherwise."""
        made = Peer(ae_title, account, purpose, networks=LOOPBACK)
        with transaction(self.archive.engine) as connection:
            peers.add(connection, replace(made, **more))

    def forget(self, ae_title: str) -> None:
        """Remove a peer."""
        with transaction(self.archive.engine) as connection:
            peers.remove(connection, ae_title)

    def destination(self, ae_title: str, account: str, port: int, purpose: str = "TREAT") -> None:
        """Write a peer down that is sent to on this machine."""
        self.peer(ae_title, account, purpose, networks=(), destination=Destination("127.0.0.1", port, tls=False))

    def disable(self, account: str) -> None:
        """Disable an account."""
        with transaction(self.archive.engine) as connection:
            accounts.disable(connection, account)

    def records(self) -> list[dict[str, Any]]:
        """Every audit record of the gateway, in order."""
        chains = AuditArchive(self.archive.engine, self.archive.settings.audit_folder)
        found = [json.loads(row.body) for chain in chains.chains() for row in chains.rows(chain)]
        return sorted((each for each in found if each.get("door") == "gateway"), key=lambda each: each["at"])

    def resident(self) -> int:
        """Bytes of memory that the process holds."""
        status = Path(f"/proc/{self.pid}/status").read_text("ascii")
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024

    def run(self, program: str, *words: str, title: str = "VIEWER", check: bool = True) -> str:
        """A program of dcmtk against the gateway; what it printed."""
        command = [program, "-v", "-aet", title, "-aec", TITLE, "127.0.0.1", str(self.port), *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    @contextmanager
    def association(
        self,
        *classes: str,
        title: str = "VIEWER",
        called: str = TITLE,
        roles: Any = (),
        handlers: Any = (),
        max_pdu: int = 16384,
        more: Any = (),
    ) -> Iterator[Association]:
        """An association by pynetdicom; aborted where it was not released."""
        ae = AE(title)
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 20
        plain = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]
        contexts = [*(build_context(each, plain) for each in classes), *more]
        made = ae.associate(
            "127.0.0.1", self.port, contexts, called, ext_neg=list(roles), evt_handlers=list(handlers), max_pdu=max_pdu
        )
        try:
            yield made
        finally:
            if made.is_established:
                made.release()
            wire = made.dul.socket
            if wire is not None and wire.socket is not None:
                wire.socket.close()  # pynetdicom leaves that of a rejected association open


@contextmanager
def gate(archive: Archive, **settings: object) -> Iterator[Gate]:
    """Start a gateway for an archive, and end it."""
    port = free_port()
    file = settings_file(archive.settings, port, **settings)
    log = archive.folder / f"gateway-{port}.log"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PHOTOSPINE_SETTINGS": str(file)}
    command = [sys.executable, "-c", "from orthanc_plugin.assembly.cli import main; main()", "gateway"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
    try:
        until = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < until, "the gateway did not start"
                time.sleep(0.05)
        yield Gate(archive, port, process.pid, log)
        assert process.poll() is None, log.read_text()
    finally:
        process.terminate()
        assert process.wait(20) in (0, -15)


def identifier(level: str, **keys: object) -> Dataset:
    """An identifier of a query or retrieval."""
    made = Dataset()
    made.QueryRetrieveLevel = level
    for keyword, value in keys.items():  # also values that pydicom would warn of
        tag = tag_for_keyword(keyword)
        assert tag is not None
        made.add(DataElement(tag, dictionary_VR(tag), value, validation_mode=IGNORE))
    return made
