"""How the answer to a request comes about, in sentences: the decision itself, with every patient's part of it kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from consent.decision import decisions_of, speaking
from consent.facts import Facts
from consent.reasons import Reason
from consent.rules.site import SiteRuleId, site_rules
from consent.types import Decision, Request


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision, and what was answered for each patient shown and each source of a copy."""

    decision: Decision
    lines: tuple[str, ...]
    """One sentence each, for compliance officers; patients and Consents by their ids."""


def explain(request: Request, facts: Facts, now: datetime) -> Explanation:
    """How the answer comes about: the same code, with every patient's part of it kept."""
    decisions = decisions_of(request, facts, now)
    return Explanation(speaking(decisions), tuple(_line(decision) for decision in decisions))


def _line(decision: Decision) -> str:
    """One decision as a sentence: the step, whom it is about, the reason, the rule or the provisions behind it."""
    about = "" if decision.patient is None else f" Patient/{decision.patient}:"
    line = f"Step {decision.step},{about} {decision.effect.value}. {Reason(decision.reason).sentence}"
    if decision.rule is not None:
        rule = site_rules()[SiteRuleId(decision.rule)]
        line += f" {rule.sentence} ({rule.source})"
    provisions = ", ".join(f"Consent/{ref.consent} version {ref.version} {ref.path}" for ref in decision.directives)
    return f"{line} By {provisions}." if provisions else line
