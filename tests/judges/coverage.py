"""What a generated request touches, so that the agreement test can tell that its generator has not run dry.

A rule that matches, a rule that fails by one element alone and a rule that matches but does not count are told apart,
because a mistake in one element shows only in the first two, and a mistake in what counts only in the last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from tests.judges.agreement import Agreement, Statement
from tests.judges.matter import Matter
from tests.judges.plain import Answer
from tests.judges.reach import failing
from tests.judges.standing import OPTED_OUT, Life, life, voices

STATED = {
    "purposes": "purpose",
    "persons": "person",
    "places": "place",
    "data": "data",
    "taken": "dataPeriod",
    "regions": "region",
    "labels": "label",
}


def features(answer: Answer, matters: list[Matter]) -> Iterator[str]:
    """The features of one request that was answered."""
    yield f"{'permit' if answer.permit else 'deny'} {answer.reason}"
    if len(matters) > 1:
        yield f"several parts, {'permit' if answer.permit else 'deny'}"
    for matter in matters:
        yield from _circumstances(matter)
        for agreement in matter.agreements:
            for statement in agreement.statements():
                yield from _statement(statement, agreement, matter)
            if agreement.opted_out and not list(failing(OPTED_OUT, agreement, matter)):
                yield "OPTOUT matches"


def _circumstances(matter: Matter) -> Iterator[str]:
    """What is special about the photo, the patient and the Consents that answer."""
    copies = matter.photo["copied"]
    if copies:
        yield "a copy of a copy" if copies > 1 else "a copy"
    if matter.photo["formerly"]:
        yield "a photo that was corrected"
    grown = matter.record.grown_up(matter.patient)
    if grown is None:
        yield "nobody knows the age"
    elif matter.now < grown.after:
        yield "under age, or it may be"
    for voice, silent in voices(matter):
        kind = "permit" if voice.permits else "denial"
        if silent is not None:
            yield f"a {kind} is silent, {silent.name}"
        if voice.agreement.patient != matter.patient:
            yield f"a {kind} of a merged record"
        if voice.permits and f"Patient/{voice.agreement.patient}" not in voice.agreement.signers:
            yield "a permit signed by somebody else"
        if voice.agreement.scope == "research":
            yield f"a {kind} of scope research"


def _statement(statement: Statement, agreement: Agreement, matter: Matter) -> Iterator[str]:
    kind = "permit" if statement.permits else "deny"
    stands = life(statement, agreement, matter)
    missed = list(failing(statement, agreement, matter))
    if len(missed) == 1 and stands is Life.COUNTS:
        yield f"{kind} misses by {missed[0]} alone"
    if missed:
        return
    yield f"{kind} matches, {stands.name}"
    if agreement.replaces:
        yield f"{kind} that replaces matches, {stands.name}"
    if stands is not Life.COUNTS:
        return
    yield f"{kind} matches at {'the root' if statement.path == 'provision' else 'a nested provision'}"
    for element, name in STATED.items():
        if getattr(statement, element) is not None:
            yield f"{kind} matches by {name}"
    if len(statement.data or []) == 1:
        meaning, reference = (statement.data or [])[0]
        yield f"{kind} matches by {meaning} {reference.split('/')[0]}"


def interest(found: Iterable[str]) -> int:
    """How much a request can tell: one that nearly matches tells more than one that nobody speaks about."""
    return sum(worth for feature in found for name, worth in WORTH.items() if name in feature)


WORTH = {
    "is silent": 5,
    "alone": 3,
    "purpose alone": -3,
    "ENDED": 2,
    "NOT_YET": 1,
    "matches by": 1,
    "that replaces": 2,
    "held": -4,
}


def shortfalls(seen: Counter[str], least: dict[str, int]) -> list[str]:
    """The features that occurred less often than they must."""
    return [f"{name}: {seen[name]} of {number}" for name, number in least.items() if seen[name] < number]


ELEMENTS = ("actor", "data", "dataPeriod", "region", "label")
REFUSED = (
    *("action", "actor", "class", "code", "data", "dateTime", "extension", "implicitRules", "modifierExtension"),
    *("period", "policy", "provision", "purpose", "replaces", "securityLabel", "type"),
)

LEAST: dict[str, int] = {
    **dict.fromkeys(("permit patient-permitted", "permit default-permit", "permit role-permit"), 100),
    **dict.fromkeys(("deny patient-denied", "deny default-deny"), 300),
    **dict.fromkeys(("permit break-glass", "deny held", "deny site-rule", "deny purpose-not-held"), 30),
    **dict.fromkeys(("deny not-linked", "deny other-patient", "deny facts-unavailable"), 20),
    "deny not-covered": 10,
    **dict.fromkeys(("permit other-permit", "deny other-deny"), 10),
    **{f"{kind} matches at {where}": 50 for kind in ("permit", "deny") for where in ("the root", "a nested provision")},
    **{f"{kind} matches by {name}": 4 for kind in ("permit", "deny") for name in STATED.values()},
    **{f"{kind} misses by {name} alone": 5 for kind in ("permit", "deny") for name in ELEMENTS},
    **{f"{kind} misses by purpose alone": 100 for kind in ("permit", "deny")},
    "permit misses by snapshot alone": 15,
    **{f"{kind} matches, {stands.name}": 15 for kind in ("permit", "deny") for stands in Life},
    **{f"permit that replaces matches, {stands.name}": 3 for stands in Life},
    **{f"deny that replaces matches, {stands}": 3 for stands in ("COUNTS", "ENDED", "NOT_YET")},
    "a permit is silent, COUNTS": 10,
    "a permit is silent, ENDED": 3,
    "a denial is silent, COUNTS": 10,
    **{f"a {kind} of a merged record": 3 for kind in ("permit", "denial")},
    **{f"a {kind} of scope research": 8 for kind in ("permit", "denial")},
    "a permit signed by somebody else": 5,
    "nobody knows the age": 20,
    "under age, or it may be": 50,
    "a copy": 80,
    "a copy of a copy": 10,
    "several parts, permit": 40,
    "several parts, deny": 80,
    "OPTOUT matches": 100,
    **{f"refused {element}": 1 for element in REFUSED},
}
"""How often each feature must occur at the small count."""
