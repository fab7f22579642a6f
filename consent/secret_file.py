"""A JSON file that its owner alone may read: keys and secrets of a node."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any


class OpenToOthers(Exception):
    """Others may read the file. The text says what is to be done, and nothing of what it holds."""


def read(path: Path) -> Any:
    """What the file holds.

    Raises
    ------
    OpenToOthers
        Its mode lets others read it.
    OSError, ValueError
        It cannot be read, or is no JSON.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            raise OpenToOthers("others may read it; set its mode to 0600")
        return json.load(file)


def make(path: Path, values: Any) -> bool:
    """Write it where there is none; tells whether it was made. One that is there is never touched."""
    fresh = _written(path, values)
    try:
        os.link(fresh, path)  # unlike a rename, refuses to replace what another process made meanwhile
    except FileExistsError:
        return False
    finally:
        fresh.unlink()
    return True


def put(path: Path, values: Any) -> None:
    """Write it in the place of what is there, at once."""
    _written(path, values).replace(path)


def _written(path: Path, values: Any) -> Path:
    """The values on the disk, in a file of their own beside ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(values, file)
        file.flush()
        os.fsync(file.fileno())
    return fresh
