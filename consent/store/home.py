"""Whether a file that is open is still the one that its name stands for."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

LOOK_SECONDS = 0.05
"""A look is worth so long: inside Orthanc each one costs a wait for Python's lock."""


class Home:
    """A file that a process has opened, and the name by which it did.

    A name may come to stand for another file, or for none, while the process goes on with the one that it knows: after
    a backup was put back, say. Such a file is read and written as ever, and is nobody's truth any more.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = path, clock
        self._file: tuple[int, int] | None = None
        self._next = float("-inf")

    def settle(self) -> None:
        """It is about to be opened for the first time: from now on it is this file or none."""
        if self._file is None:
            self._file = self._now()

    def left(self) -> bool:
        """Whether it was moved, removed or replaced; what is put back is here again."""
        moment = self._clock()
        if self._file is None or moment < self._next:
            return False
        if self._now() != self._file:
            return True
        self._next = moment + LOOK_SECONDS
        return False

    def _now(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return (0, 0)
        return found.st_dev, found.st_ino
