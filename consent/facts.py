"""What a decision needs to know, gathered before it is made, so that the decision itself touches nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from consent.directive import Directive, Label, Region, Span
from consent.site import Site


@dataclass(frozen=True, slots=True)
class PhotoFacts:
    """One photo, or one source of a copy. References are relative FHIR references."""

    photo: str
    """SOP Instance UID."""

    patients: tuple[str, ...] = ()
    """Every patient shown; the first is the one whose record it is in. Empty: not linked."""

    other: bool = False
    """It is no photo, as its SOP Class tells (CT, MR, SR, …): it is never linked, and nobody's Consents bind it."""

    known_since: Mapping[str, datetime] = field(default_factory=dict)
    """For each patient, from when she could have known of it: the link here, or the end of the manifest's day."""

    document: str | None = None
    """``DocumentReference/…``"""

    formerly: tuple[str, ...] = ()
    """The DocumentReferences of the rejected instances whose place it takes: a denial that names one of them reaches
    it."""

    formerly_hers: tuple[str, ...] = ()
    """Those of them since which the same patients are shown: a permit that names one of them reaches it, too."""

    imaging_study: str | None = None
    """``ImagingStudy/…``"""

    encounter: str | None = None
    """``Encounter/…``: the visit."""

    links: frozenset[str] = frozenset()
    """All Procedure, Encounter, EpisodeOfCare and CarePlan linked to it, in either direction."""

    treatment: bool = False
    """Whether any Procedure is among the links."""

    author: str | None = None
    photographer: str | None = None
    custodian: str | None = None
    """``Organization/…`` that holds it."""

    taken: Span | None = None
    """Capture time in its whole uncertainty; None: unknown."""

    regions: tuple[Region, ...] = ()
    """Every region shown, treated or not; empty: unknown."""

    labels: tuple[Label, ...] = ()
    sources: tuple[PhotoFacts, ...] = ()
    """For a copy: the photos it was made from. It is decided once for each, as if it were that one."""

    own_description: bool = False
    """For a copy: a person has recorded the copy's own regions and labels; these are used in place of the source's."""


@dataclass(frozen=True, slots=True)
class Representation:
    """Somebody entitled to act for a patient, and when."""

    person: str
    """``RelatedPerson/…``"""

    period: Span


@dataclass(frozen=True, slots=True)
class Held:
    """An arrived Consent that cannot be honoured holds the patient until a person resolves it."""

    consent: str
    treatment: bool
    """Whether it contains a denial that could reach TREAT."""


@dataclass(frozen=True, slots=True)
class PatientFacts:
    """One patient, with the Consents of every record merged into hers."""

    patient: str
    version: int = 0
    birth: Span | None = None
    """The day of birth in the site's zone, widened where only year or month is known; None: unknown."""

    directives: tuple[Directive, ...] = ()
    representatives: tuple[Representation, ...] = ()
    held: tuple[Held, ...] = ()
    records: frozenset[str] = frozenset()
    """All patient ids of the same person after merges, this one among them; empty means this one alone."""

    care_team: frozenset[str] = frozenset()
    """References named on her CareTeam, Encounters and Procedures (for ``care_team = "record"``)."""

    final_results: Mapping[str, datetime] = field(default_factory=dict)
    """Region code -> when the final result of that area was reached (for the rule on signatures before it)."""


@dataclass(frozen=True, slots=True)
class RequesterFacts:
    """What the record says of the requester at the time of the request."""

    belongs_to: frozenset[str] = frozenset()
    """Her own reference, and every Organization (with those it is part of), Group, CareTeam and role she belongs to."""

    may_belong_to: frozenset[str] = frozenset()
    """The Organizations that she may belong to: with an account here and no organisation on record, the site's own,
    with its parts and those that it is part of."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that one decision reads."""

    site: Site
    photo: PhotoFacts | None
    patients: Mapping[str, PatientFacts]
    requester: RequesterFacts = RequesterFacts()
    organization_parents: Mapping[str, str] = field(default_factory=dict)
    """Organization -> the one that it is part of, both as ``Organization/…``."""

    current: bool = True
    """False where anything is missing or older than the database's version of it."""


def records_of(patient: PatientFacts) -> frozenset[str]:
    """All patient ids of one person."""
    return patient.records or frozenset({patient.patient})
