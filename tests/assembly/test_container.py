"""One node as one process tree: what it refuses to start with, and how it ends. The image itself: tests/image."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from orthanc_plugin.assembly import archive_process, beside, container, processes, upgrade
from orthanc_plugin.assembly.errors import AssemblyError, SettingsError
from orthanc_plugin.assembly.settings import Settings, load
from tests.ports import free_port

_MORE = ("SIGINT", "serve", "worker", "gateway")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A node's, of which nothing exists yet: no file is named, as in the container."""
    monkeypatch.chdir(tmp_path)
    return load(None, {})


@pytest.mark.fast
def test_a_variable_that_is_no_setting_is_refused() -> None:
    container.only_known({"PHOTOSPINE_PUBLIC_URL": "https://x", "PHOTOSPINE_ACCOUNT": "jane", "PATH": "/bin"})
    with pytest.raises(SettingsError, match=r"PHOTOSPINE_PUBLICURL is no setting; known are .*PHOTOSPINE_PUBLIC_URL"):
        container.only_known({"PHOTOSPINE_PUBLICURL": "https://x"})


@pytest.mark.fast
@pytest.mark.parametrize(
    "orthanc",
    ["http://0.0.0.0:8042", "http://10.0.0.1:8042", "http://orthanc:8042", "https://127.0.0.1:8042", "http://127.0.0.1",
     "http://127.0.0.1:99999"],
)  # fmt: skip
def test_orthanc_stays_inside(tmp_path: Path, orthanc: str) -> None:
    with pytest.raises(SettingsError, match="'orthanc' must be"):
        container.own_port(Settings(folder=tmp_path, orthanc=orthanc))
    assert container.own_port(Settings(folder=tmp_path, orthanc="http://127.0.0.1:8043")) == 8043


@pytest.mark.fast
def test_a_folder_is_for_one_node(tmp_path: Path) -> None:
    with (
        container.alone(tmp_path),
        pytest.raises(AssemblyError, match="another node runs in"),
        container.alone(tmp_path),
    ):
        pytest.fail("two nodes in one folder")
    with container.alone(tmp_path):
        pass


@pytest.mark.fast
def test_a_new_node_is_made_and_an_old_one_goes_on(settings: Settings) -> None:
    container.bring_up(settings)
    keys = settings.keys.read_bytes()
    container.bring_up(settings)
    assert upgrade.status(settings).fits
    assert settings.keys.read_bytes() == keys


@pytest.mark.fast
def test_a_database_without_its_keys_is_refused(settings: Settings) -> None:
    container.bring_up(settings)
    settings.keys.unlink()
    with pytest.raises(AssemblyError, match="put them back from the backup"):
        container.bring_up(settings)
    assert not settings.keys.exists(), "no new ones were made"


@pytest.mark.fast
def test_a_database_of_another_version_is_left_alone(settings: Settings) -> None:
    container.bring_up(settings)
    file = settings.folder / "photospine.sqlite3"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
    with pytest.raises(AssemblyError, match=r"schema 0000.*'photospine db upgrade' once"):
        container.bring_up(settings)


@pytest.mark.orthanc
@pytest.mark.parametrize("end", ["SIGTERM", "orthanc", *(pytest.param(end, marks=pytest.mark.full) for end in _MORE)])
def test_it_ends_as_a_whole(tmp_path: Path, end: str) -> None:
    with _node(tmp_path) as node:
        pids = {name: _pid(tmp_path, name) for name in ("orthanc", *beside.NAMES)}
        if end.startswith("SIG"):
            node.send_signal(signal.Signals[end])
            assert node.wait(10) == 0
        else:
            os.kill(pids[end], signal.SIGKILL)
            assert node.wait(12) == 1
            assert f"{end} has ended (killed by SIGKILL)" in _said(tmp_path)
        assert [name for name, pid in pids.items() if _lives(pid)] == []


@pytest.mark.orthanc
def test_a_signal_before_it_is_ready_ends_it_too(tmp_path: Path) -> None:
    with _node(tmp_path, ready="routes, everything else is refused") as node:
        node.terminate()
        assert node.wait(10) == 0
        assert processes.pid_of(archive_process.NAME, tmp_path / "orthanc") is None


@contextmanager
def _node(folder: Path, ready: str = "ready at") -> Iterator[subprocess.Popen[bytes]]:
    """The image's command as a plain process, from the moment at which it has said a word."""
    given = {
        "PHOTOSPINE_ORTHANC": f"http://127.0.0.1:{free_port()}",
        "PHOTOSPINE_PORT": str(free_port()),
        "PHOTOSPINE_DIMSE_PORT": str(free_port()),
        "PHOTOSPINE_NODE": "inside",
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PHOTOSPINE_")}
    with (folder / "said").open("wb") as output:
        node = subprocess.Popen(
            [sys.executable, "-m", "orthanc_plugin.assembly.container"],
            cwd=folder,
            env=kept | given,
            stdout=output,
            stderr=output,
        )
    try:
        until = time.monotonic() + 60
        while ready not in _said(folder):
            assert node.poll() is None, _said(folder)
            assert time.monotonic() < until, _said(folder)
            time.sleep(0.05)
        yield node
    finally:
        if node.poll() is None:
            node.terminate()
        node.wait(20)


def _said(folder: Path) -> str:
    return (folder / "said").read_text("utf-8")


def _pid(folder: Path, name: str) -> int:
    pid = processes.pid_of(name, folder / "orthanc" if name == archive_process.NAME else folder)
    assert pid is not None
    return pid


def _lives(pid: int) -> bool:
    """Whether it runs; one that has ended and waits to be buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
