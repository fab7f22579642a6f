"""How long an answer about a patient that is stored holds by itself, and whether it holds for every requester."""

from __future__ import annotations

from datetime import datetime

from consent.ages import majority
from consent.facts import PatientFacts
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


def names_requester(patient: PatientFacts) -> bool:
    """Whether any rule asks who the requester is, so that one stored answer would not be true for all."""
    return any(
        rule is not None and rule.actors is not None and bool(rule.actors.persons)
        for directive in patient.directives
        for rule in (directive.root, *directive.nested)
    )
