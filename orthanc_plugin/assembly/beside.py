"""The processes that stand beside Orthanc on a node: how they are started, and when they are ready."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.request import HTTPSHandler, ProxyHandler, build_opener

from orthanc_plugin.assembly import processes, tls
from orthanc_plugin.assembly.errors import AssemblyError
from orthanc_plugin.assembly.knocking import Heard, knock
from orthanc_plugin.assembly.settings import Settings

NAMES = ("worker", "serve", "gateway")
_PATIENCE = 60.0
"""Seconds that they have to answer."""


def start(
    settings: Settings, folder: Path, environment: Mapping[str, str] | None = None, *, own_logs: bool = True
) -> None:
    """Start them, or find them started, and wait until ``serve`` and ``gateway`` answer.

    Parameters
    ----------
    folder
        For pid files, and for logs.
    environment
        Theirs; None: this process's own. It has to name the settings.
    own_logs
        Each writes to a log of its own; else to where this process writes.

    Raises
    ------
    AssemblyError
        One of them did not start.
    """
    program = shutil.which("photospine", path=str(Path(sys.executable).parent)) or "photospine"
    given = dict(os.environ if environment is None else environment)
    for name in NAMES:
        processes.start(name, [program, name], folder, given, own_log=own_logs)
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "") else settings.host  # noqa: S104  # compared, not listened on
    pair = tls.files(settings)
    scheme, secure = ("http", []) if pair is None else ("https", [HTTPSHandler(context=tls.trusting(pair[0]))])
    opener = build_opener(ProxyHandler({}), *secure)  # no proxy stands between the processes of a node

    def serves() -> bool:
        try:
            with opener.open(f"{scheme}://{host}:{settings.port}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    until = time.monotonic() + _PATIENCE
    for name, answers in (("serve", serves), ("gateway", lambda: knock(settings) is Heard.REFUSED)):
        while not answers():
            if processes.pid_of(name, folder) is None or time.monotonic() > until:
                said = f"; see {folder / f'{name}.log'}" if own_logs else ", for the reason above"
                raise AssemblyError(f"{name} did not start{said}")
            time.sleep(0.1)


def stop(folder: Path, patience: float = processes.PATIENCE) -> None:
    """End what :func:`start` started, all at once."""
    processes.stop_all(NAMES, folder, patience)
