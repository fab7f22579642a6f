"""What the judges read in a Consent, and what they look up to read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from tests.judges import vocabulary as words
from tests.judges.moments import Stretch


@dataclass
class Statement:
    """One rule. None in an element: it asks for nothing."""

    path: str
    permits: bool
    purposes: set[str] | None = None
    persons: set[str] | None = None
    places: set[tuple[str, str]] | None = None
    data: list[tuple[str, str]] | None = None
    taken: Stretch | None = None
    regions: list[tuple[str, frozenset[str]]] | None = None
    labels: set[tuple[str, str]] | None = None
    windows: list[Stretch] = field(default_factory=list)


@dataclass
class Agreement:
    """One Consent that makes rules."""

    id: str
    patient: str
    scope: str
    status: str
    was_active: bool
    signed: Stretch | None
    signers: set[str]
    organizations: set[str]
    verified: bool
    window: Stretch
    root: Statement | None = None
    nested: list[Statement] = field(default_factory=list)
    opted_out: bool = False
    replaces: list[str] = field(default_factory=list)
    version: int = 1

    def statements(self) -> Iterator[Statement]:
        """All rules, the opting out excepted."""
        if self.root is not None:
            yield self.root
        yield from self.nested


@dataclass
class Read:
    """What reading gave: refused elements, what the answer to the write must say, and the rules if none is refused."""

    refused: list[str] = field(default_factory=list)
    unreadable: bool = False
    """Whether it is no R4, so that nothing else in it was read."""

    said: set[str] = field(default_factory=set)
    agreement: Agreement | None = None
    denies: bool = False
    may_deny_treatment: bool = False


@dataclass
class Shelf:
    """What a write can look up."""

    zone: ZoneInfo
    purposes: words.Purposes
    channels: set[str]
    projects: set[str]
    deniable: set[str]
    exists: Callable[[str], bool]
    earlier: Callable[[str], Earlier | None]


@dataclass
class Earlier:
    """A Consent that is already here, as a later one that replaces it must know it."""

    records: set[str]
    """All records of its patient."""

    signed: Stretch | None
    by_patient_as_adult: bool
