"""Two photos of one view as they are published: what is said of them names nobody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from consent.wording import Wording


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


@dataclass(frozen=True, slots=True)
class Shown:
    """How people read pairs: in their language, where a manifest has English for machines."""

    pairs: Mapping[tuple[int, int], Pair] = field(default_factory=dict)
    """By the photos' numbers; of those that are not there, the pair itself."""

    say: Callable[[Wording], str] = str
