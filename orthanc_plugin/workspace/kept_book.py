"""What pages ask of kept comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from consent.types import Request
from dicom_bridge.compare.held import Held
from dicom_bridge.compare.keeping import Half
from dicom_bridge.compare.kept import KeptComparison


class KeptBook(Protocol):
    """Comparisons that are kept as DICOM. Whatever returns some has decided and recorded them for its request."""

    def may_keep(self, request: Request) -> bool:
        """Whether the account may keep one."""
        ...

    def keep(self, request: Request, halves: Sequence[Half], held: Held, route: str) -> str:
        """Keep one; gives its id, the same one where the same is kept twice.

        Raises
        ------
        dicom_bridge.compare.keeping.NotKept
        dicom_bridge.archive.ArchiveUnavailable, dicom_bridge.archive.ObjectDiscarded
        """
        ...

    def kept(self, request: Request, patient: str, route: str) -> Sequence[KeptComparison]:
        """Those of a patient, the newest first."""
        ...
