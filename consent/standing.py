"""Which Consents count, from when to when, and what becomes of those that others replace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from consent.ages import majority
from consent.directive import Directive, Rule
from consent.facts import PatientFacts, PhotoFacts, records_of
from consent.matching import Question, matches, opt_out_matches
from consent.purposes import HRESCH, TREAT
from consent.site import Site
from consent.types import DirectiveRef, Effect

PRIVACY = "patient-privacy"
RESEARCH = "research"
_ACTIVE = "active"
_ENTERED_IN_ERROR = "entered-in-error"


class Phase(IntEnum):
    """Where a rule stands in its life."""

    NEVER = 0
    """It does not count and never did: what it would replace speaks whole."""

    NOT_YET = 1
    NOW = 2
    OVER = 3
    """It counted and no longer does: of what it replaced, denials speak again and permits do not."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the phases of one patient's rules depend on."""

    patient: PatientFacts
    site: Site
    organization_parents: Mapping[str, str]
    now: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """What one Consent answers."""

    effect: Effect
    directives: tuple[DirectiveRef, ...]


def answers(question: Question, circumstances: Circumstances) -> list[Answer]:
    """What the patient's Consents answer to the question, each for itself, replaced ones silenced."""
    found = []
    directives = circumstances.patient.directives
    replacing: dict[str, list[Directive]] = {}
    for directive in directives:
        for replaced in directive.replaces:
            replacing.setdefault(replaced, []).append(directive)
    for directive in directives:
        if directive.status != _ACTIVE or not _in_scope(directive, question):
            continue
        answer = _answer(directive, question, circumstances)
        if answer is None:
            continue
        later = replacing.get(directive.consent)
        if later and _is_silent(answer.effect, later, question, circumstances):
            continue
        found.append(answer)
    return found


def names_purpose(question: Question, circumstances: Circumstances) -> bool:
    """Whether a counting Consent has rules that name the question's purpose (break-glass is what they say, then)."""
    for directive in circumstances.patient.directives:
        if directive.status != _ACTIVE or not _in_scope(directive, question):
            continue
        for rule in _rules(directive):
            if (
                rule.purposes is not None
                and question.purpose in rule.purposes
                and _phase(rule, directive, question.photo, circumstances) is Phase.NOW
            ):
                return True
    return False


def has_spoken_about_treatment(photo: PhotoFacts, circumstances: Circumstances) -> bool:
    """Whether a Consent that counts, or would but for the end of its period, permits TREAT at its root.

    From its start on (the later of dateTime and period.start) there is no default for TREAT.
    """
    for directive in circumstances.patient.directives:
        root = directive.root
        if root is None or directive.status != _ACTIVE or directive.scope != PRIVACY:
            continue
        if root.effect is not Effect.PERMIT or (root.purposes is not None and TREAT not in root.purposes):
            continue
        if _permit_phase(directive, photo, circumstances) is Phase.NOW and all(
            span.start is None or span.start <= circumstances.now for span in root.periods
        ):
            return True
    return False


def _in_scope(directive: Directive, question: Question) -> bool:
    return directive.scope == PRIVACY or (directive.scope == RESEARCH and HRESCH in question.line)


def _rules(directive: Directive) -> tuple[Rule, ...]:
    return directive.nested if directive.root is None else (directive.root, *directive.nested)


def _answer(directive: Directive, question: Question, circumstances: Circumstances) -> Answer | None:
    """Nested provisions that match decide instead of the root, deny first; OPTOUT stands below the root."""
    matching = [rule for rule in directive.nested if _speaks(rule, directive, question, circumstances)]
    if not matching and directive.root is not None and _speaks(directive.root, directive, question, circumstances):
        matching = [directive.root]
    if matching:
        effect = Effect.DENY if any(rule.effect is Effect.DENY for rule in matching) else Effect.PERMIT
        paths = [rule.path for rule in matching if rule.effect is effect]
    elif directive.opt_out and opt_out_matches(question, circumstances.patient):
        effect, paths = Effect.DENY, ["policyRule"]
    else:
        return None
    return Answer(effect, tuple(DirectiveRef(directive.consent, directive.version, path) for path in paths))


def _speaks(rule: Rule, directive: Directive, question: Question, circumstances: Circumstances) -> bool:
    return (
        _permit_is_within_scope(rule, directive, question)
        and matches(rule, directive, question, circumstances.patient)
        and _phase(rule, directive, question.photo, circumstances) is Phase.NOW
    )


def _permit_is_within_scope(rule: Rule, directive: Directive, question: Question) -> bool:
    """Scope ``research`` counts for HRESCH only; a denial in it reaches the children of HRESCH like any denial."""
    return rule.effect is Effect.DENY or directive.scope == PRIVACY or question.purpose == HRESCH


def _is_silent(effect: Effect, later: list[Directive], question: Question, circumstances: Circumstances) -> bool:
    """Whether an answer is silenced by Consents that replace its own, where their rules match."""
    over = False
    for directive in later:
        if directive.status == _ENTERED_IN_ERROR or not _in_scope(directive, question):
            continue
        for phase in _matching_phases(directive, question, circumstances):
            if phase is Phase.NOW:
                return True
            over = over or phase is Phase.OVER
    return over and effect is Effect.PERMIT


def _matching_phases(directive: Directive, question: Question, circumstances: Circumstances) -> list[Phase]:
    """The phases of those of its rules that match, whatever phase they are in."""
    phases = []
    for rule in _rules(directive):
        if _permit_is_within_scope(rule, directive, question) and matches(
            rule, directive, question, circumstances.patient
        ):
            phases.append(_within_status(_phase(rule, directive, question.photo, circumstances), directive))
    if directive.opt_out and opt_out_matches(question, circumstances.patient):
        phases.append(_within_status(Phase.NOW, directive))
    return phases


def _within_status(phase: Phase, directive: Directive) -> Phase:
    if directive.status == _ACTIVE:
        return phase
    if directive.was_active and phase in (Phase.NOW, Phase.OVER):
        return Phase.OVER
    return Phase.NEVER


def _phase(rule: Rule, directive: Directive, photo: PhotoFacts, circumstances: Circumstances) -> Phase:
    """Where the rule stands, its Consent's status left aside."""
    now = circumstances.now
    phase = Phase.NOW
    for span in rule.periods:
        if span.end is not None and span.end <= now:
            phase = Phase.OVER
        elif span.start is not None and now < span.start and phase is Phase.NOW:
            phase = Phase.NOT_YET
    if rule.effect is Effect.PERMIT:
        permit = _permit_phase(directive, photo, circumstances)
        if permit is not Phase.NOW:
            return permit if permit is Phase.NEVER or phase is Phase.NOW else phase
    return phase


def _permit_phase(directive: Directive, photo: PhotoFacts, circumstances: Circumstances) -> Phase:
    """Whether the Consent's permits count, its status, scope and periods left aside."""
    if directive.signed is None or not _organization_holds(directive, photo, circumstances):
        return Phase.NEVER
    entitled = _entitled(directive, circumstances)
    if entitled is Phase.NEVER:
        return Phase.NEVER
    if directive.signed.start is not None and directive.signed.start > circumstances.now:
        return Phase.NOT_YET
    return entitled if directive.verified else Phase.OVER


def _organization_holds(directive: Directive, photo: PhotoFacts, circumstances: Circumstances) -> bool:
    """Whether a stated organisation is the one that holds the photo, or one that it is part of."""
    here = photo.custodian
    seen: set[str] = set()
    while here is not None and here not in seen:
        if here in directive.organizations:
            return True
        seen.add(here)
        here = circumstances.organization_parents.get(here)
    return False


def _entitled(directive: Directive, circumstances: Circumstances) -> Phase:
    """NOW where a performer was entitled to sign, OVER where it was for a minor who is of age now, else NEVER."""
    patient, signed = circumstances.patient, directive.signed
    assert signed is not None
    best = Phase.NEVER
    records = records_of(patient)
    for performer in directive.performers:
        kind, _, identity = performer.partition("/")
        if kind == "Patient" and identity in records:
            return Phase.NOW
        if not any(each.person == performer and each.period.covers(signed) for each in patient.representatives):
            continue
        of_age = majority(patient.birth, circumstances.site)
        if of_age is None or of_age.start is None or of_age.end is None:
            continue
        if signed.start is not None and of_age.end <= signed.start:
            return Phase.NOW
        if circumstances.now < of_age.start:
            return Phase.NOW
        best = Phase.OVER
    return best
