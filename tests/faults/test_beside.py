"""What stands around the wall: how Orthanc was started, plugins beside it, keys, folders, and processes that die."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from consent.identity import keys
from consent.identity.tickets import TicketKeys, TicketMint
from consent.store.home import LOOK_SECONDS
from orthanc_plugin.assembly.archive_process import ArchiveProcess, WallDown
from tests.archive import Archive, basic
from tests.faults.world import World
from tests.ports import free_port

pytestmark = [pytest.mark.orthanc]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("faults")) as made:
        yield made


# --- how Orthanc was started ------------------------------------------------------------------------------------------


def _without_python(configuration: dict[str, Any], _folder: Path) -> None:
    configuration["Plugins"] = configuration["Plugins"][1:]


def _wrong_path(configuration: dict[str, Any], _folder: Path) -> None:
    """Orthanc 1.10 starts all the same, and is open to all; later ones refuse to start."""
    configuration["Plugins"][0] += ".gone"


def _no_script(configuration: dict[str, Any], folder: Path) -> None:
    configuration["PythonScript"] = str(folder / "gone.py")


def _script_that_raises(configuration: dict[str, Any], folder: Path) -> None:
    script = folder / "raises.py"
    script.write_text("raise RuntimeError('not today')\n", encoding="utf-8")
    configuration["PythonScript"] = str(script)


def _script_of_somebody_else(configuration: dict[str, Any], folder: Path) -> None:
    script = folder / "other.py"
    script.write_text("import orthanc\n", encoding="utf-8")
    configuration["PythonScript"] = str(script)


def _dicom_server(configuration: dict[str, Any], _folder: Path) -> None:
    configuration |= {"DicomServerEnabled": True, "DicomPort": free_port()}


def _no_section(configuration: dict[str, Any], _folder: Path) -> None:
    del configuration["Photospine"]


STARTS = (
    (_without_python, "wall|did not"),
    (_wrong_path, "wall|did not"),
    (_no_script, "did not start"),
    (_script_that_raises, "not today|did not start"),
    (_script_of_somebody_else, "is not in charge"),
    (_dicom_server, "DicomServerEnabled"),
    (_no_section, "no section Photospine"),
)


@pytest.mark.parametrize(("change", "says"), STARTS, ids=lambda each: getattr(each, "__name__", "").strip("_"))
def test_an_address_is_told_of_a_wall_alone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[dict[str, Any], Path], None],
    says: str,
) -> None:
    """The launcher ends what it has started, and says why."""
    archive = Archive(tmp_path, free_port())
    whole = ArchiveProcess.configuration

    def changed(self: ArchiveProcess) -> dict[str, Any]:
        made = whole(self)
        change(made, tmp_path)
        return made

    monkeypatch.setattr(ArchiveProcess, "configuration", changed)
    with pytest.raises(WallDown, match=says):
        archive.process.start()
    assert not archive.process.running
    assert not (tmp_path / "orthanc" / "address").exists()
    with pytest.raises(OSError, match="refused"), socket.create_connection(("127.0.0.1", archive.port), timeout=2):
        pass
    archive.engine.dispose()


def _beside(world: World, **changes: Any) -> None:
    """Orthanc anew, with another configuration than the launcher's."""
    world.archive.process.stop(5)
    whole = ArchiveProcess.configuration
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ArchiveProcess, "configuration", lambda self: whole(self) | changes)
        world.archive.process.start()


def _folder_plugin(world: World) -> Path:
    """Orthanc's own plugin that serves a folder."""
    beside = Path(world.archive.process.configuration()["Plugins"][0]).parent
    return next(beside.glob("libServeFolders.so*"))


def test_a_plugin_that_adds_routes_adds_none_and_is_named(world: World) -> None:
    plugins = world.archive.process.configuration()["Plugins"]
    told = {"/beside": str(world.folder / "orthanc" / "storage")}
    _beside(world, Plugins=[*plugins, str(_folder_plugin(world))], ServeFolders=told)
    try:
        for path in ("/beside", "/beside/", "/beside/index", "/beside/index.html", "/serve-folders"):
            for account in ("clinician", None):
                answer = world.archive.ask(path, account)
                assert (answer.status, answer.body) == (403, b""), path
        world.permits()
        world.blames("plugins", "does not know: serve-folders", "take them out of 'Plugins'")
    finally:
        _beside(world)
    world.is_well()


def test_dicomweb_under_another_root_is_refused_and_named(world: World) -> None:
    """Then nothing answers where the wall lets somebody in, and nobody is let in where something answers."""
    web = world.archive.process.configuration()["DicomWeb"]
    _beside(world, DicomWeb=web | {"Root": "/elsewhere/", "EnableWado": True, "WadoRoot": "/other"})
    try:
        photo = world.photo
        for path in (
            photo.wado.replace("/dicom-web/", "/elsewhere/"),
            "/elsewhere/studies",
            f"/other?requestType=WADO&objectUID={photo.sop}",
        ):
            answer = world.archive.ask(path, "clinician")
            assert (answer.status, answer.body) == (403, b""), path
        assert world.archive.ask(photo.wado, "clinician").status == 404
        world.blames("wall", "without DICOMweb", "with 'Root' /dicom-web/")
    finally:
        _beside(world)
    world.is_well()


# --- keys -------------------------------------------------------------------------------------------------------------


@contextmanager
def _keys(world: World, change: Callable[[Path], None]) -> Iterator[None]:
    file = world.settings.keys
    kept = file.with_name("kept")
    shutil.copy2(file, kept)
    change(file)
    try:
        yield
    finally:
        kept.replace(file)


def _open_to_others(file: Path) -> None:
    file.chmod(0o644)


def _of_another_node(file: Path) -> None:
    file.unlink()
    keys.make(file)


def _not_keys(file: Path) -> None:
    file.write_text("{}", encoding="utf-8")


def _gone(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_open_to_others, "others may read it"),
        pytest.param(_not_keys, "not a keys file", marks=pytest.mark.full),
        pytest.param(_gone, "No such file", marks=pytest.mark.full),
    ],
)
def test_no_process_starts_with_keys_that_are_none(world: World, change: Callable[[Path], None], says: str) -> None:
    world.stop()
    with _keys(world, change):
        with pytest.raises(WallDown, match=r"keys\.json"):
            world.archive.process.start()
        with pytest.raises(RuntimeError, match=r"keys\.json"):
            world.start_serve()
        world.refuses()
        world.blames("keys", says, "put the keys file back from the backup")
    world.start()
    world.recovers()
    world.is_well()


def test_tickets_made_with_another_node_s_keys_open_nothing(world: World) -> None:
    with _keys(world, _of_another_node):
        world.blames("wall", "made with another key", "must name the same file")
        strange = TicketMint(TicketKeys(keys.load(world.settings.keys).tickets), world.settings.node)
        path = f"{world.photo.rest}/file"
        ticket = strange.mint_pass("GET", path, sop_uid=world.photo.sop)
        assert world.archive.ask(path, headers={"Authorization": ticket}).status == 403
    world.is_well()


# --- the audit's folder -----------------------------------------------------------------------------------------------


def test_nothing_is_shown_while_the_audit_s_folder_has_another_name(world: World) -> None:
    folder = world.settings.audit_folder
    folder.rename(folder.with_name("elsewhere"))
    time.sleep(2 * LOOK_SECONDS)
    try:
        world.refuses()
        world.blames("wall", "is gone", "see to the chains in the folder")
    finally:
        folder.with_name("elsewhere").rename(folder)
    world.recovers()
    world.is_well()


@pytest.mark.full
def test_nothing_is_shown_once_the_audit_s_folder_was_removed(world: World) -> None:
    """What was recorded is lost; whoever knows that starts the node anew, and new chains begin."""
    shutil.rmtree(world.settings.audit_folder)
    time.sleep(2 * LOOK_SECONDS)
    world.refuses()
    world.restart()
    world.recovers()
    world.is_well()


# --- tickets ----------------------------------------------------------------------------------------------------------


def test_a_ticket_opens_one_request_once_and_now(world: World) -> None:
    """What was used, altered, made too early or too late, or before the wall's own start, is refused alike."""
    path = f"{world.photo.rest}/file"

    def mint(seconds: float = 0.0) -> TicketMint:
        tickets = TicketKeys(keys.load(world.settings.keys).tickets)
        return TicketMint(tickets, world.settings.node, clock=lambda: int((time.time() + seconds) * 1_000_000))

    def asked(ticket: str, of: str = path) -> int:
        answer = world.archive.ask(of, headers={"Authorization": ticket})
        assert answer.status == 200 or answer.body == b""
        return answer.status

    good = mint().mint_pass("GET", path, sop_uid=world.photo.sop)
    kept = mint().mint_pass("GET", path, sop_uid=world.photo.sop)
    assert (asked(good), asked(good)) == (200, 403)
    assert asked(mint().mint_pass("GET", path, sop_uid=world.photo.sop), f"{world.photo.rest}/tags") == 403
    assert asked(mint(-20).mint_pass("GET", path, sop_uid=world.photo.sop)) == 403
    assert asked(mint(3600).mint_pass("GET", path, sop_uid=world.photo.sop)) == 403
    fresh = mint().mint_pass("GET", path, sop_uid=world.photo.sop)
    assert asked(fresh[:-6] + ("AAAAAA" if not fresh.endswith("AAAAAA") else "BBBBBB")) == 403
    world.archive.process.stop(5)
    world.archive.process.start()
    assert asked(kept) == 403, "nobody knows whether it was used before the start"


# --- processes that die -----------------------------------------------------------------------------------------------


def test_orthanc_dies_in_the_middle_of_an_answer(world: World) -> None:
    with contextlib.closing(socket.create_connection(("127.0.0.1", world.port), timeout=20)) as wire:
        lines = (f"GET /dicom-web/studies/{world.photo.study} HTTP/1.1", "Host: x")
        wire.sendall("\r\n".join((*lines, f"Authorization: {basic('clinician')}", "", "")).encode())
        wire.recv(10)
        world.kill("orthanc")
        world.refuses(world.wall_doors())
        world.blames("wall", "nobody answers", "start Orthanc")
    world.archive.process.start()
    world.recovers()
    world.is_well()


@pytest.mark.full
def test_orthanc_stands_still(world: World) -> None:
    world.kill("orthanc", signal.SIGSTOP)
    try:
        world.refuses([world._serve(f"/dicom-web/studies/{world.photo.study}")])
        world.blames("wall", "nobody answers", "start Orthanc")
    finally:
        world.kill("orthanc", signal.SIGCONT)
    world.recovers()


def test_serve_dies_and_the_wall_stands(world: World) -> None:
    world.kill("serve")
    world.refuses([world._serve(path) for path in world._serve_paths()])
    assert all(shown.status == 200 for shown in world.wall_doors())
    world.start_serve()
    world.recovers()


# --- disks ------------------------------------------------------------------------------------------------------------


@contextmanager
def _mounted(folder: Path, size: str) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=False)
    if done.returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _remount(folder: Path, how: str) -> None:
    """Read-only only once nobody has a file open there for writing: who was stopped may take a moment."""
    until = time.monotonic() + 20
    while subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=False).returncode:
        assert time.monotonic() < until, "the folder stays busy"
        time.sleep(0.2)


def _fill(folder: Path) -> Path:
    filling = folder / "filling"
    with filling.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filling


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a disk that is full")
def test_nothing_is_shown_while_the_audit_s_disk_is_full(tmp_path: Path) -> None:
    audit = tmp_path / "audit"
    with _mounted(audit, "4m"), World(tmp_path / "node", audit=audit) as world:
        world.recovers()
        filling = _fill(audit)
        for _ in range(40):  # what a file has left of its last page takes some records still
            with contextlib.suppress(AssertionError):
                world.refuses()
                break
        world.refuses()
        world.blames("audit", "No space left on device", "free some space there")
        filling.unlink()
        world.recovers()


@pytest.mark.full
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a folder that nobody can write")
def test_nothing_is_shown_while_the_audit_s_folder_is_read_only(tmp_path: Path) -> None:
    audit = tmp_path / "audit"
    with _mounted(audit, "8m"), World(tmp_path / "node", audit=audit) as world:
        world.stop()
        _remount(audit, "ro")
        world.archive.process.start()
        with pytest.raises(RuntimeError, match="Read-only file system"):
            world.start_serve()
        world.refuses()
        world.blames("audit", "Read-only file system", "see to its owner and mode")
        _remount(audit, "rw")
        world.start_serve()
        world.recovers()


@pytest.mark.full
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a disk that is full")
def test_what_the_database_s_disk_has_no_room_for_is_not_acknowledged(tmp_path: Path) -> None:
    """Photos are shown still: facts and records are whole. But nobody is told that a withdrawal counts."""
    disk = tmp_path / "disk"
    with _mounted(disk, "8m"), World(tmp_path / "node", database=f"sqlite:///{disk}/photospine.sqlite3") as world:
        world.permits()  # who signs in is counted, so nobody can begin to while there is no room
        filling = _fill(disk)
        answer = world.withdraw()
        assert answer.status_code == 503, answer.text
        world.blames("database folder", "No space left on device", "free some space there")
        world.permits()
        filling.unlink()
        assert world.withdraw().is_success
        world.refuses(decided=True)


@pytest.mark.full
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a disk that is full")
def test_orthanc_has_no_room_for_photos(tmp_path: Path) -> None:
    storage = tmp_path / "node" / "orthanc" / "storage"
    with _mounted(storage, "16m"), World(tmp_path / "node") as world:
        filling = _fill(storage)
        other = world.archive.describe("anna", 99, visit="9")
        stored = json.loads(world.archive.store(other.dicom).body or b"{}")
        assert "Value" not in stored.get("00081199", {}), "nothing is said to be stored (Referenced SOP Sequence)"
        world.blames("storage", "0 MB left: no photo comes in", "free some space there")
        world.permits()
        filling.unlink()
        assert world.archive.store(other.dicom).status == 200
