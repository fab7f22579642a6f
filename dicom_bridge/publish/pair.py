"""Two photos of one view as they are published: what is said of them names nobody."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Half:
    """One of the two."""

    number: int
    sop_uid: str
    when: str
    """``Before``, ``After 12 weeks``."""

    session: int | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """Before and after."""

    before: Half
    after: Half
    area: str
    view: str = ""
    title: str = ""
    """The treatment, by its code alone."""

    @property
    def halves(self) -> tuple[Half, Half]:
        """Both."""
        return self.before, self.after

    @property
    def numbers(self) -> tuple[int, int]:
        """Both photos' numbers."""
        return self.before.number, self.after.number
