"""Runs an unpacked image as an engine does: first process of its own process, mount and network namespaces.

No other user than the image's, no capability, a read-only root with the volume and a memory ``/tmp``, and one virtual
cable to this machine: what answers at its other end is what the world outside of the container can reach.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import shlex
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.image.building import Image
from tests.ports import free_port

_START_SECONDS = 90.0
_SCRIPT = """
mount --make-rprivate /
mount --bind "$ROOT" "$ROOT"
mount -o remount,bind,ro "$ROOT"
mount --bind "$VOLUME" "$ROOT/data"
mount -t tmpfs -o mode=1777 tmpfs "$ROOT/tmp"
mount -t tmpfs -o mode=755 tmpfs "$ROOT/dev"
for device in null zero random urandom; do
  touch "$ROOT/dev/$device"
  mount --bind "/dev/$device" "$ROOT/dev/$device"
done
ln -s /proc/self/fd "$ROOT/dev/fd"
mount -t proc proc "$ROOT/proc"
ip link set lo up
until ip link show inside >/dev/null 2>&1; do sleep 0.02; done
ip addr add "$INSIDE/30" dev inside
ip link set inside up
"""
_IP_FREEBIND = 15
_TURNS = itertools.count()
_DROPPED = ("--clear-groups", "--no-new-privs", "--bounding-set=-all")


@dataclass
class Container:
    """One container. Use it as a context manager: whatever happens, nothing of it runs after the end."""

    image: Image
    root: Path
    volume: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] | None = None
    """None: the image's own."""

    _process: subprocess.Popen[bytes] | None = None
    _output: Path | None = None

    def __post_init__(self) -> None:
        self._turn = next(_TURNS)
        number = (os.getpid() * 97 + self._turn) % 16000 * 4
        self.outside, self.address = (f"10.213.{number // 256}.{number % 256 + each}" for each in (1, 2))

    def __enter__(self) -> Container:
        cable = f"ps{os.getpid()}-{self._turn}"  # the kernel takes the last one away in its own time
        words = self._as_user(self.command or tuple(self.image.configuration["Cmd"]), self.environment)
        script = f'{_SCRIPT}exec chroot "$ROOT" {shlex.join(words)}'
        self._output = self.volume.parent / f"{self.volume.name}.output"
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [
                    "unshare",
                    "--net",
                    "--pid",
                    "--mount",
                    "--ipc",
                    "--uts",
                    "--fork",
                    "--kill-child",
                    "sh",
                    "-euc",
                    script,
                ],
                env={**os.environ, "ROOT": str(self.root), "VOLUME": str(self.volume), "INSIDE": self.address},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            pid = str(self.first)
            _run("ip", "link", "add", cable, "type", "veth", "peer", "name", "inside", "netns", pid)
            _run("ip", "addr", "add", f"{self.outside}/30", "dev", cable)
            _run("ip", "link", "set", cable, "up")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.first, signal.SIGKILL)  # the kernel ends all of its namespace with its first process
        self._process.wait(30)

    @property
    def first(self) -> int:
        """The pid, seen from outside, of the first process inside."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        until = time.monotonic() + 10
        while not (found := children.read_text("ascii").split()):
            assert time.monotonic() < until, "the container did not start"
            time.sleep(0.01)
        return int(found[0])

    @property
    def output(self) -> str:
        """What it has said so far, as an engine's log would show it."""
        assert self._output is not None
        return self._output.read_text("utf-8", errors="replace")

    def ended(self, within: float) -> int:
        """Its exit status, at the latest after so many seconds."""
        assert self._process is not None
        return self._process.wait(within)

    def stop(self) -> None:
        """Ask it to end, as an engine does: SIGTERM to the first process."""
        os.kill(self.first, signal.SIGTERM)

    def ready(self) -> None:
        """Wait until it answers, and says that it is ready."""
        until = time.monotonic() + _START_SECONDS
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.get("/healthz").status == 200 and "ready at" in self.output:
                    return
            assert self._process is not None
            assert self._process.poll() is None, f"it ended: {self.output[-3000:]}"
            assert time.monotonic() < until, f"it does not answer: {self.output[-3000:]}"
            time.sleep(0.1)

    def get(self, path: str, *, port: int = 8080, headers: Mapping[str, str] | None = None) -> Answer:
        """GET, from outside."""
        return self.send("GET", path, port=port, headers=headers)

    def send(
        self,
        method: str,
        path: str,
        *,
        port: int = 8080,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """One request, from outside."""
        connection = http.client.HTTPConnection(self.address, port, timeout=30)
        try:
            connection.request(method, path, body=body, headers=dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, response.getheader("Content-Type") or "", response.read())
        finally:
            connection.close()

    def run(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """A command inside, as ``docker exec -i`` would run it."""
        pid = str(self.first)
        place = ("--target", pid, "--net", "--pid", "--mount", "--ipc", "--uts", "--root", "--wd")
        return subprocess.run(
            ["nsenter", *place, *self._as_user(words, self.environment)],
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def pid_of(self, program: str) -> int:
        """The pid, seen from outside, of a process inside, by a word of its command line."""
        for pid in _below(self.first):
            with contextlib.suppress(OSError):
                if program.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return pid
        raise AssertionError(f"no {program} runs inside")

    def _as_user(self, words: tuple[str, ...], environment: Mapping[str, str]) -> list[str]:
        configuration: dict[str, Any] = self.image.configuration
        user, given = configuration["User"], {**self.image.environment, **environment, "HOME": "/data"}
        variables = [f"{name}={value}" for name, value in given.items()]
        inside = ["env", "-i", f"--chdir={configuration['WorkingDir']}", *variables, *words]
        return ["setpriv", f"--reuid={user}", f"--regid={user}", *_DROPPED, *inside]


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP response."""

    status: int
    kind: str
    body: bytes


@contextlib.contextmanager
def relay(address: str, port: int) -> Iterator[int]:
    """A port at this machine's end of a container's cable that leads to a server on the loopback."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_IP, _IP_FREEBIND, 1)  # the cable is not there yet
    listener.bind((address, free_port()))
    listener.listen()

    def accept() -> None:
        with contextlib.suppress(OSError):  # closed: the end
            while True:
                inside, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", port))
                for one, other in ((inside, server), (server, inside)):
                    threading.Thread(target=_carry, args=(one, other), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _carry(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
    for end in (one, other):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


def _below(pid: int) -> list[int]:
    """A process and all that it started, and these."""
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
        return [pid, *(each for child in children for each in _below(int(child)))]
    return [pid]


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
