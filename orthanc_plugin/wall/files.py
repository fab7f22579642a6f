"""Stored objects, read from Orthanc's storage into memory that is used again.

Orthanc's plugin interface hands out each file as a copy of a copy, in memory that is fresh every time; that costs three
times what reading the file does. So where Orthanc keeps a file as it is, in its folder, it is read from there: under
the name and of the size that Orthanc tells. Compressed, encrypted, or in another store, it comes from Orthanc.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

from orthanc_plugin.wall.host import Host

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MOST_KEPT = 8
_MOST_BYTES = 32 << 20
"""Larger buffers are not kept."""

_STEP = 1 << 20


class Files:
    """Safe for any number of threads."""

    def __init__(self, host: Host, configuration: Mapping[str, Any]) -> None:
        folder = Path(str(configuration.get("StorageDirectory") or ""))
        # Relative to a folder that no plugin is told, it cannot be read from.
        self._folder = folder if folder.is_absolute() else None
        self._host = host
        self._free: list[bytearray] = []
        self._lock = Lock()

    def read(self, orthanc_id: str) -> memoryview:
        """The object as it is stored; :meth:`give` it back when it has been sent."""
        if self._folder is not None:
            found = json.loads(self._host.get(f"/instances/{orthanc_id}"))
            uuid, size = str(found.get("FileUuid")), found.get("FileSize")
            if _UUID.fullmatch(uuid) and isinstance(size, int):
                view = self._read(self._folder / uuid[:2] / uuid[2:4] / uuid, size)
                if view is not None:
                    return view
        return memoryview(self._host.dicom(orthanc_id))

    def give(self, view: object) -> None:
        """Take back what was read; anything else is left alone."""
        if not isinstance(view, memoryview) or not isinstance(view.obj, bytearray):
            return
        buffer = view.obj
        view.release()
        with self._lock:
            if len(self._free) < _MOST_KEPT and len(buffer) <= _MOST_BYTES:
                self._free.append(buffer)

    def _read(self, path: Path, size: int) -> memoryview | None:
        """The whole file, if it is there and has this size."""
        try:
            with path.open("rb", buffering=0) as file:
                view = memoryview(self._take(size + 1))[: size + 1]
                got = 0
                while count := file.readinto(view[got:]):
                    got += count
        except OSError:
            return None
        if got == size:
            return view[:size]
        self.give(view)
        return None

    def _take(self, size: int) -> bytearray:
        with self._lock:
            for place, buffer in enumerate(self._free):
                if len(buffer) >= size:
                    return self._free.pop(place)
        return bytearray(-(-size // _STEP) * _STEP)
