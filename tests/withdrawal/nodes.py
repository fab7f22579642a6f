"""Two nodes on one PostgreSQL, each with an Orthanc behind its wall and a ``serve``, and one visit of many photos."""

from __future__ import annotations

import io
import json
import random
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from sqlalchemy import Engine, text

from consent.identity import keys
from consent.identity.keys import load as load_keys
from consent.identity.tickets import TicketKeys, TicketMint
from consent.site import Site
from consent.store.engine import glancing, transaction
from consent.store.people import save_patient
from consent.types import Right
from fhir_mapping.store.record import RecordStore
from orthanc_plugin.assembly import processes
from orthanc_plugin.assembly.archive_process import ArchiveProcess
from orthanc_plugin.assembly.settings import Settings
from tests import postgres
from tests.archive import ADULT, Archive, Photo, basic, chosen
from tests.ports import free_port

PATIENT = "anna"
READERS = tuple(f"reader{number}" for number in range(6))
"""Accounts of the care team: each stream has its own, so that the audit tells them apart."""

_MAIN = "from orthanc_plugin.assembly.cli import main; main()"
_TOKEN = re.compile(r'name="csrf" value="([^"]+)"')
_START_SECONDS = 60.0
_STREAM_BYTES = 20 << 20
"""Of the visit's photos together: the kernel takes four megabytes ahead of a reader that has stopped."""


class Joined(Archive):
    """An Orthanc behind its wall on a database that another node made."""

    def __init__(self, folder: Path, node: str, database: str, engine: Engine) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.port = folder, free_port()
        self.settings = Settings(
            folder=folder,
            node=node,
            database=database,
            audit_folder=folder / "audit",
            keys=folder / "keys.json",
            orthanc=f"http://127.0.0.1:{self.port}",
        )
        keys.make(self.settings.keys)
        self.engine = engine
        self.mint = TicketMint(TicketKeys(load_keys(self.settings.keys).tickets), node)
        self.process = ArchiveProcess(self.settings, folder / "orthanc", self.port, **chosen())
        self._seed = 0


@dataclass(frozen=True, slots=True)
class Node:
    """One node, running."""

    archive: Archive
    serve_port: int
    dimse_port: int
    cookies: dict[str, str]
    """The cookie of one reader's session, signed in once."""

    @property
    def name(self) -> str:
        """Its name in audit chains."""
        return self.archive.settings.node

    @property
    def wall(self) -> str:
        """Orthanc's address."""
        return self.archive.settings.orthanc

    @property
    def serve(self) -> str:
        """The workspace's and FHIR's."""
        return f"http://127.0.0.1:{self.serve_port}"

    def fhir(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """One request of the record's own system."""
        headers = {"Authorization": basic("ehr"), "Content-Type": "application/fhir+json"}
        return httpx.request(method, f"{self.serve}/fhir{path}", headers=headers, json=body, timeout=60)

    def page(self, path: str) -> httpx.Response:
        """One page or picture of the workspace, as the reader who is signed in gets it."""
        return httpx.get(self.serve + path, cookies=self.cookies, timeout=60)


@dataclass(frozen=True, slots=True)
class Two:
    """Both nodes, and the photos that both archives hold."""

    first: Node
    second: Node
    engine: Engine
    photos: tuple[Photo, ...]

    @property
    def nodes(self) -> tuple[Node, Node]:
        """Both."""
        return self.first, self.second

    def records(self, since: int) -> list[dict[str, Any]]:
        """What both nodes' chains hold from a moment on (microseconds since 1970), in the order of time."""
        with glancing(self.engine) as connection:
            rows = connection.execute(
                text("SELECT body FROM audit_record WHERE recorded >= :since ORDER BY recorded"), {"since": since}
            ).scalars()
            return [json.loads(bytes(body)) for body in rows]


def moves() -> bool:
    """Whether there is a DIMSE gateway."""
    return find_spec("dicom_bridge.gateway") is not None


@contextmanager
def two(folder: Path, photos: int) -> Iterator[Two]:
    """Start everything, with so many photos of one visit."""
    with ExitStack() as closing:
        cluster = closing.enter_context(postgres.cluster())
        database = cluster.fresh()
        first = Archive(folder / "first", free_port(), url=database)
        first.settings = replace(first.settings, node="first")
        first.mint = TicketMint(TicketKeys(load_keys(first.settings.keys).tickets), "first")
        first.process = ArchiveProcess(first.settings, folder / "first" / "orthanc", first.port, **chosen())
        second = Joined(folder / "second", "second", database, first.engine)
        closing.callback(first.engine.dispose)
        _people(first)
        taken = _photos(first, photos)
        nodes = []
        for archive in (first, second):
            archive.process.start()
            closing.callback(archive.process.stop, 5)
            for photo in taken:
                assert archive.store(photo.dicom).status == 200
            nodes.append(Node(archive, free_port(), free_port(), {}))
        for node in nodes:
            closing.callback(processes.stop_all, ("serve", "gateway"), node.archive.folder, 5)
            _serve(node)
        for node in nodes:
            node.cookies.update(_signed_in(node))
        with transaction(first.engine) as connection:
            known = tuple(first.know(connection, photo) for photo in taken)
        yield Two(nodes[0], nodes[1], first.engine, known)


def _grain(edge: int) -> bytes:
    """A square picture of noise, which needs some two bytes for each pixel."""
    picture = Image.frombytes("RGB", (edge, edge), random.Random(1).randbytes(3 * edge * edge))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=95)
    return out.getvalue()


def _people(archive: Archive) -> None:
    for name in READERS:
        archive.account(name, "TREAT")
    archive.account("ehr", "TREAT", rights=(Right.CONSENT, Right.RECORD))
    with transaction(archive.engine) as connection:
        save_patient(connection, PATIENT, ADULT)
        RecordStore(Site()).update(
            connection,
            "Patient",
            PATIENT,
            {"resourceType": "Patient", "id": PATIENT, "birthDate": "1980-01-01", "name": [{"family": "Familyanna"}]},
            source="urn:test",
        )


def _photos(archive: Archive, number: int) -> Sequence[Photo]:
    """Photos that nobody knows yet."""
    edge = int((_STREAM_BYTES / number / 2) ** 0.5)
    pixels = _grain(edge)
    return [
        archive.describe(PATIENT, 1 + each, view=str(1 + each % 3), pixels=pixels, Rows=edge, Columns=edge)
        for each in range(number)
    ]


def _serve(node: Node) -> None:
    told = node.archive.settings
    file = node.archive.folder / "photospine.toml"
    gateway = f"dimse_port = {node.dimse_port}\n" if moves() else ""
    file.write_text(
        f'node = "{told.node}"\northanc = "{told.orthanc}"\ndatabase = "{told.database}"\n'
        f'audit_folder = "{told.audit_folder}"\nkeys = "{told.keys}"\nport = {node.serve_port}\n'
        f'public_url = "{node.serve}"\n{gateway}',
        encoding="utf-8",
    )
    for name in ("serve", *(("gateway",) if moves() else ())):
        command = [sys.executable, "-c", _MAIN, name, "--settings", str(file)]
        processes.start(name, command, node.archive.folder)
    end = time.monotonic() + _START_SECONDS
    while True:
        try:
            httpx.get(f"{node.serve}/healthz", timeout=5)
            return
        except httpx.TransportError:
            if processes.pid_of("serve", node.archive.folder) is None or time.monotonic() > end:
                raise RuntimeError((node.archive.folder / "serve.log").read_text("utf-8")[-2000:]) from None
            time.sleep(0.05)


def _signed_in(node: Node) -> dict[str, str]:
    name = READERS[-1]
    with httpx.Client(base_url=node.serve, timeout=60) as client:
        token = _TOKEN.findall(client.get("/login").text)[0]
        form = {"csrf": token, "name": name, "password": f"{name}-demo", "next": "/"}
        assert client.post("/login", data=form).status_code == 303
        return dict(client.cookies)
