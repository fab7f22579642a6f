"""What the pages about answers need: who was shown what, and why an answer comes out as it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from consent.audit.seen import How
from consent.inquiry import Explained
from consent.types import Request

DAYS = 90
"""How far back a patient's page looks at a time."""


@dataclass(frozen=True, slots=True)
class Look:
    """What somebody was shown of a patient's photos on one day for one purpose."""

    day: date
    who: str
    """As the workspace greets the account."""

    purpose: str
    photos: int
    """Different photos of hers."""

    emergency: bool
    herself: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer about one photo."""

    at: datetime
    who: str
    account: str
    how: How
    purpose: str
    place: str
    """Channel or project."""

    among: int
    """Photos that were released with it."""

    reason: str
    emergency: str
    """The reason that was typed, where it was an emergency override."""

    record: str


@dataclass(frozen=True, slots=True)
class History:
    """The answers about one photo, the newest first."""

    photo: str
    """Its SOP Instance UID."""

    answers: tuple[Answer, ...]
    total: int
    people: tuple[str, ...]
    """Who was shown it."""


@dataclass(frozen=True, slots=True)
class Opened:
    """Emergency access that compliance has to look at."""

    at: datetime | None
    patient: str
    account: str
    reason: str


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose request is explained, and for what."""

    account: str
    purpose: str
    channel: str | None = None
    project: str | None = None
    reason: str | None = None


class HistoryBook(Protocol):
    """Reads the record of answers; each reading is a record itself."""

    def of_patient(self, request: Request, patient: str, until: datetime, route: str) -> Sequence[Look]:
        """What was shown of her in the :data:`DAYS` before, the newest first."""
        ...

    def of_photo(self, request: Request, word: str, route: str) -> History | None:
        """Every answer about a photo, named by UID, id, number or document; None: none is named so."""
        ...

    def explain(self, request: Request, word: str, asked: Asked, route: str) -> Explained | None:
        """Why somebody may or may not see it; None: there is no such photo or account."""
        ...

    def accounts(self) -> Sequence[str]:
        """The names of all accounts."""
        ...

    def emergencies(self) -> Sequence[Opened]:
        """Emergency access that was opened and not looked at yet, the newest first."""
        ...
