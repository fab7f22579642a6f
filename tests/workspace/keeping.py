"""Alignments that are kept, in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from consent.types import Request
from fhir_mapping.resources.alignment import Kept, Side
from orthanc_plugin.workspace.aligning import Laid, method


@dataclass
class Keeping:
    """Keeps for whoever writes."""

    by_pair: dict[tuple[str, str], Kept] = field(default_factory=dict)

    def kept(self, request: Request, left: str, right: str) -> Kept | None:
        found = self.by_pair.get((left, right))
        other = self.by_pair.get((right, left))
        return found or (other.swapped if other else None)

    def may_keep(self, request: Request) -> bool:
        return request.purpose == "TREAT"

    def keep(self, request: Request, left: str, right: str, laid: Laid, name: str, route: str) -> Kept:
        kept = Kept(
            Side(f"DocumentReference/{left}", "2.25.1", "00", *laid.left),
            Side(f"DocumentReference/{right}", "2.25.2", "00", *laid.right),
            laid.transform,
            method(),
            name,
            "2026-05-04T10:00:00Z",
        )
        self.by_pair[left, right] = kept
        return kept

    def take_back(self, request: Request, left: str, right: str, name: str, route: str) -> None:
        for pair in ((left, right), (right, left)):
            self.by_pair.pop(pair, None)
