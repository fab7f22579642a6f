"""Starting Orthanc behind its wall, and proving that the wall stands before anybody is told of it."""

from __future__ import annotations

import hmac
import json
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.exc import SQLAlchemyError

from consent.errors import ConsentError
from consent.identity.keys import load
from consent.store import jobs
from consent.store.engine import open_engine, transaction
from consent.store.jobs import EVERYTHING
from orthanc_plugin.assembly import processes, wall_folder
from orthanc_plugin.assembly.errors import AssemblyError
from orthanc_plugin.assembly.settings import Settings
from orthanc_plugin.wall import spelling
from orthanc_plugin.wall.canary import CORE, OVERRIDE, proof
from orthanc_plugin.wall.wall import ROWS

NAME = "orthanc"
START_SECONDS = 20.0
PLUGINS = ("libOrthancPython.so*", "libOrthancDicomWeb.so*")
"""In this order: the first that claims a route answers it."""

_REFUSED_UNASKED = (
    "/system",
    "/instances",
    "/studies",
    "/changes",
    "/dicom-web/studies",
    "/plugins",
    "/app/explorer.html",
)
_REMEDIES = {
    CORE: "see that the setting 'orthanc' is Orthanc's address, and that nothing stands between",
    OVERRIDE: "another plugin answers before the wall: name libOrthancPython.so first in 'Plugins', each by its own "
    "path and no folder, and start Orthanc anew",
}
ORIGINAL_ATTACHMENT = 1024
"""Orthanc's number for our attachment ``original``; it must never change."""


class WallDown(AssemblyError):
    """The wall does not stand, or cannot be proved to. Nothing may be told of the archive's address."""

    def __init__(self, fault: str, remedy: str = "") -> None:
        """The fault, and what to do about it where that can be told."""
        super().__init__(fault)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Standing:
    """What the proof found."""

    rows: tuple[str, ...]
    seconds: float
    """How long the proof took."""


class ArchiveProcess:
    """One Orthanc with its wall."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        port: int,
        *,
        wall: Path = wall_folder.DEFAULT,
        program: str = "Orthanc",
        plugins: Path = Path("/usr/lib/orthanc"),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Describe it.

        Parameters
        ----------
        folder
            For Orthanc's storage, index, configuration, log and pid file.
        wall
            The packages that the wall needs (:mod:`orthanc_plugin.assembly.wall_folder`).
        """
        self._settings, self.folder, self._port = settings, folder, port
        self.wall, self.program, self._plugins = wall, program, plugins
        self._environment = dict(os.environ if environment is None else environment)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return processes.pid_of(NAME, self.folder) is not None

    def configuration(self) -> dict[str, Any]:
        """Orthanc's configuration: every door that the wall does not guard is off."""
        settings = self._settings
        return {
            "Name": "Photospine",
            "StorageDirectory": str(self.folder / "storage"),
            "IndexDirectory": str(self.folder / "storage"),
            "HttpPort": self._port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,  # with it, Bearer is refused before the filter
            "DicomServerEnabled": False,
            "DicomModalities": {},
            "OrthancPeers": {},
            "DicomAlwaysAllowEcho": False,
            "DicomAlwaysAllowStore": False,
            "DicomAlwaysAllowFind": False,
            "DicomAlwaysAllowGet": False,
            "DicomAlwaysAllowMove": False,
            "WebDavEnabled": False,
            "WebDavDeleteAllowed": False,
            "WebDavUploadAllowed": False,
            "OrthancExplorerEnabled": False,
            "ExecuteLuaEnabled": False,
            "RestApiWriteToFileSystemEnabled": False,
            "LuaScripts": [],
            "HttpDescribeErrors": False,
            "HttpCompressionEnabled": False,  # photos are compressed already
            "KeepAlive": True,
            "TcpNoDelay": True,
            "HttpThreadsCount": 50,
            "HttpRequestTimeout": 60,
            "OverwriteInstances": False,
            "StorageCompression": False,
            "StoreDicom": True,
            "SaveJobs": False,
            "JobsHistorySize": 0,
            "LimitFindResults": 1000,
            "LimitFindInstances": 1000,
            "UserContentType": {"original": ORIGINAL_ATTACHMENT},
            "Plugins": [self._plugin(pattern) for pattern in PLUGINS],
            "PythonScript": str(self._packages / "orthanc_plugin" / "wall" / "plugin.py"),
            "PythonVerbose": False,
            "Python": {"AllowThreads": True},
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "EnableWado": False, "Servers": {}},
            "Photospine": {
                "Database": settings.database,
                "AuditFolder": str(settings.audit_folder),
                "Keys": str(settings.keys),
                "Node": settings.node,
            },
        }

    def start(self) -> Standing:
        """Start it, prove the wall, and tell its address in the file ``address``; one that runs is proved again.

        Raises
        ------
        WallDown
            Orthanc did not start, or the wall does not stand. The process has been ended.
        """
        wall_folder.build(self.wall)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "address").unlink(missing_ok=True)
        # Orthanc lets everybody on the machine read what it stores: photos and originals, with nobody's consent.
        storage = self.folder / "storage"
        storage.mkdir(exist_ok=True)
        storage.chmod(0o700)
        wall_folder.link_ours(self._packages)
        file = self.folder / "orthanc.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(self.configuration(), indent=1), "utf-8")
        paths = os.pathsep.join((str(self.wall), str(self._packages)))
        environment = self._environment | {"PYTHONPATH": paths}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # compiled files halve the time to start
        started = time.monotonic()
        running = self.running
        processes.start(NAME, [self.program, str(file)], self.folder, environment)
        try:
            while True:
                if not self.running:
                    raise WallDown(f"Orthanc did not start: {self._last_words()}")
                try:
                    standing = prove(self.url, self._settings)
                    break
                except (OSError, HTTPException):
                    if time.monotonic() - started > START_SECONDS:
                        raise WallDown(f"Orthanc did not answer: {self._last_words()}") from None
                    time.sleep(0.02)
        except BaseException:
            self.stop()
            raise
        (self.folder / "address").write_text(self.url + "\n", "ascii")
        if not running:
            self._have_all_compared()
        return standing

    def stop(self, patience: float = processes.PATIENCE) -> bool:
        """End it, by force after so many seconds; False where it did not run."""
        (self.folder / "address").unlink(missing_ok=True)
        return processes.stop(NAME, self.folder, patience)

    def _have_all_compared(self) -> None:
        """Ask the worker to hold all objects against the ledger: an older copy of them may have been put back."""
        engine = open_engine(self._settings.database)
        try:
            with transaction(engine) as connection:
                jobs.put(connection, jobs.ARRIVAL, EVERYTHING)
        except (ConsentError, SQLAlchemyError):
            # The worker does so each night anyway, and at its own start.
            return
        finally:
            engine.dispose()

    @property
    def _packages(self) -> Path:
        return self.folder / "packages"

    def _plugin(self, pattern: str) -> str:
        found = sorted(str(path) for path in self._plugins.glob(pattern))
        if not found:
            raise WallDown(f"{self._plugins}/{pattern} is missing: install orthanc-python and orthanc-dicomweb")
        return found[-1]

    def _last_words(self) -> str:
        try:
            lines = (self.folder / f"{NAME}.log").read_text("utf-8", errors="replace").splitlines()
        except OSError:
            return "no log"
        faults = [number for number, line in enumerate(lines) if line.startswith("<class ")]
        if faults:  # what the wall's script raised: its kind, then its text, then where
            return next((line for line in lines[faults[-1] + 1 :] if line.strip()), lines[faults[-1]])
        return " | ".join(line for line in lines[-5:] if line.strip())


def prove(url: str, settings: Settings) -> Standing:
    """Prove that the wall stands: the script answers with our key, core and DICOMweb refuse, our rows come first.

    Raises
    ------
    WallDown
        The text names what failed.
    OSError, http.client.HTTPException
        Nobody answers there.
    """
    started = time.monotonic()
    try:
        key = load(settings.keys).tickets[0]
    except ConsentError as error:
        raise WallDown(str(error), "nothing can be proved without the node's keys: see to these first") from error
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "127.0.0.1", parts.port or 80, timeout=5)
    try:
        rows: list[str] = []
        for path in (CORE, OVERRIDE):
            nonce = secrets.token_hex(16)
            status, body = _get(connection, f"{path}?nonce={nonce}&spelling={spelling.ASKED}")
            try:
                found = json.loads(body) if status == 200 else {}
                given = str(found["proof"])
                rows = list(found["rows"])
            except (ValueError, KeyError, TypeError):
                raise WallDown(
                    f"{path} answered {status} without a proof: the wall's script is not in charge", _REMEDIES[path]
                ) from None
            if not hmac.compare_digest(given, proof(key, path, nonce)):
                raise WallDown(
                    f"{path}: the proof was made with another key",
                    "the setting 'keys' and the section Photospine of Orthanc's configuration must name the same file; "
                    "then start Orthanc anew",
                )
        missing = {row.name for row in ROWS} - set(rows)
        if missing:
            raise WallDown(
                f"rows do not stand: {', '.join(sorted(missing))}", "start Orthanc anew, with the wall of this version"
            )
        for path in _REFUSED_UNASKED:
            status, body = _get(connection, path)
            if status != 403 or body:
                raise WallDown(f"{path} answered {status} to nobody", "stop Orthanc now: another plugin answers there")
    finally:
        connection.close()
    return Standing(tuple(rows), time.monotonic() - started)


def _get(connection: HTTPConnection, path: str) -> tuple[int, bytes]:
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, response.read()
