"""How much is generated. Patients come in groups of five with 30 treatments and 100 photos, so that sums are exact."""

from __future__ import annotations

from dataclasses import dataclass

SESSIONS = (2, 4, 6, 8, 10)
"""Treatments of each patient of a group."""

_PHOTOS = 100


@dataclass(frozen=True, slots=True)
class Size:
    """A clinic's size by its photos, a multiple of 100."""

    photos: int

    def __post_init__(self) -> None:
        if self.photos <= 0 or self.photos % _PHOTOS:
            raise ValueError(f"--photos: a multiple of {_PHOTOS}, and not {self.photos}")

    @property
    def groups(self) -> int:
        """Groups of five patients."""
        return self.photos // _PHOTOS

    @property
    def patients(self) -> int:
        """All of them."""
        return self.groups * len(SESSIONS)

    @property
    def treatments(self) -> int:
        """All of them; a visit each."""
        return self.groups * sum(SESSIONS)


def photos_of(session: int) -> int:
    """How many photos a session has, by its number within the group, 0 to 29."""
    return 4 if session % 3 == 0 else 3
