"""What Orthanc's configuration must say before the wall lets it start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orthanc_plugin.assembly.archive_process import ArchiveProcess, WallDown
from orthanc_plugin.wall.errors import ConfigurationError
from orthanc_plugin.wall.section import Section
from tests.archive import Archive
from tests.ports import free_port

SOUND = {
    "DicomServerEnabled": False,
    "WebDavEnabled": False,
    "Python": {"AllowThreads": True},
    "Photospine": {"Database": "sqlite:///x", "AuditFolder": "/a", "Keys": "/k", "Node": "n"},
}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"DicomServerEnabled": True}, '"DicomServerEnabled": false'),
    ({"DicomServerEnabled": None}, '"DicomServerEnabled": false'),  # Orthanc opens its port where nothing is said
    ({"WebDavEnabled": True}, '"WebDavEnabled": false'),
    ({"WebDavEnabled": None}, '"WebDavEnabled": false'),
    ({"ExecuteLuaEnabled": True}, '"ExecuteLuaEnabled": false'),
    ({"RestApiWriteToFileSystemEnabled": True}, '"RestApiWriteToFileSystemEnabled": false'),
    ({"OverwriteInstances": True}, '"OverwriteInstances": false'),
    ({"MultitenantDicom": {"Servers": [{"AET": "X", "Port": 4243}]}}, '"Servers": []'),
    ({"LuaScripts": ["x.lua"]}, '"LuaScripts": []'),
    ({"Python": {}}, '"AllowThreads": true'),
    ({"Photospine": None}, "no section Photospine"),
    ({"Photospine": {"Database": "sqlite:///x"}}, "no AuditFolder"),
]


def _configured(change: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (SOUND | change).items() if value is not None}


@pytest.mark.fast
def test_a_sound_configuration_is_read() -> None:
    assert Section.read(SOUND) == Section("sqlite:///x", Path("/a"), Path("/k"), "n")


@pytest.mark.fast
@pytest.mark.parametrize(("change", "said"), WRONG, ids=lambda value: str(value)[:48])
def test_what_would_open_another_door_is_refused_by_name(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Section.read(_configured(change))
    assert said in str(refused.value)


@pytest.mark.orthanc
def test_orthanc_does_not_start_with_a_dicom_port_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Archive(tmp_path, free_port())
    whole, port = ArchiveProcess.configuration, free_port()
    opened = {"DicomServerEnabled": True, "DicomPort": port, "DicomCheckCalledAet": True}
    monkeypatch.setattr(ArchiveProcess, "configuration", lambda self: whole(self) | opened)
    with pytest.raises(WallDown, match="DicomServerEnabled"):
        other.process.start()
    assert not other.process.running
