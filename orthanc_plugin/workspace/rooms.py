"""What is open while the screen is turned to somebody else: for each way of turning it, one room of pages."""

from __future__ import annotations

from dataclasses import dataclass

from consent.identity.shown import Mode


@dataclass(frozen=True, slots=True)
class Room:
    """Pages that lie below one address."""

    home: str
    """The first of them."""

    left: str = ""
    """Where its owner goes on, below the patient's page."""

    def holds(self, path: str) -> bool:
        """Whether an address is of this room."""
        return path == self.home or path.startswith(f"{self.home}/")


ROOMS = {
    Mode.PATIENT: Room("/shown"),
    Mode.SIGNING: Room("/sign", "/consent"),
    Mode.PROSPECT: Room("/prospect"),
}
