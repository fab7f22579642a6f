"""Flat Consents, written as Cedar policies and decided by the Cedar engine, have the product's answers."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from tests import counts
from tests.judges.cedar import STEPS, CedarJudge
from tests.judges.drawing.flat import REQUESTS, flat
from tests.judges.product import Product

pytestmark = pytest.mark.fast

NAME = "consent: flat rules as Cedar policies give the same answers"
SMALL, FULL = 900, 30_000
SEED = 1

LEAST = {
    **{f"permit {reason}": 10 for reason in ("patient-permitted", "default-permit", "role-permit", "break-glass")},
    **{f"deny {reason}": 10 for reason in ("patient-denied", "default-deny", "not-covered", "not-linked")},
    "deny other-patient": 5,
    "deny purpose-not-held": 10,
    "deny site-rule": 1,
}
"""How often each answer must occur at the small count."""


def test_cedar_and_the_product_agree() -> None:
    started = time.monotonic()
    worlds = -(-counts.count(NAME, small=SMALL, full=FULL) // REQUESTS)
    seen: Counter[str] = Counter()
    found, run = [], 0
    for seed in range(SEED, SEED + worlds):
        world = flat(seed)
        judge, product = CedarJudge(world), Product(world)
        refused = [bool(reading.refusals) for reading in product.readings]
        if judge.refused != refused:
            found.append(f"seed {seed}: the judge refuses {judge.refused}, the product {refused}")
        for number, request in enumerate(world["requests"]):
            answer, decision = judge.answer(request), product.decide(request)
            run += 1
            seen[" ".join(answer)] += 1
            if answer != (decision.effect.value, str(decision.reason)):
                found.append(f"seed {seed}, request {number}: the judge says {answer}, the product {decision}")
    counts.report(NAME, asked=worlds * REQUESTS, run=run, failures=len(found), seed=SEED, started=started)
    assert not found, "\n".join(found[:20])
    assert {answer: number for answer, number in LEAST.items() if seen[answer] < number} == {}
    assert {answer.split()[1] for answer in seen} >= set(STEPS)
