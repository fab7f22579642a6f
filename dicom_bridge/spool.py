"""Originals that are on their way: kept on the disk until the archive has them, so that recovery can go forward.

A file is named by the SOP Instance UID of its photo: the same file may be on its way for two patients at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path

from dicom_bridge.errors import BridgeError


class SpoolRefused(BridgeError):
    """An original is not in the spool any more, or is not what it was. It has to be sent again."""


class SpoolUnavailable(BridgeError):
    """The folder of the spool cannot be written. Make room or mend its rights, then send the files again."""


class Spool:
    """A folder of originals. Files are written whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, sop_uid: str, data: bytes) -> None:
        """Keep an original; when this returns, it is on the disk. One that was damaged there is mended.

        Raises
        ------
        SpoolUnavailable
            Nothing was kept.
        """
        self.keep_all([(sop_uid, data)])

    def keep_all(self, originals: Sequence[tuple[str, bytes]]) -> None:
        """Keep several likewise, each by its SOP Instance UID."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for sop_uid, data in originals:
                self._write(self._path(sop_uid), data)
            self._settle()
        except OSError as error:
            raise SpoolUnavailable(
                f"the spool {self._folder} cannot be written ({error.strerror}); make room there, or set `spool`"
            ) from None

    def _write(self, path: Path, data: bytes) -> None:
        # Two threads of one process may keep the same file.
        fresh = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
        try:
            self._write_fresh(fresh, data)
            fresh.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
            raise

    @staticmethod
    def _write_fresh(fresh: Path, data: bytes) -> None:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def _settle(self) -> None:
        """The names are on the disk, too."""
        handle = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def read(self, sop_uid: str, sha256: str) -> bytes:
        """The original, which must have this SHA-256.

        Raises
        ------
        SpoolRefused
        """
        try:
            data = self._path(sop_uid).read_bytes()
        except FileNotFoundError:
            raise SpoolRefused("an original is no longer in the spool; send the file again") from None
        if hashlib.sha256(data).hexdigest() != sha256:
            raise SpoolRefused("an original in the spool is damaged; send the file again")
        return data

    def drop(self, sop_uid: str) -> None:
        """The archive has it."""
        self._path(sop_uid).unlink(missing_ok=True)

    def sweep(self, wanted: Collection[str], before: datetime) -> int:
        """Remove what was never announced, from before an instant: its sender was told that it failed."""
        swept = 0
        for path in self._folder.glob("*") if self._folder.is_dir() else ():
            try:
                if path.name in wanted or path.stat().st_mtime >= before.timestamp():
                    continue
                path.unlink()
            except FileNotFoundError:  # another process was faster
                continue
            swept += 1
        return swept

    def _path(self, sop_uid: str) -> Path:
        return self._folder / sop_uid
