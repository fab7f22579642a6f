"""How hypothesis is run here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings


def agree(examples: int) -> Callable[[Any], Any]:
    """So many examples, the same in each run, however slow the machine is."""
    return settings(
        max_examples=examples, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
    )
