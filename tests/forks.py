"""Processes of their own that cost no start: forks of one that has read all modules already, each of which may die."""

from __future__ import annotations

import atexit
import importlib
import json
import os
import signal
import subprocess
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path

LONGEST = 60
"""Seconds that such a process may take."""

_ROOT = Path(__file__).resolve().parents[1]
_MODULES = ("tests.pipeline.victim", "tests.links.victim")


def run(module: str, *words: str) -> int:
    """Run ``main(*words)`` of a module in a process of its own; its exit status, -9 where it was killed."""
    return _first().run(module, words)


@dataclass(slots=True)
class _Server:
    process: subprocess.Popen[str]

    def run(self, module: str, words: tuple[str, ...]) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([module, *words]) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(LONGEST)
        self.process.stdout.close()


_servers: list[_Server] = []


def _first() -> _Server:
    if not _servers:
        environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
        command = [sys.executable, "-m", "tests.forks"]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT, env=environment
        )
        _servers.append(_Server(process))
        atexit.register(_servers[0].close)
    return _servers[0]


def _serve() -> None:
    for module in _MODULES:
        importlib.import_module(module)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a process prints is no answer
    for line in sys.stdin:
        module, *words = json.loads(line)
        child = os.fork()
        if child == 0:
            _be(module, words)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


def _be(module: str, words: list[str]) -> None:
    """What the child does, and its end."""
    signal.alarm(LONGEST)
    status = 1
    try:
        importlib.import_module(module).main(*words)
        status = 0
    except BaseException:  # noqa: BLE001  # a child must never come back into the loop of its parent
        traceback.print_exc()
    finally:
        os._exit(status)


if __name__ == "__main__":
    _serve()
