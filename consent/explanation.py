"""How the answer to a request comes about, in sentences: the decision itself, with every patient's part of it kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from consent.decision import decisions_of, speaking
from consent.facts import Facts, PatientFacts
from consent.provisions import sentence
from consent.purposes import BTG
from consent.reasons import Reason
from consent.rules.site import SiteRuleId, site_rules
from consent.types import Decision, DirectiveRef, Request
from consent.wording import joined, worded

PASSED = (
    worded("The facts were whole, and as new as the database's version of them."),
    worded("The requester holds the purpose, and gave what it asks for."),
    worded("The photo is linked to a patient, and to a visit or a treatment."),
    worded("The requester is confined to nobody else."),
    worded("No rule of the site or the jurisdiction forbids it."),
    worded("The purpose is no duty."),
    worded("The purpose is not emergency access, or her own Consents say what holds in an emergency."),
    worded("She is not held by a Consent that cannot be honoured."),
    worded("None of her Consents that count denies it."),
    worded("None of her Consents that count permits it."),
    worded("She has not spoken about treatment, or the purpose is another one."),
)
"""What it means that a step of the decision table did not answer, by the step's number."""


@dataclass(frozen=True, slots=True)
class Provision:
    """A provision that made the answer."""

    directive: DirectiveRef
    sentence: str
    """What it says."""


@dataclass(frozen=True, slots=True)
class Part:
    """What was answered for one patient, and for one source of a copy; without a patient, before any was looked at."""

    decision: Decision
    steps: tuple[str, ...]
    """The steps that were passed, from step 0 on, and last the one that answered."""

    provisions: tuple[Provision, ...] = ()
    line: str = ""
    """All of it in one sentence."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision, and what was answered for each patient shown and each source of a copy."""

    decision: Decision
    parts: tuple[Part, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """One sentence for each part, for compliance officers; patients and Consents by their ids."""
        return tuple(part.line for part in self.parts)


def explain(request: Request, facts: Facts, now: datetime) -> Explanation:
    """How the answer comes about: the same code, with every patient's part of it kept."""
    decisions = decisions_of(request, facts, now)
    return Explanation(speaking(decisions), tuple(_part(request, decision, facts) for decision in decisions))


def for_patients(explanation: Explanation, patients: frozenset[str]) -> Explanation | None:
    """The same for the patients alone: nobody learns of another's answer, nor of the whole; None: no part is hers."""
    parts = tuple(part for part in explanation.parts if part.decision.patient in (None, *patients))
    return Explanation(speaking([part.decision for part in parts]), parts) if parts else None


def _part(request: Request, decision: Decision, facts: Facts) -> Part:
    patient = None if decision.patient is None else facts.patients.get(decision.patient)
    answering = _answering(decision)
    if request.purpose == BTG and decision.permitted:
        overridden = worded("It is audited as an emergency override, and shown to the patient.")
        answering = joined((answering, overridden), " ")
    return Part(
        decision,
        (*PASSED[: decision.step], answering),
        tuple(Provision(ref, _said(ref, patient, facts)) for ref in decision.directives),
        _line(decision),
    )


def _said(ref: DirectiveRef, patient: PatientFacts | None, facts: Facts) -> str:
    directives = () if patient is None else patient.directives
    found = next((each for each in directives if each.consent == ref.consent), None)
    return "" if found is None else sentence(found, ref.path, facts.site)


def _answering(decision: Decision) -> str:
    said = Reason(decision.reason).sentence
    if decision.rule is not None:
        rule = site_rules()[SiteRuleId(decision.rule)]
        said = worded("%(reason)s %(rule)s (%(source)s)", reason=said, rule=rule.sentence, source=rule.source)
    return said


def _line(decision: Decision) -> str:
    """One decision as a sentence: the step, whom it is about, the reason, the rule or the provisions behind it."""
    about = "" if decision.patient is None else f" Patient/{decision.patient}:"
    line = f"Step {decision.step},{about} {decision.effect.value}. {_answering(decision)}"
    provisions = ", ".join(f"Consent/{ref.consent} version {ref.version} {ref.path}" for ref in decision.directives)
    return f"{line} By {provisions}." if provisions else line
