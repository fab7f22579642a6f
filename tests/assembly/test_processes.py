"""Pid files name the process that was started, or nobody."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

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


def test_a_signal_while_one_is_started_leaves_none_that_nobody_can_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Told(BaseException):
        pass

    def told(number: int, frame: FrameType | None) -> None:
        raise Told

    def spawn(*words: Any, **more: Any) -> int:
        pid = real(*words, **more)
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)  # test runners have threads that would take it
        return pid

    real = os.posix_spawnp
    monkeypatch.setattr(os, "posix_spawnp", spawn)
    before = signal.signal(signal.SIGTERM, told)
    try:
        with pytest.raises(Told):
            processes.start("sleeper", _SLEEPER, tmp_path)
    finally:
        signal.signal(signal.SIGTERM, before)
    pid = processes.pid_of("sleeper", tmp_path)
    assert pid is not None
    assert processes.stop("sleeper", tmp_path), "it hears signals, though it was started while they waited here"
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGTERM


def test_a_pid_that_belongs_to_another_program_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "sleeper.pid").write_text(f"{os.getpid()} 1\n")
    assert processes.pid_of("sleeper", tmp_path) is None
    assert not processes.stop("sleeper", tmp_path)


def test_a_broken_pid_file_names_nobody(tmp_path: Path) -> None:
    (tmp_path / "sleeper.pid").write_text("soon\n")
    assert processes.pid_of("sleeper", tmp_path) is None
