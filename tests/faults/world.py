"""A whole node that faults are done to: Orthanc behind its wall, ``serve`` as a process of its own, and every door."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from http.client import HTTPException
from pathlib import Path
from typing import Any

import httpx
from typer.testing import CliRunner

from consent.identity.keys import load as load_keys
from consent.identity.tickets import TicketKeys, TicketMint
from consent.site import Site
from consent.store.engine import transaction
from consent.types import Right
from fhir_mapping.store.record import RecordStore
from orthanc_plugin.assembly import processes
from orthanc_plugin.assembly.archive_process import ArchiveProcess
from orthanc_plugin.assembly.cli import build
from orthanc_plugin.assembly.settings import Settings, load
from tests.archive import Archive, Photo, basic, chosen
from tests.fhir.clinic import consent_of
from tests.ports import free_port

SERVE = "serve"
_TOKEN = re.compile(r'name="csrf" value="([^"]+)"')
_START_SECONDS = 30.0
_MAIN = "from orthanc_plugin.assembly.cli import main; main()"


@dataclass(frozen=True, slots=True)
class Shown:
    """What one door answered."""

    door: str
    status: int
    body: bytes
    headers: str

    @property
    def everything(self) -> bytes:
        """Every byte, for searching."""
        return self.headers.encode() + self.body


class World:
    """Use as a context manager. One photo of Anna's, which her care team may see through every door."""

    def __init__(
        self,
        folder: Path,
        *,
        database: str | None = None,
        audit: Path | None = None,
        environment: Mapping[str, str] | None = None,
        ahead: float = 0.0,
        site: Site | None = None,
    ) -> None:
        """Describe it.

        Parameters
        ----------
        environment
            Further variables for Orthanc and ``serve``.
        ahead
            Seconds that their clock is ahead of the machine's when they start.
        """
        self.folder, self.port, self.serve_port = folder, free_port(), free_port()
        self.archive = Archive(folder, self.port, url=database, site=site)
        self.environment = {**os.environ, **(environment or {})}
        if audit is not None:
            self.archive.settings = replace(self.archive.settings, audit_folder=audit)
        self.archive.mint = TicketMint(
            TicketKeys(load_keys(self.archive.settings.keys).tickets),
            self.archive.settings.node,
            clock=lambda: time.time_ns() // 1000 + int(ahead * 1_000_000),
        )
        self.archive.process = ArchiveProcess(
            self.archive.settings, folder / "orthanc", self.port, environment=self.environment, **chosen()
        )
        self.file = folder / "photospine.toml"
        told = self.archive.settings
        self.file.write_text(
            f'orthanc = "{told.orthanc}"\ndatabase = "{told.database}"\naudit_folder = "{told.audit_folder}"\n'
            f'keys = "{told.keys}"\nport = {self.serve_port}\npublic_url = "{self.url}"\n',
            encoding="utf-8",
        )
        self.cookies = httpx.Cookies()
        self.photo: Photo

    @property
    def url(self) -> str:
        """Where ``serve`` answers."""
        return f"http://127.0.0.1:{self.serve_port}"

    @property
    def settings(self) -> Settings:
        """As every process of the node reads them."""
        return load(self.file, {})

    def __enter__(self) -> World:
        archive = self.archive
        archive.account("clinician", "TREAT", "BTG", rights=(Right.STORE,))
        archive.account("ehr", "TREAT", rights=(Right.CONSENT, Right.RECORD))
        archive.patient("anna")
        with transaction(archive.engine) as connection:
            RecordStore(Site()).update(connection, "Patient", "anna", ANNA, source="urn:test")
        try:
            self.start()
            self.photo = archive.photo("anna")
            self.sign_in()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.archive.engine.dispose()

    # --- processes ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Orthanc through the launcher, then ``serve``."""
        self.archive.process.start()
        self.start_serve()

    def start_serve(self) -> None:
        """As ``photospine serve`` does, in a process of its own."""
        command = [sys.executable, "-c", _MAIN, "serve", "--settings", str(self.file)]
        processes.start(SERVE, command, self.folder, self.environment)
        end = time.monotonic() + _START_SECONDS
        while True:
            try:
                httpx.get(f"{self.url}/healthz", timeout=5, trust_env=False)
                return
            except httpx.TransportError:
                if processes.pid_of(SERVE, self.folder) is None or time.monotonic() > end:
                    raise RuntimeError((self.folder / "serve.log").read_text("utf-8")[-2000:]) from None
                time.sleep(0.05)

    def stop(self) -> None:
        """Both."""
        processes.stop(SERVE, self.folder, 5)
        self.archive.process.stop(5)

    def restart(self) -> None:
        """Both anew, as after a reboot."""
        self.stop()
        self.start()

    def kill(self, what: str, how: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to ``orthanc`` or ``serve``."""
        pid = processes.pid_of(what, self.folder / "orthanc" if what == "orthanc" else self.folder)
        assert pid is not None
        os.kill(pid, how)
        end = time.monotonic() + 10
        while how is signal.SIGKILL and Path(f"/proc/{pid}").exists() and not _ended(pid):
            assert time.monotonic() < end
            time.sleep(0.02)

    # --- doors --------------------------------------------------------------------------------------------------------

    def sign_in(self) -> None:
        """A session of the clinician's, kept from now on."""
        with httpx.Client(base_url=self.url, trust_env=False, timeout=20) as client:
            token = _TOKEN.findall(client.get("/login").text)[0]
            form = {"csrf": token, "name": "clinician", "password": "clinician-demo", "next": "/"}
            assert client.post("/login", data=form).status_code == 303
            self.cookies = client.cookies

    def doors(self) -> list[Shown]:
        """Ask every door for the photo, or for a list that holds it, all at once, as somebody who may see it."""
        with ThreadPoolExecutor(16) as asking:
            wall = [asking.submit(self._wall, path) for path in self._wall_paths()]
            serve = [asking.submit(self._serve, path) for path in self._serve_paths()]
            return [each.result() for each in wall + serve]

    def wall_doors(self) -> list[Shown]:
        """Orthanc's own alone."""
        return [self._wall(path) for path in self._wall_paths()]

    def _wall_paths(self) -> tuple[str, ...]:
        photo, study = self.photo, f"/dicom-web/studies/{self.photo.study}"
        return (
            f"{photo.rest}/file",
            f"{photo.rest}/preview",
            photo.rest,
            photo.wado,
            f"{photo.wado}/metadata",
            study,
            f"{study}/metadata",
            f"/dicom-web/studies?StudyInstanceUID={photo.study}",
            "/instances",
        )

    def _serve_paths(self) -> tuple[str, ...]:
        """Pages and renditions (by cookie), FHIR and DICOMweb (by Basic)."""
        study = self.photo.study
        return (
            "/chart/patient/anna",
            f"/chart/photo/{self.key}?width=320",
            "/fhir/DocumentReference?patient=anna",
            f"/dicom-web/studies/{study}",
            f"/dicom-web/studies?StudyInstanceUID={study}",
        )

    @property
    def key(self) -> str:
        """The photo's name in addresses of the workspace."""
        return str(self.photo.facts.document).rpartition("/")[2]

    def _wall(self, path: str) -> Shown:
        try:
            reply = self.archive.ask(path, "clinician")
        except (OSError, HTTPException):  # nobody answers
            return Shown(f"wall {path}", 0, b"", "")
        return Shown(f"wall {path}", reply.status, reply.body, repr(reply.headers))

    def _serve(self, path: str) -> Shown:
        by_cookie = path.startswith("/chart")
        try:
            with httpx.Client(base_url=self.url, trust_env=False, timeout=40) as client:
                client.cookies = self.cookies if by_cookie else httpx.Cookies()
                answer = client.get(path, headers={} if by_cookie else {"Authorization": basic("clinician")})
        except httpx.HTTPError as error:
            return Shown(f"serve {path}", 0, b"", type(error).__name__)
        return Shown(f"serve {path}", answer.status_code, answer.content, repr(answer.headers.multi_items()))

    def permits(self, seconds: float = 20.0) -> None:
        """Every door shows the photo, at once or (on a machine that has much to do) within some seconds."""
        end = time.monotonic() + seconds
        for ask, path in [(self._wall, path) for path in self._wall_paths()] + [
            (self._serve, path) for path in self._serve_paths()
        ]:
            while (shown := ask(path)).status != 200 or len(shown.body) <= 40:
                assert time.monotonic() < end, shown
                time.sleep(0.2)

    def recovers(self) -> None:
        """Every door shows the photo again, without anybody's help."""
        self.permits(60.0)

    def refuses(self, doors: Sequence[Shown] | None = None, *, decided: bool = False) -> None:
        """No door shows the photo, nor tells of it; each says what it says to everybody.

        Parameters
        ----------
        decided
            A decision was made: lists and pages are answered, and hold nothing.
        """
        photo = self.photo
        marks = (
            photo.sop.encode(),
            photo.orthanc_id.encode(),
            photo.pixels[200:264],
            b"/chart/photo/",
            *(() if decided else (b"Familyanna", b"PID-anna")),
        )
        for shown in self.doors() if doors is None else doors:
            where = next((mark for mark in marks if mark in shown.everything), None)
            assert where is None, (shown.door, shown.status, where)
            assert shown.status in ((200, *CONSTANT) if decided else CONSTANT), shown
            if shown.door.startswith("wall") and shown.status == 403:
                assert shown.body == b"", shown

    # --- consent ------------------------------------------------------------------------------------------------------

    def withdraw(self) -> httpx.Response:
        """Anna denies everything, through FHIR; whoever acknowledges that has to keep to it."""
        return self.fhir("PUT", "/Consent/no", consent_of("no", "deny", "TREAT"))

    def consent_again(self) -> None:
        """She takes that back."""
        assert self.fhir("PUT", "/Consent/no", consent_of("no", "deny", "TREAT") | {"status": "inactive"}).is_success

    def fhir(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> httpx.Response:
        """One request of the record's own system."""
        with httpx.Client(base_url=self.url, trust_env=False, timeout=40) as client:
            headers = {"Authorization": basic("ehr"), "Content-Type": "application/fhir+json"}
            return client.request(method, f"/fhir{path}", headers=headers, json=body)

    # --- the doctor ---------------------------------------------------------------------------------------------------

    def doctor(self) -> dict[str, dict[str, Any]]:
        """Its findings, by what was tried."""
        done = CliRunner().invoke(build(), ["doctor", "--json", "--settings", str(self.file)])
        found = json.loads(done.output)
        assert found["healthy"] is (done.exit_code == 0)
        return {each["what"]: each for each in found["findings"]}

    def blames(self, what: str, says: str, remedy: str) -> None:
        """The doctor names this fault, with what to do about it."""
        found = self.doctor()
        assert not found[what]["ok"], found
        assert says in found[what]["says"], found[what]
        assert remedy in found[what]["remedy"], found[what]

    def is_well(self) -> None:
        """The doctor finds nothing."""
        assert all(each["ok"] for each in self.doctor().values()), self.doctor()


ANNA = {
    "resourceType": "Patient",
    "id": "anna",
    "birthDate": "1980-01-01",
    "identifier": [{"system": "urn:mrn", "value": "PID-anna"}],
    "name": [{"family": "Familyanna", "given": ["Given"]}],
}
CONSTANT = (0, 303, 401, 403, 404, 502, 503, 504)
"""What a door says while nothing can be decided: 0 where nobody answers, 303 to sign in first."""


def _ended(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True
