"""A folder into which files are dropped: which of them are whole by now, and where each goes afterwards.

A file is whole when nobody has changed its size and time for a while. What was taken in is moved into ``done``, what
cannot be read into ``refused`` with the reason beside it; nothing is ever deleted or written over.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dicom_bridge.legacy.files import shown

DONE, REFUSED = "done", "refused"
MANIFEST = "manifest.csv"
"""A list about the files below the folder in which it lies; it stays there."""

SIDECAR = ".csv"
"""A list about one file is called as that file, with this behind it; it goes where the file goes."""

REASON = ".reason.txt"
_GROWING = frozenset({".part", ".partial", ".tmp", ".crdownload", ".filepart"})
"""How programs call files that they still write."""

_STILL_SECONDS = 4.0


@dataclass(slots=True)
class Dropped:
    """One watched folder."""

    folder: Path
    still: float = _STILL_SECONDS
    clock: Callable[[], float] = time.monotonic
    _seen: dict[Path, tuple[tuple[int, int], float]] = field(default_factory=dict)

    def whole(self, most: int) -> list[Path]:
        """Files that are whole, with the sidecars of none; up to so many, by name."""
        now, seen = self.clock(), {}
        found: list[Path] = []
        for path, state in sorted(self._files(self.folder)):
            former = self._seen.get(path)
            since = former[1] if former is not None and former[0] == state else now
            seen[path] = (state, since)
            if now - since >= self.still:
                found.append(path)
        self._seen = seen
        beside = {path for path in found if path.suffix == SIDECAR and path.with_suffix("") in seen}
        waits = {path.with_suffix("") for path in seen if path.suffix == SIDECAR and path not in found}
        return [path for path in found if path not in beside and path not in waits and path.name != MANIFEST][:most]

    def lists(self, path: Path) -> Iterator[Path]:
        """Lists that may say something of a file: its own, then those of its folders, the nearest first."""
        own = path.with_name(path.name + SIDECAR)
        if own.is_file():
            yield own
        for folder in path.parents:
            if (folder / MANIFEST).is_file():
                yield folder / MANIFEST
            if folder == self.folder:
                return

    def name(self, path: Path) -> str:
        """A file's path below the folder."""
        return "/".join(shown(part) for part in path.relative_to(self.folder).parts)

    def move(self, path: Path, where: str, reason: str = "") -> None:
        """Move a file out of the way, and what belongs to it.

        Raises
        ------
        OSError
        """
        target = self._free(self.folder / where / path.relative_to(self.folder))
        target.parent.mkdir(parents=True, exist_ok=True)
        sidecar = path.with_name(path.name + SIDECAR)
        path.rename(target)
        if sidecar.is_file():
            sidecar.rename(self._free(target.with_name(target.name + SIDECAR)))
        if reason:
            note = self._free(target.with_name(target.name + REASON))
            note.write_text(f"{reason}\n", encoding="utf-8")
        self._seen.pop(path, None)

    @staticmethod
    def _free(path: Path) -> Path:
        """A name that nothing has yet."""
        number, made = 1, path
        while made.exists():
            made = path.with_name(f"{path.stem}-{number}{path.suffix}")
            number += 1
        return made

    def _files(self, folder: Path) -> Iterator[tuple[Path, tuple[int, int]]]:
        for entry in os.scandir(folder):
            path = Path(entry.path)
            if entry.name.startswith(".") or entry.is_symlink():
                continue
            if entry.is_dir():
                if folder != self.folder or entry.name not in (DONE, REFUSED):
                    yield from self._files(path)
            elif entry.is_file() and path.suffix.lower() not in _GROWING:
                status = entry.stat()
                yield path, (status.st_size, status.st_mtime_ns)
