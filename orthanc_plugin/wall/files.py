"""Stored objects, read from Orthanc's storage without the copies that its plugin interface makes.

It hands out each file as a copy of a copy, in memory that is fresh every time; that costs three times what reading the
file does. So where Orthanc keeps a file as it is, in its folder, it is taken from there: under the name and of the size
that Orthanc tells, and where it is a DICOM file. Compressed, encrypted, or in another store, it comes from Orthanc.
"""

from __future__ import annotations

import json
import mmap
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from orthanc_plugin.wall.host import Buffer, Host

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MOST_KEPT = 8
_MOST_BYTES = 32 << 20
"""Larger buffers are not kept."""

_MOST_KNOWN = 20_000
_STEP = 1 << 20
_MARK, _MARK_AT = b"DICM", 128
"""PS3.10 7.1. What Orthanc compressed, perhaps long ago, may by chance be as long as the object."""


@dataclass(frozen=True, slots=True)
class _Stored:
    """Where Orthanc keeps a file. Its name is never used again, so what was told once may be remembered."""

    path: Path
    size: int


class Files:
    """Safe for any number of threads."""

    folder: Path | None
    """Orthanc's storage, where it can be told."""

    def __init__(self, host: Host, configuration: Mapping[str, Any]) -> None:
        folder = Path(str(configuration.get("StorageDirectory") or ""))
        # Relative to a folder that no plugin is told, it cannot be read from.
        self.folder = folder if folder.is_absolute() else None
        # What is encrypted here is touched here, and a mapped file whose disk fails then ends the process.
        self._maps = configuration.get("SslEnabled") is not True
        self._host = host
        self._known: dict[str, _Stored] = {}
        self._free: list[bytearray] = []
        self._lock = Lock()

    def mapped(self, orthanc_id: str) -> Buffer:
        """The object as it is stored, to be sent and not to be looked at: the kernel alone reads it.

        Were it looked at here, a disk that fails would end the process; the kernel answers with an error instead.
        """
        for stored in self._places(orthanc_id) if self._maps else ():
            found = _map(stored)
            if found is not None:
                return found
        return self.read(orthanc_id)

    def ready(self, orthanc_id: str) -> Buffer | None:
        """As :meth:`mapped`, where it is known where the file is; else None."""
        known = self._known.get(orthanc_id)
        return None if known is None or not self._maps else _map(known)

    def read(self, orthanc_id: str) -> Buffer:
        """The object as it is stored; :meth:`give` it back when it has been sent."""
        for stored in self._places(orthanc_id):
            found = self._read(stored)
            if found is not None:
                return found
        return self._host.dicom(orthanc_id)

    def give(self, contents: Buffer) -> None:
        """Take back what was sent."""
        if isinstance(contents, mmap.mmap):
            contents.close()
        elif isinstance(contents, memoryview) and isinstance(contents.obj, bytearray):
            buffer = contents.obj
            contents.release()
            with self._lock:
                if len(self._free) < _MOST_KEPT and len(buffer) <= _MOST_BYTES:
                    self._free.append(buffer)

    def _places(self, orthanc_id: str) -> list[_Stored]:
        """Where the file may be: as it was told once, if it was; else as it is told now."""
        if self.folder is None:
            return []
        known = self._known.get(orthanc_id)
        if known is not None and known.path.exists():
            return [known]
        found = json.loads(self._host.get(f"/instances/{orthanc_id}"))
        uuid, size = str(found.get("FileUuid")), found.get("FileSize")
        if not _UUID.fullmatch(uuid) or not isinstance(size, int) or size <= 0:
            return []
        stored = _Stored(self.folder / uuid[:2] / uuid[2:4] / uuid, size)
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[orthanc_id] = stored
        return [stored]

    def _read(self, stored: _Stored) -> memoryview | None:
        """The whole file, if it is there, has this size and is DICOM."""
        try:
            with stored.path.open("rb", buffering=0) as file:
                view = memoryview(self._take(stored.size + 1))[: stored.size + 1]
                got = 0
                while count := file.readinto(view[got:]):
                    got += count
        except OSError:
            return None
        if got == stored.size and view[_MARK_AT : _MARK_AT + len(_MARK)] == _MARK:
            return view[: stored.size]
        self.give(view)
        return None

    def _take(self, size: int) -> bytearray:
        with self._lock:
            for place, buffer in enumerate(self._free):
                if len(buffer) >= size:
                    return self._free.pop(place)
        return bytearray(-(-size // _STEP) * _STEP)


def _map(stored: _Stored) -> mmap.mmap | None:
    """As :meth:`Files._read`, mapped; its reading from the disk has begun."""
    try:
        with stored.path.open("rb", buffering=0) as file:
            if os.pread(file.fileno(), len(_MARK), _MARK_AT) != _MARK:
                return None
            found = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if len(found) != stored.size:
            found.close()
            return None
        found.madvise(mmap.MADV_WILLNEED)
    except (OSError, ValueError):
        return None
    return found
