"""Which Consents count, from when to when, and what becomes of those that others replace."""

from __future__ import annotations

from enum import IntEnum

from consent.directive import Directive
from consent.matching import Question, denies, permits, reached_without_purpose
from consent.prepared import Answer, Candidate, RulePrepared, Signature
from consent.types import Effect


class Phase(IntEnum):
    """Where a rule stands in its life."""

    NEVER = 0
    """It does not count and never did: what it would replace speaks whole."""

    NOT_YET = 1
    NOW = 2
    OVER = 3
    """It counted and no longer does: of what it replaced, denials speak again and permits do not."""


# Members of enumerations are looked up once: Python 3.11 takes longer for that than a whole comparison.
_NEVER, _NOT_YET, _NOW, _OVER = Phase.NEVER, Phase.NOT_YET, Phase.NOW, Phase.OVER
_PERMIT, _DENY = Effect.PERMIT, Effect.DENY


def answers(question: Question) -> list[Answer]:
    """What the patient's Consents answer to the question, each for itself, replaced ones silenced."""
    found = []
    for candidate in question.prepared.candidates(question.purpose):
        answer = _answer(candidate, question)
        if answer is None:
            continue
        if candidate.later and _is_silent(answer.effect, candidate.later, question):
            continue
        found.append(answer)
    return found


def names_purpose(question: Question) -> bool:
    """Whether a counting Consent has rules that name the question's purpose (break-glass is what they say, then)."""
    return any(
        rule.rule.purposes is not None
        and question.purpose in rule.rule.purposes
        and _phase(rule, candidate, question) is _NOW
        for candidate in question.prepared.candidates(question.purpose)
        for rule in _rules(candidate)
    )


def has_spoken_about_treatment(question: Question) -> bool:
    """Whether a Consent that counts, or would but for the end of its period, permits TREAT at its root.

    From its start on (the later of dateTime and period.start) there is no default for TREAT.
    """
    return any(
        (start is None or start <= question.now) and _permit_phase(directive, signature, question) is _NOW
        for directive, signature, start in question.prepared.speaks_of_treatment
    )


def _rules(candidate: Candidate) -> tuple[RulePrepared, ...]:
    return candidate.nested if candidate.root is None else (candidate.root, *candidate.nested)


def _answer(candidate: Candidate, question: Question) -> Answer | None:
    """Nested provisions that match decide instead of the root, deny first; OPTOUT stands below the root."""
    if candidate.nested:
        matching = [rule for rule in candidate.nested if _speaks(rule, candidate, question)]
        if matching:
            permit = all(rule.permit for rule in matching)
            refs = tuple(ref for rule in matching if rule.permit is permit for ref in rule.answer.directives)
            return Answer(_PERMIT if permit else _DENY, refs, candidate.directive)
    root = candidate.root
    if root is not None and _speaks(root, candidate, question):
        return root.answer
    if candidate.opt_out is not None and reached_without_purpose(question):
        return candidate.opt_out
    return None


def _speaks(rule: RulePrepared, candidate: Candidate, question: Question) -> bool:
    """Whether the rule counts now and matches."""
    now = question.now
    if (rule.end is not None and rule.end <= now) or (rule.start is not None and now < rule.start):
        return False
    if rule.permit and _permit_phase(candidate.directive, candidate.signature, question) is not _NOW:
        return False
    return not rule.asks or _matches(rule, candidate, question)


def _is_silent(effect: Effect, later: tuple[Candidate, ...], question: Question) -> bool:
    """Whether an answer is silenced by Consents that replace its own, where their rules match."""
    phases = {phase for candidate in later for phase in _matching_phases(candidate, question)}
    return _NOW in phases or (_OVER in phases and effect is _PERMIT)


def _matching_phases(candidate: Candidate, question: Question) -> list[Phase]:
    """The phases of those of its rules that match, whatever phase they are in."""
    phases = [_phase(rule, candidate, question) for rule in _rules(candidate) if _matches(rule, candidate, question)]
    if candidate.opt_out is not None and reached_without_purpose(question):
        phases.append(_NOW)
    if candidate.active:
        return phases
    if not candidate.directive.was_active:
        return []
    return [_OVER for phase in phases if phase >= _NOW]


def _matches(rule: RulePrepared, candidate: Candidate, question: Question) -> bool:
    if rule.permit:
        return permits(rule.rule, candidate.directive, question)
    return denies(rule.rule, question)


def _phase(rule: RulePrepared, candidate: Candidate, question: Question) -> Phase:
    """Where the rule stands, its Consent's status left aside."""
    phase = _NOW
    if rule.end is not None and rule.end <= question.now:
        phase = _OVER
    elif rule.start is not None and question.now < rule.start:
        phase = _NOT_YET
    if not rule.permit:
        return phase
    permit = _permit_phase(candidate.directive, candidate.signature, question)
    if permit is _NOW or (permit is _OVER and phase is _NOT_YET):
        return phase
    return permit


def _permit_phase(directive: Directive, signature: Signature, question: Question) -> Phase:
    """Whether the Consent's permits count, its status, scope and periods left aside."""
    if not signature.entitled or not (
        question.photo.custodian in directive.organizations or _is_part_of(directive.organizations, question)
    ):
        return _NEVER
    signed = directive.signed
    assert signed is not None
    assert signed.start is not None
    if signed.start > question.now:
        return _NOT_YET
    if not directive.verified or (signature.until is not None and signature.until <= question.now):
        return _OVER
    return _NOW


def _is_part_of(organizations: tuple[str, ...], question: Question) -> bool:
    """Whether one of the organisations is the one that holds the photo, or one that it is part of."""
    here = question.photo.custodian
    seen: set[str] = set()
    while here is not None and here not in seen:
        if here in organizations:
            return True
        seen.add(here)
        here = question.organization_parents.get(here)
    return False
