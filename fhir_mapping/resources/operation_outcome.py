"""OperationOutcome: what went wrong, in one sentence for each fault, with its element."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fhir_mapping.errors import Issue


def outcome(issues: Iterable[Issue]) -> dict[str, Any]:
    """R4 OperationOutcome; ``expression`` where the element is known."""
    return {"resourceType": "OperationOutcome", "issue": [_issue(issue) for issue in issues]}


def _issue(issue: Issue) -> dict[str, Any]:
    made: dict[str, Any] = {"severity": issue.severity, "code": issue.code, "diagnostics": issue.text}
    if issue.element is not None:
        made["expression"] = [issue.element]
    return made
