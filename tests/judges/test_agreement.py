"""Two readings of the page on consent agree: the product's, and that of a judge that shares no code with it.

Both start at the same Consents as FHIR JSON. Compared are what is refused at the door, whether an arrived Consent holds
its patient, and for each request the effect and the reason.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests import counts
from tests.judges.coverage import LEAST, features, interest, shortfalls
from tests.judges.generate import generate
from tests.judges.plain import Answer, PlainJudge
from tests.judges.product import Product, refused, said

pytestmark = pytest.mark.fast

NAME = "consent: a second model written from the page gives the same answers"
SMALL, FULL = 3_000, 200_000
REQUESTS = 6
SEED = 20_260_615


def disagreements(seed: int, seen: Counter[str]) -> Iterator[str]:
    """What the two say differently of the world of one seed. What the world touches is counted in ``seen``."""
    world = generate(seed)
    judge, product = PlainJudge(world), Product(world)
    for written, mine, theirs in zip(world["consents"], judge.reads, product.readings, strict=True):
        name = f"seed {seed}, {written['body']['id']}"
        mine_, theirs_ = set(mine.refused), refused(theirs)
        if not mine_ <= theirs_ or (mine_ != theirs_ and not mine.unreadable):
            yield f"{name}: the judge refuses {mine_}, the product {theirs_}"
        if not mine.unreadable and mine.said != said(theirs):
            yield f"{name}: the judge says {mine.said} to the writer, the product {theirs.notes}"
        if (mine.denies, mine.may_deny_treatment) != (theirs.has_denial, theirs.denial_reaches_treatment):
            yield f"{name}: a denial in it, one that reaches TREAT: the judge {mine}, the product {theirs}"
        seen.update(f"refused {element}" for element in mine.refused)
    for number, request, answer, touched in asked(judge, world["requests"]):
        name = f"seed {seed}, request {number}"
        decision = product.decide(request)
        seen.update(touched)
        says = ("permit" if answer.permit else "deny", answer.reason, answer.step, sorted(answer.by))
        by = sorted({(ref.consent, ref.version, ref.path) for ref in decision.directives})
        found = (decision.effect.value, str(decision.reason), decision.step, by)
        if says != found:
            yield f"{name}: the judge says {says}, the product {found}"
        obligations = {obligation.value for obligation in decision.obligations}
        if answer.permit and judge.obligations(request) != obligations:
            yield f"{name}: the judge obliges to {judge.obligations(request)}, the product to {obligations}"


def asked(judge: PlainJudge, requests: list[dict[str, Any]]) -> Iterator[tuple[int, dict[str, Any], Answer, set[str]]]:
    """The first two requests of a world as they were drawn, and those of the others that can tell most."""
    answered = []
    for number, request in enumerate(requests):
        answer = judge.answer(request)
        touched = set(features(answer, [] if answer.step < 4 else judge.matters(request)))
        answered.append((number, request, answer, touched))
    yield from answered[:2]
    yield from sorted(answered[2:], key=lambda each: -interest(each[3]))[: REQUESTS - 2]


def test_the_product_and_the_plain_judge_agree() -> None:
    started = time.monotonic()
    asked = counts.count(NAME, small=SMALL, full=FULL)
    seen: Counter[str] = Counter()
    found: list[str] = []
    worlds = -(-asked // REQUESTS)
    for seed in range(SEED, SEED + worlds):
        found += disagreements(seed, seen)
    counts.report(NAME, asked=asked, run=worlds * REQUESTS, failures=len(found), seed=SEED, started=started)
    assert not found, "\n".join(found[:20])
    assert not shortfalls(seen, LEAST)
