"""Pid files name the process that was started, or nobody."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from orthanc_plugin.assembly import processes

pytestmark = pytest.mark.fast

_SLEEPER = [sys.executable, "-c", "import time; print('awake', flush=True); time.sleep(60)"]


def test_a_started_process_is_found_and_ended(tmp_path: Path) -> None:
    pid = processes.start("sleeper", _SLEEPER, tmp_path)
    assert processes.pid_of("sleeper", tmp_path) == pid
    assert processes.start("sleeper", _SLEEPER, tmp_path) == pid, "a second start leaves the first alone"
    assert processes.stop("sleeper", tmp_path)
    os.waitpid(pid, 0)
    assert processes.pid_of("sleeper", tmp_path) is None
    assert not processes.stop("sleeper", tmp_path)


def test_a_pid_that_belongs_to_another_program_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "sleeper.pid").write_text(f"{os.getpid()} 1\n")
    assert processes.pid_of("sleeper", tmp_path) is None
    assert not processes.stop("sleeper", tmp_path)


def test_a_broken_pid_file_names_nobody(tmp_path: Path) -> None:
    (tmp_path / "sleeper.pid").write_text("soon\n")
    assert processes.pid_of("sleeper", tmp_path) is None
