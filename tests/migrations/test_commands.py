"""``photospine db``, ``account`` and ``audit`` as people and machines call them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import insert, select
from typer.testing import CliRunner

from consent.audit.record import AuditRecord, Kind
from consent.site import Site
from consent.store import schema
from consent.store.clock import instant
from consent.store.engine import open_engine, reading, transaction
from consent.store.tables import patient
from consent.types import Request, Requester
from fhir_mapping.store.record import RecordStore
from fhir_mapping.tables import fhir_resource, fhir_version
from orthanc_plugin.assembly import migrations
from orthanc_plugin.assembly.cli import build
from orthanc_plugin.assembly.open import open_node
from orthanc_plugin.assembly.settings import load
from tests.store.world import one_patient

pytestmark = pytest.mark.fast


class Shell:
    """Runs commands in one node's folder."""

    def __init__(self, folder: Path) -> None:
        self.settings = folder / "photospine.toml"
        self.settings.write_text('[site]\nchannels = ["instagram"]\n')
        self._app, self._runner = build(), CliRunner()

    def run(self, *words: str, status: int = 0, typed: str | None = None) -> str:
        done = self._runner.invoke(
            self._app, [*words, "--settings", str(self.settings)], input=typed, env={"PHOTOSPINE_ACCOUNT": ""}
        )
        assert done.exit_code == status, done.output
        return done.output


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    made = Shell(tmp_path)
    made.run("db", "upgrade")
    return made


def test_status_tells_machines_and_people(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    assert json.loads(shell.run("db", "status", "--json", status=1)) == {
        "found": None,
        "needed": schema.REVISION,
        "fits": False,
    }
    assert not (tmp_path / "photospine.sqlite3").exists()
    shell.run("account", "list", status=1)
    shell.run("db", "upgrade")
    assert json.loads(shell.run("db", "status", "--json"))["fits"]
    assert (tmp_path / "photospine.sqlite3").stat().st_mode & 0o077 == 0


def test_a_change_of_the_time_zone_reads_the_record_anew(shell: Shell) -> None:
    """Dates without an offset are in the site's time zone, always: also those that were written before."""
    child = {"resourceType": "Patient", "id": "child", "birthDate": "2010-06-15"}
    engine = open_engine(load(shell.settings).database)
    with transaction(engine) as connection:
        RecordStore(Site()).create(connection, "Patient", child, source="test", id="child")

    def born() -> datetime:
        with reading(engine) as connection:
            return instant(connection.execute(select(patient.c.birth_start)).scalar_one())

    assert born() == datetime(2010, 6, 15, tzinfo=UTC)
    assert "read anew" not in shell.run("db", "upgrade")
    shell.settings.write_text('[site]\ntime_zone = "Europe/Athens"\n')
    assert json.loads(shell.run("db", "upgrade", "--json"))["rebuilt"] == 1
    assert born() == datetime(2010, 6, 14, 21, tzinfo=UTC)
    assert json.loads(shell.run("db", "rebuild", "--json")) == {"resources": 1}
    assert born() == datetime(2010, 6, 14, 21, tzinfo=UTC)
    engine.dispose()


def test_accounts_are_made_listed_changed_and_disabled(shell: Shell) -> None:
    shell.run("account", "add", "d", "--purpose", "TREAT", "--right", "link", "--password-stdin", typed="secret\n")
    shell.run("account", "add", "d", "--no-password", status=1)
    shell.run("account", "add", "e", "--purpose", "NOPE", "--no-password", status=1)
    shell.run("account", "add", "e", "--right", "nope", "--no-password", status=2)
    shell.run("account", "add", "e", status=1)
    shell.run("account", "set", "d", "--purpose", "BTG", "--purpose", "TREAT", "--no-rights")
    shell.run("account", "set", "d", status=1)
    shell.run("account", "set", "nobody", "--display", "x", status=1)
    shell.run("account", "disable", "d")
    (found,) = json.loads(shell.run("account", "list", "--json"))
    assert (found["purposes"], found["rights"], found["active"], found["password"]) == (
        ["BTG", "TREAT"],
        [],
        False,
        True,
    )
    records = [json.loads(line) for line in _audit(shell)]
    routes = [record["route"] for record in records if record["kind"] == "intent"]
    assert routes.count("account add") == 3
    assert "secret" not in json.dumps(records)


def _audit(shell: Shell, *more: str) -> list[str]:
    if '"compliance"' not in shell.run("account", "list", "--json"):
        shell.run("account", "add", "compliance", "--purpose", "HCOMPL", "--no-password")
    return shell.run("audit", "list", "--as", "compliance", "--json", *more).splitlines()


def test_the_audit_is_read_by_compliance_alone_and_reading_is_recorded(shell: Shell) -> None:
    shell.run("account", "add", "d", "--purpose", "TREAT", "--no-password")
    assert "on whose behalf" in shell.run("audit", "list", status=1)
    shell.run("audit", "list", "--as", "d", status=1)
    shell.run("audit", "list", "--as", "nobody", status=1)
    _audit(shell)
    last = json.loads(_audit(shell)[-1])
    assert (last["kind"], last["account"], last["route"]) == ("read", "compliance", "audit list")


def test_records_of_a_photo_are_found_also_in_sets(shell: Shell) -> None:
    settings = load(shell.settings)
    engine = open_engine(settings.database)
    with transaction(engine) as connection:
        one_patient(connection)
    engine.dispose()
    clinician = Request(Requester("d", ("TREAT",)), "TREAT")
    with open_node(settings, "serve") as node:
        assert node.point.photo(clinician, "2.25.1", route="GET /x", fulfils=frozenset()).permitted
        assert node.point.photos(clinician, [1, 2], route="list", fulfils=frozenset()).numbers == (1, 2)
        assert node.point.photos(clinician, [2], route="other", fulfils=frozenset()).numbers == (2,)
    found = [json.loads(line) for line in _audit(shell, "--photo", "2.25.1")]
    assert [record["route"] for record in found] == ["GET /x", "list"]
    text = shell.run("audit", "list", "--as", "compliance", "--kind", "decision")
    assert "permit default-permit  2.25.1" in text


@pytest.mark.parametrize("kind", list(Kind))
def test_a_record_of_every_kind_has_a_line(shell: Shell, kind: Kind) -> None:
    """Also where it holds no more than what its door must say: a sign-in has an effect, and no reason."""
    _audit(shell)
    with open_node(load(shell.settings), "serve") as node:
        node.chain.append([AuditRecord(kind, "serve", "/here", effect="deny")])
    assert "/here  deny" in shell.run("audit", "list", "--as", "compliance", "--kind", kind)


def test_a_line_names_the_provision_that_decided(shell: Shell) -> None:
    _audit(shell)
    with open_node(load(shell.settings), "serve") as node:
        directives = (("c1", 3, "provision.provision[0]"),)
        node.chain.append(
            [AuditRecord(Kind.DECISION, "serve", "/x", effect="deny", reason="patient-denied", directives=directives)]
        )
    text = shell.run("audit", "list", "--as", "compliance", "--kind", "decision")
    assert "deny patient-denied  by Consent/c1 version 3 provision.provision[0]" in text


def test_records_of_every_chain_are_listed_by_time(shell: Shell) -> None:
    _audit(shell)
    for role in ("serve", "worker", "serve"):
        with open_node(load(shell.settings), role) as node:
            node.chain.append([AuditRecord(Kind.TASK, role, "here")])
    found = [json.loads(line) for line in _audit(shell, "--kind", "task")]
    places = [(record["chain"], record["sequence"]) for record in found]
    assert places == [("node1/serve/0", 1), ("node1/worker/0", 1), ("node1/serve/0", 2)]


def test_verify_names_what_was_changed(shell: Shell, tmp_path: Path) -> None:
    assert json.loads(shell.run("audit", "verify", "--json"))["sound"]
    with closing(sqlite3.connect(tmp_path / "audit" / "node1+cli+0.sqlite3")) as connection:
        connection.execute("DELETE FROM record WHERE sequence = 1")
        connection.commit()
    assert "FAULT node1/cli/0#2" in shell.run("audit", "verify", status=1)


@pytest.mark.parametrize(
    "body", [b"\xff no text", b"[1]", b'{"kind":"set"}', b'{"at":0,"chain":"node1/cli/0","sequence":1}']
)
def test_what_was_not_changed_is_listed_beside_what_was(shell: Shell, tmp_path: Path, body: bytes) -> None:
    before = _audit(shell)
    with closing(sqlite3.connect(tmp_path / "audit" / "node1+cli+0.sqlite3")) as connection, connection:
        connection.execute("UPDATE record SET body = ? WHERE sequence = 1", (body,))
    after = _audit(shell)
    assert after[1 : len(before)] == before[1:]
    assert json.loads(after[0])["kind"] == "damaged"
    assert "node1/cli/0#1  damaged" in shell.run("audit", "list", "--as", "compliance")


def test_an_upgrade_from_the_former_index_reads_the_record_anew(tmp_path: Path) -> None:
    """What was written before is found by parameters that there were none of then."""
    shell = Shell(tmp_path)
    engine = open_engine(load(shell.settings).database, make=True)
    with transaction(engine) as connection:
        migrations.upgrade(connection, "0002")
        named = {"resourceType": "Patient", "id": "old", "gender": "female"}
        key = {"type": "Patient", "id": "old", "version": 1, "updated": 0, "source": "test"}
        connection.execute(insert(fhir_version).values(**key, body=json.dumps(named).encode()))
        connection.execute(insert(fhir_resource).values(**key, patient="old"))
    assert "1 resources read anew" in shell.run("db", "upgrade")
    with reading(engine) as connection:
        found = RecordStore(Site()).search(connection, "Patient", {"gender": "female"})
    engine.dispose()
    assert [each.id for each in found] == ["old"]
