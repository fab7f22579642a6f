"""A file that a command makes is there whole, or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from orthanc_plugin.assembly.commands._common import new_file
from orthanc_plugin.assembly.errors import AssemblyError

pytestmark = pytest.mark.fast


def _half_filled(path: Path, fault: BaseException) -> None:
    with new_file(path) as file:
        file.write(b"half")
        raise fault


def test_what_fails_while_it_is_filled_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "report.zip"
    with pytest.raises(AssemblyError, match="cannot be written: No space left"):
        _half_filled(path, OSError(errno.ENOSPC, "No space left on device"))
    assert not path.exists()
    with pytest.raises(KeyboardInterrupt):
        _half_filled(path, KeyboardInterrupt())
    assert not path.exists()


def test_a_file_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "report.zip"
    with new_file(path) as file:
        file.write(b"first")
    with pytest.raises(AssemblyError, match="cannot be written: File exists"), new_file(path):
        pytest.fail("it is opened")
    assert path.read_bytes() == b"first"


def _closed_under_it(path: Path) -> None:
    with new_file(path) as file:
        file.write(b"half")  # still in memory
        os.close(file.fileno())  # so that closing cannot write it


def test_what_cannot_be_written_out_at_the_end_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "report.zip"
    with pytest.raises(AssemblyError, match="cannot be written"):
        _closed_under_it(path)
    assert not path.exists()
