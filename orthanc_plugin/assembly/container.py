"""``python -m orthanc_plugin.assembly.container``: one whole node as one process tree, as the container image runs it.

It brings a new node up (schema, keys), starts Orthanc behind its wall and proves the wall, then ``worker``, ``serve``
and ``gateway``; passes a request to end on to all of them; and ends them all where one of them dies, so that what
supervises the container sees it. Settings come from the environment, and from ``photospine.toml`` in the working
folder where there is one. Nothing of a setting's value is printed but addresses.
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from sqlalchemy.exc import SQLAlchemyError

from consent.errors import ConsentError
from orthanc_plugin.assembly import archive_process, beside, processes, upgrade, wall_folder
from orthanc_plugin.assembly.archive_process import ArchiveProcess
from orthanc_plugin.assembly.errors import AssemblyError, SettingsError
from orthanc_plugin.assembly.settings import PREFIX, Settings, load

LOCK = "node.lock"
LOOK_SECONDS = 0.2
BESIDE_SECONDS, ORTHANC_SECONDS = 5.0, 3.0
"""What they have to end by themselves: together less than the ten seconds after which an engine kills the container."""

_USER = "container"
_OTHERS = frozenset({"SETTINGS", "ACCOUNT"})
"""Variables that are no setting."""


class Told(BaseException):
    """A signal asked this process to end. No error: it passes through everything that handles those."""


def main(environment: Mapping[str, str] | None = None) -> int:
    """Run until told to end (0) or until one of the processes ends or cannot start (1)."""
    environment = os.environ if environment is None else environment
    os.umask(0o077)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _told)
    try:
        only_known(environment)
        settings = load(environment=environment)
        return run(settings)
    except Told:
        return 0
    except (AssemblyError, ConsentError) as error:
        _say(str(error))
    except SQLAlchemyError as error:
        _say(f"the database cannot be used: {type(error).__name__}; see the setting 'database'")
    except OSError as error:
        _say(f"{error.filename or 'the node'}: {error.strerror}; is the folder this container's to write?")
    return 1


def run(settings: Settings) -> int:
    """Run the node in the settings' folder; 1 where one of its processes ended by itself.

    Raises
    ------
    AssemblyError, consent.errors.ConsentError, sqlalchemy.exc.SQLAlchemyError
        It cannot start, and nothing of it runs.
    Told
        A signal came, and nothing of it runs any more.
    """
    folder = settings.folder
    folder.mkdir(parents=True, exist_ok=True)
    port = own_port(settings)
    with alone(folder):
        bring_up(settings)
        _turn(folder / "orthanc" / f"{archive_process.NAME}.log")
        archive = ArchiveProcess(settings, folder / "orthanc", port, wall=settings.wall or wall_folder.DEFAULT)
        try:
            standing = archive.start()
            _say(f"Orthanc stands behind the wall: {len(standing.rows)} routes, everything else is refused")
            beside.start(settings, folder, own_logs=False)
            _say(f"ready at {settings.public_url}")
            ended = wait(folder)
            _say(f"{ended}; ending the others")
            return 1
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)  # said once already
            beside.stop(folder, BESIDE_SECONDS)
            archive.stop(ORTHANC_SECONDS)


def only_known(environment: Mapping[str, str]) -> None:
    """Refuse a variable that looks like a setting and is none, such as a misspelt one.

    Raises
    ------
    SettingsError
        The text names it.
    """
    known = {field.name.upper() for field in fields(Settings) if field.name not in ("folder", "site")} | _OTHERS
    for name in sorted(environment):
        if name.startswith(PREFIX) and name.removeprefix(PREFIX) not in known:
            raise SettingsError(f"{name} is no setting; known are {', '.join(PREFIX + each for each in sorted(known))}")


def own_port(settings: Settings) -> int:
    """The port of the node's own Orthanc.

    Raises
    ------
    SettingsError
        The setting ``orthanc`` is no address of this machine's loopback.
    """
    parts = urlsplit(settings.orthanc)
    try:
        own = parts.scheme == "http" and ipaddress.ip_address(parts.hostname or "").is_loopback
        port = parts.port
    except ValueError:
        own, port = False, None
    if not own or port is None:
        raise SettingsError(
            "setting 'orthanc' must be http://127.0.0.1:PORT here: Orthanc runs inside, and stays there"
        )
    return port


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the folder for this node alone.

    Raises
    ------
    AssemblyError
        Another node runs in it.
    """
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AssemblyError(f"another node runs in {folder}: each needs a volume of its own") from None
        yield
    finally:
        os.close(handle)


def bring_up(settings: Settings) -> None:
    """Make schema and keys for a new node, and write the site's settings; an older database is left as it is.

    Raises
    ------
    AssemblyError
        The database is of another version, or not new while its keys are gone.
    """
    status = upgrade.status(settings)
    if status.found is not None and not status.fits:
        raise AssemblyError(
            f"the database has schema {status.found}, this version needs {status.needed}: "
            "keep a copy of it, then run 'photospine db upgrade' once in place of this command"
        )
    if status.found is not None and not settings.keys.exists():
        raise AssemblyError(
            f"the database is not new, and its keys are not at {settings.keys}: put them back from the backup "
            "(new ones would give the same photo another identity)"
        )
    done = upgrade.upgrade(settings, os_user=_USER)
    if done.before is None:
        _say("a new node: schema and keys made; add an account with 'photospine account add'")


def wait(folder: Path) -> str:
    """Wait until one of the processes ends, and tell which. As the first process it also buries what others left."""
    pids = {processes.pid_of(name, folder): name for name in beside.NAMES}
    pids[processes.pid_of(archive_process.NAME, folder / "orthanc")] = archive_process.NAME
    if None in pids:
        return f"{pids[None]} has ended"
    while True:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    break
                if pid in pids:
                    return f"{pids[pid]} has ended ({_how(os.waitstatus_to_exitcode(status))})"
        time.sleep(LOOK_SECONDS)


def _how(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def _turn(log: Path) -> None:
    """Keep the log of the last run beside this one's, and none older."""
    with contextlib.suppress(FileNotFoundError):
        log.replace(log.with_suffix(".log.1"))


def _told(_number: int, _frame: FrameType | None) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    raise Told


def _say(text: str) -> None:
    sys.stderr.write(f"photospine: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    raise SystemExit(main())
