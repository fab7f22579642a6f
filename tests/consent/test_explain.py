"""The explanation of a decision is the decision, in sentences."""

from __future__ import annotations

import pytest

from consent.explanation import explain
from consent.facts import Facts
from consent.types import Request
from tests.consent.world import ACCOUNTS, World, world_of

pytestmark = pytest.mark.fast


def _facts(world: World) -> Facts:
    return Facts(world.site, world.photos["f1"], world.patients)


def test_each_patient_has_a_line_that_names_step_reason_and_provision() -> None:
    world = world_of({"photos": {"f1": {"patients": ["P", "Q"]}}})
    world.write("permit TEACH")
    world.write({"root": "deny TEACH", "patient": "Q"})
    request = Request(ACCOUNTS["T"], "TEACH")
    explanation = explain(request, _facts(world), world.now)
    assert explanation.decision == world.ask("T TEACH f1")
    first, second = explanation.lines
    assert first.startswith("Step 9, Patient/P: permit.")
    assert first.endswith("By Consent/c1 version 1 provision.")
    assert second.startswith("Step 8, Patient/Q: deny.")
    assert second.endswith("By Consent/c2 version 1 provision.")


def test_a_site_rule_is_named_with_its_source() -> None:
    world = world_of({"patients": {"P": {"birth": ""}}})
    world.write("permit WEB")
    explanation = explain(Request(ACCOUNTS["M"], "WEB"), _facts(world), world.now)
    (line,) = explanation.lines
    assert "under age" in line
    assert "GDPR" in line


def test_a_step_before_the_patients_is_one_line() -> None:
    explanation = explain(Request(ACCOUNTS["admin"], "TREAT"), _facts(World()), World().now)
    assert explanation.lines == (
        "Step 1, deny. The requester does not hold the purpose, or left out what the purpose asks for.",
    )
