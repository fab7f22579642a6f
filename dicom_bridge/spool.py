"""Originals that are on their way: kept on the disk until the archive has them, so that recovery can go forward."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from dicom_bridge.errors import BridgeError


class SpoolRefused(BridgeError):
    """An original is not in the spool any more, or is not what it was. It has to be sent again."""


class Spool:
    """A folder of originals, by SHA-256. Files are written whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, sha256: str, data: bytes) -> None:
        """Keep an original; when this returns, it is on the disk."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._path(sha256)
        if path.exists():
            return
        fresh = path.with_name(f".{sha256}.{os.getpid()}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        handle = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def read(self, sha256: str) -> bytes:
        """The original.

        Raises
        ------
        SpoolRefused
        """
        try:
            data = self._path(sha256).read_bytes()
        except FileNotFoundError:
            raise SpoolRefused("an original is no longer in the spool; send the file again") from None
        if hashlib.sha256(data).hexdigest() != sha256:
            raise SpoolRefused("an original in the spool is damaged; send the file again")
        return data

    def drop(self, sha256: str) -> None:
        """The archive has it."""
        self._path(sha256).unlink(missing_ok=True)

    def _path(self, sha256: str) -> Path:
        return self._folder / sha256
