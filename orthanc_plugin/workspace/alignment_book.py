"""Alignments that people kept, as the pages know them; over the record in
:mod:`orthanc_plugin.workspace.stored_alignments`."""

from __future__ import annotations

from typing import Protocol

from consent.types import Request
from fhir_mapping.resources.alignment import Kept
from orthanc_plugin.workspace.aligning import Laid


class AlignmentBook(Protocol):
    """Where they are kept. Photos are named by the ids of their documents."""

    def kept(self, request: Request, left: str, right: str) -> Kept | None:
        """Where the right photo lies on the left one; None where nobody kept it, where it was found between other
        instances of the photos, or where one of them may not be seen."""
        ...

    def may_keep(self, request: Request) -> bool:
        """Whether the account may keep one."""
        ...

    def keep(self, request: Request, left: str, right: str, laid: Laid, name: str, route: str) -> Kept:
        """Keep one; ``name``: of the person who does.

        Raises
        ------
        fhir_mapping.errors.Refused
            The record does not take it.
        """
        ...

    def take_back(self, request: Request, left: str, right: str, name: str, route: str) -> None:
        """It is not used any more; its versions stay. Nothing where none is kept."""
        ...
