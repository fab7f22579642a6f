"""One patient's Consents, sorted by purpose before anybody asks: what neither the photo nor the time can change.

Sorting is a pure function of the patient's facts and the settings. It is remembered for as long as the same two
objects are used, because a photo is decided at every request and her Consents change rarely.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from consent.ages import majority
from consent.directive import Directive, Rule, Span
from consent.facts import PatientFacts, records_of
from consent.purposes import BTG, HRESCH, PATRQT, SOCIAL, TREAT, Catalog
from consent.site import Site
from consent.types import Decision, DirectiveRef, Effect

PRIVACY = "patient-privacy"
RESEARCH = "research"
ACTIVE = "active"
ENTERED_IN_ERROR = "entered-in-error"

_NOT_SIGNERS = ("Practitioner/", "PractitionerRole/", "Organization/", "Device/", "Group/", "CareTeam/")
"""Clinicians and organisations sign for no patient, whatever the record says of them."""

_MOST = 4096


@dataclass(frozen=True, slots=True)
class Signature:
    """Whether a Consent's performers were entitled to sign it, and until when that makes its permits count."""

    entitled: bool
    until: datetime | None = None
    """When the day of majority begins, for a permit signed for a minor; None: without end."""


@dataclass(slots=True)
class Answer:
    """What one Consent of one patient answers."""

    effect: Effect
    directives: tuple[DirectiveRef, ...]
    directive: Directive
    decisions: dict[str, Decision] = field(default_factory=dict, compare=False)
    """The decision that it makes where it is the only one, by the purpose of the request: always the same."""


@dataclass(frozen=True, slots=True)
class RulePrepared:
    """A rule whose purpose reaches the one that is asked for."""

    rule: Rule
    permit: bool
    answer: Answer
    """What it answers where it speaks alone."""

    asks: bool
    """False where everybody and every photo match, so that matching need not be asked."""

    start: datetime | None
    """All its periods contain the instants of ``[start, end)``."""

    end: datetime | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A Consent that may say something about one purpose: its rules for that purpose alone."""

    directive: Directive
    active: bool
    signature: Signature
    root: RulePrepared | None
    nested: tuple[RulePrepared, ...]
    opt_out: Answer | None
    """policyRule OPTOUT, where it reaches the purpose."""

    later: tuple[Candidate, ...] = ()
    """The Consents that replace it, as far as they reach the purpose."""


class Prepared:
    """One patient at one site. Built by :func:`prepare`; nothing in it depends on the time or a photo."""

    __slots__ = ("_candidates", "_signatures", "catalog", "of_age", "patient", "records", "site", "speaks_of_treatment")

    def __init__(self, patient: PatientFacts, site: Site) -> None:
        self.patient = patient
        self.site = site
        self.catalog = Catalog.of(site)
        self.records = records_of(patient)
        self.of_age = majority(patient.birth, site)
        self._signatures = {
            id(directive): _signature(directive, patient, self.records, self.of_age) for directive in patient.directives
        }
        self.speaks_of_treatment = tuple(
            (directive, self._signatures[id(directive)], _latest_start(directive.root))
            for directive in patient.directives
            if directive.status == ACTIVE and directive.scope == PRIVACY and _permits_treatment(directive.root)
        )
        self._candidates: dict[str, tuple[Candidate, ...]] = {}

    def candidates(self, purpose: str) -> tuple[Candidate, ...]:
        """The active Consents that may say something about the purpose."""
        found = self._candidates.get(purpose)
        if found is None:
            found = self._candidates[purpose] = self._prepare(purpose)
        return found

    def _prepare(self, purpose: str) -> tuple[Candidate, ...]:
        everything = {
            directive.consent: candidate
            for directive in self.patient.directives
            if (candidate := self._candidate(directive, purpose)) is not None
        }
        return tuple(
            Candidate(
                candidate.directive,
                True,
                candidate.signature,
                candidate.root,
                candidate.nested,
                candidate.opt_out,
                tuple(
                    each
                    for each in everything.values()
                    if candidate.directive.consent in each.directive.replaces
                    and each.directive.status != ENTERED_IN_ERROR
                    and _is_later(each.directive, candidate.directive)
                ),
            )
            for candidate in everything.values()
            if candidate.active
        )

    def _candidate(self, directive: Directive, purpose: str) -> Candidate | None:
        line = self.catalog.line(purpose)
        if directive.scope != PRIVACY and not (directive.scope == RESEARCH and HRESCH in line):
            return None
        root = (
            directive.root if directive.root is not None and self._reaches(directive.root, directive, purpose) else None
        )
        nested = tuple(
            self._rule(rule, directive, purpose) for rule in directive.nested if self._reaches(rule, directive, purpose)
        )
        opt_out = directive.opt_out and self._is_reached_without_purpose(purpose)
        if root is None and not nested and not opt_out:
            return None
        return Candidate(
            directive,
            directive.status == ACTIVE,
            self._signatures[id(directive)],
            None if root is None else self._rule(root, directive, purpose),
            nested,
            _answer(directive, Effect.DENY, "policyRule") if opt_out else None,
        )

    def _rule(self, rule: Rule, directive: Directive, purpose: str) -> RulePrepared:
        ends = [span.end for span in rule.periods if span.end is not None]
        permit = rule.effect is Effect.PERMIT
        asks = purpose == PATRQT or (permit and (purpose == SOCIAL or self.catalog.is_publishing(purpose)))
        stated = (rule.actors, rule.data, rule.data_period, rule.regions, rule.labels)
        return RulePrepared(
            rule,
            permit,
            _answer(directive, rule.effect, rule.path),
            asks or any(element is not None for element in stated),
            _latest_start(rule),
            min(ends, default=None),
        )

    def _reaches(self, rule: Rule, directive: Directive, purpose: str) -> bool:
        """Whether the rule's purposes reach the one asked for: a permit exactly, a denial with every child."""
        if rule.effect is Effect.PERMIT:
            # Scope `research` counts for HRESCH only; a denial in it reaches the children of HRESCH like any denial.
            if directive.scope != PRIVACY and purpose != HRESCH:
                return False
            return purpose == TREAT if rule.purposes is None else purpose in rule.purposes
        if rule.purposes is None:
            return self._is_reached_without_purpose(purpose)
        return any(code in rule.purposes for code in self.catalog.line(purpose))

    def _is_reached_without_purpose(self, purpose: str) -> bool:
        """A denial without a purpose reaches all but duties and BTG; PATRQT depends on who asks."""
        return purpose != BTG and not self.catalog.is_duty(purpose)


_memory: dict[int, Prepared] = {}


def prepare(patient: PatientFacts, site: Site) -> Prepared:
    """The patient's Consents, sorted; the same objects give the same result without sorting again."""
    found = _memory.get(id(patient))
    # The memory keeps the patient alive, so that her id is no other object's; both are immutable.
    if found is not None and found.patient is patient and found.site is site:
        return found
    if len(_memory) >= _MOST:
        _memory.clear()
    found = _memory[id(patient)] = Prepared(patient, site)
    return found


def _answer(directive: Directive, effect: Effect, path: str) -> Answer:
    return Answer(effect, (DirectiveRef(directive.consent, directive.version, path),), directive)


def _latest_start(rule: Rule | None) -> datetime | None:
    starts = [] if rule is None else [span.start for span in rule.periods if span.start is not None]
    return max(starts, default=None)


def _permits_treatment(root: Rule | None) -> bool:
    return root is not None and root.effect is Effect.PERMIT and (root.purposes is None or TREAT in root.purposes)


def _is_later(later: Directive, earlier: Directive) -> bool:
    """The door refuses anything else; a Consent that was dated anew since is no longer replaced by an older one."""
    if earlier.signed is None or earlier.signed.start is None:
        return True
    return later.signed is not None and later.signed.start is not None and earlier.signed.start < later.signed.start


def _signature(directive: Directive, patient: PatientFacts, records: frozenset[str], of_age: Span | None) -> Signature:
    """The patient's own, that of somebody entitled for an adult, or for a minor until she is of age; else none."""
    signed = directive.signed
    if signed is None or signed.start is None:
        return Signature(entitled=False)
    best = Signature(entitled=False)
    for performer in directive.performers:
        kind, _, identity = performer.partition("/")
        if kind == "Patient" and identity in records:
            return Signature(entitled=True)
        if performer.startswith(_NOT_SIGNERS) or not any(
            each.person == performer and each.period.covers(signed) for each in patient.representatives
        ):
            continue
        if of_age is None or of_age.start is None or of_age.end is None:
            continue
        if of_age.end <= signed.start:
            return Signature(entitled=True)
        best = Signature(entitled=True, until=of_age.start)
    return best
