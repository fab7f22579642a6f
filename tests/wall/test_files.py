"""Stored objects are taken from Orthanc's folder only where they are what Orthanc says; else from Orthanc."""

from __future__ import annotations

import json
import mmap
from pathlib import Path
from typing import Any

import pytest

from orthanc_plugin.wall.files import Files

pytestmark = pytest.mark.fast

UUID = "aba87350-44fb-4345-997a-39580dd4817a"
CONTENTS = bytes(128) + b"DICM" + b"a photo" * 300_000


class _Host:
    """An Orthanc with one object."""

    def __init__(self, size: int = len(CONTENTS), uuid: str = UUID) -> None:
        self.asked: list[str] = []
        self._says = {"FileUuid": uuid, "FileSize": size}

    def get(self, path: str) -> bytes:
        self.asked.append(path)
        return json.dumps(self._says).encode()

    def dicom(self, orthanc_id: str) -> bytes:
        self.asked.append(orthanc_id)
        return b"from Orthanc"


def _files(folder: Path | str, host: Any, **more: object) -> Files:
    return Files(host, {"StorageDirectory": str(folder), **more})


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    place = tmp_path / UUID[:2] / UUID[2:4]
    place.mkdir(parents=True)
    (place / UUID).write_bytes(CONTENTS)
    return tmp_path


def test_a_file_is_read_and_mapped_and_its_memory_used_again(storage: Path) -> None:
    host = _Host()
    files = _files(storage, host)
    first = files.read("x")
    assert isinstance(first, memoryview)
    assert first == CONTENTS
    buffer = first.obj
    files.give(first)
    again = files.read("x")
    assert isinstance(again, memoryview)
    assert again.obj is buffer
    assert again == CONTENTS
    for mapped in (files.mapped("x"), files.ready("x")):
        assert isinstance(mapped, mmap.mmap)
        assert mapped[:] == CONTENTS
        files.give(mapped)
        assert mapped.closed
    assert files.ready("another") is None
    assert host.asked == ["/instances/x"]  # where it is is asked once


@pytest.mark.parametrize(
    "host",
    [
        _Host(size=len(CONTENTS) - 1),
        _Host(size=len(CONTENTS) + 1),
        _Host(uuid="../../etc/passwd"),
        _Host(uuid=UUID[::-1]),
    ],
    ids=["compressed", "longer", "no name", "elsewhere"],
)
def test_what_is_not_as_orthanc_says_comes_from_orthanc(storage: Path, host: _Host) -> None:
    files = _files(storage, host)
    assert files.read("x") == b"from Orthanc"
    assert files.mapped("x") == b"from Orthanc"


def test_what_is_no_dicom_file_comes_from_orthanc_however_long_it_is(storage: Path) -> None:
    (storage / UUID[:2] / UUID[2:4] / UUID).write_bytes(CONTENTS[::-1])  # as what was compressed may be by chance
    files = _files(storage, _Host())
    assert files.read("x") == b"from Orthanc"
    assert files.mapped("x") == b"from Orthanc"
    assert files.ready("x") is None


def test_without_a_folder_everything_comes_from_orthanc(storage: Path) -> None:
    for folder in ("storage", ""):
        host = _Host()
        assert _files(folder, host).mapped("x") == b"from Orthanc"
        assert host.asked == ["x"]


def test_what_orthanc_encrypts_itself_is_not_mapped(storage: Path) -> None:
    files = _files(storage, _Host(), SslEnabled=True)
    assert isinstance(files.mapped("x"), memoryview)


def test_an_object_stored_anew_is_looked_for_anew(storage: Path) -> None:
    host = _Host()
    files = _files(storage, host)
    files.give(files.read("x"))
    (storage / UUID[:2] / UUID[2:4] / UUID).unlink()
    assert files.read("x") == b"from Orthanc"
    assert host.asked == ["/instances/x", "/instances/x", "x"]
