"""Guessing at the wall and at ``serve``: one count for both, one answer, and nobody kept out who is known."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from consent.audit.read import Archive as AuditArchive
from consent.identity import accounts
from consent.identity.throttle import LOCKED_OUT
from consent.store.engine import transaction
from orthanc_plugin.assembly import wall_folder
from orthanc_plugin.assembly.archive_process import ArchiveProcess
from orthanc_plugin.assembly.cli import build as commands
from orthanc_plugin.assembly.serve import Served, build
from tests import postgres
from tests.archive import Archive, Reply, basic, chosen
from tests.issuer import TestIssuer
from tests.ports import free_port
from tests.workspace.client import Client

pytestmark = [pytest.mark.orthanc]

HERE, THERE = "203.0.113.7", "198.51.100.9"


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path, free_port()) as made:
        made.account("clinician", "TREAT")
        made.account("other", "TREAT")
        made.patient("anna")
        yield made


@pytest.fixture
def served(archive: Archive) -> Iterator[Served]:
    made = build(replace(archive.settings, orthanc=archive.process.url))
    yield made
    made.close()


def _guess(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def _wall(archive: Archive, header: str, address: str) -> Reply:
    return archive.ask("/studies", headers={"Authorization": header, "X-Forwarded-For": address})


def test_guesses_at_every_door_count_together_and_are_answered_alike(archive: Archive, served: Served) -> None:
    client = Client(served.app)  # comes from no address: only the pair is counted there
    known = basic("clinician")
    assert _wall(archive, known, HERE).status == 200
    answers = {_wall(archive, _guess("clinician", f"wrong{n}"), THERE).everything for n in range(9)}
    answers |= {_wall(archive, _guess("nobody", f"wrong{n}"), THERE).everything for n in range(9)}
    assert len(answers) == 1, "wrong, unknown and locked"
    assert _wall(archive, basic("other"), THERE).status == 200, "another name from there"
    assert _wall(archive, known, HERE).status == 200, "her own place knows her"
    for path, status in (("/fhir/Patient", 401), ("/dicom-web/studies", 401)):
        for n in range(4):
            assert client.get(path, headers={"Authorization": _guess("other", f"wrong{n}")}).status_code == status
    locked = [
        client.get(path, headers={"Authorization": basic("other")}) for path in ("/fhir/Patient", "/dicom-web/studies")
    ]
    assert [answer.status_code for answer in locked] == [401, 401], "the right password is not looked at"
    form = client.get("/login").text
    token = form.partition('name="csrf" value="')[2].partition('"')[0]
    waits = client.post("/login", data={"csrf": token, "name": "other", "password": "other-demo", "next": "/"})
    assert waits.status_code == 429
    _photospine(archive, "account", "unlock", "other")
    assert client.get("/dicom-web/studies", headers={"Authorization": basic("other")}).status_code == 200
    found = [record for record in _records(archive) if record.get("reason") == LOCKED_OUT]
    assert [(record.get("account"), record["details"]["address"]) for record in found] == [
        ("other", "127.0.0.1"),
        ("clinician", THERE),
        (None, THERE),
    ]


def _photospine(archive: Archive, *words: str) -> None:
    settings = archive.folder / "photospine.toml"
    settings.write_text(f'database = "{archive.settings.database}"\n')
    done = CliRunner().invoke(commands(), [*words, "--settings", str(settings)])
    assert done.exit_code == 0, done.output


def _records(archive: Archive) -> list[dict[str, Any]]:
    found = AuditArchive(archive.engine, archive.settings.audit_folder)
    return [json.loads(row.body) for chain in sorted(found.chains()) for row in found.rows(chain)]


@pytest.mark.parametrize("missing", ["jwt", "cryptography"])
def test_a_wall_without_what_proves_tokens_refuses_them_and_works_on(tmp_path: Path, missing: str) -> None:
    folder = tmp_path / "wall"
    folder.mkdir()
    for each in wall_folder.DEFAULT.iterdir():
        if each.name != missing:
            (folder / each.name).symlink_to(each)
    (folder / f"{missing}.py").write_text("raise ImportError('it is not installed')\n")
    archive = Archive(tmp_path / "archive", free_port())
    archive.process = ArchiveProcess(
        archive.settings, archive.folder / "orthanc", archive.port, wall=folder, **chosen()
    )
    issuer = TestIssuer()
    archive.account("clinician", "TREAT")
    issuer.register(archive.engine, clinician="sub")
    with archive:
        for _ in range(2):
            answer = archive.ask("/studies", headers={"Authorization": f"Bearer {issuer.token('sub')}"})
            assert (answer.status, answer.body) == (403, b"")
            assert archive.ask("/studies", "clinician").status == 200


@pytest.mark.postgres
def test_on_postgresql_a_token_opens_and_guessing_waits(tmp_path: Path) -> None:
    issuer = TestIssuer()
    with postgres.cluster() as cluster, Archive(tmp_path, free_port(), url=cluster.fresh()) as archive:
        archive.account("clinician", "TREAT")
        issuer.register(archive.engine, clinician="sub")
        archive.patient("anna")
        photo = archive.photo("anna")
        token = {"Authorization": f"Bearer {issuer.token('sub')}"}
        for _ in range(3):
            assert archive.ask(f"{photo.rest}/tags", headers=token).status == 200
        for n in range(9):
            assert _wall(archive, _guess("clinician", f"wrong{n}"), THERE).status == 403
        assert _wall(archive, basic("clinician"), THERE).status == 403
        assert _wall(archive, basic("clinician"), HERE).status == 200
        assert archive.ask(f"{photo.rest}/tags", headers=token).status == 200
        with transaction(archive.engine) as connection:
            accounts.disable(connection, "clinician")
        assert archive.ask(f"{photo.rest}/tags", headers=token).status == 403
        assert _wall(archive, basic("clinician"), HERE).status == 403
