"""A throw-away PostgreSQL cluster for one test session: made, started, dropped, in a folder of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.ports import free_port

_OWN_NULL = """
mknod -m 666 "$0/null" c 1 3
mount --bind "$0/null" /dev/null
rm "$0/null"
exec "$@"
"""


def binaries() -> Path | None:
    """The folder of PostgreSQL's programs, the newest version; None where it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


class Cluster:
    """A running cluster."""

    def __init__(self, port: int, server: Sequence[str] = ()) -> None:
        """``server``: how ``pg_ctl`` is called for it, without what it is to do."""
        self.port, self._server = port, tuple(server)

    def start(self) -> None:
        """Start it again after :meth:`stop`."""
        _run([*self._server, "-w", "start"])

    def stop(self) -> None:
        """End it at once, with every connection; what was committed is there when it starts again."""
        _run([*self._server, "-m", "immediate", "-w", "stop"])

    def kill(self) -> None:
        """End it as a fault would, without a word."""
        for pid in self.pids():
            os.kill(pid, signal.SIGKILL)
        # A container may have nobody who buries the dead; the next start would take this one for alive.
        self._pid_file.unlink()
        (self._pid_file.parents[1] / f".s.PGSQL.{self.port}.lock").unlink()

    @property
    def _pid_file(self) -> Path:
        return Path(self._server[self._server.index("-D") + 1], "postmaster.pid")

    def pids(self) -> list[int]:
        """The server's processes, the first of which made all others."""
        first = int(self._pid_file.read_text("ascii").split()[0])
        found = [first]
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                if int(stat.read_text().rpartition(")")[2].split()[1]) == first:
                    found.append(int(stat.parent.name))
        return found

    def url(self, database: str = "postgres") -> str:
        """SQLAlchemy address of a database."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def fresh(self, *, language: str | None = None, like: str | None = None) -> str:
        """Address of a new database: empty, or like another one, to which nobody may be connected.

        Parameters
        ----------
        language
            It sorts texts as that does (most installations do).
        like
            Address of the database that it is a copy of.
        """
        import psycopg

        name = f"test_{uuid.uuid4().hex[:12]}"
        sorts = "" if language is None else f" TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE '{language}'"
        if like is not None:
            sorts = f' TEMPLATE "{like.rpartition("/")[2]}"'
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user="postgres", dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(f'CREATE DATABASE "{name}"{sorts}')  # type: ignore[call-overload, unused-ignore]
        return self.url(name)


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Start a cluster on a loopback port; durable on purpose, since tests measure and kill it."""
    programs = binaries()
    if programs is None:
        raise FileNotFoundError("PostgreSQL is not installed; 'make test' installs it")
    folder = Path(tempfile.mkdtemp(prefix="photospine-postgres-", dir="/tmp"))
    data = folder / "data"
    as_user: list[str] = []
    if os.geteuid() == 0:
        owner = pwd.getpwnam("postgres")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        as_user = ["runuser", "-u", "postgres", "--"]
        # initdb throws away by the shell; a machine on which only root can do that is given a device of its own.
        if subprocess.run([*as_user, "sh", "-c", ": > /dev/null"], capture_output=True, check=False).returncode:
            as_user = ["unshare", "--mount", "sh", "-euc", _OWN_NULL, str(folder), *as_user]
    try:
        _run(
            [*as_user, str(programs / "initdb"), "--no-sync", "-A", "trust", "-E", "UTF8", "-U", "postgres", str(data)]
        )
        log = str(folder / "log")
        port = free_port()
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c max_connections=200"
        options += " -c shared_buffers=32MB"
        made = Cluster(port, [*as_user, str(programs / "pg_ctl"), "-D", str(data), "-l", log, "-o", options])
        made.start()
        try:
            yield made
        finally:
            made.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(command: list[str]) -> None:
    # pg_ctl's server inherits its output; a pipe would stay open as long as the server runs
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, cwd="/tmp", check=False)
        if done.returncode:
            output.seek(0)
            raise RuntimeError(f"{command[-1]}: {output.read().decode(errors='replace')[-2000:]}")
