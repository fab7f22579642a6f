"""What the door would refuse, and the record may yet come to hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.consent.words import span
from tests.consent.world import World

pytestmark = pytest.mark.fast


def test_a_consent_dated_anew_is_no_longer_replaced_by_an_older_one() -> None:
    """Two Consents that replace each other would both be silent, and a denial lost."""
    world = World()
    world.write({"root": "deny TEACH", "on": "2026-05-01"})
    world.write({"root": "permit TEACH", "on": "2026-05-04", "replaces": "c1"})
    assert world.ask("T TEACH f1").permitted
    patient = world.patients["P"]
    first, second = patient.directives
    again = replace(first, version=2, signed=span("2026-06-01"), replaces=("c2",))
    world.patients["P"] = replace(patient, directives=(again, second))
    assert world.ask("T TEACH f1").reason == "patient-denied"


def test_organisations_that_are_part_of_each_other_end_somewhere() -> None:
    world = World()
    world.parents = {"Organization/clinic": "Organization/group", "Organization/group": "Organization/clinic"}
    world.write({"root": "permit TEACH", "org": "Organization/elsewhere"})
    assert world.ask("T TEACH f1").reason == "default-deny"
