"""``photospine doctor`` before real faults: each is named, with what to do about it, and nothing else is blamed."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from sqlalchemy import URL, create_engine, text, update
from typer.testing import CliRunner

from consent.identity import issuer_keys, policy
from consent.identity.policy import Issuer
from consent.store.engine import open_engine, transaction
from consent.store.home import LOOK_SECONDS
from consent.store.tables import audit_checkpoint, issuer_state
from orthanc_plugin.assembly import diagnosis, processes, upgrade, wall_folder
from orthanc_plugin.assembly.archive_process import NAME, ArchiveProcess, WallDown
from orthanc_plugin.assembly.cli import build
from orthanc_plugin.assembly.diagnosis import own_addresses
from orthanc_plugin.assembly.open import open_node
from orthanc_plugin.assembly.settings import load
from tests import postgres
from tests.archive import basic, chosen
from tests.issuer import TestIssuer
from tests.ports import free_port


class Node:
    """A node in a folder of its own, whose Orthanc can be configured wrongly."""

    def __init__(self, folder: Path, database: str = "sqlite:///photospine.sqlite3") -> None:
        self.folder, self.port = folder, free_port()
        self.file = folder / "photospine.toml"
        self.file.write_text(f'orthanc = "http://127.0.0.1:{self.port}"\ndatabase = "{database}"\n', encoding="utf-8")
        self.settings = load(self.file, {})
        upgrade.upgrade(self.settings, os_user="test")
        self.archive = ArchiveProcess(self.settings, folder / "orthanc", self.port, **chosen())

    def use(self, database: URL) -> None:
        """Name another database in the settings."""
        text = self.file.read_text("utf-8").splitlines(keepends=True)
        kept = [line for line in text if not line.startswith("database")]
        self.file.write_text("".join([*kept, f'database = "{database.render_as_string(hide_password=False)}"\n']))

    def doctor(self) -> tuple[int, dict[str, dict[str, Any]]]:
        """The exit status, and the findings by what was tried."""
        done = CliRunner().invoke(build(), ["doctor", "--json", "--settings", str(self.file)])
        found = json.loads(done.output)
        findings = {each["what"]: each for each in found["findings"]}
        assert found["healthy"] is (done.exit_code == 0)
        assert found["healthy"] is all(each["ok"] for each in findings.values())
        for each in findings.values():
            assert bool(each["remedy"]) is not each["ok"], "every fault comes with its remedy"
        return done.exit_code, findings

    def blames(self, what: str, says: str, remedy: str) -> None:
        """The doctor names one fault, and this alone."""
        status, findings = self.doctor()
        assert status == 1
        assert [name for name, each in findings.items() if not each["ok"]] == [what]
        assert says in findings[what]["says"]
        assert remedy in findings[what]["remedy"]

    @contextmanager
    def running(self, **changes: Any) -> Iterator[None]:
        """Orthanc, with some options changed behind the launcher's back."""
        try:
            self.archive.start()
            if changes:
                self.archive.stop()
                file = self.folder / "orthanc" / "orthanc.json"
                configuration = json.loads(file.read_text("utf-8")) | changes
                file.write_text(json.dumps({key: value for key, value in configuration.items() if value is not None}))
                self._start(file)
            yield
        finally:
            self.archive.stop()

    def _start(self, file: Path) -> None:
        packages = file.parent / "packages"
        environment = os.environ | {"PYTHONPATH": f"{self.archive.wall}:{packages}"}
        processes.start(NAME, [self.archive.program, str(file)], file.parent, environment)
        until = time.monotonic() + 20
        while time.monotonic() < until and self.archive.running:
            try:
                with urlopen(f"{self.archive.url}/system", timeout=2):
                    return
            except HTTPError:
                return
            except OSError:
                time.sleep(0.05)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """One that is well, but for its Orthanc, which nobody has started."""
    return Node(tmp_path)


# --- Orthanc ----------------------------------------------------------------------------------------------------------


@pytest.mark.orthanc
def test_a_node_that_is_well_is_said_to_be(node: Node) -> None:
    with node.running():
        status, findings = node.doctor()
        assert status == 0
        assert set(findings) == {
            *("keys", "database", "audit", "spool", "database folder", "clock", "checkpoints", "wall", "plugins"),
            *("storage", "loopback"),
        }
        assert "no second place" in findings["checkpoints"]["says"]
        shown = CliRunner().invoke(build(), ["doctor", "--settings", str(node.file)])
        assert shown.exit_code == 0
        assert "FAIL" not in shown.output
    assert not list(node.folder.rglob(".doctor-*"))


@pytest.mark.fast
def test_nobody_answers(node: Node) -> None:
    node.blames("wall", "nobody answers", "start Orthanc")
    shown = CliRunner().invoke(build(), ["doctor", "--settings", str(node.file)])
    assert shown.exit_code == 1
    assert "FAIL  wall: nobody answers" in shown.output
    assert "-> start Orthanc" in shown.output


@pytest.mark.orthanc
def test_no_script_is_configured_and_orthanc_is_open(node: Node) -> None:
    with node.running(PythonScript=None):
        node.blames("wall", "OPEN TO ALL: its Python plugin runs without the wall", "'PythonScript'")


@pytest.mark.orthanc
def test_the_script_is_missing_and_orthanc_does_not_start(node: Node) -> None:
    with node.running(PythonScript=str(node.folder / "gone.py")):
        assert not node.archive.running
        node.blames("wall", "nobody answers", "the wall's script")


@pytest.mark.orthanc
def test_the_plugin_s_path_is_wrong(node: Node) -> None:
    """Orthanc 1.10 starts without it, unguarded; later ones refuse to start."""
    plugins = node.archive.configuration()["Plugins"]
    with node.running(Plugins=[plugins[0] + ".gone", plugins[1]]):
        if node.archive.running:
            node.blames("wall", "OPEN TO ALL: its Python plugin is not loaded", "libOrthancPython.so")
        else:
            node.blames("wall", "nobody answers", "a plugin's path is wrong")


@pytest.mark.fast
def test_the_launcher_names_a_plugin_that_is_not_installed(node: Node, tmp_path: Path) -> None:
    archive = ArchiveProcess(node.settings, tmp_path / "orthanc", node.port, plugins=tmp_path)
    with pytest.raises(WallDown, match=r"libOrthancPython\.so.* is missing: install orthanc-python"):
        archive.start()


@pytest.mark.orthanc
def test_another_plugin_comes_first(node: Node) -> None:
    plugins = node.archive.configuration()["Plugins"]
    with node.running(Plugins=plugins[::-1]):
        node.blames("wall", "is not in charge", "libOrthancPython.so first")


@pytest.mark.orthanc
def test_orthanc_answers_other_machines(node: Node) -> None:
    assert list(own_addresses()), "this machine has an address to be asked at"
    with node.running(RemoteAccessAllowed=True):
        node.blames("loopback", "answers other machines", "'RemoteAccessAllowed' to false")


@pytest.mark.orthanc
def test_the_wall_has_other_keys(node: Node) -> None:
    with node.running():
        (node.folder / "keys.json").unlink()
        upgrade.upgrade(node.settings, os_user="test")
        node.blames("wall", "made with another key", "the same file")


@pytest.mark.orthanc
def test_orthanc_has_no_dicomweb(node: Node) -> None:
    with node.running(Plugins=node.archive.configuration()["Plugins"][:1]):
        node.blames("wall", "without DICOMweb", "libOrthancDicomWeb.so")


@pytest.mark.orthanc
def test_the_wall_belongs_to_another_node(node: Node) -> None:
    section = node.archive.configuration()["Photospine"] | {"Node": "another"}
    with node.running(Photospine=section):
        node.blames("wall", "refuses this node's tickets", "'node' must be the same")


@pytest.mark.orthanc
def test_a_backup_was_put_back_while_orthanc_ran(node: Node) -> None:
    file = node.folder / "photospine.sqlite3"
    with node.running():
        assert node.doctor()[0] == 0
        with closing(sqlite3.connect(file)) as connection:
            connection.execute(f"VACUUM INTO '{node.folder}/backup'")
        for each in node.folder.glob("photospine.sqlite3*"):
            each.unlink()
        (node.folder / "backup").rename(file)
        time.sleep(2 * LOOK_SECONDS)
        node.blames("wall", "the database file was moved, removed or replaced", "start them anew")
    with node.running():
        assert node.doctor()[0] == 0


@pytest.mark.orthanc
@pytest.mark.parametrize("damage", [False, True])
def test_a_chain_is_gone_or_damaged(node: Node, damage: bool) -> None:
    chain = node.folder / "audit" / "node1+wall+0.sqlite3"
    with node.running():
        assert node.doctor()[0] == 0
        for each in (node.folder / "audit").glob(f"{chain.name}*"):
            each.unlink()
        if damage:
            chain.write_bytes(b"no database at all " * 100)
        time.sleep(2 * LOOK_SECONDS)
        node.blames("audit", "wall", "put it back from the backup")
    chain.unlink(missing_ok=True)
    chain.with_suffix(".lock").unlink()
    with node.running():
        assert node.doctor()[0] == 0, "somebody knows of the loss, and a new chain begins"


@pytest.mark.orthanc
def test_an_issuer_s_keys_are_missing_or_old(node: Node) -> None:
    issuer = Issuer("https://login.hospital.example", audiences=frozenset({"x"}))
    engine = open_engine(node.settings.database)
    with transaction(engine) as connection:
        policy.save(connection, policy.Policy((issuer,)))
    with node.running():
        node.blames("issuer", "never fetched", "'worker' runs")
        with transaction(engine) as connection:
            issuer_keys.claim(connection, issuer)
            issuer_keys.replace(connection, issuer, TestIssuer().jwks, {})
        assert node.doctor()[0] == 0
        with transaction(engine) as connection:
            connection.execute(update(issuer_state).values(fetched=issuer_state.c.fetched - 90_000_000_000))
        node.blames("issuer", "count no longer", "'worker' runs")
    engine.dispose()


@pytest.mark.orthanc
def test_the_wall_can_prove_no_signature(node: Node) -> None:
    folder = node.folder / "wall"
    folder.mkdir()
    for each in wall_folder.DEFAULT.iterdir():
        (folder / each.name).symlink_to(each)
    (folder / "cryptography.py").write_text("raise ImportError('it is not installed')\n")
    node.archive.wall = folder
    with node.running():
        assert node.doctor()[0] == 0, "nobody comes with a token"
        issuer = TestIssuer()
        engine = open_engine(node.settings.database)
        issuer.register(engine)
        engine.dispose()
        node.blames("wall", "no signature", "python3-cryptography")


@pytest.mark.orthanc
def test_answers_hold_up_each_other(node: Node) -> None:
    """A Python plugin that sends with Python's lock held, and in which no other way of sending was found."""
    folder = node.folder / "wall"
    folder.mkdir()
    for each in wall_folder.DEFAULT.iterdir():
        (folder / each.name).symlink_to(each)
    (folder / "sitecustomize.py").write_text(
        "import os, sys\n"
        "sys.path[:0] = os.environ['PYTHONPATH'].split(':')\n"
        "from orthanc_plugin.wall import unlocked\n"
        "unlocked.find = lambda rest_output: None\n"
    )
    node.archive.wall = folder
    with node.running():
        log = (node.folder / "orthanc").glob("**/*.log")
        if not any("answers hold up each other" in each.read_text("utf-8", "replace") for each in log):
            pytest.skip("this Orthanc's Python plugin lets go of the lock by itself")
        node.blames("sending", "one client that reads slowly", "orthanc-python")


# --- keys, database, folders ------------------------------------------------------------------------------------------


@pytest.mark.orthanc
def test_the_database_is_gone(node: Node) -> None:
    with node.running():
        for file in node.folder.glob("photospine.sqlite3*"):
            file.unlink()
        node.blames("database", "is not there", "put it back from the backup")
        assert not (node.folder / "photospine.sqlite3").exists(), "looking makes none"


@pytest.mark.orthanc
def test_no_empty_database_is_made_where_one_is_missed(node: Node) -> None:
    for file in node.folder.glob("photospine.sqlite3*"):
        file.unlink()
    with node.running():
        with pytest.raises(HTTPError):
            urlopen(Request(f"{node.archive.url}/studies", headers={"Authorization": basic("clinician")}))
        node.blames("database", "is not there", "put it back from the backup")
        assert not list(node.folder.glob("photospine.sqlite3*"))


@pytest.mark.orthanc
def test_the_database_is_of_another_version(node: Node) -> None:
    with node.running():
        with closing(sqlite3.connect(node.folder / "photospine.sqlite3")) as connection, connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
        node.blames("database", "stands at schema 9999", "photospine db upgrade")


@pytest.mark.orthanc
def test_the_database_is_locked(node: Node) -> None:
    with node.running(), closing(sqlite3.connect(node.folder / "photospine.sqlite3")) as holder:
        holder.execute("BEGIN IMMEDIATE")
        node.blames("database", "database is locked", "another process holds it")
        holder.rollback()
        assert node.doctor()[0] == 0


@pytest.mark.orthanc
def test_the_database_is_no_database(node: Node) -> None:
    with node.running():
        for file in node.folder.glob("photospine.sqlite3*"):
            file.unlink()
        (node.folder / "photospine.sqlite3").write_bytes(b"a photo, or nothing at all " * 100)
        node.blames("database", "not a database", "is damaged")


@pytest.mark.orthanc
@pytest.mark.postgres
def test_postgresql_is_locked_closed_to_writers_or_away(tmp_path: Path) -> None:
    with postgres.cluster() as cluster:
        node = Node(tmp_path, cluster.fresh())
        with node.running():
            assert node.doctor()[0] == 0
            engine = create_engine(node.settings.database)
            with engine.begin() as holder:
                holder.execute(text("LOCK TABLE alembic_version IN EXCLUSIVE MODE"))
                node.blames("database", "LockNotAvailable", "pg_stat_activity")
            with engine.begin() as owner:
                owner.execute(text("CREATE ROLE reader LOGIN"))
                owner.execute(text("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader"))
            engine.dispose()
            node.use(engine.url.set(username="reader"))
            node.blames("database", "InsufficientPrivilege", "the user's rights")
            node.use(engine.url.set(port=free_port()))
            node.blames("database", "OperationalError", "see that it runs")


@pytest.mark.orthanc
def test_the_keys_are_gone_or_open(node: Node) -> None:
    with node.running():
        keys = node.folder / "keys.json"
        keys.chmod(0o644)
        status, findings = node.doctor()
        assert status == 1
        assert "others may read it" in findings["keys"]["says"]
        keys.rename(node.folder / "elsewhere")
        status, findings = node.doctor()
        assert status == 1
        assert "put the keys file back from the backup" in findings["keys"]["remedy"]
        assert not findings["wall"]["ok"], "without them nothing proves it"


@pytest.mark.orthanc
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a disk that is full")
@pytest.mark.parametrize("what", ["audit", "spool"])
def test_a_disk_is_full(node: Node, what: str) -> None:
    folder = node.folder / what
    with node.running():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=False)
        if done.returncode:
            pytest.skip("this machine lets nobody mount")
        try:
            with pytest.raises(OSError, match="No space left"):
                (folder / "filling").write_bytes(bytes(1 << 20))
            node.blames(what, "No space left on device", "free some space")
            (folder / "filling").unlink()
            node.blames(what, "0 MB left", "256 MB at least")
        finally:
            subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.fast
def test_a_wrong_setting_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "photospine.toml").write_text("prot = 1\n", encoding="utf-8")
    done = CliRunner().invoke(build(), ["doctor", "--settings", str(tmp_path / "photospine.toml")])
    assert done.exit_code == 2
    assert "prot" in done.output


# --- checkpoints ------------------------------------------------------------------------------------------------------


def _of_checkpoints(node: Node) -> tuple[bool, str]:
    """What is said of them, whether or not Orthanc runs."""
    _, findings = node.doctor()
    found = findings["checkpoints"]
    return found["ok"], f"{found['says']} -> {found['remedy']}"


@pytest.mark.fast
def test_a_checkpoint_key_that_is_gone_or_open_is_named(node: Node) -> None:
    key = node.settings.checkpoint_key
    key.chmod(0o644)
    ok, says = _of_checkpoints(node)
    assert not ok
    assert "others may read it" in says
    key.unlink()
    ok, says = _of_checkpoints(node)
    assert not ok
    assert "db upgrade" in says


@pytest.mark.fast
def test_a_second_place_that_cannot_be_written_is_named(node: Node) -> None:
    node.settings.checkpoint_folder.write_text("no folder")
    ok, says = _of_checkpoints(node)
    assert not ok
    assert "cannot be written" in says


@pytest.mark.fast
def test_records_that_nobody_signs_and_copies_are_named(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _of_checkpoints(node)[0], "it is young yet"
    monkeypatch.setattr(diagnosis, "LATE_SECONDS", -1)
    ok, says = _of_checkpoints(node)
    assert not ok
    assert "has not been signed since its record 1" in says
    assert "photospine worker" in says
    with open_node(node.settings) as opened:
        assert opened.notary.look() == {}
    assert _of_checkpoints(node)[0]
    with open_node(node.settings) as opened, transaction(opened.engine) as connection:
        connection.execute(update(audit_checkpoint).values(copied=False))
    ok, says = _of_checkpoints(node)
    assert not ok
    assert "has not been copied" in says


@pytest.mark.fast
def test_a_chain_that_is_not_what_was_signed_is_named(node: Node) -> None:
    with open_node(node.settings) as opened:
        assert opened.notary.look() == {}
    (chain,) = (node.folder / "audit").glob("*.sqlite3")
    with closing(sqlite3.connect(chain)) as connection:
        connection.execute("DELETE FROM record WHERE sequence = (SELECT max(sequence) FROM record)")
        connection.commit()
    ok, says = _of_checkpoints(node)
    assert not ok
    assert "is not what was signed" in says
