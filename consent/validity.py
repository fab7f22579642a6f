"""How long an answer about a patient that is stored holds by itself, and whether it holds for every requester."""

from __future__ import annotations

from datetime import datetime

from consent.ages import majority
from consent.facts import Facts, PatientFacts
from consent.site import Site


def next_change(patient: PatientFacts, site: Site, now: datetime) -> datetime | None:
    """The earliest moment after now at which an answer about this patient may change by itself, with no write.

    A period begins or ends, a signature's day begins, a birthday. None: never.
    """
    moments: list[datetime | None] = []
    for directive in patient.directives:
        if directive.signed is not None:
            moments.append(directive.signed.start)
        for rule in (*directive.nested, *((directive.root,) if directive.root is not None else ())):
            for span in rule.periods:
                moments += (span.start, span.end)
    of_age = majority(patient.birth, site)
    if of_age is not None:
        moments += (of_age.start, of_age.end)
    return min((moment for moment in moments if moment is not None and moment > now), default=None)


def next_answer(facts: Facts, belongs_until: datetime | None, now: datetime) -> datetime | None:
    """The earliest moment after now at which any decision on these facts may be another, with no write. None: never.

    Parameters
    ----------
    belongs_until
        Until when the requester belongs to what the facts say; None: without end.
    """
    moments = [belongs_until]
    for patient in facts.patients.values():
        moments.append(next_change(patient, facts.site, now))
        for each in patient.representatives:  # a proxy acts in a period
            moments += (each.period.start, each.period.end)
    return min((moment for moment in moments if moment is not None and moment > now), default=None)


def names_requester(patient: PatientFacts) -> bool:
    """Whether any rule asks who the requester is, so that one stored answer would not be true for all."""
    return any(
        rule is not None and rule.actors is not None and bool(rule.actors.persons)
        for directive in patient.directives
        for rule in (directive.root, *directive.nested)
    )
