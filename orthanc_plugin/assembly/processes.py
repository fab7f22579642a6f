"""Processes that outlive the command which started them: pid files that cannot name a stranger.

A pid file holds the pid and the kernel's start time of the process, so that a pid that was given to another program in
the meantime is never signalled.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_PATIENCE = 10.0
"""Seconds that a process has to end by itself."""


def start(name: str, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> int:
    """Start a process that goes on when its starter ends; what it prints goes to ``folder/name.log``.

    Returns
    -------
    int
        Its pid. One that runs already is left as it is.
    """
    running = pid_of(name, folder)
    if running is not None:
        return running
    folder.mkdir(parents=True, exist_ok=True)
    log = str(folder / f"{name}.log")
    # Spawned, not kept as a Popen: nobody here waits for it, and it must outlive this process.
    pid = os.posix_spawnp(
        command[0],
        list(command),
        dict(os.environ if environment is None else environment),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    remember(name, folder, pid)
    return pid


def remember(name: str, folder: Path, pid: int) -> None:
    """Write the pid file of a process that was started elsewhere."""
    (folder / f"{name}.pid").write_text(f"{pid} {_started(pid)}\n", encoding="ascii")


def pid_of(name: str, folder: Path) -> int | None:
    """The pid of the process, if it still runs and is the one that was started."""
    try:
        pid, started = (folder / f"{name}.pid").read_text("ascii").split()
    except (FileNotFoundError, ValueError):
        return None
    return int(pid) if _started(int(pid)) == started else None


def stop(name: str, folder: Path) -> bool:
    """End the process: ask first, then insist. False where none ran."""
    pid = pid_of(name, folder)
    if pid is None:
        (folder / f"{name}.pid").unlink(missing_ok=True)
        return False
    os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + _PATIENCE
    while pid_of(name, folder) is not None:
        if time.monotonic() > until:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    (folder / f"{name}.pid").unlink(missing_ok=True)
    return True


def _started(pid: int) -> str:
    """The start time of a process in clock ticks since boot, empty where there is none or it is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace")
    except OSError:
        return ""
    state, *rest = stat.rpartition(")")[2].split()
    return "" if state == "Z" else rest[18]
