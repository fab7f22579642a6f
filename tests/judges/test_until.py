"""An answer that is stored is good until the moment that goes with it, and wherever it changes, it changes there."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from tests import counts
from tests.judges.generate import LEAP, generate, transitions
from tests.judges.product import Product

pytestmark = pytest.mark.fast

WORLDS = counts.count("consent: no answer changes before its time", small=150, full=5_000)


def test_no_answer_changes_before_the_next_change() -> None:
    """Proxies are left out: whom they represent is asked at every request, and nothing about it is stored."""
    compared, changed = 0, 0
    for seed in range(WORLDS):
        world = generate(seed)
        product = Product(world)
        requests = [one for one in world["requests"] if "RelatedPerson/" not in (one["account"]["reference"] or "")]
        before = [product.decide(request) for request in requests]
        now, end = product.now, product.good_until()
        for instant in transitions(world, ZoneInfo(world["site"]["time_zone"])):
            for product.now in (instant - LEAP, instant):
                if product.now <= now:
                    continue
                after = [product.decide(request) for request in requests]
                if end is not None and product.now >= end:
                    changed += after != before
                    continue
                compared += len(after)
                assert after == before, f"seed {seed}, at {product.now}, good until {end}"
    assert compared > WORLDS
    assert changed > WORLDS / 10
