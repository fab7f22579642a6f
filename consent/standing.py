"""Which Consents count, from when to when, and what becomes of those that others replace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from consent.directive import Directive
from consent.facts import PhotoFacts
from consent.matching import Question, denies, permits, reached_without_purpose
from consent.prepared import Candidate, Prepared, RulePrepared, Signature
from consent.types import DirectiveRef, Effect


class Phase(IntEnum):
    """Where a rule stands in its life."""

    NEVER = 0
    """It does not count and never did: what it would replace speaks whole."""

    NOT_YET = 1
    NOW = 2
    OVER = 3
    """It counted and no longer does: of what it replaced, denials speak again and permits do not."""


@dataclass(slots=True)
class Circumstances:
    """What the phases of one patient's rules depend on. Never changed once made (see Question)."""

    prepared: Prepared
    organization_parents: Mapping[str, str]
    now: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """What one Consent answers."""

    effect: Effect
    directives: tuple[DirectiveRef, ...]
    directive: Directive


def answers(question: Question, circumstances: Circumstances) -> list[Answer]:
    """What the patient's Consents answer to the question, each for itself, replaced ones silenced."""
    found = []
    for candidate in circumstances.prepared.candidates(question.purpose):
        answer = _answer(candidate, question, circumstances)
        if answer is None:
            continue
        if candidate.later and _is_silent(answer.effect, candidate.later, question, circumstances):
            continue
        found.append(answer)
    return found


def names_purpose(question: Question, circumstances: Circumstances) -> bool:
    """Whether a counting Consent has rules that name the question's purpose (break-glass is what they say, then)."""
    return any(
        rule.rule.purposes is not None
        and question.purpose in rule.rule.purposes
        and _phase(rule, candidate, question.photo, circumstances) is Phase.NOW
        for candidate in circumstances.prepared.candidates(question.purpose)
        for rule in _rules(candidate)
    )


def has_spoken_about_treatment(photo: PhotoFacts, circumstances: Circumstances) -> bool:
    """Whether a Consent that counts, or would but for the end of its period, permits TREAT at its root.

    From its start on (the later of dateTime and period.start) there is no default for TREAT.
    """
    return any(
        (start is None or start <= circumstances.now)
        and _permit_phase(directive, signature, photo, circumstances) is Phase.NOW
        for directive, signature, start in circumstances.prepared.speaks_of_treatment
    )


def _rules(candidate: Candidate) -> tuple[RulePrepared, ...]:
    return candidate.nested if candidate.root is None else (candidate.root, *candidate.nested)


def _answer(candidate: Candidate, question: Question, circumstances: Circumstances) -> Answer | None:
    """Nested provisions that match decide instead of the root, deny first; OPTOUT stands below the root."""
    if candidate.nested:
        matching = [rule for rule in candidate.nested if _speaks(rule, candidate, question, circumstances)]
        if matching:
            permit = all(rule.permit for rule in matching)
            refs = tuple(rule.ref for rule in matching if rule.permit is permit)
            return Answer(Effect.PERMIT if permit else Effect.DENY, refs, candidate.directive)
    root = candidate.root
    if root is not None and _speaks(root, candidate, question, circumstances):
        return Answer(root.rule.effect, (root.ref,), candidate.directive)
    if candidate.opt_out is not None and reached_without_purpose(question):
        return Answer(Effect.DENY, (candidate.opt_out,), candidate.directive)
    return None


def _speaks(rule: RulePrepared, candidate: Candidate, question: Question, circumstances: Circumstances) -> bool:
    return (
        _phase(rule, candidate, question.photo, circumstances) is Phase.NOW  # the cheaper question first
        and _matches(rule, candidate, question)
    )


def _matches(rule: RulePrepared, candidate: Candidate, question: Question) -> bool:
    if rule.permit:
        return permits(rule.rule, candidate.directive, question)
    return denies(rule.rule, question)


def _is_silent(effect: Effect, later: tuple[Candidate, ...], question: Question, circumstances: Circumstances) -> bool:
    """Whether an answer is silenced by Consents that replace its own, where their rules match."""
    phases = {phase for candidate in later for phase in _matching_phases(candidate, question, circumstances)}
    return Phase.NOW in phases or (Phase.OVER in phases and effect is Effect.PERMIT)


def _matching_phases(candidate: Candidate, question: Question, circumstances: Circumstances) -> list[Phase]:
    """The phases of those of its rules that match, whatever phase they are in."""
    phases = [
        _phase(rule, candidate, question.photo, circumstances)
        for rule in _rules(candidate)
        if _matches(rule, candidate, question)
    ]
    if candidate.opt_out is not None and reached_without_purpose(question):
        phases.append(Phase.NOW)
    if candidate.active:
        return phases
    if not candidate.directive.was_active:
        return []
    return [Phase.OVER for phase in phases if phase >= Phase.NOW]


def _phase(rule: RulePrepared, candidate: Candidate, photo: PhotoFacts, circumstances: Circumstances) -> Phase:
    """Where the rule stands, its Consent's status left aside."""
    now = circumstances.now
    phase = Phase.NOW
    if rule.end is not None and rule.end <= now:
        phase = Phase.OVER
    elif rule.start is not None and now < rule.start:
        phase = Phase.NOT_YET
    if not rule.permit:
        return phase
    permit = _permit_phase(candidate.directive, candidate.signature, photo, circumstances)
    if permit is Phase.NOW or (permit is Phase.OVER and phase is Phase.NOT_YET):
        return phase
    return permit


def _permit_phase(directive: Directive, signature: Signature, photo: PhotoFacts, circumstances: Circumstances) -> Phase:
    """Whether the Consent's permits count, its status, scope and periods left aside."""
    if not signature.entitled or not _organization_holds(directive, photo, circumstances):
        return Phase.NEVER
    assert directive.signed is not None
    assert directive.signed.start is not None
    if directive.signed.start > circumstances.now:
        return Phase.NOT_YET
    if not directive.verified or (signature.until is not None and signature.until <= circumstances.now):
        return Phase.OVER
    return Phase.NOW


def _organization_holds(directive: Directive, photo: PhotoFacts, circumstances: Circumstances) -> bool:
    """Whether a stated organisation is the one that holds the photo, or one that it is part of."""
    here = photo.custodian
    if here in directive.organizations:
        return True
    seen: set[str] = set()
    while here is not None and here not in seen:
        if here in directive.organizations:
            return True
        seen.add(here)
        here = circumstances.organization_parents.get(here)
    return False
