"""Processes that outlive the command which started them: pid files that cannot name a stranger.

A pid file holds the pid and the kernel's start time of the process, so that a pid that was given to another program in
the meantime is never signalled.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PATIENCE = 10.0
"""Seconds that a process has to end by itself."""


def start(
    name: str,
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str] | None = None,
    *,
    own_log: bool = True,
) -> int:
    """Start a process that goes on when its starter ends.

    Parameters
    ----------
    own_log
        What it prints goes to ``folder/name.log``; else to where its starter prints.

    Returns
    -------
    int
        Its pid. One that runs already is left as it is.
    """
    running = pid_of(name, folder)
    if running is not None:
        return running
    folder.mkdir(parents=True, exist_ok=True)
    actions: list[tuple[Any, ...]] = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
    if own_log:
        log = str(folder / f"{name}.log")
        actions.append((os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
        actions.append((os.POSIX_SPAWN_DUP2, 1, 2))
    # A signal between the start and the pid file would leave a process that nobody can name: it waits until then.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    try:
        # Spawned, not kept as a Popen: nobody here waits for it, and it must outlive this process.
        pid = os.posix_spawnp(
            command[0],
            list(command),
            dict(os.environ if environment is None else environment),
            file_actions=actions,
            setsid=True,
            setsigmask=before,
        )
        remember(name, folder, pid)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
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


def stop(name: str, folder: Path, patience: float = PATIENCE) -> bool:
    """End the process: ask first, then insist. False where none ran."""
    return bool(stop_all((name,), folder, patience))


def stop_all(names: Sequence[str], folder: Path, patience: float = PATIENCE) -> tuple[str, ...]:
    """End several at once, each asked first; those that still run after ``patience`` seconds are killed.

    Returns
    -------
    tuple of str
        Those that ran.
    """
    ran = tuple(name for name in names if _tell(name, folder, signal.SIGTERM))
    until = time.monotonic() + patience
    while any(pid_of(name, folder) is not None for name in ran):
        if time.monotonic() > until:
            for name in ran:
                _tell(name, folder, signal.SIGKILL)
        time.sleep(0.05)
    for name in names:
        (folder / f"{name}.pid").unlink(missing_ok=True)
    return ran


def _tell(name: str, folder: Path, number: signal.Signals) -> bool:
    """Send a signal; False where the process does not run."""
    pid = pid_of(name, folder)
    if pid is None:
        return False
    with contextlib.suppress(ProcessLookupError):  # it ended between the look and the signal
        os.kill(pid, number)
    return True


def _started(pid: int) -> str:
    """The start time of a process in clock ticks since boot, empty where there is none or it is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace")
    except OSError:
        return ""
    state, *rest = stat.rpartition(")")[2].split()
    return "" if state == "Z" else rest[18]
