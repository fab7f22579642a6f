"""What a generated request touches, so that the agreement test can tell that its generator has not run dry.

A rule that matches, a rule that fails by one element alone and a rule that matches but does not count are told apart,
because a mistake in one element shows only in the first two, and a mistake in what counts only in the last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from tests.judges.matter import Matter
from tests.judges.plain import Answer
from tests.judges.reach import failing
from tests.judges.reading import Agreement, Statement
from tests.judges.standing import OPTED_OUT, Life, life

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
    if not {7, 8, 9, 10, 11}.isdisjoint({answer.step}) or answer.step == 5:
        yield f"{'several' if len(matters) > 1 else 'one'} decided by Consents"
    for matter in matters:
        for agreement in matter.agreements:
            for statement in agreement.statements():
                yield from _statement(statement, agreement, matter)
            if agreement.opted_out and not list(failing(OPTED_OUT, agreement, matter)):
                yield "OPTOUT matches"


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
    for meaning, reference in statement.data or []:
        yield f"{kind} matches with data {meaning} {reference.split('/')[0]}"


def interest(found: Iterable[str]) -> int:
    """How much a request can tell: one that nearly matches tells more than one that nobody speaks about."""
    return sum(worth for feature in found for name, worth in WORTH.items() if name in feature)


WORTH = {"alone": 3, "purpose alone": -3, "ENDED": 2, "NOT_YET": 1, "matches by": 1, "that replaces": 2, "held": -4}


def shortfalls(seen: Counter[str], least: dict[str, int]) -> list[str]:
    """The features that occurred less often than they must."""
    return [f"{name}: {seen[name]} of {number}" for name, number in least.items() if seen[name] < number]


LEAST: dict[str, int] = {}
