"""A Consent, read: rules that a decision can match. Written by ``fhir_mapping.to_directive``, read by ``decide``.

All instants are aware datetimes in UTC. A FHIR date or time is the half-open span of its last unit, so that
``2026-12-31`` lasts until that day is over in the site's time zone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from consent.types import Effect, Laterality

_LONGEST_DAY = timedelta(hours=26)
"""A day on which clocks go back has an hour more, or two; a month has many."""


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open stretch of time ``[start, end)``; None is open."""

    start: datetime | None = None
    end: datetime | None = None

    def contains(self, instant: datetime) -> bool:
        """Whether the instant lies in the span."""
        return (self.start is None or self.start <= instant) and (self.end is None or instant < self.end)

    def covers(self, other: Span) -> bool:
        """Whether all of the other span lies in this one."""
        return (self.start is None or (other.start is not None and self.start <= other.start)) and (
            self.end is None or (other.end is not None and other.end <= self.end)
        )

    def touches(self, other: Span) -> bool:
        """Whether the two spans share an instant."""
        return (self.start is None or other.end is None or self.start < other.end) and (
            self.end is None or other.start is None or other.start < self.end
        )


@dataclass(frozen=True, slots=True)
class Region:
    """A region of the body, with its side. ``code`` is ``system|code``."""

    code: str
    laterality: Laterality = Laterality.BOTH


@dataclass(frozen=True, slots=True)
class Label:
    """A security label: ``system|code``."""

    system: str
    code: str


class Reach(StrEnum):
    """How ``provision.data`` reaches photos, already read for the rule's effect."""

    PHOTO = "photo"
    """That photo (reference to its DocumentReference)."""

    VISIT = "visit"
    """The photos of an ImagingStudy, also later ones."""

    LINKED = "linked"
    """The photos linked to a Procedure, Encounter, EpisodeOfCare or CarePlan, also later ones."""

    AUTHOR = "author"
    """Photos whose author is the reference; in a denial also those whose photographer is."""

    NOTHING = "nothing"
    """No photo at all."""


@dataclass(frozen=True, slots=True)
class Data:
    """One ``provision.data``."""

    reach: Reach
    reference: str
    """Relative FHIR reference, ``Procedure/p1``."""


@dataclass(frozen=True, slots=True)
class Actors:
    """The two actor elements of a provision: persons and groups, and channels and projects."""

    persons: frozenset[str] = frozenset()
    """Relative FHIR references."""

    channels: frozenset[str] = frozenset()
    projects: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Rule:
    """A provision, completed from its root. None in an element asks for nothing."""

    path: str
    effect: Effect
    purposes: frozenset[str] | None = None
    """Codes stated and known; an empty set was stated and matches nothing (a permit for an unknown purpose)."""

    actors: Actors | None = None
    data: tuple[Data, ...] | None = None
    data_period: Span | None = None
    regions: tuple[Region, ...] | None = None
    labels: tuple[Label, ...] | None = None
    periods: tuple[Span, ...] = ()
    """All must contain now: the root's and the provision's own."""


@dataclass(frozen=True, slots=True)
class Directive:
    """One Consent in one version."""

    consent: str
    version: int
    patient: str
    """The patient record it was signed on (a merge does not change it)."""

    scope: str
    """Code of Consent.scope, ``patient-privacy`` or ``research``; other scopes make no directive."""

    status: str
    """Code of Consent.status; only ``active`` speaks."""

    was_active: bool = True
    """Whether any version of it was active: an ended Consent gives back otherwise than one that never began."""

    signed: Span | None = None
    """Consent.dateTime as the span of its last unit."""

    performers: tuple[str, ...] = ()
    organizations: tuple[str, ...] = ()
    verified: bool = True
    """False where any verification.verified is false."""

    root: Rule | None = None
    """The root provision where it states or is given a type; None with OPTOUT alone."""

    nested: tuple[Rule, ...] = ()
    opt_out: bool = False
    """policyRule OPTOUT: denies below the root, as a denial without a purpose."""

    replaces: tuple[str, ...] = ()
    """Ids of the Consents whose place it takes where its rules match."""

    @property
    def seen_until(self) -> datetime | None:
        """What was known before this instant she could have seen when she signed; None: nothing is known to be so.

        A day alone lasts until it is over. Where a month or a year is all that is told, she may have signed on its
        first day.
        """
        if self.signed is None or self.signed.start is None or self.signed.end is None:
            return None
        return self.signed.end if self.signed.end - self.signed.start <= _LONGEST_DAY else self.signed.start
